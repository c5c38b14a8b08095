//! Lines in the log of the task run, and its progress. In native tests nothing is sent: the
//! lines of the current thread are collected for [`taken`].
//!
//! `log::info("text")` is a function, `log::info!("{n} rows")` the macro of the crate `log`; what
//! other crates write with that one arrives too, from `debug` on. So does `tracing`, when the
//! component depends on it with its feature `log`.

use std::cell::Cell;

use crate::bindings::base::grepx::plugin::log as raw;

pub use ::log::{debug, error, info, trace, warn};
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
    if SILENT.get() {
        return;
    }
    #[cfg(target_arch = "wasm32")]
    raw::progress(fraction, note.as_ref());
    #[cfg(not(target_arch = "wasm32"))]
    write(Level::Info, &format!("{:.0} %: {}", fraction * 100.0, note.as_ref()));
}

thread_local! {
    /// While a journal is replayed: its lines were written when they were new.
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Until it is dropped, lines of this thread go nowhere.
pub(crate) struct Silence {
    before: bool,
}

impl Silence {
    pub(crate) fn new() -> Self {
        let before = SILENT.replace(true);
        Self { before }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        SILENT.set(self.before);
    }
}

fn write(level: Level, message: &str) {
    if !SILENT.get() {
        send(level, message);
    }
}

/// The text of a panic, which must be seen wherever it happens.
#[cfg(target_arch = "wasm32")]
pub(crate) fn last_words(message: &str) {
    send(Level::Error, message);
}

#[cfg(target_arch = "wasm32")]
fn send(level: Level, message: &str) {
    raw::log(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
thread_local! {
    static LINES: std::cell::RefCell<Vec<(Level, String)>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(not(target_arch = "wasm32"))]
fn send(level: Level, message: &str) {
    LINES.with_borrow_mut(|lines| lines.push((level, message.to_owned())));
}

/// For tests: the lines that this thread wrote since the last call.
#[cfg(not(target_arch = "wasm32"))]
pub fn taken() -> Vec<(Level, String)> {
    LINES.take()
}

/// Has lines of the crate `log` collected like our own; done for every call of the host. In
/// native tests it does nothing when the test has a logger already.
pub fn collect() {
    if ::log::set_logger(&Bridge).is_ok() {
        // Not `trace`: crates write it in loops, and the host takes a bounded number of lines.
        ::log::set_max_level(::log::LevelFilter::Debug);
    }
}

struct Bridge;

impl ::log::Log for Bridge {
    fn enabled(&self, _metadata: &::log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &::log::Record<'_>) {
        let level = match record.level() {
            ::log::Level::Trace => Level::Trace,
            ::log::Level::Debug => Level::Debug,
            ::log::Level::Info => Level::Info,
            ::log::Level::Warn => Level::Warn,
            ::log::Level::Error => Level::Error,
        };
        write(level, &record.args().to_string());
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests;
