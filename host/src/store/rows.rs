//! What is read: rows for the API, the CLI and the boot, and how a column becomes one of our types.

use grepx_engine::{FlowRunId, Json, NodeId, Op, Record, StateType, TaskRunId, Timestamp};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Result, Row};
use uuid::Uuid;

use super::model::{NewRun, Parent, Progress, SendId};

/// A state as stored. Its id is derived from its place in the history, so it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredState {
    pub id: Uuid,
    pub state_type: StateType,
    pub name: String,
    pub message: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FlowRun {
    pub run: NewRun,
    pub state: StoredState,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub total_run_time_ms: u64,
    pub run_count: u32,
    /// When it starts again after its end, while it waits for that time.
    pub starts_again: Option<Timestamp>,
    /// Why it waits, as the runner put it; see also `reason_for`.
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TaskRun {
    pub id: TaskRunId,
    pub run: FlowRunId,
    pub node: NodeId,
    pub name: String,
    pub kind: String,
    pub attempt: u32,
    pub state: StoredState,
    pub expected_start: Option<Timestamp>,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub total_run_time_ms: u64,
    pub reason: Option<String>,
    pub status: Option<String>,
    pub external_id: Option<String>,
    pub tags: Vec<String>,
    pub result_bytes: Option<u64>,
    pub input: Option<Json>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub id: Uuid,
    pub run: FlowRunId,
    pub task_run: Option<TaskRunId>,
    pub at: Timestamp,
    pub level: u8,
    pub logger: String,
    pub message: String,
}

/// A send whose attempt is not over, or that outlives it.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenSend {
    pub id: SendId,
    pub run: FlowRunId,
    pub node: NodeId,
    pub attempt: u32,
    pub key: String,
    pub op: Op,
    pub keep: bool,
    pub sent_at: Option<Timestamp>,
}

/// A run that has not ended, with all that is needed to go on with it.
#[derive(Debug, Clone)]
pub struct LiveRun {
    pub run: NewRun,
    /// Shared between the runs of one definition.
    pub definition: Json,
    /// In order. `Succeeded` has its result.
    pub records: Vec<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRow {
    pub run: FlowRunId,
    pub queue: String,
    pub expected_start: Timestamp,
    pub since: Timestamp,
}

/// How far a schedule has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRow {
    pub id: Uuid,
    pub deployment_id: Uuid,
    pub rule: String,
    pub progress: Progress,
    pub planned_until: Timestamp,
}

/// A work pool as it is in force: definitions and switches together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStatus {
    pub name: String,
    pub concurrency_limit: Option<u32>,
    pub paused: bool,
    pub held: u64,
    pub waiting: u64,
    pub queues: Vec<QueueStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    pub name: String,
    pub priority: u32,
    pub concurrency_limit: Option<u32>,
    pub paused: bool,
    pub held: u64,
    pub waiting: u64,
}

/// The task that stands for the flow run itself in `states`.
pub(super) const THE_RUN: i64 = -1;

/// `item` of a node in the database.
pub(super) fn item(node: NodeId) -> i64 {
    node.index.map_or(-1, i64::from)
}

pub(super) fn to_node(task: u32, item: i64) -> NodeId {
    NodeId {
        task,
        index: u32::try_from(item).ok(),
    }
}

/// Id of the n-th state of a flow run or task run.
pub(super) fn state_id(owner: Uuid, n: i64) -> Uuid {
    Uuid::new_v5(&owner, &n.to_be_bytes())
}

pub(super) fn blob(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

pub(super) fn uuid(row: &Row<'_>, column: &str) -> Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

pub(super) fn maybe_uuid(row: &Row<'_>, column: &str) -> Result<Option<Uuid>> {
    Ok(row.get::<_, Option<[u8; 16]>>(column)?.map(Uuid::from_bytes))
}

pub(super) fn time(row: &Row<'_>, column: &str) -> Result<Timestamp> {
    row.get(column).map(Timestamp)
}

pub(super) fn maybe_time(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp))
}

/// Counts and lengths are never negative; a negative one was not written by us.
pub(super) fn number(row: &Row<'_>, column: &str) -> Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

pub(super) fn parse_json(text: String) -> Result<Json> {
    Json::parse(text).map_err(unreadable)
}

pub(super) fn unreadable(source: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(source))
}

