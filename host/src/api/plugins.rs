//! Task kinds: ours.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, State};
use grepx_engine::Timestamp;
use serde_json::{Value, json};

use super::ApiState;
use super::error::Error;
use crate::clock::rfc3339;
use crate::plugins::{Counts, KindInfo, Registry};

pub(super) async fn list(State(state): State<ApiState>) -> Json<Vec<Value>> {
    let kinds = state.plugins.kinds();
    Json(kinds.iter().map(|one| kind(&kinds, &one.info)).collect())
}

pub(super) async fn read(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<Value>, Error> {
    let kinds = state.plugins.kinds();
    let found = kinds.get(&name).map(|info| kind(&kinds, info));
    found.map(Json).ok_or_else(|| {
        let known: Vec<&str> = kinds.iter().map(|one| one.info.kind.as_str()).collect();
        Error::NotFound(format!(
            "No plugin serves the kind {name:?}; loaded are: {}",
            known.join(", ")
        ))
    })
}

/// The same object for the server and for a folder that is looked at without one.
pub(crate) fn kind(registry: &Registry, info: &KindInfo) -> Value {
    let capabilities: Vec<String> = info.capabilities.iter().map(ToString::to_string).collect();
    let state_versions = info
        .state_versions
        .map(|(oldest, newest)| json!({"oldest": oldest, "newest": newest}));
    let limits = &info.limits;
    let file = &info.file;
    json!({
        "kind": info.kind,
        "role": info.role.to_string(),
        "version": info.version,
        "summary": info.summary,
        "capabilities": capabilities,
        "state_versions": state_versions,
        "meta": info.meta,
        "limits": {
            "call_timeout_seconds": limits.call_timeout.as_secs_f64(),
            "memory_bytes": limits.memory_bytes,
            "max_input_bytes": limits.max_input_bytes,
            "max_output_bytes": limits.max_output_bytes,
        },
        "file": {
            "path": file.path.display().to_string(),
            "digest": file.digest,
            "size_bytes": file.size_bytes,
            "loaded_at": date(file.loaded_at),
            "from_cache": file.from_cache,
            "load_seconds": file.load_time.as_secs_f64(),
            "imports": file.imports,
        },
        "calls": registry.counts(&info.kind).map(calls),
        "input_schema": info.input_schema,
        "output_schema": info.output_schema,
    })
}

fn calls(counts: Counts) -> Value {
    json!({
        "started": counts.started,
        "finished": counts.finished,
        "failed": counts.failed,
        "trapped": counts.trapped,
        "timed_out": counts.timed_out,
        "out_of_memory": counts.out_of_memory,
        "seconds": counts.time.as_secs_f64(),
        "longest_seconds": counts.longest.as_secs_f64(),
    })
}

fn date(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc3339(Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
