//! Task runs, read, and their results.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use grepx_engine::TaskRunId;
use serde_json::Value;

use super::body::Body;
use super::error::Error;
use super::filter::{Filters, uuid};
use super::page::{Asked, Numbered};
use super::{ApiState, wire};
use crate::store::{TaskRun, TaskRunSort};

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, sort, asked) = body.read(|fields| {
        let sort = fields.parsed("sort", order).unwrap_or_default();
        (Filters::read(fields), sort, Asked::read(fields))
    })?;
    let page = asked.page()?;
    let wanted = wanted.task_runs(&state).await?;
    let found = state.store.task_runs(wanted, sort, page).await?;
    Ok(Json(found.iter().map(wire::task_run).collect()))
}

pub(super) async fn paginate(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let (wanted, sort, asked) = body.read(|fields| {
        let sort = fields.parsed("sort", order).unwrap_or_default();
        (Filters::read(fields), sort, Numbered::read(fields))
    })?;
    let page = asked.page()?;
    let wanted = wanted.task_runs(&state).await?;
    let count = state.store.count_task_runs(wanted.clone()).await?;
    let found = state.store.task_runs(wanted, sort, page).await?;
    Ok(Json(asked.answer(
        page,
        count,
        found.iter().map(wire::task_run).collect(),
    )))
}

pub(super) async fn count(State(state): State<ApiState>, body: Body) -> Result<Json<u64>, Error> {
    let wanted = body.read(Filters::read)?.task_runs(&state).await?;
    Ok(Json(state.store.count_task_runs(wanted).await?))
}

pub(super) async fn read(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    let found = row(&state, id_of(&id)?).await?;
    Ok(Json(wire::task_run(&found)))
}

/// The JSON document that the task returned.
pub(super) async fn result(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Response, Error> {
    let run = row(&state, id_of(&id)?).await?;
    match state.store.result(run.id).await? {
        Some(json) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            Ok((kind, json.as_str().to_owned()).into_response())
        }
        None => Err(Error::NotFound(format!(
            "Task run {} has no result: it is {}",
            run.name, run.state.name
        ))),
    }
}

pub(super) fn id_of(text: &str) -> Result<TaskRunId, Error> {
    uuid(text).map(TaskRunId).map_err(Error::Invalid)
}

pub(super) async fn row(state: &ApiState, id: TaskRunId) -> Result<TaskRun, Error> {
    let found = state.store.task_run(id).await?;
    found.ok_or_else(|| Error::NotFound("Task not found".into()))
}

/// `DEFINITION_ASC` is ours: as the flow lists its tasks.
fn order(word: &str) -> Result<TaskRunSort, String> {
    match word {
        "DEFINITION_ASC" => Ok(TaskRunSort::DefinitionAsc),
        "ID_DESC" => Ok(TaskRunSort::IdDesc),
        "EXPECTED_START_TIME_ASC" | "NEXT_SCHEDULED_START_TIME_ASC" => Ok(TaskRunSort::ExpectedStartAsc),
        "EXPECTED_START_TIME_DESC" => Ok(TaskRunSort::ExpectedStartDesc),
        "START_TIME_ASC" => Ok(TaskRunSort::StartAsc),
        "END_TIME_DESC" => Ok(TaskRunSort::EndDesc),
        "NAME_ASC" => Ok(TaskRunSort::NameAsc),
        "NAME_DESC" => Ok(TaskRunSort::NameDesc),
        _ => Err(
            "Input should be one of DEFINITION_ASC, ID_DESC, EXPECTED_START_TIME_ASC, EXPECTED_START_TIME_DESC, \
                  START_TIME_ASC, END_TIME_DESC, NAME_ASC, NAME_DESC"
                .into(),
        ),
    }
}
