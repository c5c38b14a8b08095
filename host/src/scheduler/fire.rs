//! Makes the runs of schedules that are due, many at once: they share group commits.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use grepx_engine::{StateType, Timestamp};
use uuid::Uuid;

use crate::failpoint::{self, Point};
use crate::runner::{self, RunRequest, Runner, Triggered};
use crate::store::{FlowRunFilter, FlowRunSort, Page, Progress, Store};

use super::Parts;
use super::backlog::{Backlog, RUNS_MAX, backlog};
use super::entry::Entry;

/// Schedules in one go, and creations on their way at once: those of one second should all be made
/// before the first of their runs keep the store busy with tasks.
pub(super) const AT_ONCE: usize = 16_384;
/// How long the rows of later runs wait after a start.
pub(super) const PLAN_AFTER: Duration = Duration::from_secs(2);
/// Runs that a pause withdraws in one go.
const WITHDRAWN_AT_ONCE: u32 = 200;

/// What one schedule has to do.
pub(super) struct Job {
    schedule: Uuid,
    name: String,
    backlog: Backlog,
    /// One for each run of the backlog.
    requests: Vec<RunRequest>,
    /// Starts up to here are dealt with.
    expected_until: Timestamp,
}

pub(super) struct Outcome {
    pub(super) schedule: Uuid,
    /// How far it has come.
    pub(super) progress: Option<Progress>,
    /// Runs that were made, when nothing else was dealt with.
    pub(super) started: Option<u32>,
    /// Something could not be made: it is still to come.
    pub(super) retry: bool,
}

impl Job {
    pub(super) fn new(entry: &Entry, now: Timestamp) -> Self {
        let next = entry.progress.next_at.unwrap_or(now);
        let policy = entry.policy();
        let backlog = backlog(entry.timing(), policy, next, now);
        let last = backlog.runs.len().saturating_sub(1);
        let requests = backlog.runs.iter().enumerate().map(|(place, instant)| {
            // What comes after the last of them is known; the others lead to each other.
            let progress = if place == last {
                backlog.progress
            } else {
                Progress {
                    handled_until: *instant,
                    next_at: backlog.runs.get(place + 1).copied(),
                }
            };
            entry.request(*instant, Some(progress))
        });
        Self {
            schedule: entry.id(),
            name: entry.name(),
            requests: requests.collect(),
            expected_until: backlog.progress.handled_until.plus_ms(policy.jitter_ms),
            backlog,
        }
    }
}

pub(super) async fn all(store: &Store, runner: &Runner, jobs: Vec<Job>) -> Vec<Outcome> {
    stream::iter(jobs)
        .map(|job| one(store, runner, job))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

async fn one(store: &Store, runner: &Runner, job: Job) -> Outcome {
    let Job {
        schedule,
        name,
        backlog,
        requests,
        expected_until,
    } = job;
    let mut reached = None;
    for request in requests {
        let progress = request.planned.and_then(|planned| planned.progress);
        failpoint::reach(Point::BeforeFire);
        let triggered = runner.trigger(request).await;
        failpoint::reach(Point::AfterFire);
        match triggered {
            Ok(Triggered::New(_) | Triggered::Existing(_)) => reached = progress,
            Ok(Triggered::Skipped) => {
                tracing::info!(schedule = %name, "a planned time has no run: the deployment is busy, and its overlap is skip");
                reached = progress;
            }
            Err(error) => {
                let usual = matches!(error, runner::Error::Draining | runner::Error::BeingMade(_));
                if !usual && !error.concerns_all() {
                    tracing::error!(
                        schedule = %name,
                        error = &error as &dyn std::error::Error,
                        "a planned run could not be made; it is tried again"
                    );
                }
                return Outcome {
                    schedule,
                    progress: reached,
                    started: None,
                    retry: true,
                };
            }
        }
    }
    if backlog.passed_over > 0 || backlog.runs.is_empty() {
        tell(&name, &backlog);
        if let Err(error) = store.pass(schedule, backlog.progress, expected_until).await {
            if !error.concerns_all() {
                tracing::error!(schedule = %name, error = &error as &dyn std::error::Error, "planned times could not be passed over; it is tried again");
            }
            return Outcome {
                schedule,
                progress: reached,
                started: None,
                retry: true,
            };
        }
    }
    Outcome {
        schedule,
        progress: Some(backlog.progress),
        started: u32::try_from(backlog.runs.len())
            .ok()
            .filter(|_| backlog.passed_over == 0),
        retry: false,
    }
}

fn tell(name: &str, backlog: &Backlog) {
    tracing::warn!(
        schedule = %name,
        passed_over = backlog.passed_over,
        made = backlog.runs.len(),
        until = %crate::clock::rfc3339(backlog.progress.handled_until),
        "planned times were missed while nothing could fire; catch_up and catch_up_window_seconds say which \
         of them get a run (at most {RUNS_MAX} at once)"
    );
}

/// A deployment has been paused: runs that its schedules made and that have not started never will.
pub(super) async fn withdraw(parts: &Parts, deployment: Uuid) {
    let filter = FlowRunFilter {
        deployment_id: crate::store::Choice::any([deployment]),
        state_type: crate::store::Choice::any([StateType::Scheduled]),
        ..FlowRunFilter::default()
    };
    let mut page = Page::first(WITHDRAWN_AT_ONCE);
    loop {
        let found = parts
            .store
            .flow_runs(filter.clone(), FlowRunSort::ExpectedStartAsc, page);
        let found = match found.await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "runs of a paused deployment were not withdrawn"
                );
                return;
            }
        };
        let all = found.len();
        for run in found {
            if !run.run.auto_scheduled || run.start_time.is_some() {
                page.offset += 1;
                continue;
            }
            let reason = "the deployment was paused before the run could start".to_owned();
            if let Err(error) = parts.runner.cancel(run.run.id, reason).await {
                tracing::debug!(run = %run.run.id, %error, "a run of a paused deployment has moved on");
                page.offset += 1;
            }
        }
        if all < WITHDRAWN_AT_ONCE as usize {
            return;
        }
    }
}
