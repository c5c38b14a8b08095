//! One call: it waits for its turn, runs in an instance, and ends with an answer or a named failure.
//!
//! The instance is the call's own and is dropped in every case, but for activities of which the
//! operator said otherwise: those are [`kept`].

pub(super) mod kept;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};
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
    let turn = Turn::wait(&call).await?;
    let (mut store, watch) = turn.store();
    let meter = Meter::new(call.limits.call_timeout);
    meter.arm(&mut store);
    let result = meter.run(body(store)).await;
    turn.end(result, &watch)
}

/// A call that runs.
struct Turn<'a> {
    call: &'a Call<'a>,
    started: Instant,
    _permit: SemaphorePermit<'a>,
}

/// What is seen of a guest from outside.
struct Watch {
    log: Arc<CallLog>,
    /// Most linear memory that it had.
    memory: Arc<AtomicUsize>,
}

impl<'a> Turn<'a> {
    async fn wait(call: &'a Call<'a>) -> Result<Self, Failure> {
        let asked = Instant::now();
        let permit = call.turns.acquire().await.map_err(|_| Failure::Host {
            kind: call.rights.kind.to_string(),
            message: "the host is stopping".to_owned(),
        })?;
        let started = Instant::now();
        call.counters.start(started - asked);
        Ok(Self {
            call,
            started,
            _permit: permit,
        })
    }

    fn store(&self) -> (Store<Guest>, Watch) {
        let call = self.call;
        let watch = Watch {
            log: CallLog::new(Arc::clone(&call.sink), call.limits, Arc::clone(&call.rights.secrets)),
            memory: Arc::new(AtomicUsize::new(0)),
        };
        let (log, memory) = (Arc::clone(&watch.log), Arc::clone(&watch.memory));
        let store = guest::store(call.engine, call.limits, call.world, call.rights, log, memory);
        (store, watch)
    }

    fn end<T>(self, result: wasmtime::Result<T>, watch: &Watch) -> Result<T, Failure> {
        let call = self.call;
        watch.log.finish();
        let result = result.map_err(|error| failure(&call.rights.kind, &error, call.limits, &watch.log));
        let memory = watch.memory.load(Relaxed);
        call.counters
            .finish(self.started.elapsed(), memory, result.as_ref().err());
        result
    }
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
