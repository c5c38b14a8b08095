//! Runs flow runs: event → decide → fold → commit → due → dispatch.
//!
//! Runs are spread over shards by id; a shard owns its runs, so each run has one order of events
//! and no lock. Memory runs ahead of the store only where nobody can see it: calls without outside
//! effects go on at once, everything else (sends, effectful calls, answers to the API) waits for
//! the commit. A failed commit throws the run out of memory and reads it back.
//!
//! Absent on purpose: SQL, WASM, sockets, and any recovery code: at boot a run is folded from its
//! log and everything that is due is dispatched, exactly as after an event.

mod admission;
mod again;
mod call;
mod children;
mod commits;
mod context;
mod draft;
mod events;
mod kinds;
mod live;
mod load;
mod log;
mod lost;
mod mail;
mod outbox;
mod plan;
mod prepare;
mod rehearsal;
mod settings;
mod shard;
mod spans;
mod tags;
mod verify;
mod watchdog;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use grepx_engine::{Event, FlowRunId, Json, NodeId, Outcome, Rejected, Timestamp};
use prometheus_client::metrics::histogram::Histogram;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::broker::{Broker, Notice};
use crate::definitions::{Deployment, Flow};
use crate::failpoint::{self, Point};
use crate::store::{self, NewRun, Parent, Planned, Progress, SlotNews, Store};
use crate::traces::Traces;

use mail::Mail;
use shard::Shard;
use tags::TagSlots;

pub use again::Begin;
pub use kinds::Kinds;
#[cfg(test)]
pub use kinds::Script;
pub use load::Load;
pub use rehearsal::{Forecast, Known, Rehearsed, Route, rehearse, routes};
pub use settings::{POLICY, Settings, WhenMissing};
pub use verify::{Difference, Verified, verify};

/// A flow run to be made.
#[derive(Debug, Clone)]
pub struct RunRequest {
    pub flow: Arc<Flow>,
    pub deployment: Option<Arc<Deployment>>,
    pub name: Option<String>,
    /// Complete and valid.
    pub parameters: Map<String, Value>,
    pub tags: Vec<String>,
    pub idempotency_key: Option<String>,
    pub start_at: Option<Timestamp>,
    pub created_by: Option<Value>,
    pub labels: Value,
    /// Instead of the deployment's.
    pub work_queue: Option<String>,
    pub parent: Option<Parent>,
    /// The planned time that it is for, if a schedule asks.
    pub planned: Option<PlannedTime>,
}

/// One instant of one schedule: it has one run, ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedTime {
    pub schedule: uuid::Uuid,
    pub instant: Timestamp,
    /// Noted with the run; `None` when it is made ahead of its time.
    pub progress: Option<Progress>,
    /// No run when its deployment has as many live ones as it may.
    pub skip_if_busy: bool,
}

