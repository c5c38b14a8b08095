//! What the shards have before them, for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::histogram::Histogram;

use super::Runner;
use crate::store::Depth;

/// Up to the time after which Prefect calls a run late (15 s), and beyond.
const LATENESS_SECONDS: [f64; 11] = [0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0];

#[derive(Debug, Clone)]
pub struct Load {
    /// The mail of each shard.
    pub mailboxes: Vec<Depth>,
    /// Nodes that wait for their turn to be prepared, called, judged or stopped.
    pub work_waiting: usize,
    /// Seconds that flow runs began after they were expected to, since the start.
    pub lateness: Histogram,
}

/// Nothing, and nothing so far.
impl Default for Load {
    fn default() -> Self {
        Self {
            mailboxes: Vec::new(),
            work_waiting: 0,
            lateness: lateness(),
        }
    }
}

/// How much work waits for its turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<AtomicUsize>);

/// One that stands in it, until this is dropped.
#[derive(Debug)]
pub(super) struct InLine(Arc<AtomicUsize>);

impl Line {
    pub(super) fn join(&self) -> InLine {
        self.0.fetch_add(1, Ordering::Relaxed);
        InLine(self.0.clone())
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn lateness() -> Histogram {
    Histogram::new(LATENESS_SECONDS)
}

impl Runner {
    #[must_use]
    pub fn load(&self) -> Load {
        let mailboxes = self.shards.iter().map(|shard| Depth {
            waiting: shard.max_capacity() - shard.capacity(),
            limit: shard.max_capacity(),
        });
        Load {
            mailboxes: mailboxes.collect(),
            work_waiting: self.line.0.load(Ordering::Relaxed),
            lateness: self.lateness.clone(),
        }
    }
}
