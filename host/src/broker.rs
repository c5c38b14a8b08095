//! Named connections to Celery workers: messages go out, results come back.
//!
//! A connection is a pair of Redis servers (broker and result backend, often the same one) or
//! `memory://`, where an embedded worker runs the host's own activities through the same messages
//! and results. The rest of the host sees one type and no difference.
//!
//! What can be relied on:
//! - A publication happens once per guard, however often it is tried, also after a restart of the
//!   host (not for `memory://`, see [`Broker::is_durable`]).
//! - A result under a watched key is delivered, whenever it was stored: a subscription stands
//!   before the key is read, everything open is read again after every reconnection and by a slow
//!   sweep. The same value may be delivered again.
//! - A server that is away blocks nothing: commands fail at once and say why, connections are
//!   tried for ever in the background.
//!
//! Deliberately absent: retries (the runner has the back-off), any record of what was sent (the
//! store has it), AMQP, Redis Cluster, Sentinel, ETA and countdown (the host keeps the clock).
//! This is the only module that sees the redis crate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use grepx_celery::Endpoint;
use grepx_engine::{Bytes, FlowRunId, Message, NodeId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod delivery;
mod error;
mod inspection;
mod memory;
mod remote;
mod revocation;
mod settings;
#[cfg(test)]
pub(crate) mod simulated;
#[cfg(test)]
mod tests;
mod waiting;

pub use error::{Error, SendError};
pub use inspection::{Inspection, Server, Servers, Whereabouts, Worker};
pub use settings::{ConnectionSettings, MemoryLimits};

use delivery::Deliveries;
use memory::Memory;
use remote::Remote;
use revocation::{Revocation, Revocations};

/// The result key whose final state ends the repetition of a revocation.
const UNTIL_REPLY: &str = "until-reply";

/// Whose open command a value answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Waiter {
    pub run: FlowRunId,
    pub node: NodeId,
    pub attempt: u32,
    /// The key of the command.
    pub key: String,
}

/// What the broker tells the runner. A full channel makes the broker wait, not forget.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A state was stored under a watched key; not necessarily a final one.
    Value { waiter: Waiter, value: Bytes },
    /// A revocation is not repeated any more.
    Settled {
        connection: String,
        /// The `until-reply` key of the broadcast.
        key: String,
        end: RevocationEnd,
    },
    /// Both servers of the connection answer.
    Up { connection: String },
    /// Once per outage; also sent when a server is away at the start.
    Down { connection: String, reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationEnd {
    /// This final state stands.
    Final(Bytes),
    /// No final state within `revoke_ttl`.
    Unanswered,
}

/// The activities of the embedded worker.
pub trait Work: Send + Sync + 'static {
    fn names(&self) -> Vec<String>;
    /// `input` is `{"args": […], "kwargs": {…}}`. The future is dropped when the task is revoked
    /// with `terminate`.
    fn run(
        &self,
        name: &str,
        id: &str,
        input: serde_json::Value,
    ) -> BoxFuture<'_, Result<serde_json::Value, WorkError>>;
}

/// A failed activity, in the words of Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkError {
    /// A class name: `ValueError`.
    pub exc_type: String,
    pub message: String,
    pub traceback: Option<String>,
}

/// A connection as a page shows it.
#[derive(Debug, Clone)]
pub struct ConnectionStatus {
    pub name: String,
    /// Without password.
    pub url: String,
    /// Without password.
    pub result_url: String,
    pub up: bool,
    /// When `up` last changed.
    pub since: SystemTime,
    /// Why it is down.
    pub reason: Option<String>,
    /// `Redis 7.0.15`, once it has answered.
    pub server: Option<String>,
    /// Keys with waiters.
    pub waiting: usize,
    /// Revocations that are repeated.
    pub revoking: usize,
}

#[derive(Clone)]
enum Connection {
    Remote(Arc<Remote>),
    Memory(Arc<Memory>),
    #[cfg(test)]
    Simulated(Arc<simulated::Simulated>),
}

/// All connections. Clones share them.
#[derive(Clone)]
pub struct Broker {
    connections: Arc<BTreeMap<String, Connection>>,
    revocations: Arc<Revocations>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.connections.keys()).finish()
    }
}

