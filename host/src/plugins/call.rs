//! One call: it waits for its turn, runs in an instance of its own, and ends with an answer or a
//! named failure. The instance is dropped in every case.
//!
//! Reusing instances would save a few microseconds for Rust guests and hundreds for interpreted
//! ones; [`call`] is the only place that would change.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use wasmtime::{Engine, PoolConcurrencyLimitError, Store};
use wasmtime_wasi::I32Exit;

use super::call_log::CallLog;
use super::counters::Counters;
use super::failure::Failure;
use super::guest::{self, Guest, MemoryLimit, World};
use super::meter::{Meter, Overtime};
use super::settings::Limits;
use super::types::LogSink;

/// Who is called and within what.
pub(super) struct Call<'a> {
    pub(super) kind: &'a str,
    pub(super) engine: &'a Engine,
    pub(super) turns: &'a Semaphore,
    pub(super) limits: &'a Limits,
    pub(super) counters: &'a Counters,
    pub(super) world: World,
    pub(super) sink: Arc<dyn LogSink>,
}

/// Runs `body`, which instantiates in the store and calls one function. Dropping the future ends
/// the guest.
pub(super) async fn call<T, F>(call: Call<'_>, body: impl FnOnce(Store<Guest>) -> F) -> Result<T, Failure>
where
    F: Future<Output = wasmtime::Result<T>> + Send,
{
    let _turn = call.turns.acquire().await.map_err(|_| Failure::Host {
        kind: call.kind.to_owned(),
        message: "the host is stopping".to_owned(),
    })?;
    let log = CallLog::new(call.sink, call.limits);
    let mut store = guest::store(call.engine, call.limits, call.world, Arc::clone(&log));
    let meter = Meter::new(call.limits.call_timeout);
    meter.arm(&mut store);

    call.counters.start();
    let started = Instant::now();
    let result = meter.run(body(store)).await;
    log.finish();
    let result = result.map_err(|error| failure(call.kind, &error, call.limits, &log));
    call.counters.finish(started.elapsed(), result.as_ref().err());
    result
}

fn failure(kind: &str, error: &wasmtime::Error, limits: &Limits, log: &CallLog) -> Failure {
    let kind = kind.to_owned();
    if error.is::<Overtime>() {
        Failure::TimedOut {
            kind,
            limit: limits.call_timeout,
        }
    } else if let Some(MemoryLimit { limit }) = error.downcast_ref() {
        Failure::OutOfMemory { kind, limit: *limit }
    } else if error.is::<PoolConcurrencyLimitError>() {
        Failure::Host {
            kind,
            message: "all instances of the pool are taken".to_owned(),
        }
    } else {
        let message = match (log.last_words(), error.downcast_ref::<I32Exit>()) {
            (Some(words), _) => words,
            (None, Some(I32Exit(code))) => format!("it called exit({code})"),
            (None, None) => error.root_cause().to_string(),
        };
        Failure::Trapped { kind, message }
    }
}
