//! What a schedule does with the instants that have come: which get a run, which are passed over.
//!
//! Absent on purpose: IO and a clock; the caller says what time it is.

use std::time::Duration;

use grepx_engine::Timestamp;

use crate::definitions::{CatchUp, Timing};
use crate::store::Progress;

/// An instant this long ago was not missed: the host was busy, or started again. Prefect calls a
/// run late after the same time.
const GRACE: Duration = Duration::from_secs(15);
/// Runs that one schedule makes up for at once, the latest ones.
pub(super) const RUNS_MAX: usize = 1_000;
/// Instants that are counted for the message on what was passed over.
const COUNTED_MAX: usize = 10_000;

/// What missed instants mean to a deployment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) catch_up: CatchUp,
    /// Instants longer ago are never made up for.
    pub(super) window: Option<Duration>,
    /// How much later than its instant a run starts.
    pub(super) jitter_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backlog {
    /// Instants that get a run, in order.
    pub(super) runs: Vec<Timestamp>,
    /// Instants that get none; at most about [`COUNTED_MAX`] are counted.
    pub(super) passed_over: usize,
    /// When all of it is done.
    pub(super) progress: Progress,
}

/// Judges the instants from `next` whose start lies at or before `now`.
pub(super) fn backlog(timing: &Timing, policy: Policy, next: Timestamp, now: Timestamp) -> Backlog {
    let last_instant = Timestamp(now.0.saturating_sub(to_i64(policy.jitter_ms)));
    let missed = last_instant.since_ms(next) > to_u64(GRACE);
    let since = match (missed, policy.catch_up) {
        (false, _) => next,
        (true, CatchUp::None) => back(last_instant, GRACE).max(next),
        (true, CatchUp::All | CatchUp::Latest) => match policy.window {
            Some(window) => back(last_instant, window.max(GRACE)).max(next),
            None => next,
        },
    };
    let most = if missed && policy.catch_up == CatchUp::Latest {
        1
    } else {
        RUNS_MAX
    };
    let runs = latest(timing, since, last_instant, most);
    let first_run = runs.first().copied();
    let passed_over = timing
        .after(before(next))
        .take_while(|at| first_run.map_or(*at <= last_instant, |first| *at < first))
        .take(COUNTED_MAX)
        .count();
    let handled_until = latest(timing, next, last_instant, 1).last().copied().unwrap_or(next);
    Backlog {
        runs,
        passed_over,
        progress: Progress {
            handled_until,
            next_at: timing.after(handled_until).next(),
        },
    }
}

/// The last `most` instants from `since` to `until`, both included, without walking through all
/// that came before: looks back in steps that grow.
fn latest(timing: &Timing, since: Timestamp, until: Timestamp, most: usize) -> Vec<Timestamp> {
    let mut look_back: u64 = to_u64(GRACE);
    loop {
        let from = Timestamp(until.0.saturating_sub(to_i64(look_back))).max(since);
        let mut found: Vec<Timestamp> = timing.after(before(from)).take_while(|at| *at <= until).collect();
        if found.len() >= most || from == since {
            let surplus = found.len().saturating_sub(most);
            return found.split_off(surplus);
        }
        look_back = look_back.saturating_mul(8);
    }
}

fn before(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_sub(1))
}

fn back(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_sub(to_i64(to_u64(by))))
}

fn to_u64(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn to_i64(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
