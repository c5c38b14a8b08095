//! Sends what commits have left in the outbox. A send is repeated until it is done or its attempt
//! is over; the broker makes a repetition harmless. Publications take turns: one that waits, for its
//! turn or for a server that is away, takes little more memory than its message.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grepx_engine::{ErrorClass, FlowRunId, Message, NodeId, Op, Outcome, TaskError};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::broker::{Broker, Notice, RevocationEnd, SendError};
use crate::failpoint::{self, Point};
use crate::store::{self, NewSend, OpenSend, Parent, SendId, Store};

use super::mail::Mail;
use super::{Runner, children};

/// How long a send that could not be made waits, unless the connection comes back before.
const PAUSE: Duration = Duration::from_secs(2);

/// Publications at once to one connection.
const PUBLISHED_AT_ONCE: usize = 1_024;

/// Rows that are read back at a time.
const PAGE: u32 = 1_000;

type Key = (FlowRunId, NodeId, u32, String);

/// Open sends of an earlier host, by attempt.
pub(crate) type Left = BTreeMap<(FlowRunId, NodeId, u32), Vec<OpenSend>>;

#[derive(Debug, Clone)]
pub(crate) struct Outbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    broker: Broker,
    runner: Runner,
    /// Sends under way, so that a withdrawal can end them.
    active: Mutex<HashMap<Key, AbortHandle>>,
    /// Revocations that the broker repeats, by connection and result key.
    revoking: Mutex<HashMap<(String, String), SendId>>,
    /// To publish, by connection: a server that answers slowly holds up nobody else's.
    turns: HashMap<String, Semaphore>,
    /// A connection has come back.
    up: Notify,
}

/// One row of the outbox with the run that it belongs to.
#[derive(Debug, Clone)]
struct Send {
    id: SendId,
    run: FlowRunId,
    new: NewSend,
}

impl From<OpenSend> for Send {
    fn from(open: OpenSend) -> Self {
        Self {
            id: open.id,
            run: open.run,
            new: NewSend {
                node: open.node,
                attempt: open.attempt,
                key: open.key,
                op: open.op,
                keep: open.keep,
            },
        }
    }
}

impl Send {
    fn key(&self, command: &str) -> Key {
        (self.run, self.new.node, self.new.attempt, command.to_owned())
    }

    /// Under this name a publication happens once, however often it is tried.
    fn guard(&self) -> String {
        format!(
            "{}:{}",
            self.new.node.run_id(self.run).attempt_key(self.new.attempt),
            self.new.key
        )
    }
}

/// How a withdrawal ended.
struct Withdrawal {
    /// What the outbox may forget.
    rows: Vec<SendId>,
    /// Nobody has taken the message, and nobody will.
    nobody_has_it: bool,
}

impl Outbox {
    pub(crate) fn new(store: Store, broker: Broker, runner: Runner) -> Self {
        let connections = broker.status().into_iter().map(|connection| connection.name);
        let turns = connections.map(|name| (name, Semaphore::new(PUBLISHED_AT_ONCE)));
        Self(Arc::new(Inner {
            turns: turns.collect(),
            store,
            broker,
            runner,
            active: Mutex::default(),
            revoking: Mutex::default(),
            up: Notify::new(),
        }))
    }

    /// What was open when the host stopped. What was sent is of interest only where the broker may
    /// have lost it.
    pub(crate) async fn read_back(&self) -> Result<Left, store::Error> {
        let mut attempts = Left::new();
        let sent_too = !self.0.broker.is_durable_everywhere();
        let mut after = SendId(0);
        loop {
            let page = self.0.store.open_sends(after, PAGE, sent_too).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for open in page {
                attempts
                    .entry((open.run, open.node, open.attempt))
                    .or_default()
                    .push(open);
            }
        }
        Ok(attempts)
    }

    /// Takes up what was not sent when the host stopped, and what a broker without memory has lost.
    pub(crate) fn take_up(&self, left: Left) {
        for sends in left.into_values() {
            self.take_up_attempt(sends);
        }
    }

    /// The open sends of one attempt. What is to be withdrawn is not sent first.
    fn take_up_attempt(&self, sends: Vec<OpenSend>) {
        let withdrawn: BTreeSet<String> = sends
            .iter()
            .filter_map(|open| match &open.op {
                Op::Cancel(key) => Some(key.clone()),
                _ => None,
            })
            .collect();
        let mut control = Vec::new();
        for open in sends {
            match &open.op {
                Op::Enqueue(_) if withdrawn.contains(&open.key) => {}
                Op::Enqueue(message) => {
                    if open.sent_at.is_none() || !self.0.broker.is_durable(&message.connection) {
                        self.start(vec![Send::from(open)]);
                    }
                }
                _ => control.push(Send::from(open)),
            }
        }
        self.start(control);
    }

