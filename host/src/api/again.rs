//! What a person asks of runs over the head of their tasks: a flow run that has ended goes on, a
//! task run is done although it has not completed. Whether that is possible is the engine's to say.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::body::{Body, Fields};
use super::error::Error;
use super::filter::instant;
use super::{ApiState, flow_runs, task_runs, wire};
use crate::runner::{self, Begin};

/// Characters of a note.
const NOTE_CHARS_MAX: usize = 1_000;

/// `{"from": "failed" | "start"}`, `{"from_task": …}` or `{"only_task": …}`, with `start_at` if not
/// at once. Without any of them: from what failed. Answers with the flow run as it is then.
pub(super) async fn retry(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, Error> {
    let id = flow_runs::id_of(&id)?;
    let (begin, start_at) = body.read(|fields| (begin(fields), fields.parsed("start_at", instant)))?;
    let run = flow_runs::row(&state, id).await?;
    if !run.state.state_type.is_terminal() {
        return Err(Error::Conflict(format!(
            "flow run {} is {}: only one that has ended can be retried; cancel it first, or wait",
            run.run.name, run.state.name
        )));
    }
    state.runner.retry(id, begin, start_at).await.map_err(refused)?;
    flow_runs::find(&state, id).await.map(Json)
}

pub(super) fn begin(fields: &mut Fields<'_>) -> Begin {
    let from = fields.parsed("from", |word| match word {
        "failed" => Ok(Begin::Failed),
        "start" => Ok(Begin::Start),
        _ => Err("Input should be failed or start; a task goes into from_task".to_owned()),
    });
    let from_task = fields.value("from_task").map(Begin::From);
    let only_task = fields.value("only_task").map(Begin::Only);
    let mut given = [from, from_task, only_task].into_iter().flatten();
    let first = given.next().unwrap_or(Begin::Failed);
    if given.next().is_some() {
        fields.fault(None, "value_error", "give one of from, from_task and only_task");
    }
    first
}

/// `{"note": …, "result": any JSON}`; without a result it is null. Answers with the task run as it
/// is then: an attempt that runs is stopped first.
pub(super) async fn mark_done(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, Error> {
    let id = task_runs::id_of(&id)?;
    let (note, result) = body.read(|fields| {
        let text: String = fields.value("note").unwrap_or_default();
        let note = note(&text).unwrap_or_else(|wrong| {
            fields.fault(Some("note"), "value_error", &wrong);
            text
        });
        let result: Value = fields.value("result").unwrap_or_default();
        (note, grepx_engine::Json::from(&result))
    })?;
    let limit = state.settings.limits.result_bytes;
    if result.len() > limit {
        return Err(Error::TooLarge(format!(
            "the result has {} bytes of JSON, the limit is {limit} (limits.result_bytes)",
            result.len()
        )));
    }
    let found = task_runs::row(&state, id).await?;
    let asked = state.runner.mark_done(found.run, found.node, note, result).await;
    asked.map_err(refused)?;
    let found = task_runs::row(&state, id).await?;
    Ok(Json(wire::task_run(&found)))
}

fn note(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("should say why it is done".to_owned()),
        text if text.chars().nth(NOTE_CHARS_MAX).is_some() => {
            Err(format!("should have at most {NOTE_CHARS_MAX} characters"))
        }
        text => Ok(text.to_owned()),
    }
}

/// The run was there when it was read.
pub(super) fn refused(error: runner::Error) -> Error {
    match error {
        runner::Error::NotLive(_) => Error::NotFound("Flow run not found".into()),
        error => error.into(),
    }
}
