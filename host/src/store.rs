//! The run store: one SQLite file under the state directory, and the only module with SQL on it.
//!
//! One thread writes, with group commit ([`writer`]); reads have connections of their own that
//! cannot write. Everything that changes together for a run is one [`Commit`]: facts, view rows,
//! results, outbox, logs, slot. What is answered has been committed. Slots of work pools are
//! given away inside the very transaction that frees them ([`admission`]).
//!
//! Absent on purpose: what facts mean (the engine), wire forms (the API), a clock (every time is
//! an argument), sending what is in the outbox (the runner), and a second host: a lock on the
//! state directory keeps it out.

mod admission;
mod amend;
mod audit;
mod backup;
mod boot;
mod changes;
mod check;
mod commit;
mod concurrency;
mod create;
mod deployments;
mod error;
#[cfg(test)]
mod eyes;
mod figures;
mod filter;
mod health;
#[cfg(test)]
mod in_line;
mod keys;
mod limits;
mod lock;
mod logs;
mod model;
mod open;
mod origins;
mod permissions;
mod planned;
mod promote;
mod read;
mod readers;
mod reads;
mod retention;
mod rows;
mod slots;
mod stats;
mod tallies;
mod upkeep;
mod ways;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use grepx_engine::{FlowRunId, Json, Timestamp};
use tokio::sync::mpsc::{self, OwnedPermit};

use commit::Prepared;
use health::Health;
use readers::Readers;
use writer::{Change, Writer, Writing};

pub use amend::Amendment;
pub use audit::{AUDIT_ROWS_MAX, AuditEntry, AuditMark, AuditRow};
pub use backup::{BackupError, Copied, backup, restore};
pub use boot::Share;
pub use changes::{At, Changed, CommittedRows, Observer, RunChange, RunIdentity, Step, line_id, planned_state_id};
pub use check::Found;
pub use concurrency::{
    CONCURRENCY_LIMITS_MAX, ConcurrencyLimit, LimitChange, LimitKey, NewLease, SlotsAsked, SlotsGiven, TAG_PREFIX,
};
pub use error::Error;
#[cfg(test)]
pub use eyes::{Eyes, Moment};
pub use figures::{Commits, Depth, Figures};
pub use filter::{
    Choice, Creator, FlowRunFilter, FlowRunSort, Join, LogFilter, Page, Period, Tags, TaskRunFilter, TaskRunSort, Text,
};
#[cfg(test)]
pub use in_line::InLine;
pub use keys::{Digest, KEYS_MAX, KeyRow, NewKey, Scope};
pub use lock::{Holder, this_machine};
pub use logs::LINES_MAX as LOG_LINES_MAX;
pub use model::{
    Commit, Created, DeploymentLimit, INPUT_BYTES_MAX, LOG_BYTES_MAX, LogRow, NewRun, NewSend, Parent, Planned,
    PoolLimits, Progress, QueueLimits, RunState, SchedulePlan, SendId, SlotChange, SlotNews, Switch, TaskRow, WhenBusy,
};
pub use permissions::too_wide;
pub use retention::{Collected, Cutoffs, Removed, Space};
pub use rows::{
    FlowRun, LiveRun, LogLine, OpenSend, PoolStatus, QueueStatus, ScheduleRow, SlotRow, StoredState, TaskRun,
};
pub use stats::{Intervals, Tally};
pub use tallies::StateCount;
pub use upkeep::{check, check_within, holder, miscounted, vacuum};
pub use writer::Receipt;

/// Name of the database in the state directory.
pub const FILE_NAME: &str = "grepx-host.db";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Every group commit is on the disk before it is answered.
    #[default]
    Full,
    /// The last commits may be lost with the power, never the order or the integrity.
    Normal,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// The state directory; made for its owner only when it is not there.
    pub dir: PathBuf,
    pub durability: Durability,
    /// Changes that may wait for the writer.
    pub queue: usize,
    /// Reads at once.
    pub readers: usize,
    /// Log lines of one flow run and its task runs.
    pub log_lines_per_run: i64,
    /// Where this process serves and since when, for whoever finds the directory taken.
    pub address: Option<String>,
    pub since: Timestamp,
    /// Rows of the audit log.
    pub audit_rows: i64,
    /// Is told of every change.
    pub observer: Option<Arc<dyn Observer>>,
    /// Without threads, as a simulation wants it.
    #[cfg(test)]
    pub in_line: Option<Arc<dyn InLine>>,
}

impl Settings {
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::default(),
            queue: 1024,
            readers: 4,
            log_lines_per_run: logs::LINES_MAX,
            address: None,
            since: Timestamp(0),
            audit_rows: audit::AUDIT_ROWS_MAX,
            observer: None,
            #[cfg(test)]
            in_line: None,
        }
    }
}

#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    /// Runs that have got a slot, or have to go, after the transaction that decided so. Each is told
    /// once per admission, so never more than the limits of the pools allow.
    pub admissions: mpsc::UnboundedReceiver<Vec<SlotNews>>,
}

