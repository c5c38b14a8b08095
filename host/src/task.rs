//! The only place that spawns. Every task has a name, so that a panic or a leak can be told from
//! the log, and a panic is logged instead of lost.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Runs `future` in the background under `name`.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn spawn<T, F>(name: &'static str, future: F) -> JoinHandle<Option<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    // Put together without an async block, which would keep room for `future` twice.
    let caught = AssertUnwindSafe(future).catch_unwind();
    let guarded = caught.map(move |outcome| outcome.map_err(|panic| tell(name, &*panic)).ok());
    #[cfg(test)]
    let guarded = crate::failpoint::machine::mortal(guarded);
    tokio::spawn(guarded.instrument(tracing::Span::current()))
}

fn tell(name: &'static str, panic: &(dyn Any + Send)) {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    #[cfg(test)]
    crate::failpoint::machine::panicked(panic, text);
    tracing::error!(
        task = name,
        panic = text,
        "a background task panicked; please report it"
    );
}
