//! Everything that goes on while the host lives, dies and is away: the server of a connection, its
//! workers, the network, and the clock. Plain data and an agenda; what is on its way arrives, whoever
//! has sent it may be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grepx_celery::result::{Exception, encode_failure, encode_revoked, encode_started, encode_success, ends_wait};
use grepx_engine::{Bytes, Message, Timestamp};
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::broker::simulated::Push;

use super::echoes::Echoes;
use super::luck::Luck;

/// Lines of the trace that are kept; all of them are counted in its fingerprint.
const TRACE_MAX: usize = 20_000;
const DATE: &str = "2026-01-01T00:00:00+00:00";

pub(super) type Happening = Box<dyn FnOnce(&mut Outside) + Send>;

/// Shared by the simulation and the host's connections.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Outside>>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outside")
    }
}

pub(super) struct Outside {
    pub(super) luck: Luck,
    /// Milliseconds since the beginning, by a clock that nobody sets.
    steady: u64,
    /// While a host lives: where its virtual clock stood at `steady`.
    since: Option<Instant>,
    /// What the wall clock shows more than the steady one.
    wall_ahead: i64,
    agenda: BTreeMap<(u64, u64), Happening>,
    entries: u64,
    /// Something was put on the agenda.
    pub(super) added: Arc<Notify>,
    /// To the host that lives.
    pub(super) push: Option<mpsc::UnboundedSender<Push>>,
    pub(super) echoes: Echoes,
    /// Nothing goes wrong any more.
    pub(super) healed: bool,
    pub(super) up: bool,
    guards: BTreeMap<String, Guard>,
    /// Task ids of messages in the queue, by arrival.
    queue: BTreeMap<u64, Queued>,
    running: BTreeMap<String, Running>,
    results: BTreeMap<String, Bytes>,
    revoked: BTreeSet<String>,
    /// How often each task id was executed.
    pub(super) executed: BTreeMap<String, u32>,
    /// What the host has done wrong, as seen from here.
    pub(super) violations: Vec<String>,
    trace: Vec<String>,
    fingerprint: DefaultHasher,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Published,
    Withdrawn,
}

#[derive(Debug, Clone)]
struct Queued {
    id: String,
    key: String,
    body: Bytes,
}

struct Running {
    key: String,
}