/// A handle; cheap to clone. The last one to go waits for the writer to finish what is queued.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` only while it is dropped.
    queue: Option<mpsc::Sender<Box<dyn Change>>>,
    queue_max: usize,
    writer: Option<JoinHandle<()>>,
    readers: Readers,
    health: Health,
    watch: changes::Watch,
    riders: Arc<audit::Riders>,
    removed: retention::Counters,
    commits: Commits,
    path: PathBuf,
    /// Given back last.
    _lock: lock::Lock,
}

/// A place in the writer's queue.
#[derive(Debug)]
pub struct Permit {
    place: OwnedPermit<Box<dyn Change>>,
    /// The store outlives the place, so that its drop never waits for it.
    _store: Store,
}

impl Permit {
    /// Queued at once, before everything that is submitted later.
    pub fn submit(self, commit: Commit) -> Receipt<Vec<SendId>> {
        let prepared = Prepared::new(commit);
        let (change, receipt) = writer::waiting_change(move |writing| prepared.apply(writing));
        let _sender = self.place.send(change);
        receipt
    }
}

impl Store {
    /// Takes the lock, opens the file, brings its schema up to date, starts the writer.
    ///
    /// # Errors
    /// When another host holds the directory, or the file cannot be used; see [`Error`].
    pub fn open(settings: &Settings) -> Result<Opened, Error> {
        let lock = lock::take(&settings.dir, settings.address.as_deref(), settings.since)?;
        backup::finish(&settings.dir, settings.since).map_err(|error| Error::Restore(Arc::new(error)))?;
        let path = settings.dir.join(FILE_NAME);
        permissions::make_private(&path).map_err(Error::io("make the run store", &path))?;
        let connection = open::writer(&path, settings.durability)?;
        let health = Health::new(&path);
        let riders = audit::Riders::new(&connection, settings.audit_rows)?;
        let readers = Readers::open(&path, settings.readers, health.clone())?;
        #[cfg(test)]
        let readers = readers.in_line(settings.in_line.clone());
        let queue_max = settings.queue.max(1);
        let (queue, queued) = mpsc::channel(queue_max);
        let (admissions, admitted) = mpsc::unbounded_channel();
        let watch = changes::Watch::new(settings.observer.clone());
        let commits = Commits::default();
        let writer = Writer::new(
            connection,
            queued,
            admissions,
            settings.log_lines_per_run,
            writer::Shared {
                riders: riders.clone(),
                health: health.clone(),
                watch: watch.clone(),
                commits: commits.clone(),
            },
        );
        #[cfg(not(test))]
        let started = writer.start().map(Some);
        #[cfg(test)]
        let started = writer.start_or_stay(settings.in_line.clone());
        let writer = started.map_err(Error::io("start the writer thread of", &path))?;
        Ok(Opened {
            store: Self(Arc::new(Inner {
                queue: Some(queue),
                queue_max,
                writer,
                readers,
                health,
                watch,
                riders,
                removed: retention::Counters::default(),
                commits,
                path,
                _lock: lock,
            })),
            admissions: admitted,
        })
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.0.path
    }

    /// Whether few changes wait for the writer, so that something unimportant may.
    fn is_idle(&self) -> bool {
        self.queue()
            .is_ok_and(|queue| queue.capacity() * 4 > self.0.queue_max * 3)
    }

