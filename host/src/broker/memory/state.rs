//! What the memory broker remembers: messages, guards, running tasks, revoked ids, results. Pure
//! bookkeeping with a limit on each; no waiting, no delivery.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;

use grepx_celery::result::ends_wait;
use grepx_engine::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::MemoryLimits;

/// Revoked ids that a stock worker remembers.
const REVOKED_MAX: usize = 50_000;

#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) id: String,
    pub(crate) queue: String,
    pub(crate) key: String,
    pub(crate) body: Bytes,
}

/// The limit that was reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    Messages(usize),
    Bytes(usize),
}

struct Stored {
    value: Bytes,
    /// Since when it is in `unwatched`.
    unwatched: Option<Instant>,
}

pub(crate) struct State {
    limits: MemoryLimits,
    /// By priority (lower first) and arrival.
    messages: BTreeMap<(u8, u64), Queued>,
    arrivals: u64,
    bytes: usize,
    guards: Recent<String>,
    revoked: Recent<String>,
    running: HashMap<String, CancellationToken>,
    results: HashMap<String, Stored>,
    /// Results that nobody waited for when they were stored, oldest first.
    unwatched: VecDeque<(String, Instant)>,
    unwatched_bytes: usize,
}

impl State {
    pub(crate) fn new(limits: MemoryLimits) -> Self {
        Self {
            guards: Recent::new(limits.guards_max),
            revoked: Recent::new(REVOKED_MAX),
            limits,
            messages: BTreeMap::new(),
            arrivals: 0,
            bytes: 0,
            running: HashMap::new(),
            results: HashMap::new(),
            unwatched: VecDeque::new(),
            unwatched_bytes: 0,
        }
    }

    /// Adds a message, unless its guard was seen before.
    pub(crate) fn push(&mut self, guard: &str, priority: u8, queued: Queued) -> Result<(), Overflow> {
        if self.guards.contains(guard) {
            return Ok(());
        }
        if self.messages.len() >= self.limits.messages_max {
            return Err(Overflow::Messages(self.limits.messages_max));
        }
        let bytes = self.bytes + queued.body.0.len();
        if bytes > self.limits.bytes_max {
            return Err(Overflow::Bytes(self.limits.bytes_max));
        }
        self.guards.insert(guard.to_owned());
        self.bytes = bytes;
        self.arrivals += 1;
        self.messages.insert((priority, self.arrivals), queued);
        Ok(())
    }

    /// The next message, and the token that ends its task.
    pub(crate) fn take(&mut self) -> Option<(Queued, CancellationToken)> {
        let (_, queued) = self.messages.pop_first()?;
        self.bytes -= queued.body.0.len();
        let token = CancellationToken::new();
        self.running.insert(queued.id.clone(), token.clone());
        Some((queued, token))
    }

    pub(crate) fn has_messages(&self) -> bool {
        !self.messages.is_empty()
    }

    /// True: nobody has taken it, it is gone, and it will not be pushed any more. A message that was
    /// never pushed here is such a one.
    pub(crate) fn withdraw(&mut self, id: Option<&str>, body: &Bytes, guard: &str) -> bool {
        let mark = format!("withdrawn {guard}");
        if self.guards.contains(&mark) {
            return true;
        }
        let found = self.messages.iter().find(|(_, queued)| queued.body == *body);
        if let Some(place) = found.map(|(place, _)| *place) {
            if let Some(queued) = self.messages.remove(&place) {
                self.bytes -= queued.body.0.len();
            }
        } else if self.guards.contains(guard) || id.is_some_and(|id| self.running.contains_key(id)) {
            return false;
        }
        self.guards.insert(guard.to_owned());
        self.guards.insert(mark);
        true
    }

    pub(crate) fn finished(&mut self, id: &str) {
        self.running.remove(id);
    }

    /// Remembers the id; the token of its task when that is running.
    pub(crate) fn revoke(&mut self, id: &str) -> Option<CancellationToken> {
        self.revoked.insert(id.to_owned());
        self.running.get(id).cloned()
    }

    pub(crate) fn is_revoked(&self, id: &str) -> bool {
        self.revoked.contains(id)
    }

    pub(crate) fn queues(&self) -> Vec<String> {
        let names: HashSet<&str> = self.messages.values().map(|queued| queued.queue.as_str()).collect();
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }

    pub(crate) fn waiting_in(&self, queue: &str) -> usize {
        self.messages.values().filter(|queued| queued.queue == queue).count()
    }

    pub(crate) fn store(&mut self, key: &str, value: Bytes, watched: bool) {
        self.forget_result(key);
        let at = Instant::now();
        if !watched {
            self.unwatched_bytes += value.0.len();
            self.unwatched.push_back((key.to_owned(), at));
        }
        let unwatched = (!watched).then_some(at);
        self.results.insert(key.to_owned(), Stored { value, unwatched });
        self.expire(at);
    }

    pub(crate) fn result(&self, key: &str) -> Option<Bytes> {
        self.results.get(key).map(|stored| stored.value.clone())
    }

    pub(crate) fn has_final(&self, key: &str) -> bool {
        let stored = self.results.get(key);
        stored.is_some_and(|stored| ends_wait(stored.value.as_ref()))
    }

    pub(crate) fn forget_result(&mut self, key: &str) {
        let Some(stored) = self.results.remove(key) else { return };
        let Some(since) = stored.unwatched else { return };
        // Ordered by time, so that the place is found without a look at all of them.
        let first = self.unwatched.partition_point(|(_, at)| *at < since);
        let mut later = self.unwatched.iter().skip(first);
        if let Some(place) = later.position(|(other, _)| other == key) {
            self.unwatched.remove(first + place);
            self.unwatched_bytes -= stored.value.0.len();
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some((key, at)) = self.unwatched.front() {
            let old = now.duration_since(*at) > self.limits.result_ttl;
            if !old && self.unwatched_bytes <= self.limits.result_bytes_max {
                return;
            }
            if let Some(stored) = self.results.remove(key) {
                self.unwatched_bytes -= stored.value.0.len();
            }
            self.unwatched.pop_front();
        }
    }
}

/// A set that forgets its oldest members above a limit.
struct Recent<T> {
    members: HashSet<T>,
    order: VecDeque<T>,
    limit: usize,
}

impl<T: Hash + Eq + Clone> Recent<T> {
    fn new(limit: usize) -> Self {
        Self {
            members: HashSet::new(),
            order: VecDeque::new(),
            limit,
        }
    }

    fn contains<Q: Hash + Eq + ?Sized>(&self, member: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        self.members.contains(member)
    }

    fn insert(&mut self, member: T) {
        if !self.members.insert(member.clone()) {
            return;
        }
        self.order.push_back(member);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.members.remove(&oldest);
        }
    }
}
