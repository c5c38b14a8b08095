//! The mixed load: one small flow for each thing that a crash may come in between of.

/// What a flow run goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A list, a Celery task for each item, their sum.
    Fan,
    /// Its first attempt fails.
    Flaky,
    /// Two timers, one after the other.
    Timer,
    /// Waits for a signal.
    Approval,
    /// Runs another flow, which has a Celery task.
    Nested,
    /// A Celery task that outlives most hosts of these tests.
    Long,
    /// Is cancelled while a worker has its task.
    Cancelled,
    /// Is cancelled while its message lies in a queue that nobody reads.
    Withdrawn,
    /// Its task takes too long.
    TooLong,
    /// A work pool with two slots.
    Narrow,
    /// A deployment with one live run at most.
    Single,
    /// Is paused and resumed.
    Paused,
    /// Fails, and goes on when somebody asks for that.
    Retried,
    /// Fails, and goes on when somebody marks the task run as done.
    Marked,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::Fan,
        Self::Flaky,
        Self::Timer,
        Self::Approval,
        Self::Nested,
        Self::Long,
        Self::Cancelled,
        Self::Withdrawn,
        Self::TooLong,
        Self::Narrow,
        Self::Single,
        Self::Paused,
        Self::Retried,
        Self::Marked,
    ];

    /// Of the flow and of its deployment.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fan => "fan",
            Self::Flaky => "flaky",
            Self::Timer => "timer",
            Self::Approval => "approval",
            Self::Nested => "nested",
            Self::Long => "long",
            Self::Cancelled => "cancelled",
            Self::Withdrawn => "withdrawn",
            Self::TooLong => "too_long",
            Self::Narrow => "narrow",
            Self::Single => "single",
            Self::Paused => "paused",
            Self::Retried => "retried",
            Self::Marked => "marked",
        }
    }

    /// The state type in which it has to end.
    pub(crate) const fn ends(self) -> &'static str {
        match self {
            Self::Cancelled | Self::Withdrawn => "CANCELLED",
            Self::TooLong => "FAILED",
            _ => "COMPLETED",
        }
    }

    /// Executions by workers behind Redis that it has to have: at least, at most.
    pub(crate) const fn executions(self) -> (u64, u64) {
        match self {
            Self::Fan => (3, 3),
            Self::Flaky | Self::Retried => (2, 2),
            Self::Long | Self::Narrow | Self::Single => (1, 1),
            // Stopped before or after a worker took it.
            Self::Cancelled | Self::TooLong => (0, 1),
            // The child run has its own.
            Self::Timer | Self::Approval | Self::Nested | Self::Withdrawn | Self::Paused | Self::Marked => (0, 0),
        }
    }
}

/// Flow runs that a [`Kind::Nested`] starts.
pub(crate) const CHILD: &str = "child";
/// Runs of schedules: every second, and every two with a Celery task.
pub(crate) const TICK: &str = "tick";
pub(crate) const TOCK: &str = "tock";
pub(crate) const NARROW_SLOTS: i64 = 2;
/// What the tasks count of themselves while they run.
pub(crate) const GAUGES: [&str; 2] = ["narrow", "single"];

pub(crate) const FLOWS: &str = "
prefect_work_pools:
  - {name: open, concurrency_limit: 500}
  - {name: narrow, concurrency_limit: 2}
