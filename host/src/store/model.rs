//! What is written. These are the store's own shapes: the engine's types are carried, wire types
//! are the API's business.

use std::sync::Arc;

use grepx_engine::{FlowRunId, Json, NodeId, Op, Record, State, TaskRunId, Timestamp};
use uuid::Uuid;

use super::changes::RunIdentity;

/// A flow run as it is created. Only its state and its times change later.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    pub id: FlowRunId,
    pub name: String,
    pub flow_id: Uuid,
    pub flow_name: String,
    pub deployment_id: Option<Uuid>,
    pub deployment_name: Option<String>,
    /// Digest of the definition that it runs, put by [`super::Store::put_definition`] before.
    pub definition: String,
    pub parameters: Json,
    pub tags: Vec<String>,
    /// With `flow_id` unique for ever: a second creation finds the first run.
    pub idempotency_key: Option<String>,
    pub work_pool: Option<String>,
    pub work_queue: Option<String>,
    pub created_at: Timestamp,
    /// The current one, when read back.
    pub expected_start: Timestamp,
    pub auto_scheduled: bool,
    /// The schedule that planned it.
    pub schedule_id: Option<Uuid>,
    pub created_by: Option<Json>,
    pub parent: Option<Parent>,
    pub labels: Json,
}

/// The attempt that started a flow run, and the key of its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    pub run: FlowRunId,
    pub node: NodeId,
    pub attempt: u32,
    pub key: String,
}

impl Parent {
    #[must_use]
    pub fn task_run(&self) -> TaskRunId {
        self.node.run_id(self.run)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    New,
    /// The run that was created before with the same flow and idempotency key.
    Existing(FlowRunId),
    /// None: the deployment is busy, and its schedules skip then.
    Skipped,
}

/// What a schedule adds to a creation; happens in the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Notes that the instant is dealt with; `None` when the run is made ahead of its time.
    pub progress: Option<Progress>,
    /// No run when the deployment has as many live ones as it may.
    pub skip_if_busy: bool,
}

/// How far a schedule has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Instants up to here have their run, or were passed over on purpose.
    pub handled_until: Timestamp,
    /// The instant after it; `None` when there is none.
    pub next_at: Option<Timestamp>,
}

/// How far a schedule has come, and its next runs.
#[derive(Debug, Clone)]
pub struct SchedulePlan {
    pub id: Uuid,
    pub deployment_id: Uuid,
    /// Digest of all that its planned runs are made of.
    pub rule: String,
    pub progress: Progress,
    pub planned_until: Timestamp,
    /// Earlier planned runs are removed first.
    pub anew: bool,
    pub runs: Vec<NewRun>,
}

/// A deployment that limits its live runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentLimit {
    pub id: Uuid,
    pub name: String,
    /// At least 1.
    pub concurrency_limit: u32,
    pub when_busy: WhenBusy,
}

/// What becomes of a run that its deployment has no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBusy {
    Wait,
    CancelNew,
    CancelRunning,
}

impl WhenBusy {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::CancelNew => "cancel_new",
            Self::CancelRunning => "cancel_running",
        }
    }

    pub(super) fn parse(word: &str) -> Self {
        match word {
            "cancel_new" => Self::CancelNew,
            "cancel_running" => Self::CancelRunning,
            _ => Self::Wait,
        }
    }
}

/// What a transaction decided about slots; told after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotNews {
    /// The run has its slot.
    Admitted(FlowRunId),
    /// The run has to go, for this reason. Told again until it has gone.
    Displaced(FlowRunId, String),
}

/// Everything that changes together for one flow run: all of it is kept, or none.
#[derive(Debug, Clone)]
pub struct Commit {
    pub run: FlowRunId,
    /// For whoever watches.
    pub identity: Option<Arc<RunIdentity>>,
    /// Must continue the stored log without a gap, else [`super::Error::Fenced`].
    pub facts: Vec<Record>,
    pub state: Option<RunState>,
    pub tasks: Vec<TaskRow>,
    pub results: Vec<(NodeId, Json)>,
    pub outbox: Vec<NewSend>,
    /// Attempts that are over: their sends are dropped, except those to `keep`.
    pub sends_over: Vec<(NodeId, u32)>,
    /// Nodes that begin anew: their results and inputs go, and the items of a task that is named
    /// itself with all that they had.
    pub renewed: Vec<NodeId>,
    /// Sends that are done for good, `keep` or not.
    pub sends_done: Vec<SendId>,
    pub logs: Vec<LogRow>,
    pub slot: Option<SlotChange>,
}

