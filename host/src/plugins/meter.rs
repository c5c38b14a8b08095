//! The running time of one call.
//!
//! A busy guest is seen by the epoch, a guest that waits in a host call only from outside, and a
//! guest that let others go on does neither: that time belongs to them, so that a busy host does
//! not time out calls that never got to run. Hence running and waiting are measured apart, each
//! against the same limit.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use wasmtime::{Store, UpdateDeadline};

use super::runtime::SLICE_TICKS;

/// The call used up its running time.
#[derive(Debug, thiserror::Error)]
#[error("the call used up its {} ms", .0.as_millis())]
pub(super) struct Overtime(pub(super) Duration);

/// Clones measure the same call.
#[derive(Clone)]
pub(super) struct Meter(Arc<State>);

struct State {
    limit: Duration,
    created: Instant,
    /// Nanoseconds after `created` at which the guest last went on.
    resumed: AtomicU64,
    /// Nanoseconds that the guest ran before that.
    ran: AtomicU64,
    yielded: AtomicBool,
}

impl Meter {
    pub(super) fn new(limit: Duration) -> Self {
        Self(Arc::new(State {
            limit,
            created: Instant::now(),
            resumed: AtomicU64::new(0),
            ran: AtomicU64::new(0),
            yielded: AtomicBool::new(false),
        }))
    }

    /// Lets the guest of `store` run in slices, and not beyond the limit.
    pub(super) fn arm<T>(&self, store: &mut Store<T>) {
        let meter = self.clone();
        store.epoch_deadline_callback(move |_| {
            let state = &meter.0;
            let ran = state.ran.load(Relaxed) + meter.since_resumed();
            if Duration::from_nanos(ran) >= state.limit {
                return Err(Overtime(state.limit).into());
            }
            state.yielded.store(true, Relaxed);
            Ok(UpdateDeadline::YieldCustom(
                SLICE_TICKS,
                Box::pin(tokio::task::yield_now()),
            ))
        });
        store.set_epoch_deadline(SLICE_TICKS);
    }

    /// Drives a call whose store was armed; ends it when it waited for longer than the limit.
    pub(super) async fn run<T>(&self, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        let state = &self.0;
        let mut call = pin!(call);
        let mut waited = Duration::ZERO;
        let mut waiting: Option<(Instant, Pin<Box<Sleep>>)> = None;
        poll_fn(|cx| {
            state.resumed.store(self.now(), Relaxed);
            if let Poll::Ready(result) = call.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            state.ran.fetch_add(self.since_resumed(), Relaxed);
            if state.yielded.swap(false, Relaxed) {
                waited += waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
                return Poll::Pending;
            }
            let left = state.limit.saturating_sub(waited);
            let (_, alarm) = waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
            alarm.as_mut().poll(cx).map(|()| Err(Overtime(state.limit).into()))
        })
        .await
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.created.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn since_resumed(&self) -> u64 {
        self.now().saturating_sub(self.0.resumed.load(Relaxed))
    }
}

#[cfg(test)]
mod tests;