fn tags(row: &Row<'_>) -> Result<Vec<String>> {
    serde_json::from_str(&row.get::<_, String>("tags")?).map_err(unreadable)
}

fn state(row: &Row<'_>, owner: Uuid) -> Result<StoredState> {
    let word: String = row.get("state_type")?;
    Ok(StoredState {
        id: state_id(owner, row.get::<_, i64>("states")? - 1),
        state_type: state_type(&word)?,
        name: row.get("state_name")?,
        message: row.get("state_message")?,
        since: time(row, "state_since")?,
    })
}

pub(super) fn state_type(word: &str) -> Result<StateType> {
    StateType::parse(word).ok_or_else(|| unreadable(FromSqlError::InvalidType))
}

/// Columns that [`new_run`] reads, of `flow_runs r JOIN run_inputs i`.
pub(super) const RUN_COLUMNS: &str = "r.*, i.parameters, i.created_by, i.labels";
pub(super) const RUN_TABLES: &str = "flow_runs r JOIN run_inputs i ON i.run_id = r.id";

pub(super) fn new_run(row: &Row<'_>) -> Result<NewRun> {
    let created_by: Option<String> = row.get("created_by")?;
    Ok(NewRun {
        id: FlowRunId(uuid(row, "id")?),
        name: row.get("name")?,
        flow_id: uuid(row, "flow_id")?,
        flow_name: row.get("flow_name")?,
        deployment_id: maybe_uuid(row, "deployment_id")?,
        deployment_name: row.get("deployment_name")?,
        definition: row.get("definition")?,
        parameters: parse_json(row.get("parameters")?)?,
        tags: tags(row)?,
        idempotency_key: row.get("idempotency_key")?,
        work_pool: row.get("work_pool")?,
        work_queue: row.get("work_queue")?,
        created_at: time(row, "created_at")?,
        expected_start: time(row, "expected_start")?,
        auto_scheduled: row.get("auto_scheduled")?,
        schedule_id: maybe_uuid(row, "schedule_id")?,
        created_by: created_by.map(parse_json).transpose()?,
        parent: parent(row)?,
        labels: parse_json(row.get("labels")?)?,
    })
}

fn parent(row: &Row<'_>) -> Result<Option<Parent>> {
    let Some(run) = maybe_uuid(row, "parent_run")? else {
        return Ok(None);
    };
    Ok(Some(Parent {
        run: FlowRunId(run),
        node: to_node(row.get("parent_task")?, row.get("parent_item")?),
        attempt: row.get("parent_attempt")?,
        key: row.get("parent_key")?,
    }))
}

pub(super) fn flow_run(row: &Row<'_>) -> Result<FlowRun> {
    let run = new_run(row)?;
    Ok(FlowRun {
        state: state(row, run.id.0)?,
        run,
        start_time: maybe_time(row, "start_time")?,
        end_time: maybe_time(row, "end_time")?,
        total_run_time_ms: number(row, "total_run_time_ms")?,
        run_count: row.get("run_count")?,
        starts_again: maybe_time(row, "starts_again")?,
        reason: row.get("reason")?,
    })
}

pub(super) fn task_run(row: &Row<'_>) -> Result<TaskRun> {
    let id = uuid(row, "id")?;
    let input: Option<String> = row.get("input")?;
    let result_bytes: Option<i64> = row.get("result_bytes")?;
    Ok(TaskRun {
        id: TaskRunId(id),
        run: FlowRunId(uuid(row, "run_id")?),
        node: to_node(row.get("task")?, row.get("item")?),
        name: row.get("name")?,
        kind: row.get("kind")?,
        attempt: row.get("attempt")?,
        state: state(row, id)?,
        expected_start: maybe_time(row, "expected_start")?,
        start_time: maybe_time(row, "start_time")?,
        end_time: maybe_time(row, "end_time")?,
        total_run_time_ms: number(row, "total_run_time_ms")?,
        reason: row.get("reason")?,
        status: row.get("status")?,
        external_id: row.get("external_id")?,
        tags: tags(row)?,
        result_bytes: result_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        input: input.map(parse_json).transpose()?,
    })
}
