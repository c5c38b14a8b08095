//! One schedule that is in force.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use grepx_engine::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::definitions::{Deployment, Overlap, ScheduleSpec, Timing};
use crate::runner::{PlannedTime, RunRequest};
use crate::store::{NewRun, Progress, SchedulePlan};

use super::backlog::Policy;

/// Planned runs of one schedule: Prefect's `min_runs` and one for the run that has just started,
/// its `min_scheduled_time`, its `max_runs`.
const AHEAD_MIN: u32 = 4;
const AHEAD_TIME: Duration = Duration::from_secs(3_600);
const AHEAD_MAX: u32 = 100;

/// Tag of every run that a schedule made, as in Prefect.
const TAG: &str = "auto-scheduled";

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) deployment: Arc<Deployment>,
    spec: usize,
    timing: Arc<Timing>,
    jitter_ms: u64,
    pub(super) rule: Rule,
    pub(super) progress: Progress,
    planned_until: Timestamp,
    /// Planned runs that have not started; `None` until they are counted.
    ahead: Option<u32>,
    /// Its planned runs have to be made again.
    anew: bool,
}

/// What a schedule is planned by: another `when` is another schedule, another `what` gives the
/// same instants other runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    when: u64,
    what: u64,
}

impl Rule {
    fn of(deployment: &Deployment, spec: &ScheduleSpec) -> Self {
        let mut when = DefaultHasher::new();
        chrono_tz::IANA_TZDB_VERSION.hash(&mut when);
        spec.schedule_type.as_str().hash(&mut when);
        spec.config.hash(&mut when);
        deployment.created_at.hash(&mut when);
        let mut what = DefaultHasher::new();
        spec.parameters.hash(&mut what);
        deployment.parameters.hash(&mut what);
        deployment.flow.parameters.hash(&mut what);
        deployment.tags.hash(&mut what);
        deployment.name.hash(&mut what);
        deployment.flow.id.hash(&mut what);
        deployment.work_pool.hash(&mut what);
        deployment.work_queue.hash(&mut what);
        Self {
            when: when.finish(),
            what: what.finish(),
        }
    }

    fn text(self) -> String {
        format!("{:016x}:{:016x}", self.when, self.what)
    }
}

/// How a stored schedule relates to what the definitions say now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// Same instants, other runs.
    What,
    When,
}

impl Rule {
    /// `None`: written by a host that hashed otherwise.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (when, what) = text.split_once(':')?;
        Some(Self {
            when: u64::from_str_radix(when, 16).ok()?,
            what: u64::from_str_radix(what, 16).ok()?,
        })
    }

    pub(super) fn change_from(self, before: Option<Self>) -> Change {
        match before {
            Some(before) if before == self => Change::None,
            Some(before) if before.when == self.when => Change::What,
            _ => Change::When,
        }
    }
}

impl Entry {
    /// `None` for a schedule whose rule was refused. Nothing is planned yet.
    pub(super) fn new(deployment: &Arc<Deployment>, spec: usize) -> Option<Self> {
        let schedule = &deployment.schedules[spec];
        let timing = schedule.timing.as_ref().ok()?.clone();
        Some(Self {
            spec,
            jitter_ms: timing.jitter_of(deployment.id),
            rule: Rule::of(deployment, schedule),
            timing,
            progress: Progress {
                handled_until: Timestamp(0),
                next_at: None,
            },
            planned_until: Timestamp(0),
            ahead: None,
            anew: false,
            deployment: deployment.clone(),
        })
    }

    pub(super) fn id(&self) -> Uuid {
        self.schedule().id
    }

    pub(super) fn schedule(&self) -> &ScheduleSpec {
        &self.deployment.schedules[self.spec]
    }

    /// For people: `flow/deployment (slug)`.
    pub(super) fn name(&self) -> String {
        let Deployment { flow, name, .. } = &*self.deployment;
        format!("{}/{name} ({})", flow.name, self.schedule().key)
    }

