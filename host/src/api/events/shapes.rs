//! Events as JSON, in the shapes that [`super`] lists. What is read from the store and what has just
//! happened look the same.

use grepx_engine::{FlowRunId, TaskRunId, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::sse::Frame;
use crate::api::bus::{Event, Gap, What};
use crate::api::shown::Shown;
use crate::clock::rfc3339;
use crate::store::{
    FlowRun, LogLine, LogRow, RunChange, RunIdentity, RunState, Step, Switch, TaskRow, TaskRun, line_id,
};

pub(super) const CLIENT_EVENT: &str = "client_event";

/// Kinds that a client may choose from.
pub(super) const KINDS: [&str; 11] = [
    "flow_run",
    "task_run",
    "log",
    "flow_run_deleted",
    "deployment",
    "schedule",
    "work_pool",
    "work_queue",
    "plugin",
    "definitions",
    CLIENT_EVENT,
];

pub(super) const fn kind(what: &What<'_>) -> &'static str {
    match what {
        What::FlowRun(..) | What::Planned(_) => "flow_run",
        What::TaskRun(..) => "task_run",
        What::Log(..) => "log",
        What::Removed(_) => "flow_run_deleted",
        What::DeploymentSwitch { schedule: None, .. } => "deployment",
        What::DeploymentSwitch { .. } => "schedule",
        What::PoolSwitch { queue: None, .. } => "work_pool",
        What::PoolSwitch { .. } => "work_queue",
        What::Plugin(_) => "plugin",
        What::Definitions(_) => "definitions",
        What::Client(_) => CLIENT_EVENT,
    }
}

pub(super) fn frame(event: &Event<'_>) -> Frame {
    let data = match &event.what {
        What::FlowRun(change, step) => flow_run(change, step),
        What::TaskRun(change, row, step) => task_run(change.rows.run, row, step),
        What::Log(change, n, row) => log(change.rows.run, *n, row),
        What::Planned(identity) => planned(identity),
        What::Removed(run) => json!({"id": run}),
        What::DeploymentSwitch {
            deployment,
            schedule: None,
            active,
        } => json!({"deployment_id": deployment, "paused": !active}),
        What::DeploymentSwitch {
            deployment,
            schedule,
            active,
        } => json!({"deployment_id": deployment, "schedule_id": schedule, "active": active}),
        What::PoolSwitch { pool, queue, switch } => pool_switch(pool, *queue, *switch),
        What::Plugin(plugin) => json!({"kind": plugin.kind, "digest": plugin.digest, "version": plugin.version}),
        What::Definitions(now) => json!({
            "flows": now.flows,
            "deployments": now.deployments,
            "work_pools": now.work_pools,
            "problems": now.problems,
        }),
        What::Client(event) => (*event).clone(),
    };
    Frame::new(kind(&event.what), data)
}

pub(super) fn gap(gap: Gap) -> Frame {
    Frame::new(
        "gap",
        json!({"missed": gap.missed, "after": gap.after, "until": gap.until}),
    )
}

fn state(shown: &Shown<'_>) -> Value {
    json!({
        "id": shown.id,
        "type": shown.state_type,
        "name": shown.name,
        "timestamp": rfc3339(shown.since),
        "message": shown.message,
    })
}

fn previous(step: &Step) -> Value {
    step.from.as_ref().map_or(
        Value::Null,
        |(state_type, name)| json!({"type": state_type, "name": name}),
    )
}

fn flow_run(change: &RunChange, step: &Step) -> Value {
    let run = change.rows.run;
    let mut data = identity(run, change.rows.identity.as_deref());
    if let Some(now) = &change.rows.state {
        let RunState {
            state,
            start_time,
            end_time,
            total_run_time_ms,
            run_count,
            reason,
            ..
        } = now;
        data.insert(
            "state".into(),
            self::state(&Shown::entered(state, step.state_id(run.0))),
        );
        data.insert("previous".into(), previous(step));
        data.insert("reason".into(), reason.clone().into());
        times(&mut data, *start_time, *end_time, *total_run_time_ms);
        data.insert("run_count".into(), (*run_count).into());
    }
    Value::Object(data)
}

/// One that was read.
pub(super) fn stored_flow_run(one: &FlowRun) -> Value {
    let mut data = identity(one.run.id, Some(&RunIdentity::from(&one.run)));
    data.insert("state".into(), state(&Shown::stored(&one.state)));
    data.insert("previous".into(), Value::Null);
    data.insert("reason".into(), one.reason.clone().into());
    times(&mut data, one.start_time, one.end_time, one.total_run_time_ms);
    data.insert("run_count".into(), one.run_count.into());
    Value::Object(data)
}

fn planned(run: &RunIdentity) -> Value {
    let mut data = identity(run.id, Some(run));
    data.insert("state".into(), state(&Shown::planned(run)));
    data.insert("previous".into(), Value::Null);
    data.insert("reason".into(), Value::Null);
    times(&mut data, None, None, 0);
    data.insert("run_count".into(), 0.into());
    Value::Object(data)
}

fn identity(run: FlowRunId, identity: Option<&RunIdentity>) -> Map<String, Value> {
    let data = json!({
        "id": run,
        "name": identity.map(|one| &one.name),
        "flow_id": identity.map(|one| one.flow_id),
        "flow_name": identity.map(|one| &one.flow_name),
        "deployment_id": identity.and_then(|one| one.deployment_id),
        "deployment_name": identity.and_then(|one| one.deployment_name.as_ref()),
        "work_pool_name": identity.and_then(|one| one.work_pool.as_ref()),
        "work_queue_name": identity.and_then(|one| one.work_queue.as_ref()),
        "tags": identity.map(|one| one.tags.as_slice()).unwrap_or_default(),
        "auto_scheduled": identity.map(|one| one.auto_scheduled),
        "created": identity.map(|one| rfc3339(one.created_at)),
        "expected_start_time": identity.map(|one| rfc3339(one.expected_start)),
    });
    match data {
        Value::Object(data) => data,
        _ => Map::new(),
    }
}

fn times(data: &mut Map<String, Value>, start: Option<Timestamp>, end: Option<Timestamp>, total_ms: u64) {
    data.insert("start_time".into(), start.map(rfc3339).into());
    data.insert("end_time".into(), end.map(rfc3339).into());
    data.insert("total_run_time".into(), crate::api::wire::seconds(total_ms).into());
}

fn task_run(run: FlowRunId, row: &TaskRow, step: &Step) -> Value {
    let id = row.node.run_id(run);
    let mut data = json!({
        "id": id,
        "flow_run_id": run,
        "name": row.name,
        "kind": row.kind,
        "index": row.node.index,
        "attempt": row.attempt,
        "state": state(&Shown::entered(&row.state, step.state_id(id.0))),
        "previous": previous(step),
        "reason": row.reason,
        "status": row.status,
        "external_id": row.external_id,
        "tags": row.tags,
        "expected_start_time": row.expected_start.map(rfc3339),
        "result_bytes": row.result_bytes,
    });
    if let Value::Object(data) = &mut data {
        times(data, row.start_time, row.end_time, row.total_run_time_ms);
    }
    data
}

/// One that was read.
pub(super) fn stored_task_run(one: &TaskRun) -> Value {
    let mut data = json!({
        "id": one.id,
        "flow_run_id": one.run,
        "name": one.name,
        "kind": one.kind,
        "index": one.node.index,
        "attempt": one.attempt,
        "state": state(&Shown::stored(&one.state)),
        "previous": null,
        "reason": one.reason,
        "status": one.status,
        "external_id": one.external_id,
        "tags": one.tags,
        "expected_start_time": one.expected_start.map(rfc3339),
        "result_bytes": one.result_bytes,
    });
    if let Value::Object(data) = &mut data {
        times(data, one.start_time, one.end_time, one.total_run_time_ms);
    }
    data
}

fn log(run: FlowRunId, n: i64, row: &LogRow) -> Value {
    line(line_id(run, n), n, run, row.task_run, row)
}

/// One that was read.
pub(super) fn stored_log(n: i64, one: LogLine) -> Value {
    let row = LogRow {
        task_run: one.task_run,
        at: one.at,
        level: one.level,
        logger: one.logger,
        message: one.message,
    };
    line(one.id, n, one.run, one.task_run, &row)
}

fn line(id: Uuid, n: i64, run: FlowRunId, task_run: Option<TaskRunId>, row: &LogRow) -> Value {
    json!({
        "id": id,
        "n": n,
        "flow_run_id": run,
        "task_run_id": task_run,
        "timestamp": rfc3339(row.at),
        "level": row.level,
        "name": row.logger,
        "message": row.message,
    })
}

fn pool_switch(pool: &str, queue: Option<&str>, switch: Option<Switch>) -> Value {
    let mut data = Map::new();
    data.insert("work_pool_name".into(), pool.into());
    if let Some(queue) = queue {
        data.insert("work_queue_name".into(), queue.into());
    }
    let Some(switch) = switch else {
        data.insert("cleared".into(), true.into());
        return Value::Object(data);
    };
    if let Some(paused) = switch.paused {
        data.insert("is_paused".into(), paused.into());
    }
    if let Some(limit) = switch.concurrency_limit {
        data.insert("concurrency_limit".into(), limit.into());
    }
    if let Some(priority) = switch.priority {
        data.insert("priority".into(), priority.into());
    }
    Value::Object(data)
}
