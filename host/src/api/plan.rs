//! `POST /deployments/{id}/plan`: what `create_flow_run` with this body would do, without doing it.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::body::Body;
use super::error::Error;
use super::filter::uuid;
use super::{ApiState, deployments};
use crate::definitions::Deployment;
use crate::plugins::Plugins;
use crate::runner::{self, Forecast, Known, Rehearsed};
use crate::store::PoolStatus;

pub(super) async fn plan(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, Error> {
    let id = uuid(&id).map_err(Error::Invalid)?;
    let own: Map<String, Value> = body.read(|fields| fields.value("parameters").unwrap_or_default())?;
    let found = state.catalog.load().deployment_by_id(id).cloned();
    let deployment = found.ok_or_else(deployments::not_found)?;
    let pools = state.store.pools().await?;
    let plan = describe_run_plan(&state.plugins, &deployment, &own, Some(&pools)).await;
    plan.map(Json)
        .map_err(|why| Error::Conflict(format!("Error creating flow run: {why}")))
}

/// The plan as clients read it. `pools` is `None` where no host knows who holds slots.
///
/// # Errors
/// Why the parameters are not taken.
pub(crate) async fn describe_run_plan(
    plugins: &Plugins,
    deployment: &Deployment,
    own: &Map<String, Value>,
    pools: Option<&[PoolStatus]>,
) -> Result<Value, String> {
    let parameters = deployment.parameters_with(own);
    deployment.check_parameters(&parameters)?;
    let tasks = runner::rehearse(plugins, &deployment.flow, Some(deployment), &parameters).await;
    let pool = pools.and_then(|pools| pools.iter().find(|pool| pool.name == deployment.work_pool));
    let queue = pool.and_then(|pool| pool.queues.iter().find(|queue| queue.name == deployment.work_queue));
    Ok(json!({
        "deployment_id": deployment.id,
        "deployment": deployment.name,
        "flow": deployment.flow.name,
        "parameters": parameters,
        "tags": deployment.tags,
        "timeout_seconds": deployment.flow.definition.timeout_ms.map(|ms| ms / 1_000),
        "concurrency_limit": deployment.live_runs_max(),
        "overlap": deployment.overlap,
        "work_pool": {
            "name": deployment.work_pool,
            "slots": pool.map(|pool| slots(pool.concurrency_limit, pool.held, pool.waiting, pool.paused)),
        },
        "work_queue": {
            "name": deployment.work_queue,
            "slots": queue.map(|queue| slots(queue.concurrency_limit, queue.held, queue.waiting, queue.paused)),
        },
        "tasks": tasks.iter().map(task).collect::<Vec<_>>(),
    }))
}

fn slots(limit: Option<u32>, held: u64, waiting: u64, paused: bool) -> Value {
    json!({
        "limit": limit,
        "held": held,
        "free": limit.map(|limit| u64::from(limit).saturating_sub(held)),
        "waiting": waiting,
        "paused": paused,
    })
}

fn task(one: &Rehearsed) -> Value {
    let inputs: Map<String, Value> = one
        .inputs
        .iter()
        .map(|(name, input)| (name.clone(), forecast(input)))
        .collect();
    let routes = one.routes.iter();
    json!({
        "name": one.name,
        "kind": one.kind,
        "celery_task_name": one.work_name,
        "stage": one.stage,
        "upstreams": one.upstreams,
        "trigger_rule": one.trigger_rule,
        "run_if": one.run_if.as_ref().map(forecast),
        "for_each": one.for_each.as_ref().map(forecast),
        "args": one.args,
        "kwargs": one.kwargs,
        "inputs": inputs,
        "config": one.config,
        "retry_config": one.retry_config,
        "timeout_seconds": one.timeout_seconds,
        "routes": routes.map(|route| json!({"connection": route.connection, "queue": route.queue})).collect::<Vec<_>>(),
        "problem": one.problem,
    })
}

/// `value` is absent where it is not known before the run, `fails` there where it will have none.
fn forecast(one: &Forecast) -> Value {
    match &one.known {
        Known::Value(value) => json!({"expression": one.expression, "value": value}),
        Known::Open => json!({"expression": one.expression}),
        Known::Fails(why) => json!({"expression": one.expression, "fails": why}),
    }
}
