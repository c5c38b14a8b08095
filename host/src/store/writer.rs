//! The one thread that writes. It takes everything that is queued, does it in one transaction,
//! commits once, and only then answers: the price of a commit is shared by all who waited.
//!
//! A change that cannot be made costs nobody else: the transaction is rolled back and each change
//! of the group is then tried in one of its own.
//!
//! What concerns every change (a full disk, a lock that somebody keeps) is waited out: what a run
//! has done stays in the queue and is made when it can be, in its order, so nothing in memory has
//! to be thrown away; what somebody waits for who may as well come again is refused at once.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::audit::{Rider, Riders};
use super::changes::{Changed, Watch};
use super::figures::Commits;
use super::health::Health;
use super::model::SlotNews;
use super::tallies::Tallies;
use super::{Error, admission, open};
use crate::failpoint::{self, Point};

/// Between two looks whether the store takes changes again: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Changes of one transaction at most: bounds how long the first one waits for the last.
const GROUP_MAX: usize = 1_024;

/// A transaction in the making, and what it has to look after before it commits.
pub(super) struct Writing<'a> {
    pub(super) sql: &'a Connection,
    /// Work pools whose slots or limits have changed: each admits at the end.
    pub(super) touched: BTreeSet<String>,
    /// Deployments whose live runs or limits have changed: each lets runs on at the end.
    pub(super) deployments: BTreeSet<Uuid>,
    /// Runs to be told that they have a slot, or have to go.
    pub(super) news: Vec<SlotNews>,
    /// Log lines of one flow run at most.
    pub(super) log_lines_max: i64,
    pub(super) tallies: Tallies,
    /// To be told after the commit; `None` when nobody watches.
    pub(super) changes: Option<Vec<Changed>>,
}

impl<'a> Writing<'a> {
    /// That nobody watches.
    pub(super) fn new(sql: &'a Connection, log_lines_max: i64) -> Self {
        Self {
            sql,
            touched: BTreeSet::new(),
            deployments: BTreeSet::new(),
            news: Vec::new(),
            log_lines_max,
            tallies: Tallies::default(),
            changes: None,
        }
    }

    /// Lets whoever watches know after the commit.
    pub(super) fn tell(&mut self, change: impl FnOnce() -> Changed) {
        if let Some(changes) = &mut self.changes {
            changes.push(change());
        }
    }
}

/// One change. It can be made more than once, because a group that fails is undone and repeated.
pub(super) trait Change: Send {
    fn make(&mut self, writing: &mut Writing<'_>) -> Result<(), Error>;
    fn answer(self: Box<Self>, end: Result<(), Error>);
    /// Whether it is kept until it can be made, whatever is the matter with the store.
    fn waits(&self) -> bool;
}

struct Asked<F, T> {
    work: F,
    made: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
    waits: bool,
}

impl<F, T> Change for Asked<F, T>
where
    F: FnMut(&mut Writing<'_>) -> Result<T, Error> + Send,
    T: Send,
{
    fn make(&mut self, writing: &mut Writing<'_>) -> Result<(), Error> {
        self.made = Some((self.work)(writing)?);
        Ok(())
    }

    fn answer(self: Box<Self>, end: Result<(), Error>) {
        let Self { made, reply, .. } = *self;
        let answer = end.and_then(|()| made.ok_or(Error::Closed));
        // Nobody may be waiting any more; the change stands all the same.
        let _ = reply.send(answer);
    }

    fn waits(&self) -> bool {
        self.waits
    }
}

/// Resolves after the group commit.
#[derive(Debug)]
#[must_use = "the change may fail"]
pub struct Receipt<T>(oneshot::Receiver<Result<T, Error>>);

impl<T> Receipt<T> {
    pub(super) fn failed(error: Error) -> Self {
        let (reply, receipt) = oneshot::channel();
        let _ = reply.send(Err(error));
        Self(receipt)
    }
}

impl<T> Future for Receipt<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|answer| answer.unwrap_or(Err(Error::Closed)))
    }
}

