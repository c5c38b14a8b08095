//! One call: it waits for its turn, runs in an instance of its own, and ends with an answer or a
//! named failure. The instance is dropped in every case.
//!
//! Reusing instances would save a few microseconds for Rust guests and hundreds for interpreted
//! ones; [`call`] is the only place that would change.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use tokio::sync::Semaphore;
use wasmtime::{Engine, PoolConcurrencyLimitError, Store};
use wasmtime_wasi::I32Exit;

use super::call_log::CallLog;
use super::counters::Counters;
use super::failure::Failure;
use super::guest::{self, Guest, MemoryLimit, Rights, World};
use super::meter::{Meter, Overtime};
use super::settings::Limits;
use super::types::LogSink;

/// Who is called and within what.
pub(super) struct Call<'a> {
    pub(super) engine: &'a Engine,
    pub(super) turns: &'a Semaphore,
    pub(super) limits: &'a Limits,
    pub(super) counters: &'a Counters,
    pub(super) rights: &'a Rights,
    pub(super) world: World,
    pub(super) sink: Arc<dyn LogSink>,
}

/// Runs `body`, which instantiates in the store and calls one function. Dropping the future ends
/// the guest.
pub(super) async fn call<T, F>(call: Call<'_>, body: impl FnOnce(Store<Guest>) -> F) -> Result<T, Failure>
where
    F: Future<Output = wasmtime::Result<T>> + Send,
{
    let asked = Instant::now();
    let kind: &str = &call.rights.kind;
    let _turn = call.turns.acquire().await.map_err(|_| Failure::Host {
        kind: kind.to_owned(),
        message: "the host is stopping".to_owned(),
    })?;
    let started = Instant::now();
    call.counters.start(started - asked);
    let log = CallLog::new(call.sink, call.limits, Arc::clone(&call.rights.secrets));
    let memory = Arc::new(AtomicUsize::new(0));
    let mut store = guest::store(
        call.engine,
        call.limits,
        call.world,
        call.rights,
        Arc::clone(&log),
        Arc::clone(&memory),
    );
    let meter = Meter::new(call.limits.call_timeout);
    meter.arm(&mut store);

    let result = meter.run(body(store)).await;
    log.finish();
    let result = result.map_err(|error| failure(kind, &error, call.limits, &log));
    call.counters
        .finish(started.elapsed(), memory.load(Relaxed), result.as_ref().err());
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
