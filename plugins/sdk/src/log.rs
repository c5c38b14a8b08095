//! Lines in the log of the task run, and its progress. In native tests nothing is sent: the
//! lines of the current thread are collected for [`taken`].

use crate::bindings::base::grepx::plugin::log as raw;

pub use raw::Level;

pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message.as_ref());
}

pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

/// How far the work is, 0.0 to 1.0, with a note for people.
pub fn progress(fraction: f64, note: impl AsRef<str>) {
    #[cfg(target_arch = "wasm32")]
    raw::progress(fraction, note.as_ref());
    #[cfg(not(target_arch = "wasm32"))]
    write(Level::Info, &format!("{:.0} %: {}", fraction * 100.0, note.as_ref()));
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    raw::log(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
thread_local! {
    static LINES: std::cell::RefCell<Vec<(Level, String)>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, message: &str) {
    LINES.with_borrow_mut(|lines| lines.push((level, message.to_owned())));
}

/// For tests: the lines that this thread wrote since the last call.
#[cfg(not(target_arch = "wasm32"))]
pub fn taken() -> Vec<(Level, String)> {
    LINES.take()
}
