//! Runs as Prefect's clients read them. Fields that mean nothing here hold what Prefect's models
//! accept; `reason` and the other fields that Prefect does not know are ours.
//!
//! Absent on purpose: derived serialisation of the store's types: the wire has its own shape.

use grepx_engine::{FlowRunId, StateType, TaskRunId, Timestamp};
use serde_json::{Map, Value, json};

use crate::clock::{self, rfc3339};
use crate::definitions::{pool_id, queue_id};
use crate::store::{FlowRun, LogLine, StoredState, TaskRun};

mod definitions;
mod limits;

pub(super) use definitions::{deployment, flow, flow_with_tasks, pool, pool_with_queues, queue};
pub(super) use limits::{brief_limit, limit, tag_limit};

pub(super) fn flow_run(one: &FlowRun) -> Value {
    let run = &one.run;
    let scheduled = one.state.state_type == StateType::Scheduled;
    let next = scheduled.then(|| rfc3339(one.starts_again.unwrap_or(run.expected_start)));
    let pool = run.work_pool.as_deref();
    let queue = run.work_queue.as_deref();
    let queue_id = pool.zip(queue).map(|(pool, queue)| queue_id(pool, queue));
    let body = json!({
        "id": run.id,
        "created": rfc3339(run.created_at),
        "updated": rfc3339(one.state.since),
        "name": run.name,
        "flow_id": run.flow_id,
        "flow_name": run.flow_name,
        "state_id": one.state.id,
        "deployment_id": run.deployment_id,
        "deployment_name": run.deployment_name,
        "deployment_version": null,
        "work_queue_id": queue_id,
        "work_queue_name": queue,
        "work_pool_id": pool.map(pool_id),
        "work_pool_name": pool,
        "flow_version": run.definition,
        "parameters": run.parameters,
        "idempotency_key": run.idempotency_key,
        "context": {},
        "empirical_policy": {},
        "tags": run.tags,
        "labels": run.labels,
        "parent_task_run_id": run.parent.as_ref().map(|parent| parent.task_run()),
        "state_type": one.state.state_type,
        "state_name": one.state.name,
        "run_count": one.run_count,
        "expected_start_time": rfc3339(run.expected_start),
        "next_scheduled_start_time": next,
        "start_time": one.start_time.map(rfc3339),
        "end_time": one.end_time.map(rfc3339),
        "auto_scheduled": run.auto_scheduled,
        "infrastructure_document_id": null,
        "infrastructure_pid": null,
        "created_by": run.created_by,
        "job_variables": {},
        "reason": one.reason,
    });
    let times = times(one.total_run_time_ms, &one.state, one.start_time, run.expected_start);
    let state = state(&one.state, run.id, None, next);
    joined(body, times, state)
}

pub(super) fn task_run(one: &TaskRun) -> Value {
    let scheduled = one.state.state_type == StateType::Scheduled;
    let next = one.expected_start.filter(|_| scheduled).map(rfc3339);
    let known_since = [one.expected_start, one.start_time, Some(one.state.since)]
        .into_iter()
        .flatten()
        .min();
    let index = one.node.index.unwrap_or(0);
    let body = json!({
        "id": one.id,
        "created": known_since.map(rfc3339),
        "updated": rfc3339(one.state.since),
        "name": one.name,
        "flow_run_id": one.run,
        "task_key": one.name,
        "dynamic_key": index.to_string(),
        "cache_key": null,
        "cache_expiration": null,
        "task_version": null,
        "empirical_policy": {},
        "tags": one.tags,
        "labels": {},
        "state_id": one.state.id,
        "task_inputs": {},
        "state_type": one.state.state_type,
        "state_name": one.state.name,
        "run_count": one.attempt,
        "flow_run_run_count": 1,
        "expected_start_time": one.expected_start.map(rfc3339),
        "next_scheduled_start_time": next,
        "start_time": one.start_time.map(rfc3339),
        "end_time": one.end_time.map(rfc3339),
        "kind": one.kind,
        "attempt": one.attempt,
        "index": one.node.index,
        "reason": one.reason,
        "status": one.status,
        "external_id": one.external_id,
        "input": one.input,
        "result_bytes": one.result_bytes,
    });
    let expected = one.expected_start.unwrap_or(one.state.since);
    let times = times(one.total_run_time_ms, &one.state, one.start_time, expected);
    let state = state(&one.state, one.run, Some(one.id), next);
    joined(body, times, state)
}

/// `scheduled`: the time of a SCHEDULED state.
pub(super) fn state(one: &StoredState, run: FlowRunId, task: Option<TaskRunId>, scheduled: Option<String>) -> Value {
    json!({
        "id": one.id,
        "type": one.state_type,
        "name": one.name,
        "timestamp": rfc3339(one.since),
        "message": one.message,
        "data": null,
        "state_details": {
            "flow_run_id": run,
            "task_run_id": task,
            "scheduled_time": scheduled,
            "pause_reschedule": false,
        },
    })
}

pub(super) fn log(one: &LogLine) -> Value {
    let at = rfc3339(one.at);
    json!({
        "id": one.id,
        "created": at,
        "updated": at,
        "name": one.logger,
        "level": one.level,
        "message": one.message,
        "timestamp": at,
        "flow_run_id": one.run,
        "task_run_id": one.task_run,
        "worker_id": null,
    })
}

/// Run time and delay in seconds; what is not over goes on until now.
fn times(total_ms: u64, state: &StoredState, started: Option<Timestamp>, expected: Timestamp) -> Value {
    let now = clock::now();
    let running = match state.state_type {
        StateType::Running => now.since_ms(state.since),
        _ => 0,
    };
    let late = match started {
        Some(started) => started.since_ms(expected),
        None if state.state_type.is_terminal() => 0,
        None => now.since_ms(expected),
    };
    json!({
        "total_run_time": seconds(total_ms),
        "estimated_run_time": seconds(total_ms + running),
        "estimated_start_time_delta": seconds(late),
    })
}

#[allow(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
pub(super) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn joined(body: Value, more: Value, state: Value) -> Value {
    let mut all = Map::new();
    for part in [body, more] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    all.insert("state".to_owned(), state);
    Value::Object(all)
}
