//! The table of waiting keys of one connection and the way from a stored value to the runner.
//! Shared by the Redis subscription and the memory broker.
//!
//! Nothing queues here: a value is sent into the runner's bounded channel by the task that read
//! it, so a slow runner slows the reading down.

use std::sync::{Arc, Mutex, MutexGuard};

use grepx_celery::result::ends_wait;
use grepx_engine::Bytes;
use tokio::sync::{Notify, mpsc};

use super::revocation::Revocations;
use super::waiting::{LimitReached, Waiting};
use super::{Broker, ConnectionSettings, Notice, RevocationEnd, SendError, Waiter, lock};

pub(crate) struct Deliveries {
    connection: String,
    limit: usize,
    waiting: Mutex<Waiting>,
    /// Some key has to be looked at.
    pub(crate) changed: Notify,
    notices: mpsc::Sender<Notice>,
    revocations: Arc<Revocations>,
}

impl Broker {
    /// Notices that wait for the runner, and how many may; all connections have one channel.
    #[must_use]
    pub fn notices(&self) -> Option<(usize, usize)> {
        let (_, deliveries) = self.connections.values().next()?.parts();
        let limit = deliveries.notices.max_capacity();
        Some((limit - deliveries.notices.capacity(), limit))
    }
}

/// The runner is gone: there is nobody to deliver to.
#[derive(Debug)]
pub(crate) struct NobodyListens;

impl Deliveries {
    pub(crate) fn new(
        settings: &ConnectionSettings,
        notices: mpsc::Sender<Notice>,
        revocations: Arc<Revocations>,
    ) -> Arc<Self> {
        Arc::new(Self {
            connection: settings.name.clone(),
            limit: settings.waiting_max,
            waiting: Mutex::new(Waiting::new(settings.waiting_max)),
            changed: Notify::new(),
            notices,
            revocations,
        })
    }

    pub(crate) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    pub(crate) fn watch(&self, key: Arc<str>, waiter: Waiter) -> Result<(), SendError> {
        let watched = self.waiting().watch(key, waiter);
        self.changed.notify_one();
        watched.map_err(|LimitReached| self.full())
    }

    /// True when nobody waits for the key any more.
    pub(crate) fn unwatch(&self, key: &str, waiter: &Waiter) -> bool {
        self.waiting().unwatch(key, waiter)
    }

    pub(crate) fn watch_revocation(&self, key: &str) -> Result<(), SendError> {
        let watched = self.waiting().watch_revocation(key.into());
        self.changed.notify_one();
        watched.map_err(|LimitReached| self.full())
    }

    pub(crate) fn unwatch_revocation(&self, key: &str) {
        self.waiting().unwatch_revocation(key);
    }

    /// Asks for `key` to be looked at again.
    pub(crate) fn queue(&self, key: &str) {
        self.waiting().queue(key);
        self.changed.notify_one();
    }

    fn full(&self) -> SendError {
        SendError::Full {
            connection: self.connection.clone(),
            what: "the table of waiting results",
            limit: self.limit,
            advice: "raise waiting_max or let fewer tasks wait at the same time",
        }
    }

    /// Sends `value` to everybody to whom it is news.
    pub(crate) async fn deliver(&self, key: &str, value: Bytes) -> Result<(), NobodyListens> {
        if !self.waiting().is_open(key) {
            return Ok(());
        }
        let ends = ends_wait(value.as_ref());
        let delivery = self.waiting().deliver(key, value.as_ref(), ends);
        for waiter in delivery.waiters {
            let value = value.clone();
            self.notify(Notice::Value { waiter, value }).await?;
        }
        if delivery.revoking && ends {
            self.waiting().unwatch_revocation(key);
            if self.revocations.close(&self.connection, key) {
                let connection = self.connection.clone();
                let key = key.to_owned();
                let end = RevocationEnd::Final(value);
                self.notify(Notice::Settled { connection, key, end }).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn notify(&self, notice: Notice) -> Result<(), NobodyListens> {
        self.notices.send(notice).await.map_err(|_| NobodyListens)
    }
}
