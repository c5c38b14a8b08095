//! Wrong auth strings, counted by address: an auth string may be a word that somebody can guess, a
//! key is not, so only auth strings are counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong ones from an address within [`WINDOW`].
pub(super) const WRONG_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; the one that began first makes room.
const ADDRESSES_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Wrong>>);

#[derive(Debug)]
struct Wrong {
    since: Instant,
    times: u32,
}

impl Attempts {
    /// Whether an address has to wait, and how long.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = all.get(&address).filter(|wrong| wrong.times >= WRONG_MAX)?;
        (wrong.since + WINDOW)
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    pub(super) fn wrong(&self, address: IpAddr, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&address) {
            let first = all
                .iter()
                .min_by_key(|(_, wrong)| wrong.since)
                .map(|(address, _)| *address);
            first.map(|address| all.remove(&address));
        }
        let wrong = all.entry(address).or_insert(Wrong { since: now, times: 0 });
        if now.saturating_duration_since(wrong.since) >= WINDOW {
            *wrong = Wrong { since: now, times: 0 };
        }
        wrong.times = wrong.times.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