impl PlannedTime {
    /// Derived, so that whoever makes the run makes the same one. It begins with the instant, as
    /// version 7 does: runs of one time lie together in the store, and ids sort by time.
    #[must_use]
    pub fn run_id(&self) -> FlowRunId {
        let instant = self.instant.0.to_be_bytes();
        let mut bytes = *uuid::Uuid::new_v5(&self.schedule, &instant).as_bytes();
        bytes[..6].copy_from_slice(&instant[2..]);
        FlowRunId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl RunRequest {
    /// The row of the run.
    #[must_use]
    pub fn into_row(self, now: Timestamp) -> NewRun {
        let id = self
            .planned
            .map_or_else(|| FlowRunId(crate::names::new_id()), |planned| planned.run_id());
        let deployment = self.deployment.as_ref();
        NewRun {
            id,
            name: self.name.unwrap_or_else(|| crate::names::generate(id.0)),
            flow_id: self.flow.id,
            flow_name: self.flow.name.clone(),
            deployment_id: deployment.map(|one| one.id),
            deployment_name: deployment.map(|one| one.name.clone()),
            definition: self.flow.digest.clone(),
            parameters: Json::from(&Value::Object(self.parameters)),
            tags: self.tags,
            idempotency_key: self.idempotency_key,
            work_pool: deployment.map(|one| one.work_pool.clone()),
            work_queue: self.work_queue.or_else(|| deployment.map(|one| one.work_queue.clone())),
            created_at: now,
            expected_start: self.start_at.unwrap_or(now),
            auto_scheduled: self.planned.is_some(),
            schedule_id: self.planned.map(|planned| planned.schedule),
            created_by: self.created_by.as_ref().map(Json::from),
            parent: self.parent,
            labels: Json::from(&self.labels),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Triggered {
    New(FlowRunId),
    /// The run that was made before with the same idempotency key.
    Existing(FlowRunId),
    /// No run: the deployment is busy, and its schedules skip then.
    Skipped,
}

impl Error {
    /// The run store has told what is the matter, for everybody.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::Store(error) | Self::Held(error) => error.concerns_all(),
            _ => false,
        }
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("the flow run {0} is not live: it has ended, was deleted, or never existed")]
    NotLive(FlowRunId),
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("the flow run has no task {name:?}; its tasks are {tasks}")]
    NoSuchTask { name: String, tasks: String },
    #[error("the task run does not wait for the signal {name:?} now: {open}")]
    NotAwaited { name: String, open: String },
    #[error("the flow run {0} is being read back from the run store: try again in a moment")]
    ReadBack(FlowRunId),
    #[error("the flow run {0} is being made right now: try again in a moment")]
    BeingMade(FlowRunId),
    #[error("the host is shutting down and takes no new work: try again when it is back")]
    Draining,
    #[error("nothing was changed, the run store did not take it")]
    Store(#[from] store::Error),
    /// Asked for before the store stopped taking changes.
    #[error(
        "the run store stopped taking changes before this was answered: it is done when the store takes them again, \
         or not at all, so look before you ask again"
    )]
    Held(#[source] store::Error),
}

/// Handle to the shards. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runner {
    shards: Arc<[mpsc::Sender<Mail>]>,
    store: Store,
    draining: tokio_util::sync::CancellationToken,
    /// Digests of definitions that the store has.
    kept: Arc<Mutex<HashSet<String>>>,
    children: children::Children,
    tags: TagSlots,
    line: load::Line,
    /// Seconds that flow runs began after they were expected to.
    lateness: Histogram,
}

/// Digests that are remembered.
const DEFINITIONS_KEPT: usize = 10_000;
/// Shards; more of them only wait for the one writer.
const SHARDS_MAX: usize = 8;
/// Waiting mail of one shard.
const MAILBOX: usize = 4_096;

/// What a shard works with.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) kinds: Kinds,
    pub(crate) broker: Broker,
    pub(crate) settings: Arc<Settings>,
    pub(crate) outbox: outbox::Outbox,
    pub(crate) tags: TagSlots,
    pub(crate) catalog: Arc<arc_swap::ArcSwap<crate::definitions::Catalog>>,
    pub(crate) traces: Option<Traces>,
}

/// What [`start`] is given.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub kinds: Kinds,
    pub broker: Broker,
    pub settings: Settings,
    pub catalog: Arc<arc_swap::ArcSwap<crate::definitions::Catalog>>,
    pub admissions: mpsc::UnboundedReceiver<Vec<SlotNews>>,
    pub notices: mpsc::Receiver<Notice>,
    /// Where the spans of runs go; `None`: nobody wants them.
    pub traces: Option<Traces>,
}

