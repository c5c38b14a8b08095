//! The run store itself: ours. How large it is, whether it takes changes, and removing what ended
//! long ago.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ApiState;
use super::body::Body;
use super::error::Error;
use crate::clock;
use crate::store::{Collected, Cutoffs, Space};

/// One request works for so long at most; `more` in its answer says that there is more to do.
const TIME_MAX: Duration = Duration::from_secs(10);

pub(super) async fn read(State(state): State<ApiState>) -> Result<Json<Value>, Error> {
    let trouble = state.store.trouble().map(|trouble| crate::report::chain(&trouble));
    let mut answer = space(state.store.space().await?);
    answer["path"] = state.store.path().display().to_string().into();
    answer["trouble"] = trouble.into();
    let removed = state.store.removed();
    answer["removed"] = json!({"flow_runs": removed.flow_runs, "rows": removed.rows});
    Ok(Json(answer))
}

pub(super) async fn collect(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let dry_run: bool = body.read(|fields| fields.value("dry_run").unwrap_or_default())?;
    let settings = &state.settings.retention;
    let cutoffs = Cutoffs::of(settings, clock::now());
    if dry_run {
        let mut answer = space(state.store.space().await?);
        answer["flow_runs"] = state.store.count_due(cutoffs).await?.into();
        answer["orphaned"] = state.store.orphans().await?.len().into();
        return Ok(Json(answer));
    }
    let done = state.store.collect(cutoffs, settings.rows_per_step, TIME_MAX).await?;
    Ok(Json(described(&done)))
}

/// Also what the command says that works without a server.
pub(crate) fn described(done: &Collected) -> Value {
    let mut answer = space(done.space);
    answer["flow_runs"] = done.removed.flow_runs.into();
    answer["rows"] = done.removed.rows.into();
    answer["orphaned"] = done.orphaned.into();
    answer["more"] = done.removed.more.into();
    answer
}

pub(crate) fn space(space: Space) -> Value {
    json!({"bytes": space.bytes, "free_bytes": space.free})
}
