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
    queued_micros: AtomicU64,
    queued_micros_max: AtomicU64,
    memory_max: AtomicU64,
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
    /// Sum over all calls of the time that they waited for a turn.
    pub queued: Duration,
    pub queued_longest: Duration,
    /// Most linear memory that one call had, bytes.
    pub memory_bytes_max: u64,
}

impl Counters {
    pub(super) fn start(&self, queued: Duration) {
        let queued = micros(queued);
        self.started.fetch_add(1, Relaxed);
        self.queued_micros.fetch_add(queued, Relaxed);
        self.queued_micros_max.fetch_max(queued, Relaxed);
    }

    pub(super) fn finish(&self, took: Duration, memory: usize, failure: Option<&Failure>) {
        let micros = micros(took);
        self.finished.fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
        self.micros_max.fetch_max(micros, Relaxed);
        self.memory_max.fetch_max(memory as u64, Relaxed);
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
        let time = |micros: &AtomicU64| Duration::from_micros(micros.load(Relaxed));
        Counts {
            started: self.started.load(Relaxed),
            finished: self.finished.load(Relaxed),
            failed: self.failed.load(Relaxed),
            trapped: self.trapped.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            out_of_memory: self.out_of_memory.load(Relaxed),
            time: time(&self.micros),
            longest: time(&self.micros_max),
            queued: time(&self.queued_micros),
            queued_longest: time(&self.queued_micros_max),
            memory_bytes_max: self.memory_max.load(Relaxed),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
