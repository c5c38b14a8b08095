//! Starts runs when their time has come. One task sleeps until the next instant of any schedule,
//! makes the runs that are due, and goes back to sleep; in between it writes down what is planned.
//!
//! A planned time gives one run, ever: its id is derived from schedule and instant, so whoever
//! makes it again (after a crash, a step of the clock, a change there and back) finds the first.
//! What a schedule has dealt with is noted in the transaction that makes the run.
//!
//! Absent on purpose: rules (`grepx-schedule`), slots and limits (the store), anything that
//! happens to a run after it was made (the runner), and a scan over schedules.

mod backlog;
mod entry;
mod fire;
mod roster;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use grepx_engine::{FlowRunId, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock;
use crate::definitions::{Catalog, Table};
use crate::failpoint::{self, Point};
use crate::runner::{self, Runner, Triggered};
use crate::store::{self, ScheduleRow, Store};

use roster::Roster;

/// Longest sleep: how late a step of the wall clock is noticed.
const NAP: Duration = Duration::from_secs(1);
/// A wall clock that went back by more than this was set, not slewed.
const STEP_MS: i64 = 500;
/// Schedules, and about so many planned runs, that are written in one transaction: a start that
/// comes due meanwhile waits for it.
const SCHEDULES_AT_ONCE: usize = 64;
const PLANNED_AT_ONCE: usize = 256;
/// Schedules of which one transaction notes that they have begun.
const BEGUN_AT_ONCE: usize = 4_096;
/// Pause before anything that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Requests that wait for the scheduler.
const MAILBOX: usize = 256;

/// Handle; cheap to clone.
#[derive(Debug, Clone)]
pub struct Scheduler {
    mail: mpsc::Sender<Mail>,
    task: AbortHandle,
}

#[derive(Debug)]
enum Mail {
    /// Definitions or switches have changed.
    Sync { done: oneshot::Sender<()> },
    /// Makes a planned run ahead of its time; it starts when it would have.
    Make {
        schedule: Uuid,
        expected_start: Timestamp,
        done: oneshot::Sender<Result<Option<FlowRunId>, runner::Error>>,
    },
}

/// What [`start`] is given.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub runner: Runner,
    pub catalog: Arc<ArcSwap<Catalog>>,
    /// Without it nothing fires and nothing is planned.
    pub enabled: bool,
    pub noted: Noted,
}

/// What an earlier host has written down, on its way from the run store.
#[derive(Debug)]
pub struct Noted(Option<JoinHandle<Option<Result<Stored, store::Error>>>>);

type Stored = HashMap<Uuid, ScheduleRow>;

/// Begins to read what an earlier host has written down: nobody needs it before the definitions
/// are there, and both take their time where there are many schedules.
#[must_use]
pub fn look_up(store: &Store) -> Noted {
    let store = store.clone();
    Noted(Some(crate::task::spawn("noted schedules", async move {
        stored(&store).await
    })))
}

impl Noted {
    /// `None` the second time, and when it could not be read: then it is read again.
    async fn take(&mut self) -> Option<Stored> {
        self.0.take()?.await.ok()??.ok()
    }
}

async fn stored(store: &Store) -> Result<Stored, store::Error> {
    Ok(store.schedules().await?.into_iter().map(|row| (row.id, row)).collect())
}

/// Takes over what an earlier host has left and starts to fire.
#[must_use]
pub fn start(parts: Parts) -> Scheduler {
    let (mail, inbox) = mpsc::channel(MAILBOX);
    let task = crate::task::spawn("scheduler", Clockwork::new(parts).run(inbox));
    Scheduler {
        mail,
        task: task.abort_handle(),
    }
}

impl Scheduler {
    /// Nothing fires from now on. What is on its way is made or not; the next start knows which.
    pub fn stop(&self) {
        self.task.abort();
    }

