//! Signals to task runs: a person's decision, a webhook. Which ones a task run takes, and what of
//! them, is its kind's affair; here they are only brought to it.

use axum::Json;
use axum::extract::{Path, State};
use grepx_engine::TaskRunId;
use serde_json::Value;

use super::body::Body;
use super::error::Error;
use super::{ApiState, task_runs, wire};

/// Characters of a signal's name.
const NAME_CHARS_MAX: usize = 128;

/// The body is the payload, any JSON; without one it is `{}`. Answers with the task run as it is
/// then, when the signal is on disk.
pub(super) async fn signal(
    State(state): State<ApiState>,
    Path((id, name)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Value>, Error> {
    let id = bring(&state, &id, name, &body.into_json()).await?;
    let found = task_runs::row(&state, id).await?;
    Ok(Json(wire::task_run(&found)))
}

/// Returns when the signal is on disk.
pub(super) async fn bring(state: &ApiState, id: &str, name: String, payload: &Value) -> Result<TaskRunId, Error> {
    let id = task_runs::id_of(id)?;
    check_name(&name)?;
    let found = task_runs::row(state, id).await?;
    if found.state.state_type.is_terminal() {
        return Err(Error::Conflict(format!(
            "Task run {} has ended ({}) and takes no signals",
            found.name, found.state.name
        )));
    }
    let payload = grepx_engine::Json::from(payload);
    state.runner.signal(found.run, found.node, name, payload).await?;
    Ok(id)
}

/// Names with a colon are the host's own.
fn check_name(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
    if !name.is_empty() && name.chars().all(fits) && name.chars().nth(NAME_CHARS_MAX).is_none() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the name of a signal has 1 to {NAME_CHARS_MAX} letters, digits, spaces, dots, dashes and underscores"
    )))
}
