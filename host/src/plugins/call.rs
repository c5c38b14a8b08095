//! One call: it waits for its turn, runs in an instance of its own, and ends with an answer or a
//! named failure. The instance is dropped in every case.
//!
//! Reusing instances would save a few microseconds for Rust guests and hundreds for interpreted
//! ones; [`call`] is the only place that would change.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use wasmtime::{Engine, PoolConcurrencyLimitError, Store};
use wasmtime_wasi::I32Exit;

use super::call_log::CallLog;
use super::counters::Counters;
use super::failure::Failure;
use super::guest::{self, Guest, MemoryLimit, Overtime, World};
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
    let yielded = Arc::new(AtomicBool::new(false));
    let store = guest::store(
        call.engine,
        call.limits,
        call.world,
        Arc::clone(&log),
        Arc::clone(&yielded),
    );

    call.counters.start();
    let started = Instant::now();
    let result = bounded_wait(body(store), call.limits.call_timeout, &yielded).await;
    log.finish();
    let result = result.map_err(|error| failure(call.kind, &error, call.limits, &log));
    call.counters.finish(started.elapsed(), result.as_ref().err());
    result
}

/// Ends a call that waits in host functions for more than `limit` in sum; the epoch sees only
/// running code. Time between the slices of a running guest belongs to other work and counts
/// nowhere, so that a busy host does not time out calls that never got to run.
async fn bounded_wait<T>(
    body: impl Future<Output = wasmtime::Result<T>>,
    limit: Duration,
    yielded: &AtomicBool,
) -> wasmtime::Result<T> {
    let mut body = pin!(body);
    let mut waited = Duration::ZERO;
    let mut waiting: Option<(Instant, std::pin::Pin<Box<tokio::time::Sleep>>)> = None;
    poll_fn(|cx| {
        if let Poll::Ready(result) = body.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if yielded.swap(false, Ordering::Relaxed) {
            waited += waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
            return Poll::Pending;
        }
        let left = limit.saturating_sub(waited);
        let (_, alarm) = waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        alarm.as_mut().poll(cx).map(|()| Err(Overtime(limit).into()))
    })
    .await
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