impl Commit {
    #[must_use]
    pub const fn new(run: FlowRunId) -> Self {
        Self {
            run,
            identity: None,
            facts: Vec::new(),
            state: None,
            tasks: Vec::new(),
            results: Vec::new(),
            outbox: Vec::new(),
            sends_over: Vec::new(),
            renewed: Vec::new(),
            sends_done: Vec::new(),
            logs: Vec::new(),
            slot: None,
        }
    }
}

/// The view of a flow run. A terminal state also gives back its slot.
#[derive(Debug, Clone)]
pub struct RunState {
    pub state: State,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub total_run_time_ms: u64,
    pub run_count: u32,
    /// When it starts again after its end; `None` when it does not wait for a time.
    pub starts_again: Option<Timestamp>,
    /// Why it waits.
    pub reason: Option<String>,
}

impl RunState {
    /// Of a run that has not begun.
    #[must_use]
    pub const fn new(state: State) -> Self {
        Self {
            state,
            start_time: None,
            end_time: None,
            total_run_time_ms: 0,
            run_count: 0,
            starts_again: None,
            reason: None,
        }
    }
}

/// The view of a task run; replaces the row before it.
#[derive(Debug, Clone)]
pub struct TaskRow {
    pub node: NodeId,
    pub name: String,
    pub kind: String,
    pub attempt: u32,
    pub state: State,
    /// When it was, or is to be, started; in a retry, when the retry is.
    pub expected_start: Option<Timestamp>,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub total_run_time_ms: u64,
    pub reason: Option<String>,
    /// One line from the kind on what it waits for.
    pub status: Option<String>,
    /// The Celery id of the attempt, or what else the outside knows it by.
    pub external_id: Option<String>,
    pub tags: Vec<String>,
    /// `None` leaves the stored one.
    pub result_bytes: Option<u64>,
    /// `None` leaves the stored one; longer than [`INPUT_BYTES_MAX`] is replaced by
    /// `{"truncated": true, "bytes": n}` (the log has it whole).
    pub input: Option<Json>,
}

/// Input shown with a task run, in bytes of JSON.
pub const INPUT_BYTES_MAX: usize = 16 * 1024;

/// A row of the outbox, in the order of the sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId(pub i64);

#[derive(Debug, Clone, PartialEq)]
pub struct NewSend {
    pub node: NodeId,
    pub attempt: u32,
    pub key: String,
    pub op: Op,
    /// Outlives its attempt (a revocation); until `sends_done` or `drop_sends`.
    pub keep: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// The task run that wrote it; `None` for the flow run itself.
    pub task_run: Option<TaskRunId>,
    pub at: Timestamp,
    /// 10 debug, 20 info, 30 warning, 40 error, 50 critical.
    pub level: u8,
    pub logger: String,
    /// Cut at [`LOG_BYTES_MAX`].
    pub message: String,
}

/// One log line, in bytes.
pub const LOG_BYTES_MAX: usize = 32 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotChange {
    /// Waits for a slot; told on the admissions channel. Asked again while it holds one of the
    /// same pool and queue, it is told again.
    Wait {
        pool: String,
        queue: String,
        /// Whose limit comes first.
        deployment: Option<Uuid>,
        since: Timestamp,
        expected_start: Timestamp,
    },
    Release,
}

/// A work pool as the definitions have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolLimits {
    pub name: String,
    /// Flow runs at once; `None`: no limit.
    pub concurrency_limit: Option<u32>,
    pub paused: bool,
    /// A queue that is not listed has no limit and comes last.
    pub queues: Vec<QueueLimits>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueLimits {
    pub name: String,
    /// 1 goes first.
    pub priority: u32,
    pub concurrency_limit: Option<u32>,
    pub paused: bool,
}

/// What was set at run time, over the definitions. `None` leaves what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Switch {
    pub paused: Option<bool>,
    /// `Some(None)` lifts the limit.
    pub concurrency_limit: Option<Option<u32>>,
    /// Of a queue only.
    pub priority: Option<u32>,
}
