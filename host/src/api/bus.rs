//! What the host tells the world of changes: one bounded bus in the process.
//!
//! What changes flow runs is told by the store, after the commit that made it true and in the order
//! of the commits; what is not in the store (plugins, definitions, what clients emit) by whoever does
//! it, after it is done. One change, one event. Each event has a position, counted from the instant
//! at which the host was started, in microseconds: so a later start goes on with higher ones, and a
//! number in JSON holds it.
//!
//! The last events are kept in one ring for all ([`Limits`]). A subscriber is a place in that ring and
//! has no queue of its own: nobody waits for a slow one, and it holds a few commits at most. Whoever
//! comes too late for an event is told how many it has missed ([`Taken::Gap`]). What clients send has
//! a share of the ring and goes first. A commit is put into the ring as it is, and becomes events one
//! by one, when somebody takes them ([`Reader`]); so nobody's listening costs nearly nothing.
//!
//! Absent on purpose: filters and shapes of events (the API's), a record on the disk (the run store
//! has what happened), and events that are told before they are true.

mod reader;
mod ring;
mod subscription;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grepx_engine::{FlowRunId, Timestamp};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::store::{Changed, LogRow, Observer, RunChange, RunIdentity, Step, Switch, TaskRow};
pub use reader::{Happened, Reader, Told};
pub use ring::Entry;
use ring::Ring;
pub use subscription::{Gap, Subscription, Taken};

/// What is kept for those who come back, and for those who are slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub events: usize,
    /// About so much memory.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events: 10_000,
            bytes: 32 << 20,
        }
    }
}

/// What has happened at once: a commit, or something outside of the store.
#[derive(Debug, Clone)]
pub enum News {
    Stored(Changed),
    /// A kind is served by another build now, or by none.
    Plugin(Arc<PluginNews>),
    /// Other definitions are in force.
    Definitions(DefinitionsNews),
    /// A client has sent an event of Prefect's, in so many bytes.
    Client(Arc<Value>, usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginNews {
    pub kind: String,
    /// Digest of the build that serves now.
    pub digest: Option<String>,
    pub version: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefinitionsNews {
    pub flows: usize,
    pub deployments: usize,
    pub work_pools: usize,
    pub problems: usize,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub position: u64,
    /// When it was told.
    pub told_at: Timestamp,
    pub what: What<'a>,
}

#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// A flow run is in another state, or in the same one with another message or reason.
    FlowRun(&'a RunChange, &'a Step),
    /// A task run is in another state, or has another attempt, message, status or reason.
    TaskRun(&'a RunChange, &'a TaskRow, &'a Step),
    /// A log line, with its number in its flow run.
    Log(&'a RunChange, i64, &'a LogRow),
    Planned(&'a RunIdentity),
    Removed(FlowRunId),
    DeploymentSwitch {
        deployment: uuid::Uuid,
        schedule: Option<uuid::Uuid>,
        active: bool,
    },
    PoolSwitch {
        pool: &'a str,
        queue: Option<&'a str>,
        switch: Option<Switch>,
    },
    Plugin(&'a PluginNews),
    Definitions(DefinitionsNews),
    Client(&'a Value),
}

impl What<'_> {
    /// The flow run that it concerns.
    #[must_use]
    pub fn run(&self) -> Option<FlowRunId> {
        match self {
            Self::FlowRun(change, _) | Self::TaskRun(change, ..) | Self::Log(change, ..) => Some(change.rows.run),
            Self::Planned(identity) => Some(identity.id),
            Self::Removed(run) => Some(*run),
            _ => None,
        }
    }
}

/// A handle; cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Mutex<Ring>,
    /// The position of the last event, for those who wait for the next.
    told: watch::Sender<u64>,
    subscriptions: AtomicUsize,
    closed: CancellationToken,
}

impl Bus {
    /// `started_at`: of this process; later than that of any other before it.
    #[must_use]
    pub fn new(limits: Limits, started_at: Timestamp) -> Self {
        let first = u64::try_from(started_at.0).unwrap_or(0).saturating_mul(1_000);
        Self(Arc::new(Inner {
            ring: Mutex::new(Ring::new(limits, first)),
            told: watch::channel(first).0,
            subscriptions: AtomicUsize::new(0),
            closed: CancellationToken::new(),
        }))
    }

    /// Tells what is true by now.
    pub fn tell(&self, news: impl IntoIterator<Item = News>) {
        let now = crate::clock::now();
        let mut ring = self.ring();
        for one in news {
            ring.push(one, now);
        }
        self.0.told.send_replace(ring.position());
    }

    /// The position of the last event.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ring().position()
    }

    /// From the next event on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(self.clone(), self.position())
    }

    /// From the event after this position on.
    #[must_use]
    pub fn subscribe_after(&self, position: u64) -> Subscription {
        Subscription::new(self.clone(), position)
    }

    /// From the oldest event that is kept.
    #[must_use]
    pub fn subscribe_to_kept(&self) -> Subscription {
        let before = self.ring().before_first();
        Subscription::new(self.clone(), before)
    }

    /// Ends every subscription, now and later: the host stops.
    pub fn close(&self) {
        self.0.closed.cancel();
    }

    /// Resolves when the bus is closed.
    pub async fn closed(&self) {
        self.0.closed.cancelled().await;
    }

    /// Events that are kept, and about the memory that they take.
    #[must_use]
    pub fn kept(&self) -> Limits {
        self.ring().kept()
    }

    /// Those that are open.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.0.subscriptions.load(Ordering::Relaxed)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Bus {
    fn committed(&self, changes: Vec<Changed>) {
        self.tell(changes.into_iter().map(News::Stored));
    }

    fn position(&self) -> u64 {
        Self::position(self)
    }
}

#[cfg(test)]
mod tests;
