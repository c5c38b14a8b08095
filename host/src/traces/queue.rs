//! Spans that wait for the thread that sends them. Whoever puts some in never waits: what finds no
//! room is refused, so memory is bounded.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Span;

/// About 10 MiB.
const SPANS_MAX: usize = 8_192;
/// Spans in one request.
const BATCH: usize = 512;
/// How long a request waits to become fuller.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    spans: VecDeque<Span>,
    closed: bool,
}

impl Queue {
    /// How many were refused.
    pub(super) fn put(&self, spans: Vec<Span>) -> usize {
        let mut state = self.state();
        let room = match state.closed {
            true => 0,
            false => SPANS_MAX - state.spans.len(),
        };
        let (waiting, refused) = (state.spans.len(), spans.len().saturating_sub(room));
        state.spans.extend(spans.into_iter().take(room));
        // The thread sleeps until there is something, and then until a batch is full.
        let wakes = waiting == 0 || state.spans.len() >= BATCH;
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
        refused
    }

    pub(super) fn len(&self) -> usize {
        self.state().spans.len()
    }

    /// Nothing more is taken; what is there goes at once.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Waits for spans; `None` when it is closed and empty.
    pub(super) fn take(&self) -> Option<Vec<Span>> {
        let idle = |state: &mut State| state.spans.is_empty() && !state.closed;
        let state = self.changed.wait_while(self.state(), idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let few = |state: &mut State| state.spans.len() < BATCH && !state.closed;
        let lingered = self.changed.wait_timeout_while(state, LINGER, few);
        let (mut state, _) = lingered.unwrap_or_else(PoisonError::into_inner);
        let batch = state.spans.len().min(BATCH);
        (batch > 0).then(|| state.spans.drain(..batch).collect())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Sleeps, until it is closed at most.
    pub(super) fn pause(&self, time: Duration) {
        let open = |state: &mut State| !state.closed;
        drop(self.changed.wait_timeout_while(self.state(), time, open));
    }

    /// Takes everything out; how many there were.
    pub(super) fn clear(&self) -> usize {
        std::mem::take(&mut self.state().spans).len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