impl Broker {
    /// Returns at once; servers are connected to in the background.
    ///
    /// # Errors
    /// When a setting cannot be used, never because a server is away.
    pub async fn start(
        settings: Vec<ConnectionSettings>,
        work: Arc<dyn Work>,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Self, Error> {
        let mut connections = BTreeMap::new();
        let revocations = Arc::new(Revocations::new());
        for settings in settings {
            let name = settings.name.clone();
            settings.check()?;
            let deliveries = Deliveries::new(&settings, notices.clone(), revocations.clone());
            let endpoint = settings.broker_url.parse().map_err(|source| Error::Url {
                name: name.clone(),
                side: "broker",
                source,
            })?;
            let connection = match endpoint {
                Endpoint::Memory => Connection::Memory(Memory::new(settings, deliveries, work.clone())),
                endpoint => Connection::Remote(Remote::new(settings, endpoint, deliveries)?),
            };
            if connections.insert(name.clone(), connection).is_some() {
                return Err(Error::Duplicate { name });
            }
        }
        // Nothing runs before everything is known to be usable.
        Ok(Self::run(connections, revocations, notices))
    }

    /// One connection, whose server is played.
    #[cfg(test)]
    pub(crate) fn simulated(
        settings: ConnectionSettings,
        server: Arc<dyn simulated::Played>,
        notices: mpsc::Sender<Notice>,
    ) -> (Self, mpsc::UnboundedSender<simulated::Push>) {
        let revocations = Arc::new(Revocations::new());
        let deliveries = Deliveries::new(&settings, notices.clone(), revocations.clone());
        let name = settings.name.clone();
        let (connection, push) = simulated::Simulated::connection(settings, deliveries, server);
        let broker = Self::run(BTreeMap::from([(name, connection)]), revocations, notices);
        (broker, push)
    }

    fn run(
        connections: BTreeMap<String, Connection>,
        revocations: Arc<Revocations>,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        for connection in connections.values() {
            match connection {
                Connection::Remote(remote) => remote.spawn(&tasks, &stop),
                Connection::Memory(memory) => memory.spawn(&tasks, &stop),
                #[cfg(test)]
                Connection::Simulated(simulated) => simulated.spawn(&tasks, &stop),
            }
        }
        let broker = Self {
            connections: Arc::new(connections),
            revocations,
            stop,
            tasks,
        };
        let repeater = broker.clone();
        let repeating = async move { repeater.repeat_revocations(notices).await };
        #[cfg(test)]
        let repeating = crate::failpoint::machine::mortal(repeating);
        broker.tasks.spawn(repeating);
        broker
    }

    /// Publishes a task message, once per `guard`: a second call publishes nothing and is `Ok`.
    ///
    /// # Errors
    /// When it was not published, or when that is not known; it may be repeated then.
    pub async fn enqueue(&self, message: &Message, guard: &str) -> Result<(), SendError> {
        match self.connection(&message.connection)? {
            Connection::Remote(remote) => remote.enqueue(message, guard).await,
            Connection::Memory(memory) => memory.enqueue(message, guard),
            #[cfg(test)]
            Connection::Simulated(simulated) => simulated.server.enqueue(message.clone(), guard.to_owned()).await,
        }
    }

    /// Publishes a control command and returns how many workers got it. With `until-reply` it is
    /// repeated, also when this call fails, until a final state stands under that key or
    /// `revoke_ttl` has passed; then comes [`Notice::Settled`]. Calling again with the same
    /// `until-reply` starts over.
    ///
    /// # Errors
    /// When the command was not published.
    pub async fn broadcast(&self, message: &Message) -> Result<u64, SendError> {
        let connection = self.connection(&message.connection)?;
        let revocation = Revocation::read(message)?;
        if let Some(key) = message.meta.get(UNTIL_REPLY) {
            let (settings, deliveries) = connection.parts();
            self.revocations.open(settings, key, &revocation)?;
            if let Err(error) = deliveries.watch_revocation(key) {
                self.revocations.close(&settings.name, key);
                return Err(error);
            }
        }
        connection.revoke(&revocation).await
    }

    /// Takes back a task message. True: nobody had taken it, it is gone, and it will not be
    /// published any more. Asked again it says the same. `published`: that is known of it;
    /// otherwise a guard that nobody has set means that it never was.
    ///
    /// # Errors
    /// When the server could not be asked.
    pub async fn withdraw(&self, message: &Message, guard: &str, published: bool) -> Result<bool, SendError> {
        match self.connection(&message.connection)? {
            Connection::Remote(remote) => remote.withdraw(message, guard, published).await,
            // What another process had published is gone with it.
            Connection::Memory(memory) => Ok(memory.withdraw(message, guard)),
            #[cfg(test)]
            Connection::Simulated(simulated) => {
                let server = &simulated.server;
                server.withdraw(message.clone(), guard.to_owned(), published).await
            }
        }
    }

    /// Delivers what is or will be stored under `key`. A waiter that already waits for the key
    /// changes nothing.
    ///
    /// # Errors
    /// When there is no such connection, or `waiting_max` keys are open.
    pub fn watch(&self, connection: &str, key: impl Into<Arc<str>>, waiter: Waiter) -> Result<(), SendError> {
        let connection = self.connection(connection)?;
        connection.parts().1.watch(key.into(), waiter)
    }

    /// Ends a watch; a value that is already on its way may still arrive.
    pub fn unwatch(&self, connection: &str, key: &str, waiter: &Waiter) {
        if let Ok(connection) = self.connection(connection) {
            let idle = connection.parts().1.unwatch(key, waiter);
            if let Connection::Memory(memory) = connection
                && idle
            {
                memory.forget_result(key);
            }
        }
    }

    /// Whether what was enqueued outlives the host. Where not, it has to be sent again after a
    /// restart.
    #[must_use]
    pub fn is_durable(&self, connection: &str) -> bool {
        !matches!(self.connections.get(connection), Some(Connection::Memory(_)))
    }

    /// Whether that holds for every connection.
    #[must_use]
    pub fn is_durable_everywhere(&self) -> bool {
        let all = self.connections.values();
        all.into_iter().all(|one| !matches!(one, Connection::Memory(_)))
    }

    /// All connections, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ConnectionStatus> {
        let status = |connection: &Connection| {
            let mut status = match connection {
                Connection::Remote(remote) => remote.status(),
                Connection::Memory(memory) => memory.status(),
                #[cfg(test)]
                Connection::Simulated(simulated) => simulated.status(),
            };
            status.revoking = self.revocations.count(&status.name);
            status
        };
        self.connections.values().map(status).collect()
    }

