//! A place in the ring that moves on. Whoever is slow finds that what comes next is gone, and is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::Bus;
use super::ring::Entry;

/// Entries that are taken at once: so many a slow listener keeps from being forgotten.
const AT_ONCE: usize = 16;

#[derive(Debug)]
pub struct Subscription {
    bus: Bus,
    told: watch::Receiver<u64>,
    /// Of the last event that was taken.
    position: u64,
}

/// What comes next.
#[derive(Debug)]
pub enum Taken {
    /// Entries that have events after `after`, in their order.
    Entries { after: u64, entries: Vec<Arc<Entry>> },
    /// Events are gone from the ring before they were taken.
    Gap(Gap),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last event before it.
    pub after: u64,
    /// How many are missing; `None` when nobody knows: the position is of another start of the host.
    pub missed: Option<u64>,
    /// Position of the last missing one.
    pub until: u64,
    /// Only events that clients have sent are missing.
    pub of_clients: bool,
}

impl Subscription {
    pub(super) fn new(bus: Bus, position: u64) -> Self {
        bus.0.subscriptions.fetch_add(1, Ordering::Relaxed);
        let told = bus.0.told.subscribe();
        Self { bus, told, position }
    }

    /// Of the last event that was taken.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Waits for what comes next; `None` when the bus is closed.
    pub async fn next(&mut self) -> Option<Taken> {
        loop {
            if self.bus.0.closed.is_cancelled() {
                return None;
            }
            self.told.borrow_and_update();
            if let Some(taken) = self.try_next() {
                return Some(taken);
            }
            tokio::select! {
                () = self.bus.0.closed.cancelled() => return None,
                changed = self.told.changed() => changed.ok()?,
            }
        }
    }

    /// What is there now.
    pub fn try_next(&mut self) -> Option<Taken> {
        let ring = self.bus.ring();
        let (start, before_first, last) = (ring.start(), ring.before_first(), ring.position());
        let after = self.position;
        if after < before_first || after > last {
            // A later position than the last is of a host whose clock was ahead.
            let known = (start..=last).contains(&after);
            let until = if after > last { last } else { before_first };
            self.position = until;
            return Some(Taken::Gap(Gap {
                after,
                missed: known.then(|| until - after),
                until,
                of_clients: false,
            }));
        }
        let entries = ring.after(after, AT_ONCE);
        let before = entries.first()?.before();
        if before > after {
            self.position = before;
            return Some(Taken::Gap(Gap {
                after,
                missed: Some(before - after),
                until: before,
                of_clients: true,
            }));
        }
        self.position = entries.last()?.last();
        Some(Taken::Entries { after, entries })
    }

    /// Goes on after this position.
    pub const fn go_to(&mut self, position: u64) {
        self.position = position;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.bus.0.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}