/// Reads back every live run and starts the shards.
///
/// # Errors
/// When the run store cannot be read.
pub async fn start(parts: Parts) -> Result<Runner, Error> {
    let count = parts.settings.shards.clamp(1, SHARDS_MAX);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(MAILBOX)).unzip();
    let (tags, woken) = TagSlots::new();
    let runner = Runner {
        tags: tags.clone(),
        shards: senders.into(),
        store: parts.store.clone(),
        draining: tokio_util::sync::CancellationToken::new(),
        kept: Arc::default(),
        children: children::Children::default(),
        line: load::Line::default(),
        lateness: load::lateness(),
    };
    let world = World {
        outbox: outbox::Outbox::new(parts.store.clone(), parts.broker.clone(), runner.clone()),
        store: parts.store,
        kinds: parts.kinds,
        broker: parts.broker,
        settings: Arc::new(parts.settings),
        tags,
        catalog: parts.catalog,
        traces: parts.traces,
    };
    runner.sync_tag_limits().await?;
    let began = std::time::Instant::now();
    let mut live: Vec<Vec<live::Live>> = (0..count).map(|_| Vec::new()).collect();
    for one in admission::read_back(&world, count).await? {
        one.settle_tags(&world.tags);
        live[runner.shard_of(one.run.id())].push(one);
    }
    // Before the shards work: what they add is sent by them, and nothing is sent from two places.
    let sends = world.outbox.read_back().await?;
    tracing::info!(
        flow_runs = live.iter().map(Vec::len).sum::<usize>(),
        sends = sends.len(),
        milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "flow runs in flight taken up"
    );
    failpoint::reach(Point::RunsRead);
    for (receiver, live) in receivers.into_iter().zip(live) {
        let shard = Shard::new(world.clone(), runner.clone(), receiver);
        crate::task::spawn("shard", shard.run(live));
    }
    world.outbox.take_up(sends);
    failpoint::reach(Point::OutboxTaken);
    crate::task::spawn("plugins", look_again(runner.clone(), world.kinds.changes()));
    crate::task::spawn("tags", tags::ask_again(runner.clone(), woken));
    crate::task::spawn("admissions", admission::deliver(runner.clone(), parts.admissions));
    crate::task::spawn(
        "notices",
        outbox::deliver(runner.clone(), world.outbox.clone(), parts.notices),
    );
    Ok(runner)
}

/// What waits for a plugin is looked at as soon as another one serves.
async fn look_again(runner: Runner, mut changes: tokio::sync::watch::Receiver<u64>) {
    while changes.changed().await.is_ok() {
        for shard in runner.shards.iter() {
            if shard.send(Mail::Look).await.is_err() {
                return;
            }
        }
    }
}

impl Runner {
    /// Digests of the builds that suspended attempts need; `None` when that is not known now.
    pub async fn builds(&self) -> Option<HashSet<Arc<str>>> {
        let mut all = HashSet::new();
        for shard in self.shards.iter() {
            let (reply, answer) = oneshot::channel();
            shard.send(Mail::Builds { reply }).await.ok()?;
            all.extend(answer.await.ok()??);
        }
        Some(all)
    }

    /// Makes a flow run, durably, and lets it start when its time and a slot have come.
    ///
    /// # Errors
    /// When the host is shutting down or the store refuses.
    pub async fn trigger(&self, request: RunRequest) -> Result<Triggered, Error> {
        if self.draining.is_cancelled() {
            return Err(Error::Draining);
        }
        if let Some(trouble) = self.store.trouble() {
            return Err(trouble.into());
        }
        let now = crate::clock::now();
        self.keep_definition(&request.flow, now).await?;
        let definition = request.flow.definition.clone();
        let planned = request.planned.map(|planned| Planned {
            progress: planned.progress,
            skip_if_busy: planned.skip_if_busy,
        });
        let new = request.into_row(now);
        let id = new.id;
        let (reply, answer) = oneshot::channel();
        let mail = Mail::Create {
            new: Box::new(new),
            planned,
            definition,
            reply,
        };
        self.ask_for(id, mail, answer).await
    }