    /// Asks the workers of a connection who they are; takes `timeout` at most (1 s is ample).
    ///
    /// # Errors
    /// When the workers could not be asked. That none answers is not an error.
    pub async fn inspect(&self, connection: &str, timeout: Duration) -> Result<Inspection, SendError> {
        match self.connection(connection)? {
            Connection::Remote(remote) => remote.inspect(timeout).await,
            Connection::Memory(memory) => Ok(memory.inspect()),
            #[cfg(test)]
            Connection::Simulated(simulated) => Ok(simulated.inspect()),
        }
    }

    /// Asks the servers of a connection what they are, within `timeout`; `None` for `memory://`,
    /// which has none.
    ///
    /// # Errors
    /// When there is no such connection.
    pub async fn servers(&self, connection: &str, timeout: Duration) -> Result<Option<Servers>, SendError> {
        match self.connection(connection)? {
            Connection::Remote(remote) => Ok(Some(remote.servers(timeout).await)),
            Connection::Memory(_) => Ok(None),
            #[cfg(test)]
            Connection::Simulated(_) => Ok(None),
        }
    }

    /// Why a task of `queue` may still be waiting: one sentence for a person, `None` when nothing
    /// speaks against it running right now.
    pub async fn explain_wait(&self, connection: &str, queue: &str, task: &str) -> Option<String> {
        match self.connection(connection) {
            Ok(Connection::Remote(remote)) => remote.explain_wait(queue, task).await,
            Ok(Connection::Memory(memory)) => memory.explain_wait(queue, task),
            #[cfg(test)]
            Ok(Connection::Simulated(_)) => None,
            Err(error) => Some(error.to_string()),
        }
    }

