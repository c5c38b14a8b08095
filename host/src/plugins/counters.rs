//! How often a kind was called and how it went, for metrics and `plugin inspect`. Kept over
//! replacements of the file.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::failure::Failure;

#[derive(Debug, Default)]
pub(super) struct Counters {
    started: AtomicU64,
    finished: AtomicU64,
    failed: AtomicU64,
    trapped: AtomicU64,
    timed_out: AtomicU64,
    out_of_memory: AtomicU64,
    micros: AtomicU64,
    micros_max: AtomicU64,
}

/// The counters of one kind at one time, since the host started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub started: u64,
    /// With or without an answer; `started - finished` calls run now or were dropped.
    pub finished: u64,
    /// Without an answer, for any reason.
    pub failed: u64,
    pub trapped: u64,
    pub timed_out: u64,
    pub out_of_memory: u64,
    /// Sum over all finished calls, without waiting for a turn.
    pub time: Duration,
    pub longest: Duration,
}

impl Counters {
    pub(super) fn start(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    pub(super) fn finish(&self, took: Duration, failure: Option<&Failure>) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.finished.fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
        self.micros_max.fetch_max(micros, Relaxed);
        let Some(failure) = failure else { return };
        self.failed.fetch_add(1, Relaxed);
        match failure {
            Failure::Trapped { .. } => self.trapped.fetch_add(1, Relaxed),
            Failure::TimedOut { .. } => self.timed_out.fetch_add(1, Relaxed),
            Failure::OutOfMemory { .. } => self.out_of_memory.fetch_add(1, Relaxed),
            _ => 0,
        };
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            started: self.started.load(Relaxed),
            finished: self.finished.load(Relaxed),
            failed: self.failed.load(Relaxed),
            trapped: self.trapped.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            out_of_memory: self.out_of_memory.load(Relaxed),
            time: Duration::from_micros(self.micros.load(Relaxed)),
            longest: Duration::from_micros(self.micros_max.load(Relaxed)),
        }
    }
}
