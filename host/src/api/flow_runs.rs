//! Flow runs, read.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use grepx_engine::{FlowRunId, StateType};
use serde_json::Value;

use super::body::Body;
use super::error::Error;
use super::filter::{Filters, uuid};
use super::page::{Asked, Numbered};
use super::{ApiState, wire};
use crate::store::{FlowRun, FlowRunSort};

/// A run that waits for a slot; the store knows who holds them.
const WAITS_FOR_SLOT: [&str; 3] = ["AwaitingConcurrencySlot", "Late", "Resuming"];

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, sort, asked) = body.read(|fields| {
        let sort = fields.parsed("sort", order).unwrap_or_default();
        (Filters::read(fields), sort, Asked::read(fields))
    })?;
    let page = asked.page()?;
    let wanted = wanted.flow_runs(&state).await?;
    let found = state.store.flow_runs(wanted, sort, page).await?;
    with_reasons(&state, found).await.map(Json)
}

pub(super) async fn paginate(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let (wanted, sort, asked) = body.read(|fields| {
        let sort = fields.parsed("sort", order).unwrap_or_default();
        (Filters::read(fields), sort, Numbered::read(fields))
    })?;
    let page = asked.page()?;
    let wanted = wanted.flow_runs(&state).await?;
    let count = state.store.count_flow_runs(wanted.clone()).await?;
    let found = state.store.flow_runs(wanted, sort, page).await?;
    Ok(Json(asked.answer(page, count, with_reasons(&state, found).await?)))
}

pub(super) async fn with_reasons(state: &ApiState, found: Vec<FlowRun>) -> Result<Vec<Value>, Error> {
    let waiting: Vec<_> = found.iter().filter(|run| waits(run)).map(|run| run.run.id).collect();
    let mut reasons = match waiting.is_empty() {
        true => BTreeMap::new(),
        false => state.store.reasons_for(waiting).await?,
    };
    let shown = found.into_iter().map(|mut run| {
        if let Some(reason) = reasons.remove(&run.run.id) {
            run.reason = Some(reason);
        }
        wire::flow_run(&run)
    });
    Ok(shown.collect())
}

pub(super) async fn count(State(state): State<ApiState>, body: Body) -> Result<Json<u64>, Error> {
    let wanted = body.read(Filters::read)?.flow_runs(&state).await?;
    Ok(Json(state.store.count_flow_runs(wanted).await?))
}

pub(super) async fn read(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    find(&state, id_of(&id)?).await.map(Json)
}

/// With its task runs, logs and results; only a run that has ended.
pub(super) async fn delete(State(state): State<ApiState>, Path(id): Path<String>) -> Result<StatusCode, Error> {
    if state.store.delete_flow_run(id_of(&id)?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_found())
    }
}

pub(super) fn not_found() -> Error {
    Error::NotFound("Flow run not found".into())
}

pub(super) fn id_of(text: &str) -> Result<FlowRunId, Error> {
    uuid(text).map(FlowRunId).map_err(Error::Invalid)
}

pub(super) async fn row(state: &ApiState, run: FlowRunId) -> Result<FlowRun, Error> {
    let found = state.store.flow_run(run).await?;
    found.ok_or_else(not_found)
}

pub(super) async fn find(state: &ApiState, run: FlowRunId) -> Result<Value, Error> {
    let found = state.store.flow_run_and_reason(run).await?;
    let (mut run, reason) = found.ok_or_else(not_found)?;
    if waits(&run) && reason.is_some() {
        run.reason = reason;
    }
    Ok(wire::flow_run(&run))
}

fn waits(run: &FlowRun) -> bool {
    run.state.state_type == StateType::Scheduled && WAITS_FOR_SLOT.contains(&run.state.name.as_str())
}

/// Whether the name of a state says so.
pub(super) fn waits_for_slot(state_name: &str) -> bool {
    WAITS_FOR_SLOT.contains(&state_name)
}

fn order(word: &str) -> Result<FlowRunSort, String> {
    match word {
        "ID_DESC" => Ok(FlowRunSort::IdDesc),
        "START_TIME_ASC" => Ok(FlowRunSort::StartAsc),
        "START_TIME_DESC" => Ok(FlowRunSort::StartDesc),
        "EXPECTED_START_TIME_ASC" => Ok(FlowRunSort::ExpectedStartAsc),
        "EXPECTED_START_TIME_DESC" => Ok(FlowRunSort::ExpectedStartDesc),
        "NAME_ASC" => Ok(FlowRunSort::NameAsc),
        "NAME_DESC" => Ok(FlowRunSort::NameDesc),
        "NEXT_SCHEDULED_START_TIME_ASC" => Ok(FlowRunSort::NextScheduledStartAsc),
        "END_TIME_DESC" => Ok(FlowRunSort::EndDesc),
        _ => Err(
            "Input should be one of ID_DESC, START_TIME_ASC, START_TIME_DESC, EXPECTED_START_TIME_ASC, \
                  EXPECTED_START_TIME_DESC, NAME_ASC, NAME_DESC, NEXT_SCHEDULED_START_TIME_ASC, END_TIME_DESC"
                .into(),
        ),
    }
}