/// A change that is refused while nothing can be written.
pub(super) fn change<F, T>(work: F) -> (Box<dyn Change>, Receipt<T>)
where
    F: FnMut(&mut Writing<'_>) -> Result<T, Error> + Send + 'static,
    T: Send + 'static,
{
    asked(work, false)
}

/// A change that waits until it can be written.
pub(super) fn waiting_change<F, T>(work: F) -> (Box<dyn Change>, Receipt<T>)
where
    F: FnMut(&mut Writing<'_>) -> Result<T, Error> + Send + 'static,
    T: Send + 'static,
{
    asked(work, true)
}

fn asked<F, T>(work: F, waits: bool) -> (Box<dyn Change>, Receipt<T>)
where
    F: FnMut(&mut Writing<'_>) -> Result<T, Error> + Send + 'static,
    T: Send + 'static,
{
    let (reply, receipt) = oneshot::channel();
    let asked = Asked {
        work,
        made: None,
        reply,
        waits,
    };
    (Box::new(asked), Receipt(receipt))
}

/// Tells of the writer's death, however it comes.
struct Witness(Health);

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.begins(&Error::Closed);
        }
    }
}

/// What the writer and the handles of its store both look at.
pub(super) struct Shared {
    pub(super) riders: Arc<Riders>,
    pub(super) health: Health,
    pub(super) watch: Watch,
    pub(super) commits: Commits,
}