    /// Follows the definitions and switches as they are now; returns when it does.
    pub async fn sync(&self) {
        let (done, answer) = oneshot::channel();
        if self.mail.send(Mail::Sync { done }).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Makes a planned run ahead of its time, so that something can be done with it. `None` when
    /// nothing is planned there any more.
    ///
    /// # Errors
    /// When the host is shutting down or the store refuses.
    pub async fn make(&self, schedule: Uuid, expected_start: Timestamp) -> Result<Option<FlowRunId>, runner::Error> {
        let (done, answer) = oneshot::channel();
        let mail = Mail::Make {
            schedule,
            expected_start,
            done,
        };
        self.mail.send(mail).await.map_err(|_| runner::Error::Draining)?;
        answer.await.map_err(|_| runner::Error::Draining)?
    }
}

struct Clockwork {
    parts: Parts,
    roster: Roster,
    /// What an earlier host left; `None` until it could be read.
    stored: Option<Stored>,
    synced: bool,
    /// The last attempt failed.
    sync_again: Option<Timestamp>,
    /// The two clocks at one moment.
    seen: (Timestamp, Instant),
}

impl Clockwork {
    fn new(parts: Parts) -> Self {
        Self {
            parts,
            roster: Roster::default(),
            stored: None,
            synced: false,
            sync_again: None,
            seen: (clock::now(), Instant::now()),
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Mail>) {
        self.sync().await;
        loop {
            tokio::select! {
                biased;
                mail = inbox.recv() => match mail {
                    Some(mail) => self.take(mail).await,
                    None => return,
                },
                () = tokio::time::sleep(self.nap()) => {}
            }
            self.watch_the_clock();
            if self.parts.store.trouble().is_some() {
                // Nothing could be made: what comes due is made up for afterwards.
                tokio::time::sleep(RETRY).await;
                continue;
            }
            if self.sync_again.is_some_and(|at| at <= clock::now()) {
                self.sync().await;
            }
            if !self.fire().await {
                self.plan().await;
            }
        }
    }

    fn nap(&self) -> Duration {
        let now = clock::now();
        let next = self.roster.next_due().into_iter().chain(self.roster.next_plan()).min();
        next.map_or(NAP, |at| Duration::from_millis(at.since_ms(now)).min(NAP))
    }

    async fn take(&mut self, mail: Mail) {
        match mail {
            Mail::Sync { done } => {
                // What has come due under the old definitions belongs to them.
                while self.parts.store.trouble().is_none() && self.fire().await {}
                self.sync().await;
                let _ = done.send(());
            }
            Mail::Make {
                schedule,
                expected_start,
                done,
            } => {
                let _ = done.send(self.make(schedule, expected_start).await);
            }
        }
    }

    /// Compares the wall clock with one that cannot be set.
    fn watch_the_clock(&mut self) {
        let (wall, steady) = (clock::now(), Instant::now());
        let elapsed = i64::try_from(steady.duration_since(self.seen.1).as_millis()).unwrap_or(i64::MAX);
        let step = wall.0.saturating_sub(self.seen.0.0).saturating_sub(elapsed);
        self.seen = (wall, steady);
        if step.abs() > STEP_MS {
            tracing::warn!(
                milliseconds = step,
                "the clock of this machine was set; schedules follow it"
            );
        }
        if step < -STEP_MS {
            self.roster.step_back(wall);
        }
    }

    async fn sync(&mut self) {
        self.sync_again = None;
        if let Err(error) = self.try_sync().await {
            if !error.concerns_all() {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the schedules could not be taken over; it is tried again"
                );
            }
            self.sync_again = Some(clock::now().plus_ms(to_ms(RETRY)));
        }
    }

