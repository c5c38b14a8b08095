//! Flows, deployments and pools as Prefect's clients read them.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use grepx_engine::{Definition, Task};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::definitions::{Deployment, Flow, Overlap, Pool, Queue, ScheduleSpec, ScheduleType, queue_id};
use crate::store::{PoolStatus, QueueStatus};

/// Prefect's name for the queue that a pool always has.
const DEFAULT_QUEUE: &str = "default";
/// A row without `created_at`: clients cannot show null.
const UNKNOWN_DATE: &str = "1970-01-01T00:00:00.000Z";

pub(in crate::api) fn flow(one: &Flow) -> Value {
    let created = date(one.created_at);
    json!({
        "id": one.id,
        "created": created,
        "updated": created,
        "name": one.name,
        "tags": one.tags,
        "labels": {},
        "description": one.description,
        "flow_type": one.flow_type,
        "tasks": one.definition.tasks.len(),
        "version": one.digest,
    })
}

/// With each task as it is in force: what its row says and the defaults of what it does not say.
pub(in crate::api) fn flow_with_tasks(one: &Flow) -> Value {
    let definition = &one.definition;
    let mut shown = flow(one);
    shown["parameters"] = Value::Object(one.parameters.clone());
    shown["parameter_openapi_schema"] = one.parameter_schema();
    shown["timeout_seconds"] = definition.timeout_ms.map(|ms| ms / 1_000).into();
    shown["tasks"] = definition.tasks.iter().map(|one| task(definition, one)).collect();
    shown
}

fn task(definition: &Definition, one: &Task) -> Value {
    let upstreams: Vec<&str> = one
        .upstreams
        .iter()
        .map(|upstream| definition.task(*upstream).name.as_str())
        .collect();
    let inputs: Map<String, Value> = one
        .inputs
        .iter()
        .map(|(name, expression)| (name.clone(), expression.as_str().into()))
        .collect();
    json!({
        "name": one.name,
        "description": one.description,
        "kind": one.kind,
        "celery_task_name": one.work_name,
        "args": one.args,
        "kwargs": one.kwargs,
        "config": one.config,
        "tags": one.tags,
        "depends_on": upstreams,
        "trigger_rule": one.trigger_rule.as_str(),
        "run_if": one.run_if,
        "for_each": one.for_each,
        "inputs": inputs,
        "retry_config": one.retry_config,
        "timeout_seconds": one.timeout_seconds,
    })
}

/// `switches`: what was set at run time over the definitions.
pub(in crate::api) fn deployment(one: &Deployment, switches: &BTreeMap<(Uuid, Option<Uuid>), bool>) -> Value {
    let created = date(one.created_at);
    let switch = |schedule| switches.get(&(one.id, schedule)).copied();
    let schedules: Vec<Value> = one
        .schedules
        .iter()
        .map(|spec| schedule(one, spec, switch(Some(spec.id)), &created))
        .collect();
    json!({
        "id": one.id,
        "created": created,
        "updated": created,
        "name": one.name,
        "version": one.flow.digest,
        "description": one.description,
        "flow_id": one.flow.id,
        "flow_name": one.flow.name,
        "paused": !one.is_active(switch(None)),
        "schedules": schedules,
        "concurrency_limit": one.live_runs_max(),
        "global_concurrency_limit": null,
        "concurrency_options": one.live_runs_max().map(|_| json!({"collision_strategy": collision(one.overlap)})),
        "overlap": one.overlap,
        "catch_up": one.catch_up,
        "catch_up_window_seconds": one.catch_up_window_seconds,
        "job_variables": {},
        "parameters": one.parameters_with(&serde_json::Map::new()),
        "pull_steps": null,
        "tags": one.tags,
        "labels": {},
        "work_queue_name": one.work_queue,
        "work_queue_id": queue_id(&one.work_pool, &one.work_queue),
        "work_pool_name": one.work_pool,
        "last_polled": null,
        "parameter_openapi_schema": one.parameter_schema(),
        "enforce_parameter_schema": one.flow.parameters_schema.is_some(),
        "path": null,
        "entrypoint": null,
        "storage_document_id": null,
        "infrastructure_document_id": null,
        "created_by": null,
        "updated_by": null,
        "status": "READY",
    })
}