pub(super) struct Writer {
    connection: Connection,
    queue: mpsc::Receiver<Box<dyn Change>>,
    admissions: mpsc::UnboundedSender<Vec<SlotNews>>,
    log_lines_max: i64,
    riders: Arc<Riders>,
    health: Health,
    watch: Watch,
    commits: Commits,
    /// Before the next look whether the store takes changes again.
    pause: Duration,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        queue: mpsc::Receiver<Box<dyn Change>>,
        admissions: mpsc::UnboundedSender<Vec<SlotNews>>,
        log_lines_max: i64,
        shared: Shared,
    ) -> Self {
        let Shared {
            riders,
            health,
            watch,
            commits,
        } = shared;
        Self {
            connection,
            queue,
            admissions,
            log_lines_max,
            riders,
            health,
            watch,
            commits,
            pause: PAUSE_MIN,
        }
    }

    /// In a thread that ends when every sender is gone and everything queued is done.
    pub(super) fn start(self) -> std::io::Result<JoinHandle<()>> {
        let witness = Witness(self.health.clone());
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        thread.spawn(move || {
            let _witness = witness;
            self.run();
        })
    }

    /// As [`Writer::start`], or in the tasks of the simulation's one thread.
    #[cfg(test)]
    pub(super) fn start_or_stay(
        self,
        in_line: Option<Arc<dyn super::InLine>>,
    ) -> std::io::Result<Option<JoinHandle<()>>> {
        let Some(pace) = in_line else {
            return self.start().map(Some);
        };
        crate::task::spawn("store-writer", self.run_in_line(pace));
        Ok(None)
    }

    #[cfg(test)]
    async fn run_in_line(mut self, pace: Arc<dyn super::InLine>) {
        let mut group = Vec::new();
        loop {
            let most = pace.before_group().await.clamp(1, GROUP_MAX);
            if self.queue.recv_many(&mut group, most).await == 0 {
                return self.close();
            }
            self.settle(&mut group);
            pace.committed(super::Moment::see(&self.connection).expect("the store can be read"));
        }
    }

    fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while self.queue.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            self.settle(&mut group);
        }
        self.close();
    }

    fn close(mut self) {
        if let Err(error) = self.attempt(&mut []) {
            tracing::error!(error = %crate::report::chain(&error), "the last records of the audit log are lost");
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA optimize") {
            tracing::debug!(%error, "run store not optimised on close");
        }
    }

    fn settle(&mut self, group: &mut Vec<Box<dyn Change>>) {
        loop {
            match self.attempt(group) {
                Ok(news) => {
                    self.pause = PAUSE_MIN;
                    self.health.ends();
                    return self.answer(group.drain(..), news);
                }
                Err(error) if error.concerns_all() => {
                    if !self.wait_out(group, error) {
                        return;
                    }
                }
                Err(error) if group.len() == 1 => return refuse(group, &error),
                Err(_) => {
                    for change in std::mem::take(group) {
                        self.settle(&mut vec![change]);
                    }
                    return;
                }
            }
        }
    }

    /// Until the store seems to take changes again; then what waits of the group is to be made.
    /// False when nothing of it is left to be made.
    fn wait_out(&mut self, group: &mut Vec<Box<dyn Change>>, mut error: Error) -> bool {
        loop {
            self.health.begins(&error);
            let (waiting, refused) = group.drain(..).partition(|change| change.waits());
            *group = waiting;
            refuse(&mut { refused }, &error);
            if self.queue.is_closed() {
                // The host ends; what is left is in nobody's hands but the outside's, as after a crash.
                refuse(group, &error);
                return false;
            }
            std::thread::park_timeout(self.pause);
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            while group.len() < GROUP_MAX
                && let Ok(change) = self.queue.try_recv()
            {
                group.push(change);
            }
            if self.health.damage().is_some() {
                continue;
            }
            let now = self.health.still_there();
            match now.and_then(|()| open::has_room(&self.connection, self.health.path())) {
                Ok(()) if group.is_empty() => {
                    self.pause = PAUSE_MIN;
                    self.health.ends();
                    return false;
                }
                // It is over when they are made: they may need more room.
                Ok(()) => return true,
                Err(still) => error = still,
            }
        }
    }

    /// All of the group in one transaction, with what rides along, or nothing.
    fn attempt(&mut self, group: &mut [Box<dyn Change>]) -> Result<Vec<SlotNews>, Error> {
        if let Some(damage) = self.health.damage() {
            return Err(damage);
        }
        self.health.still_there()?;
        let riders = self.riders.take();
        let began = Instant::now();
        let made = self.make(group, &riders);
        if made.is_err() {
            self.riders.put_back(riders);
        } else if !group.is_empty() {
            self.commits.seconds.observe(began.elapsed().as_secs_f64());
            self.commits.changes.observe(group.len() as f64);
        }
        made
    }

    fn make(&mut self, group: &mut [Box<dyn Change>], riders: &[Rider]) -> Result<Vec<SlotNews>, Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writing = Writing::new(&transaction, self.log_lines_max);
        writing.changes = self.watch.is_on().then(Vec::new);
        self.riders.write(&transaction, riders)?;
        for change in group {
            change.make(&mut writing)?;
        }
        admission::admit(&mut writing)?;
        let Writing {
            news, changes, tallies, ..
        } = writing;
        tallies.write(&transaction)?;
        failpoint::reach(Point::BeforeCommit);
        self.watch.commit(transaction, changes.unwrap_or_default())?;
        failpoint::reach(Point::AfterCommit);
        if !news.is_empty() {
            failpoint::reach(Point::Admitted);
        }
        Ok(news)
    }

    /// The submitters first: whoever asked for a slot knows that its change stands before it
    /// hears of the slot.
    fn answer(&self, group: impl IntoIterator<Item = Box<dyn Change>>, news: Vec<SlotNews>) {
        for change in group {
            change.answer(Ok(()));
        }
        if !news.is_empty() {
            // Nobody listens while the host shuts down; the rows say who holds a slot.
            let _ = self.admissions.send(news);
        }
    }
}

fn refuse(group: &mut Vec<Box<dyn Change>>, error: &Error) {
    for change in group.drain(..) {
        change.answer(Err(error.clone()));
    }
}