    /// Why nothing can be written now. Changes of runs wait until it can, others are refused.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.0.health.trouble()
    }

    /// Resolves as soon as nothing can be written.
    pub async fn troubled(&self) -> Error {
        self.0.health.troubled().await
    }

    /// Waits for a place in the queue.
    ///
    /// # Errors
    /// When the writer has died.
    pub async fn reserve(&self) -> Result<Permit, Error> {
        let place = self.queue()?.clone().reserve_owned().await.map_err(|_| Error::Closed)?;
        Ok(Permit {
            place,
            _store: self.clone(),
        })
    }

    /// Waits for a place, then for the group commit, also while nothing can be written. The ids are those of the commit's outbox, in
    /// its order. Commits are made in the order of the first polls of this future; to be sure of
    /// it without waiting, [`Store::submit`].
    ///
    /// # Errors
    /// When nothing of it was kept.
    pub async fn commit(&self, commit: Commit) -> Result<Vec<SendId>, Error> {
        self.reserve().await?.submit(commit).await
    }

    /// Queued at once, in the order of the calls. The receipt says [`Error::QueueFull`] when there
    /// is no place; [`Store::reserve`] waits for one.
    pub fn submit(&self, commit: Commit) -> Receipt<Vec<SendId>> {
        let prepared = Prepared::new(commit);
        let (change, receipt) = writer::waiting_change(move |writing| prepared.apply(writing));
        let full = match self.queue().map(|queue| queue.try_send(change)) {
            Ok(Ok(())) => return receipt,
            Ok(Err(mpsc::error::TrySendError::Full(_))) => Error::QueueFull {
                limit: self.0.queue_max,
            },
            Ok(Err(mpsc::error::TrySendError::Closed(_))) | Err(_) => Error::Closed,
        };
        Receipt::failed(full)
    }

    /// Creates the run and makes its first commit, or finds the run that was created before with
    /// the same flow and idempotency key; then nothing changes. A run that a schedule has planned
    /// is found by its id.
    ///
    /// # Errors
    /// When nothing of it was kept.
    pub async fn create(&self, run: NewRun, planned: Option<Planned>, first: Commit) -> Result<Created, Error> {
        let first = Prepared::new(first);
        self.write(move |writing| create::create(writing, &run, planned, &first))
            .await
    }

    /// Writes down how far schedules have come, with their next runs.
    ///
    /// # Errors
    /// When nothing of it was kept.
    pub async fn plan(&self, plans: Vec<SchedulePlan>) -> Result<(), Error> {
        self.write(move |writing| planned::plan(writing, &plans)).await
    }

    /// Instants of a schedule are dealt with: planned runs that should have started by
    /// `expected_until` and have not go away.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn pass(&self, schedule: uuid::Uuid, progress: Progress, expected_until: Timestamp) -> Result<(), Error> {
        self.write(move |writing| planned::pass(writing, schedule, progress, expected_until))
            .await
    }

    /// Forgets schedules, with their planned runs.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn forget_schedules(&self, schedules: Vec<uuid::Uuid>) -> Result<(), Error> {
        self.write(move |writing| planned::forget(writing, &schedules)).await
    }

    /// Switches a deployment (`schedule` is `None`) or one of its schedules on or off, over the
    /// definitions; survives restarts.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn set_deployment_switch(
        &self,
        deployment: uuid::Uuid,
        schedule: Option<uuid::Uuid>,
        active: bool,
    ) -> Result<(), Error> {
        self.write(move |writing| deployments::set_switch(writing, deployment, schedule, active))
            .await
    }

    /// Keeps a definition under its digest; a second put changes nothing.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn put_definition(&self, digest: String, flow: String, json: Json, at: Timestamp) -> Result<(), Error> {
        self.write(move |writing| create::put_definition(writing, &digest, &flow, &json, at))
            .await
    }

    /// Deletes an ended run with all that belongs to it. False when there is none.
    ///
    /// # Errors
    /// When it has not ended.
    pub async fn delete_flow_run(&self, run: FlowRunId) -> Result<bool, Error> {
        self.write(move |writing| create::delete(writing, run)).await
    }

    /// Changes what a person calls a flow run. False when there is none.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn amend(&self, run: FlowRunId, amendment: Amendment) -> Result<bool, Error> {
        self.write(move |writing| amend::amend(writing, run, &amendment)).await
    }

    /// Notes that these have been published. Unknown ids (the attempt is over) are passed over.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn mark_sent(&self, ids: Vec<SendId>, at: Timestamp) -> Result<(), Error> {
        self.write_in_the_end(move |writing| commit::mark_sent(writing, &ids, at))
            .await
    }

    /// Forgets sends, `keep` or not.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn drop_sends(&self, ids: Vec<SendId>) -> Result<(), Error> {
        self.write_in_the_end(move |writing| commit::drop_sends(writing, &ids))
            .await
    }

    /// Replaces what the definitions say about the limits of work pools and deployments, and lets
    /// on whom that lets on.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn sync_limits(&self, pools: Vec<PoolLimits>, deployments: Vec<DeploymentLimit>) -> Result<(), Error> {
        self.write(move |writing| {
            limits::sync(writing, &pools)?;
            deployments::sync(writing, &deployments)
        })
        .await
    }

    /// Sets what is `Some`, over the definitions, of a pool (`queue` is `None`) or one of its
    /// queues; survives [`Store::sync_limits`] and restarts.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn set_pool_switch(&self, pool: String, queue: Option<String>, switch: Switch) -> Result<(), Error> {
        self.write(move |writing| limits::set_switch(writing, &pool, queue.as_deref(), switch))
            .await
    }

    /// Back to what the definitions say.
    ///
    /// # Errors
    /// When it was not kept.
    pub async fn clear_pool_switch(&self, pool: String, queue: Option<String>) -> Result<(), Error> {
        self.write(move |writing| limits::clear_switch(writing, &pool, queue.as_deref()))
            .await
    }

    /// Refused at once while nothing can be written.
    async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Writing<'_>) -> Result<T, Error> + Send + 'static,
    {
        let permit = tokio::select! {
            biased;
            trouble = self.troubled() => return Err(trouble),
            permit = self.reserve() => permit?,
        };
        let (change, receipt) = writer::change(work);
        let _sender = permit.place.send(change);
        receipt.await
    }

    /// As `write`, but while nothing can be written it waits until it can.
    async fn write_in_the_end<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Writing<'_>) -> Result<T, Error> + Send + 'static,
    {
        let permit = self.reserve().await?;
        let (change, receipt) = writer::waiting_change(work);
        let _sender = permit.place.send(change);
        receipt.await
    }

    fn queue(&self) -> Result<&mpsc::Sender<Box<dyn Change>>, Error> {
        self.0.queue.as_ref().ok_or(Error::Closed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.queue.take());
        let Some(writer) = self.writer.take() else { return };
        writer.thread().unpark();
        if writer.join().is_err() {
            tracing::error!("the writer of the run store has died; what was answered is kept");
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
