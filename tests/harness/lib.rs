//! What the whole-program tests stand on: the real binary, the real components, a real Redis and
//! stock Celery workers, each on a free port and in a folder of its own.
//!
//! Waiting is always for something, and always bounded.

mod guests;
mod host;
mod http_server;
mod plugins;
mod process;
mod proxy;
mod redis_server;
mod worker;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use guests::{guest, shipped, variant};
pub use host::{Host, HostBuilder, Outcome};
pub use http_server::{Asked, HttpServer};
pub use plugins::host_with;
pub use process::Process;
pub use proxy::Proxy;
pub use redis_server::RedisServer;
pub use worker::{Pool, Worker};

/// How long a test waits for anything at all before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A path that `cargo xtask test` provides.
///
/// # Panics
/// When the tests are run without it.
#[must_use]
pub fn provided(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    PathBuf::from(value.unwrap_or_else(|| panic!("{variable} is not set: run the tests by `cargo xtask test`")))
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within [`PATIENCE`].
pub fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_at_most(PATIENCE, ask).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Asks again and again until there is an answer, or until `time` is over.
pub fn wait_at_most<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        let left = time.checked_sub(start.elapsed())?;
        pause(left.min(Duration::from_millis(20)));
    }
}

/// Between two questions of a bounded wait.
#[allow(
    clippy::disallowed_methods,
    reason = "a poll of another process has no event to wait for"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A port that was free a moment ago.
///
/// # Panics
/// When the machine has none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