    /// What is known of a message that nothing explains: that it has been taken, and where its
    /// result is expected. `None` while it lies in its queue.
    pub async fn explain_silence(&self, connection: &str, queue: &str) -> Option<String> {
        match self.connection(connection) {
            Ok(Connection::Remote(remote)) => remote.explain_silence(queue).await,
            Ok(Connection::Memory(_)) | Err(_) => None,
            #[cfg(test)]
            Ok(Connection::Simulated(_)) => None,
        }
    }

    /// Where messages of a connection are that were published and brought no result, in their
    /// order. With `memory://` they cannot get lost while the host runs.
    ///
    /// # Errors
    /// When the servers could not be asked.
    pub async fn whereabouts(&self, connection: &str, messages: &[Message]) -> Result<Vec<Whereabouts>, SendError> {
        match self.connection(connection)? {
            Connection::Remote(remote) => remote.whereabouts(messages).await,
            Connection::Memory(_) => Ok(vec![Whereabouts::Known; messages.len()]),
            #[cfg(test)]
            Connection::Simulated(simulated) => simulated.server.whereabouts(messages.to_vec()).await,
        }
    }

    /// Takes care that messages that are nowhere do not turn up again.
    ///
    /// # Errors
    /// When the server could not be told.
    pub async fn give_up(&self, connection: &str, messages: &[Message]) -> Result<(), SendError> {
        match self.connection(connection)? {
            Connection::Remote(remote) => remote.give_up(messages).await,
            Connection::Memory(_) => Ok(()),
            #[cfg(test)]
            Connection::Simulated(simulated) => simulated.server.give_up(messages.to_vec()).await,
        }
    }

    /// After how long without news it is asked where a message is; `None`: never.
    #[must_use]
    pub fn lost_after(&self, connection: &str) -> Option<Duration> {
        match self.connections.get(connection)? {
            Connection::Remote(remote) => Some(remote.settings.lost_after).filter(|after| !after.is_zero()),
            Connection::Memory(_) => None,
            #[cfg(test)]
            Connection::Simulated(simulated) => Some(simulated.settings.lost_after),
        }
    }

    /// Ends all connections and the embedded worker; running activities are dropped.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn connection(&self, name: &str) -> Result<&Connection, SendError> {
        self.connections.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.connections.keys().map(String::as_str).collect();
            SendError::UnknownConnection {
                name: name.to_owned(),
                known: match known.is_empty() {
                    true => "none".into(),
                    false => known.join(", "),
                },
            }
        })
    }

    async fn repeat_revocations(&self, notices: mpsc::Sender<Notice>) {
        while self
            .stop
            .run_until_cancelled(self.revocations.next_due())
            .await
            .is_some()
        {
            let due = self.revocations.take_due();
            for (connection, revocation) in due.repeat {
                if let Ok(connection) = self.connection(&connection) {
                    // A failure is the connection's to report; the next repetition follows.
                    let _ = connection.revoke(&revocation).await;
                }
            }
            for (connection, key) in due.expired {
                if let Ok(connection) = self.connection(&connection) {
                    connection.parts().1.unwatch_revocation(&key);
                }
                let end = RevocationEnd::Unanswered;
                let notice = Notice::Settled { connection, key, end };
                let sent = self.stop.run_until_cancelled(notices.send(notice)).await;
                if !matches!(sent, Some(Ok(()))) {
                    return;
                }
            }
        }
    }
}

impl Connection {
    fn parts(&self) -> (&ConnectionSettings, &Arc<Deliveries>) {
        match self {
            Self::Remote(remote) => (&remote.settings, &remote.deliveries),
            Self::Memory(memory) => (&memory.settings, &memory.deliveries),
            #[cfg(test)]
            Self::Simulated(simulated) => (&simulated.settings, &simulated.deliveries),
        }
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<u64, SendError> {
        match self {
            Self::Remote(remote) => remote.revoke(revocation).await,
            Self::Memory(memory) => Ok(memory.revoke(revocation)),
            #[cfg(test)]
            Self::Simulated(simulated) => simulated.revoke(revocation).await,
        }
    }
}

/// The state behind these locks stays whole when a holder panics: every change is one call.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