    /// Begins to count at `now`; earlier instants are nobody's business.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.progress = Progress {
            handled_until: now,
            next_at: self.timing.after(now).next(),
        };
        self.plan_anew();
    }

    /// [`Entry::begin`] for many that share their rules: each rule is asked once.
    pub(super) fn begin_like(&mut self, first_instants: &mut HashMap<usize, Option<Timestamp>>, now: Timestamp) {
        let timing = self.timing.clone();
        let next_at = *first_instants
            .entry(Arc::as_ptr(&timing) as usize)
            .or_insert_with(|| timing.after(now).next());
        self.progress = Progress {
            handled_until: now,
            next_at,
        };
        self.plan_anew();
    }

    /// Goes on where an earlier host stopped.
    pub(super) fn go_on(&mut self, progress: Progress, planned_until: Timestamp) {
        self.progress = progress;
        self.planned_until = planned_until;
    }

    /// As a new reading of the definitions says, with what was done so far.
    pub(super) fn take_over(&mut self, before: &Self) {
        self.go_on(before.progress, before.planned_until);
        self.ahead = before.ahead;
        self.anew = before.anew;
    }

    pub(super) fn plan_anew(&mut self) {
        self.anew = true;
        self.ahead = Some(0);
        self.planned_until = self.progress.handled_until;
    }

    /// When its next run starts.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        self.progress.next_at.map(|at| at.plus_ms(self.jitter_ms))
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            catch_up: self.deployment.catch_up,
            window: self.deployment.catch_up_window_seconds.map(Duration::from_secs),
            jitter_ms: self.jitter_ms,
        }
    }

    pub(super) fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Notes what was done: `started` of its planned runs have become runs. `None` when others
    /// are gone as well.
    pub(super) fn advance(&mut self, progress: Progress, started: Option<u32>) {
        self.progress = progress;
        if self.planned_until <= progress.handled_until {
            self.planned_until = progress.handled_until;
            self.ahead = Some(0);
            return;
        }
        self.ahead = match (self.ahead, started) {
            (Some(ahead), Some(started)) => Some(ahead.saturating_sub(started)),
            _ => None,
        };
    }

    /// The run of an instant; `progress` is noted with it.
    pub(super) fn request(&self, instant: Timestamp, progress: Option<Progress>) -> RunRequest {
        let schedule = self.schedule();
        let deployment = &self.deployment;
        let mut tags = vec![TAG.to_owned()];
        tags.extend(deployment.tags.iter().filter(|tag| *tag != TAG).cloned());
        let local = crate::clock::to_chrono(instant).with_timezone(&self.timing.rule().zone());
        RunRequest {
            flow: deployment.flow.clone(),
            name: None,
            parameters: deployment.parameters_with(&schedule.parameters),
            tags,
            // As Prefect writes it: a date of Python.
            idempotency_key: Some(format!(
                "scheduled {} {} {}",
                deployment.id,
                schedule.id,
                local.format("%Y-%m-%d %H:%M:%S%.f%:z")
            )),
            start_at: Some(instant.plus_ms(self.jitter_ms)),
            created_by: Some(json!({"id": schedule.id, "type": "SCHEDULE", "display_value": schedule.key})),
            labels: json!({}),
            work_queue: None,
            parent: None,
            planned: Some(PlannedTime {
                schedule: schedule.id,
                instant,
                progress,
                skip_if_busy: deployment.overlap == Overlap::Skip,
            }),
            deployment: Some(deployment.clone()),
        }
    }

    /// The instant of a run that starts at `expected_start`.
    pub(super) fn instant_of(&self, expected_start: Timestamp) -> Timestamp {
        Timestamp(expected_start.0 - i64::try_from(self.jitter_ms).unwrap_or(0))
    }

    /// The next planned runs, as far ahead as people look. The rows do not follow a change of the
    /// definitions by themselves.
    pub(super) fn plan(&mut self, now: Timestamp) -> SchedulePlan {
        let mut ahead = self.ahead.unwrap_or_else(|| self.count_ahead());
        let far = now.plus_ms(u64::try_from(AHEAD_TIME.as_millis()).unwrap_or(u64::MAX));
        let from = self.planned_until.max(self.progress.handled_until);
        let mut runs: Vec<NewRun> = Vec::new();
        let mut planned_until = from;
        for instant in self.timing.after(from) {
            if ahead >= AHEAD_MAX || (ahead >= AHEAD_MIN && instant > far) {
                break;
            }
            runs.push(self.request(instant, None).into_row(now));
            planned_until = instant;
            ahead += 1;
        }
        self.planned_until = planned_until;
        self.ahead = Some(ahead);
        SchedulePlan {
            id: self.id(),
            deployment_id: self.deployment.id,
            rule: self.rule.text(),
            progress: self.progress,
            planned_until,
            anew: std::mem::take(&mut self.anew),
            runs,
        }
    }

    /// That it has begun, before anything is made or planned. `known`: there may be planned runs of
    /// what it was.
    pub(super) fn note(&self, known: bool) -> SchedulePlan {
        SchedulePlan {
            id: self.id(),
            deployment_id: self.deployment.id,
            rule: self.rule.text(),
            progress: self.progress,
            planned_until: self.planned_until,
            anew: known,
            runs: Vec::new(),
        }
    }

    fn count_ahead(&self) -> u32 {
        let ahead = self
            .timing
            .after(self.progress.handled_until)
            .take_while(|at| *at <= self.planned_until)
            .take(AHEAD_MAX as usize)
            .count();
        u32::try_from(ahead).unwrap_or(AHEAD_MAX)
    }
}