    async fn try_sync(&mut self) -> Result<(), store::Error> {
        let catalog = if self.parts.enabled {
            self.parts.catalog.load_full()
        } else {
            Arc::default()
        };
        // Definitions that cannot be read take nothing away.
        if catalog.problems.iter().any(|problem| problem.table == Table::Database) && self.roster.len() == 0 {
            return Ok(());
        }
        let began = Instant::now();
        let before = self.roster.len();
        let store = &self.parts.store;
        let switches = store.deployment_switches().await?;
        let mut stored = match self.stored.take() {
            Some(stored) => stored,
            None => match self.parts.noted.take().await {
                Some(noted) => noted,
                None => stored(store).await?,
            },
        };
        let gone = self.roster.sync(&catalog, &switches, &mut stored, clock::now());
        self.stored = Some(stored);
        if !gone.schedules.is_empty() {
            store.forget_schedules(gone.schedules).await?;
        }
        for deployment in gone.paused {
            fire::withdraw(&self.parts, deployment).await;
        }
        // Before anything fires: from here on a crash misses no instant.
        for begun in gone.begun.chunks(BEGUN_AT_ONCE) {
            let notes = begun
                .iter()
                .filter_map(|(id, known)| Some(self.roster.get(*id)?.note(*known)));
            store.plan(notes.collect()).await?;
        }
        if self.roster.len() != before || !self.synced {
            let milliseconds = to_ms(began.elapsed());
            tracing::info!(schedules = self.roster.len(), milliseconds, "schedules in force");
        }
        self.synced = true;
        Ok(())
    }

    /// Makes the runs that are due. True when there may be more.
    async fn fire(&mut self) -> bool {
        let now = clock::now();
        let due = self.roster.take_due(now, fire::AT_ONCE);
        if due.is_empty() {
            return false;
        }
        let jobs: Vec<fire::Job> = due
            .iter()
            .filter_map(|id| self.roster.get(*id).map(|entry| fire::Job::new(entry, now)))
            .collect();
        for outcome in fire::all(&self.parts.store, &self.parts.runner, jobs).await {
            let retry = outcome.retry.then(|| now.plus_ms(to_ms(RETRY)));
            if let (Some(progress), Some(entry)) = (outcome.progress, self.roster.get_mut(outcome.schedule)) {
                entry.advance(progress, outcome.started);
            }
            // Runs that start go first; the rows of later ones can wait.
            let plan_at = now.plus_ms(to_ms(fire::PLAN_AFTER));
            self.roster.put_back(outcome.schedule, retry, plan_at);
        }
        true
    }

    /// Writes down the next runs of some schedules.
    async fn plan(&mut self) {
        let now = clock::now();
        let (mut ids, mut plans, mut runs) = (Vec::new(), Vec::new(), 0);
        while ids.len() < SCHEDULES_AT_ONCE
            && runs < PLANNED_AT_ONCE
            && let Some(id) = self.roster.take_to_plan(now)
        {
            let Some(entry) = self.roster.get_mut(id) else { continue };
            let plan = entry.plan(now);
            runs += plan.runs.len();
            plans.push(plan);
            ids.push(id);
        }
        if plans.is_empty() {
            return;
        }
        failpoint::reach(Point::BeforePlan);
        let planned = self.parts.store.plan(plans).await;
        failpoint::reach(Point::AfterPlan);
        if let Err(error) = planned {
            if !error.concerns_all() {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "planned runs could not be written down; it is tried again"
                );
            }
            for id in ids {
                if let Some(entry) = self.roster.get_mut(id) {
                    entry.plan_anew();
                }
                self.roster.plan_again(id, now.plus_ms(to_ms(RETRY)));
            }
        }
    }

    async fn make(&self, schedule: Uuid, expected_start: Timestamp) -> Result<Option<FlowRunId>, runner::Error> {
        let Some(entry) = self.roster.get(schedule) else {
            return Ok(None);
        };
        let request = entry.request(entry.instant_of(expected_start), None);
        Ok(match self.parts.runner.trigger(request).await? {
            Triggered::New(run) | Triggered::Existing(run) => Some(run),
            Triggered::Skipped => None,
        })
    }
}

fn to_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