    /// Stops a flow run: what has not started never will, and what runs is told to stop.
    ///
    /// # Errors
    /// When the run is not live.
    pub async fn cancel(&self, run: FlowRunId, reason: String) -> Result<(), Error> {
        failpoint::reach(Point::CancelAsked);
        let answer = self.ask(run, Event::Cancel { reason }).await;
        failpoint::reach(Point::CancelTaken);
        answer
    }

    /// Lets nothing new start; what runs goes on.
    ///
    /// # Errors
    /// When the run is not running.
    pub async fn pause(&self, run: FlowRunId) -> Result<(), Error> {
        self.ask(run, Event::Pause).await
    }

    /// # Errors
    /// When the run is not paused.
    pub async fn resume(&self, run: FlowRunId) -> Result<(), Error> {
        self.ask(run, Event::Resume).await
    }

    /// Brings a signal to the attempt of a task run that waits for it.
    ///
    /// # Errors
    /// When the run is not live, or the task run does not wait for a signal of that name.
    pub async fn signal(&self, run: FlowRunId, node: NodeId, name: String, payload: Json) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let mail = Mail::Signal {
            run,
            node,
            attempt: None,
            name,
            payload,
            reply: Some(reply),
        };
        let answer = self.ask_for(run, mail, answer).await;
        failpoint::reach(Point::SignalTaken);
        answer
    }

    /// Takes no new work from now on and waits until what was taken is committed. Suspended work
    /// stays suspended.
    pub async fn drain(&self) {
        self.draining.cancel();
        for shard in self.shards.iter() {
            let (reply, answer) = oneshot::channel();
            if shard.send(Mail::Drain { reply }).await.is_ok() {
                let _ = answer.await;
            }
        }
    }

    async fn keep_definition(&self, flow: &Flow, now: Timestamp) -> Result<(), Error> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept().contains(&flow.digest) {
            return Ok(());
        }
        let json = serde_json::to_value(&*flow.definition).expect("a definition is JSON");
        let json = Json::from(&json);
        self.store
            .put_definition(flow.digest.clone(), flow.name.clone(), json, now)
            .await?;
        let mut kept = kept();
        if kept.len() >= DEFINITIONS_KEPT {
            kept.clear();
        }
        kept.insert(flow.digest.clone());
        Ok(())
    }

    async fn ask(&self, run: FlowRunId, event: Event) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let mail = Mail::Event {
            run,
            event,
            reply: Some(reply),
        };
        self.ask_for(run, mail, answer).await
    }

    /// Posts and waits for the answer, but not for a store that takes no changes.
    async fn ask_for<T>(
        &self,
        run: FlowRunId,
        mail: Mail,
        answer: oneshot::Receiver<Result<T, Error>>,
    ) -> Result<T, Error> {
        if let Some(trouble) = self.store.trouble() {
            return Err(trouble.into());
        }
        let answered = async {
            self.post(run, mail).await?;
            answer.await.map_err(|_| Error::Draining)?
        };
        tokio::select! {
            biased;
            answer = answered => answer,
            trouble = self.store.troubled() => Err(Error::Held(trouble)),
        }
    }

    /// The outcome of a command; nobody waits for what becomes of it.
    pub(crate) async fn outcome(&self, run: FlowRunId, node: NodeId, attempt: u32, key: String, outcome: Outcome) {
        let event = Event::Outcome {
            node,
            attempt,
            key,
            outcome,
        };
        let mail = Mail::Event {
            run,
            event,
            reply: None,
        };
        let _ = self.post(run, mail).await;
    }

    pub(crate) async fn post(&self, run: FlowRunId, mail: Mail) -> Result<(), Error> {
        let shard = &self.shards[self.shard_of(run)];
        shard.send(mail).await.map_err(|_| Error::Draining)
    }

    fn shard_of(&self, run: FlowRunId) -> usize {
        let bytes = run.0.as_bytes();
        usize::from(u16::from_be_bytes([bytes[14], bytes[15]])) % self.shards.len()
    }
}