impl Shared {
    pub(super) fn new(seed: u64, wall: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Outside {
            luck: Luck::new(seed),
            steady: 0,
            since: None,
            wall_ahead: wall.0,
            agenda: BTreeMap::new(),
            entries: 0,
            added: Arc::default(),
            push: None,
            echoes: Echoes::default(),
            healed: false,
            up: true,
            guards: BTreeMap::new(),
            queue: BTreeMap::new(),
            running: BTreeMap::new(),
            results: BTreeMap::new(),
            revoked: BTreeSet::new(),
            executed: BTreeMap::new(),
            violations: Vec::new(),
            trace: Vec::new(),
            fingerprint: DefaultHasher::new(),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Outside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets happen what is on the agenda, for ever.
    pub(super) async fn go_on(self) {
        loop {
            let (next, added) = {
                let mut outside = self.lock();
                outside.catch_up();
                (outside.agenda.keys().next().map(|(at, _)| *at), outside.added.clone())
            };
            let now = self.lock().now();
            let until_next = next.map_or(3_600_000, |at| at.saturating_sub(now));
            tokio::select! {
                biased;
                () = added.notified() => {}
                () = tokio::time::sleep(std::time::Duration::from_millis(until_next)) => {}
            }
        }
    }
}

impl Outside {
    pub(super) fn now(&self) -> u64 {
        let lived = self.since.map_or(0, |since| since.elapsed().as_millis());
        self.steady + u64::try_from(lived).unwrap_or(u64::MAX)
    }

    pub(super) fn wall(&self) -> Timestamp {
        Timestamp(self.wall_ahead + i64::try_from(self.now()).unwrap_or(i64::MAX))
    }

    /// Sets the wall clock forth or back.
    pub(super) fn step_clock(&mut self, by_ms: i64) {
        self.wall_ahead += by_ms;
        crate::failpoint::machine::set_clock(self.wall());
        self.note(&format!("the clock is set by {by_ms} ms"));
    }

    /// A host begins to live, in a runtime of its own.
    pub(super) fn born(&mut self) {
        self.since = Some(Instant::now());
    }

    /// It has ended.
    pub(super) fn gone(&mut self) {
        self.steady = self.now();
        self.since = None;
        self.push = None;
        self.echoes.gone();
    }

    /// Time passes without a host.
    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.steady + ms;
        while let Some((&(at, _), _)) = self.agenda.first_key_value()
            && at <= until
        {
            self.steady = at.max(self.steady);
            self.catch_up();
        }
        self.steady = until;
    }

    fn catch_up(&mut self) {
        let now = self.now();
        while let Some(first) = self.agenda.first_entry()
            && first.key().0 <= now
        {
            let happening = first.remove();
            happening(self);
        }
    }

    pub(super) fn after(&mut self, ms: u64, happening: impl FnOnce(&mut Self) + Send + 'static) {
        self.entries += 1;
        let at = self.now() + ms;
        self.agenda.insert((at, self.entries), Box::new(happening));
        self.added.notify_one();
    }

    pub(super) fn note(&mut self, what: &str) {
        let line = format!("{:>8} {what}", self.now());
        line.hash(&mut self.fingerprint);
        if self.trace.len() < TRACE_MAX {
            self.trace.push(line);
        }
    }

    /// Counts without a line.
    pub(super) fn count(&mut self, what: &(impl std::hash::Hash + ?Sized)) {
        what.hash(&mut self.fingerprint);
    }

    pub(super) fn trace(&self) -> &[String] {
        &self.trace
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint.finish()
    }

    /// True when it goes wrong now.
    pub(super) fn bad_luck(&mut self, percent: u64) -> bool {
        !self.healed && self.luck.percent(percent)
    }

    /// As the script in Redis: the guard decides, once.
    pub(super) fn publish(&mut self, message: &Message, guard: &str) {
        if self.guards.contains_key(guard) {
            return;
        }
        self.guards.insert(guard.to_owned(), Guard::Published);
        let id = message.meta.get("task-id").cloned().unwrap_or_default();
        self.note(&format!("published {id}"));
        self.entries += 1;
        let place = self.entries;
        let queued = Queued {
            id,
            key: message.meta.get("result-key").cloned().unwrap_or_default(),
            body: message.body.clone(),
        };
        self.queue.insert(place, queued);
        let wait = match self.bad_luck(10) {
            true => self.luck.between(5_000, 40_000),
            false => self.luck.below(1_500),
        };
        self.after(wait, move |outside| outside.take(place));
    }

    pub(super) fn withdraw(&mut self, message: &Message, guard: &str, published: bool) -> bool {
        let known = self.guards.get(guard).copied();
        if known == Some(Guard::Withdrawn) {
            return true;
        }
        if known.is_some() || published {
            let found = self.queue.iter().find(|(_, queued)| queued.body == message.body);
            let Some(place) = found.map(|(place, _)| *place) else {
                return false;
            };
            self.queue.remove(&place);
        }
        self.guards.insert(guard.to_owned(), Guard::Withdrawn);
        self.note(&format!("withdrawn {guard}"));
        true
    }

    /// A worker takes a message.
    fn take(&mut self, place: u64) {
        let Some(Queued { id, key, .. }) = self.queue.remove(&place) else {
            return;
        };
        if self.revoked.contains(&id) {
            return self.store(&key, encode_revoked(&id, "revoked", DATE));
        }
        let times = self.executed.entry(id.clone()).or_default();
        *times += 1;
        if *times > 1 {
            let what = format!("the attempt {id} was executed {times} times");
            self.violations.push(what);
        }
        self.note(&format!("executes {id}"));
        self.running.insert(id.clone(), Running { key: key.clone() });
        if self.luck.percent(50) {
            self.store(&key, encode_started(&id, "worker@simulated", 1));
        }
        let takes = match self.bad_luck(8) {
            true => self.luck.between(10_000, 60_000),
            false => self.luck.below(3_000),
        };
        self.after(takes, move |outside| outside.end(&id));
    }

    /// A task ends, if nobody has ended it before.
    fn end(&mut self, id: &str) {
        let Some(Running { key }) = self.running.remove(id) else {
            return;
        };
        if self.bad_luck(6) {
            // The worker was killed: it has acknowledged early, and says nothing.
            return self.note(&format!("lost {id}"));
        }
        let fails = match self.healed {
            true => 5,
            false => 20,
        };
        let value = if self.luck.percent(fails) {
            encode_failure(id, &Exception::new("ValueError", "builtins", "bad luck"), None, DATE)
        } else {
            encode_success(id, &json!({"id": id}), DATE)
        };
        self.store(&key, value);
    }

    /// Workers hear of it, if they listen.
    pub(super) fn revoke(&mut self, ids: &[String], terminate: bool) {
        for id in ids {
            if self.bad_luck(25) {
                continue;
            }
            self.revoked.insert(id.clone());
            match self.running.get(id) {
                Some(running) if terminate => {
                    let key = running.key.clone();
                    // Told, and it does not listen: its result comes later.
                    if !self.bad_luck(15) {
                        self.running.remove(id);
                        self.store(&key, encode_revoked(id, "terminated", DATE));
                    }
                }
                Some(_) => {}
                None => {
                    let key = grepx_celery::result_key("", id);
                    let ended = self.results.get(&key).is_some_and(|value| ends_wait(value.as_ref()));
                    // A worker that never had it answers, too.
                    if !ended && (self.healed || self.luck.percent(50)) {
                        self.store(&key, encode_revoked(id, "revoked", DATE));
                    }
                }
            }
        }
    }

    /// A state is kept and announced; announcements are lost, doubled, late.
    fn store(&mut self, key: &str, value: Vec<u8>) {
        let value = Bytes::from(value);
        self.results.insert(key.to_owned(), value.clone());
        if self.bad_luck(10) {
            return;
        }
        let times = 1 + u64::from(self.bad_luck(10));
        for _ in 0..times {
            let late = match self.bad_luck(10) {
                true => self.luck.below(20_000),
                false => self.luck.below(200),
            };
            let push = Push::Value {
                key: key.to_owned(),
                value: value.clone(),
            };
            self.after(late, move |outside| outside.push(push));
        }
    }

    fn push(&mut self, push: Push) {
        if let Some(host) = &self.push
            && (self.up || !matches!(push, Push::Value { .. }))
        {
            let _ = host.send(push);
        }
    }

    pub(super) fn result(&self, key: &str) -> Option<Bytes> {
        self.results.get(key).cloned()
    }

    /// In its queue, with a worker, or ended.
    pub(super) fn knows(&self, message: &Message) -> bool {
        let meta = |name: &str| message.meta.get(name).map(String::as_str).unwrap_or_default();
        self.running.contains_key(meta("task-id"))
            || self.queue.values().any(|queued| queued.body == message.body)
            || self
                .results
                .get(meta("result-key"))
                .is_some_and(|value| ends_wait(value.as_ref()))
    }

    /// Nobody reaches the server for so long.
    pub(super) fn outage(&mut self, ms: u64) {
        if !self.up {
            return;
        }
        self.note(&format!("the server is away for {ms} ms"));
        self.up = false;
        let reason = "the server is away".to_owned();
        self.push(Push::Down { reason });
        self.after(ms, Self::back);
    }

    fn back(&mut self) {
        if !self.up {
            self.up = true;
            self.note("the server is back");
            self.push(Push::Up);
        }
    }

    /// From now on nothing goes wrong; what is on its way still arrives.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.back();
        self.note("healed");
    }

    /// Messages that nobody has taken, and tasks that go on.
    pub(super) fn open(&self) -> (usize, usize) {
        (self.queue.len(), self.running.len())
    }
}