/// Prefect's word: it knows two.
fn collision(overlap: Overlap) -> &'static str {
    match overlap {
        Overlap::CancelNew => "CANCEL_NEW",
        _ => "ENQUEUE",
    }
}

fn schedule(deployment: &Deployment, spec: &ScheduleSpec, switch: Option<bool>, created: &str) -> Value {
    let config = &spec.config;
    let value = |keys: [&str; 2], default: Value| {
        let mut found = keys.iter().filter_map(|key| config.get(*key));
        found.find(|value| !value.is_null()).cloned().unwrap_or(default)
    };
    let zone = value(["timezone"; 2], "UTC".into());
    let schedule = match spec.schedule_type {
        ScheduleType::Cron => json!({
            "cron": value(["cron_string", "cron"], "0 0 * * *".into()),
            "timezone": zone,
            "day_or": value(["day_or"; 2], true.into()),
        }),
        ScheduleType::Interval => json!({
            "interval": value(["interval_seconds", "interval"], 3_600.into()),
            "anchor_date": value(["anchor_date"; 2], created.into()),
            "timezone": zone,
        }),
        ScheduleType::Rrule => json!({"rrule": value(["rrule"; 2], "".into()), "timezone": zone}),
    };
    let (description, notes, problem) = match &spec.timing {
        Ok(timing) => (Some(timing.describe()), timing.rule().notes(), None),
        Err(problem) => (None, Vec::new(), Some(problem)),
    };
    json!({
        "id": spec.id,
        "created": created,
        "updated": created,
        "deployment_id": deployment.id,
        "schedule": schedule,
        "active": problem.is_none() && switch.unwrap_or(spec.active),
        "max_scheduled_runs": null,
        "parameters": spec.parameters,
        "slug": spec.key,
        "description": description,
        "notes": notes,
        "problem": problem,
    })
}

/// `now`: what is in force and how full it is.
pub(in crate::api) fn pool(one: &Pool, now: Option<&PoolStatus>) -> Value {
    let created = date(one.created_at);
    let paused = now.map_or(one.paused, |now| now.paused);
    let default_queue = one
        .queues
        .iter()
        .find(|queue| queue.name == DEFAULT_QUEUE)
        .or_else(|| one.queues.first());
    json!({
        "id": one.id,
        "created": created,
        "updated": created,
        "name": one.name,
        "description": one.description,
        "type": one.pool_type,
        "base_job_template": {},
        "is_paused": paused,
        "concurrency_limit": now.map_or(one.concurrency_limit, |now| now.concurrency_limit),
        "status": status(paused),
        "default_queue_id": default_queue.map_or_else(|| queue_id(&one.name, DEFAULT_QUEUE), |queue| queue.id),
        "storage_configuration": {},
        "config": one.config,
        "held": now.map(|now| now.held),
        "waiting": now.map(|now| now.waiting),
    })
}

pub(in crate::api) fn queue(pool: &Pool, one: &Queue, now: Option<&QueueStatus>) -> Value {
    let created = date(pool.created_at);
    let paused = now.map_or(one.paused, |now| now.paused);
    json!({
        "id": one.id,
        "created": created,
        "updated": created,
        "name": one.name,
        "description": null,
        "is_paused": paused,
        "concurrency_limit": now.map_or(one.concurrency_limit, |now| now.concurrency_limit),
        "priority": now.map_or(one.priority, |now| now.priority),
        "work_pool_id": pool.id,
        "work_pool_name": pool.name,
        "filter": null,
        "last_polled": null,
        "status": status(paused),
        "held": now.map(|now| now.held),
        "waiting": now.map(|now| now.waiting),
    })
}

/// As it is defined, whatever was switched at run time.
pub(in crate::api) fn pool_with_queues(one: &Pool) -> Value {
    let mut shown = pool(one, None);
    shown["queues"] = one.queues.iter().map(|each| queue(one, each, None)).collect();
    shown
}

/// The host itself serves every pool, so a pool is ready or paused.
fn status(paused: bool) -> &'static str {
    if paused { "PAUSED" } else { "READY" }
}

fn date(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(
        || UNKNOWN_DATE.to_owned(),
        |at| at.to_rfc3339_opts(SecondsFormat::Millis, true),
    )
}