prefect_flows: [{name: fan}, {name: flaky}, {name: timer}, {name: approval}, {name: nested}, {name: child}, {name: long}, {name: cancelled}, {name: withdrawn}, {name: too_long}, {name: narrow}, {name: single}, {name: paused}, {name: retried}, {name: marked}, {name: tick}, {name: tock}]
prefect_tasks:
  - {name: numbers, flow_name: fan, task_kind: transform, task_config: {program: '[range(3)]'}}
  - {name: each, flow_name: fan, depends_on: [numbers], for_each: results.numbers, celery_task_name: crash.once, inputs: {run: run.id, number: item}, retry_config: &patient {max_retries: 50, retry_delay_seconds: 0.1}}
  - {name: sum, flow_name: fan, depends_on: [each], task_kind: transform, inputs: {all: results.each}, task_config: {program: '.all | add'}}
  - {name: flaky, flow_name: flaky, celery_task_name: crash.flaky, inputs: {run: run.id}, retry_config: *patient}
  - {name: short, flow_name: timer, task_kind: sleep, task_config: {seconds: 0.3}}
  - {name: longer, flow_name: timer, depends_on: [short], task_kind: sleep, task_config: {seconds: 0.5}}
  - {name: sign_off, flow_name: approval, task_kind: approval}
  - {name: after, flow_name: approval, depends_on: [sign_off], task_kind: noop}
  - {name: call, flow_name: nested, task_kind: subflow, task_config: {deployment: child/child}}
  - {name: read, flow_name: nested, depends_on: [call], task_kind: transform, inputs: {all: results.call.results}, task_config: {program: .all.work}}
  - {name: work, flow_name: child, celery_task_name: crash.once, inputs: {run: run.id}, retry_config: *patient}
  - {name: long, flow_name: long, celery_task_name: crash.once, inputs: {run: run.id}, task_kwargs: {seconds: 1.5}, retry_config: *patient}
  - {name: revoked, flow_name: cancelled, celery_task_name: crash.once, inputs: {run: run.id}, task_kwargs: {seconds: 60}, retry_config: *patient}
  - {name: unread, flow_name: withdrawn, celery_task_name: crash.once, inputs: {run: run.id}, task_config: {queue: nobody}, retry_config: *patient}
  - {name: slow, flow_name: too_long, celery_task_name: crash.once, inputs: {run: run.id}, task_kwargs: {seconds: 60}, timeout_seconds: 1}
  - {name: of_two, flow_name: narrow, celery_task_name: crash.gauged, inputs: {run: run.id}, task_kwargs: {gauge: narrow}, retry_config: *patient}
  - {name: alone, flow_name: single, celery_task_name: crash.gauged, inputs: {run: run.id}, task_kwargs: {gauge: single}, retry_config: *patient}
  - {name: before, flow_name: paused, task_kind: sleep, task_config: {seconds: 0.5}}
  - {name: resumed, flow_name: paused, depends_on: [before], task_kind: noop}
  - {name: early, flow_name: retried, task_kind: transform, task_config: {program: '7'}}
  - {name: once_more, flow_name: retried, depends_on: [early], celery_task_name: crash.flaky, inputs: {run: run.id}}
  - {name: retried_after, flow_name: retried, depends_on: [once_more, early], task_kind: transform, inputs: {seven: results.early}, task_config: {program: '.seven + 1'}}
  - {name: by_hand, flow_name: marked, task_kind: transform, task_config: {program: 'error(\"no\")'}}
  - {name: marked_after, flow_name: marked, depends_on: [by_hand], task_kind: transform, inputs: {given: results.by_hand}, task_config: {program: '.given + 1'}}
  - {name: quick, flow_name: tick, task_kind: noop}
  - {name: tocks, flow_name: tock, celery_task_name: crash.once, inputs: {run: run.id}, retry_config: *patient}
prefect_deployments:
  - {name: fan, flow_name: fan, work_pool_name: open}
  - {name: flaky, flow_name: flaky, work_pool_name: open}
  - {name: timer, flow_name: timer, work_pool_name: open}
  - {name: approval, flow_name: approval, work_pool_name: open}
  - {name: nested, flow_name: nested, work_pool_name: open}
  - {name: child, flow_name: child, work_pool_name: open}
  - {name: long, flow_name: long, work_pool_name: open}
  - {name: cancelled, flow_name: cancelled, work_pool_name: open}
  - {name: withdrawn, flow_name: withdrawn, work_pool_name: open}
  - {name: too_long, flow_name: too_long, work_pool_name: open}
  - {name: narrow, flow_name: narrow, work_pool_name: narrow}
  - {name: single, flow_name: single, work_pool_name: open, concurrency_limit: 1}
  - {name: paused, flow_name: paused, work_pool_name: open}
  - {name: retried, flow_name: retried, work_pool_name: open}
  - {name: marked, flow_name: marked, work_pool_name: open}
  - {name: tick, flow_name: tick, work_pool_name: open, catch_up: all, schedule_type: interval, schedule_config: {interval_seconds: 1, anchor_date: '2026-01-01T00:00:00Z'}}
  - {name: tock, flow_name: tock, work_pool_name: open, catch_up: all, schedule_type: interval, schedule_config: {interval_seconds: 2, anchor_date: '2026-01-01T00:00:00Z'}}
";