    /// Sends what a commit has left.
    pub(crate) fn send(&self, run: FlowRunId, ids: Vec<SendId>, sends: Vec<NewSend>) {
        let mut control: BTreeMap<(NodeId, u32), Vec<Send>> = BTreeMap::new();
        for (id, new) in ids.into_iter().zip(sends) {
            let send = Send { id, run, new };
            match &send.new.op {
                Op::Enqueue(_) => self.start(vec![send]),
                _ => control.entry((send.new.node, send.new.attempt)).or_default().push(send),
            }
        }
        for sends in control.into_values() {
            self.start(sends);
        }
    }

    /// One task for a publication; one, in order, for all that stops an attempt. So the end of one
    /// touches no other.
    fn start(&self, sends: Vec<Send>) {
        let Some(key) = sends.first().map(|first| first.key(&first.new.key)) else {
            return;
        };
        let this = self.clone();
        // Held over the spawn: the task's end, which takes the key out again, waits for it.
        let mut active = self.active();
        let handle = crate::task::spawn("outbox", async move { this.carry_out(sends).await });
        active.insert(key, handle.abort_handle());
    }

    fn active(&self) -> std::sync::MutexGuard<'_, HashMap<Key, AbortHandle>> {
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revoking(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), SendId>> {
        self.0.revoking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry_out(&self, sends: Vec<Send>) {
        let (mut cancels, mut withdrawn) = (0_u32, 0_u32);
        // Rows that are done go together: a revocation without the withdrawal beside it would be
        // repeated, after a restart, towards workers that have never heard of the task.
        let mut over = Vec::new();
        for send in &sends {
            match &send.new.op {
                Op::Enqueue(message) => self.enqueue(send, message).await,
                Op::Cancel(key) => {
                    cancels += 1;
                    if let Some(end) = Box::pin(self.withdraw(send, key)).await {
                        over.extend(end.rows);
                        withdrawn += u32::from(end.nobody_has_it);
                    }
                }
                // Nobody has what is to be revoked, and nobody will get it.
                Op::Broadcast(_) if cancels > 0 && cancels == withdrawn => over.push(send.id),
                Op::Broadcast(message) => {
                    Box::pin(self.done(std::mem::take(&mut over))).await;
                    Box::pin(self.broadcast(send, message)).await;
                }
                Op::TimerAt(_) | Op::Reply { .. } | Op::Signal(_) | Op::StartFlow(_) => over.push(send.id),
            }
        }
        Box::pin(self.done(over)).await;
        if cancels > 0 {
            failpoint::reach(Point::StopDone);
        }
        if let Some(first) = sends.first() {
            self.active().remove(&first.key(&first.new.key));
        }
    }

    async fn enqueue(&self, send: &Send, message: &Message) {
        let guard = send.guard();
        let mut told = false;
        loop {
            let turn = match self.0.turns.get(&message.connection) {
                Some(turns) => turns.acquire().await.ok(),
                // There is no such connection, which the broker says at once.
                None => None,
            };
            // Put together when it is its turn: what is under way is far larger than what waits.
            let published = Box::pin(self.publish(message, &guard)).await;
            drop(turn);
            match published {
                Ok(()) => return Box::pin(self.published(send, told)).await,
                Err(error) if error.is_transient() => {
                    if !told {
                        Box::pin(self.explain(send, Some(error.to_string()))).await;
                        told = true;
                    }
                    self.pause().await;
                }
                Err(error) => return Box::pin(self.failed(send, &error)).await,
            }
        }
    }

    async fn publish(&self, message: &Message, guard: &str) -> Result<(), SendError> {
        failpoint::reach(Point::BeforePublish);
        self.0.broker.enqueue(message, guard).await?;
        failpoint::reach(Point::AfterPublish);
        Ok(())
    }

    /// `told`: people were told why it waited.
    async fn published(&self, send: &Send, told: bool) {
        if told {
            self.explain(send, None).await;
        }
        if let Err(error) = self.0.store.mark_sent(vec![send.id], crate::clock::now()).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a send could not be marked; it is guarded against repetition"
            );
        }
        failpoint::reach(Point::AfterMark);
    }

    async fn broadcast(&self, send: &Send, message: &Message) {
        if let Some(key) = message.meta.get("until-reply") {
            return self.revoke(send, message, key).await;
        }
        loop {
            match self.0.broker.broadcast(message).await {
                // Repeated by the broker until it is settled; then the row goes.
                Ok(_) => return self.done(vec![send.id]).await,
                Err(error) if error.is_transient() => self.pause().await,
                Err(error) => {
                    tracing::warn!(run = %send.run, %error, "a message to the workers cannot be sent");
                    return self.done(vec![send.id]).await;
                }
            }
        }
    }

    /// The broker repeats it until it is settled; then the row goes.
    async fn revoke(&self, send: &Send, message: &Message, key: &str) {
        let place = (message.connection.clone(), key.to_owned());
        self.revoking().insert(place.clone(), send.id);
        loop {
            failpoint::reach(Point::BeforeRevoke);
            let published = self.0.broker.broadcast(message).await;
            failpoint::reach(Point::AfterRevoke);
            match published {
                // Too many are being repeated: this one has not been taken yet.
                Err(SendError::Full { .. }) => self.pause().await,
                Err(error) if !error.is_transient() => {
                    tracing::warn!(run = %send.run, %error, "a revocation cannot be sent");
                    self.revoking().remove(&place);
                    return self.done(vec![send.id]).await;
                }
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Takes back a message, or stops a flow run. `None` when that is left to the next start.
    async fn withdraw(&self, send: &Send, key: &str) -> Option<Withdrawal> {
        let under_way = self.active().remove(&send.key(key));
        if let Some(handle) = under_way {
            handle.abort();
        }
        let (run, node, attempt) = (send.run, send.new.node, send.new.attempt);
        let original = self.0.store.find_send(run, node, attempt, key.to_owned()).await;
        let mut end = Withdrawal {
            rows: vec![send.id],
            nobody_has_it: false,
        };
        match original {
            Ok(Some(found)) => {
                if let Op::Enqueue(message) = &found.op {
                    let original = Send::from(found.clone());
                    failpoint::reach(Point::BeforeWithdraw);
                    end.nobody_has_it = self
                        .take_back(message, &original.guard(), found.sent_at.is_some())
                        .await;
                    failpoint::reach(Point::AfterWithdraw);
                }
                end.rows.push(found.id);
                Some(end)
            }
            // It was no message: maybe a flow run.
            Ok(None) => {
                let parent = Parent {
                    run,
                    node,
                    attempt,
                    key: key.to_owned(),
                };
                self.stop_child(&parent).await.then_some(end)
            }
            Err(error) => {
                tracing::warn!(%run, error = &error as &dyn std::error::Error, "a command is not withdrawn yet");
                None
            }
        }
    }

    /// False when that is left to the next start of the host.
    async fn stop_child(&self, parent: &Parent) -> bool {
        loop {
            match children::stop(&self.0.store, &self.0.runner, parent).await {
                Ok(()) => return true,
                Err(super::Error::Draining) => return false,
                Err(_) if self.0.store.trouble().is_some() => self.pause().await,
                Err(error) => {
                    tracing::warn!(run = %parent.run, error = &error as &dyn std::error::Error, "a child run is not stopped yet");
                    self.pause().await;
                }
            }
        }
    }

    async fn take_back(&self, message: &Message, guard: &str, published: bool) -> bool {
        loop {
            match self.0.broker.withdraw(message, guard, published).await {
                Ok(withdrawn) => return withdrawn,
                Err(error) if error.is_transient() => self.pause().await,
                Err(_) => return false,
            }
        }
    }

    async fn pause(&self) {
        let _ = tokio::time::timeout(PAUSE, self.0.up.notified()).await;
    }

    async fn done(&self, ids: Vec<SendId>) {
        if ids.is_empty() {
            return;
        }
        if let Err(error) = self.0.store.drop_sends(ids).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "rows of the outbox stay until the next start"
            );
        }
    }

    async fn explain(&self, send: &Send, reason: Option<String>) {
        let mail = Mail::Explained {
            run: send.run,
            nodes: vec![send.new.node],
            reason: reason.map(Into::into),
        };
        let _ = self.0.runner.post(send.run, mail).await;
    }

    async fn failed(&self, send: &Send, error: &SendError) {
        let outcome = Outcome::Failed(TaskError::new(ErrorClass::Permanent, "not-sent", error.to_string()));
        let new = &send.new;
        self.0
            .runner
            .outcome(send.run, new.node, new.attempt, new.key.clone(), outcome)
            .await;
    }
}

/// Brings what the broker has to say to the runs.
pub(crate) async fn deliver(runner: Runner, outbox: Outbox, mut notices: mpsc::Receiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Value { waiter, value } => {
                failpoint::reach(Point::ReplyReceived);
                let outcome = Outcome::Reply(value);
                runner
                    .outcome(waiter.run, waiter.node, waiter.attempt, waiter.key, outcome)
                    .await;
            }
            Notice::Up { connection } => {
                tracing::info!(%connection, "connection is up");
                outbox.0.up.notify_waiters();
            }
            Notice::Down { connection, reason } => {
                tracing::warn!(%connection, %reason, "connection is down; what needs it waits");
            }
            Notice::Settled { connection, key, end } => {
                if end == RevocationEnd::Unanswered {
                    tracing::warn!(%connection, %key, "no worker has confirmed a revocation in time; it is not repeated any more");
                }
                let known = outbox.revoking().remove(&(connection, key));
                if let Some(id) = known {
                    failpoint::reach(Point::RevokeSettled);
                    outbox.done(vec![id]).await;
                }
            }
        }
    }
}
