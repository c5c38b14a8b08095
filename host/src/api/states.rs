//! The states that a run has been in, oldest first.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::Value;

use super::error::Error;
use super::{ApiState, flow_runs, task_runs, wire};

#[derive(Debug, Deserialize)]
pub(super) struct OfFlowRun {
    flow_run_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OfTaskRun {
    task_run_id: Option<String>,
}

pub(super) async fn of_flow_run(
    State(state): State<ApiState>,
    Query(query): Query<OfFlowRun>,
) -> Result<Json<Vec<Value>>, Error> {
    let run = flow_runs::id_of(&query.flow_run_id.ok_or_else(|| missing("flow_run_id"))?)?;
    let states = state.store.states(run).await?;
    Ok(Json(
        states.iter().map(|one| wire::state(one, run, None, None)).collect(),
    ))
}

/// A task run that does not exist has been in no state.
pub(super) async fn of_task_run(
    State(state): State<ApiState>,
    Query(query): Query<OfTaskRun>,
) -> Result<Json<Vec<Value>>, Error> {
    let id = task_runs::id_of(&query.task_run_id.ok_or_else(|| missing("task_run_id"))?)?;
    let Some(run) = state.store.task_run(id).await?.map(|task| task.run) else {
        return Ok(Json(Vec::new()));
    };
    let states = state.store.task_states(id).await?;
    Ok(Json(
        states.iter().map(|one| wire::state(one, run, Some(id), None)).collect(),
    ))
}

fn missing(name: &str) -> Error {
    Error::Invalid(format!("the query parameter {name} is missing"))
}
