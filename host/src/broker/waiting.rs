//! Who waits for which result key. Pure: the subscription to a server and the memory broker share
//! it. Keys are ordered, so that everything open can be visited in chunks without a copy.
//!
//! A waiting key costs about 250 bytes: the entry, one waiter and the waiter's key; its own text is
//! shared with whoever asked.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use super::Waiter;

#[derive(Debug)]
struct Entry {
    waiters: Vec<Waiter>,
    /// A revocation of the host ends when a final state stands here.
    revoking: bool,
    subscribed: bool,
    /// Already in `changed`.
    queued: bool,
    /// Hash of the value last delivered; 0: none.
    last: u64,
    /// A final state was delivered.
    ended: bool,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    entries: BTreeMap<Arc<str>, Entry>,
    /// Keys that have to be subscribed to or read.
    changed: Vec<Arc<str>>,
    /// Keys nobody waits for any more, still subscribed.
    dropped: Vec<Arc<str>>,
    limit: usize,
}

#[derive(Debug)]
pub(crate) struct LimitReached;

/// To whom a new value goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) revoking: bool,
}

impl Waiting {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            changed: Vec::new(),
            dropped: Vec::new(),
            limit,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a waiter; one that already waits for the key changes nothing.
    pub(crate) fn watch(&mut self, key: impl Into<Arc<str>>, waiter: Waiter) -> Result<(), LimitReached> {
        let key = key.into();
        let entry = self.entry(&key)?;
        if entry.waiters.contains(&waiter) {
            return Ok(());
        }
        // Almost always the only one, so without the spare capacity of a growing vector.
        entry.waiters.reserve_exact(1);
        entry.waiters.push(waiter);
        entry.last = 0;
        entry.ended = false;
        self.queue(&key);
        Ok(())
    }

    pub(crate) fn watch_revocation(&mut self, key: Arc<str>) -> Result<(), LimitReached> {
        let entry = self.entry(&key)?;
        entry.revoking = true;
        entry.last = 0;
        entry.ended = false;
        self.queue(&key);
        Ok(())
    }

    fn entry(&mut self, key: &Arc<str>) -> Result<&mut Entry, LimitReached> {
        if !self.entries.contains_key(&**key) && self.entries.len() >= self.limit {
            return Err(LimitReached);
        }
        Ok(self.entries.entry(key.clone()).or_insert_with(|| Entry {
            waiters: Vec::new(),
            revoking: false,
            subscribed: false,
            queued: false,
            last: 0,
            ended: false,
        }))
    }

    /// Asks for `key` to be looked at again.
    pub(crate) fn queue(&mut self, key: &str) {
        let known = self.entries.get_key_value(key).map(|(known, _)| known.clone());
        if let Some(known) = known
            && let Some(entry) = self.entries.get_mut(key)
            && !entry.queued
        {
            entry.queued = true;
            self.changed.push(known);
        }
    }

    /// True when nobody waits for the key any more.
    pub(crate) fn unwatch(&mut self, key: &str, waiter: &Waiter) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            return true;
        };
        entry.waiters.retain(|other| other != waiter);
        self.drop_if_idle(key)
    }

    pub(crate) fn unwatch_revocation(&mut self, key: &str) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            return true;
        };
        entry.revoking = false;
        self.drop_if_idle(key)
    }

    fn drop_if_idle(&mut self, key: &str) -> bool {
        let idle = self
            .entries
            .get(key)
            .is_some_and(|entry| entry.waiters.is_empty() && !entry.revoking);
        if idle
            && let Some((key, entry)) = self.entries.remove_entry(key)
            && entry.subscribed
        {
            self.dropped.push(key);
        }
        idle
    }

    pub(crate) fn is_open(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Up to `max` keys that have to be looked at; those still open, each once.
    pub(crate) fn take_changed(&mut self, max: usize) -> Vec<Arc<str>> {
        let from = self.changed.len().saturating_sub(max);
        let mut keys = self.changed.split_off(from);
        keys.retain(|key| match self.entries.get_mut(&**key) {
            Some(entry) => std::mem::take(&mut entry.queued),
            None => false,
        });
        keys
    }

    /// The keys to unsubscribe from, once there are `min` of them.
    pub(crate) fn take_dropped(&mut self, min: usize) -> Vec<Arc<str>> {
        if self.dropped.len() < min {
            return Vec::new();
        }
        let mut keys = std::mem::take(&mut self.dropped);
        // Watched again in the meantime: the subscription is wanted.
        keys.retain(|key| !self.entries.contains_key(key));
        keys
    }

    /// Marks keys as subscribed; one that was dropped meanwhile is noted for unsubscription.
    pub(crate) fn mark_subscribed(&mut self, keys: &[Arc<str>]) {
        for key in keys {
            match self.entries.get_mut(&**key) {
                Some(entry) => entry.subscribed = true,
                None => self.dropped.push(key.clone()),
            }
        }
    }

    pub(crate) fn is_subscribed(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.subscribed)
    }

    /// A new connection has no subscriptions.
    pub(crate) fn forget_subscriptions(&mut self) {
        self.dropped = Vec::new();
        for entry in self.entries.values_mut() {
            entry.subscribed = false;
        }
    }

    /// Up to `max` open keys after `after`, in order.
    pub(crate) fn open_after(&self, after: Option<&str>, max: usize) -> Vec<Arc<str>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries
            .range::<str, _>((from, Bound::Unbounded))
            .take(max)
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// To whom `value` is news. The same value is not news twice, and a state that `ends` nothing
    /// is no news after one that did: a push and a read may overtake each other.
    pub(crate) fn deliver(&mut self, key: &str, value: &[u8], ends: bool) -> Delivery {
        let Some(entry) = self.entries.get_mut(key) else {
            return Delivery::default();
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(value);
        let hash = hasher.finish().max(1);
        if entry.last == hash || (entry.ended && !ends) {
            return Delivery::default();
        }
        entry.last = hash;
        entry.ended = ends;
        Delivery {
            waiters: entry.waiters.clone(),
            revoking: entry.revoking,
        }
    }
}
