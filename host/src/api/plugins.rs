//! Task kinds: ours. What serves, what is shadowed, what was refused and why; installing, and going
//! back.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use grepx_engine::Timestamp;
use serde_json::{Value, json};

use super::ApiState;
use super::door::Noted;
use super::error::Error;
use crate::clock::rfc3339;
use crate::plugins::{Counts, FileInfo, Kind, Refused, Registry, Standing};

pub(super) async fn list(State(state): State<ApiState>) -> Json<Vec<Value>> {
    Json(everything(&state.plugins.kinds()))
}

pub(super) async fn read(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<Value>, Error> {
    let kinds = state.plugins.kinds();
    let found = kinds.kind(&name).map(|found| kind(&kinds, found, &Standing::Serving));
    found.map(Json).ok_or_else(|| not_served(&kinds, &name))
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct Install {
    /// Name of the file.
    name: Option<String>,
}

/// The body is a component. It is verified before anything is written.
pub(super) async fn install(
    State(state): State<ApiState>,
    Query(asked): Query<Install>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Extension<Noted>, Json<Vec<Value>>), Error> {
    let bytes = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge(format!(
            "The component is larger than {} bytes: build it smaller, or raise plugins.file_mb",
            state.settings.plugins.file_bytes
        )),
        _ => Error::Invalid(rejection.body_text()),
    })?;
    let installed = state.plugins.install_bytes(bytes.to_vec(), asked.name.as_deref()).await;
    let file = installed.map_err(|problem| Error::Invalid(problem.to_string()))?;
    let kinds = of_file(&state.plugins.kinds(), &file);
    Ok((StatusCode::CREATED, noted(&file), Json(kinds)))
}

pub(super) async fn roll_back(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<(Extension<Noted>, Json<Vec<Value>>), Error> {
    let kinds = state.plugins.kinds();
    if !state.plugins.is_known(&name) {
        return Err(not_served(&kinds, &name));
    }
    let done = state.plugins.roll_back(&name).await;
    let file = done.map_err(|problem| Error::Conflict(problem.to_string()))?;
    Ok((noted(&file), Json(of_file(&state.plugins.kinds(), &file))))
}

/// Which build it is now.
fn noted(file: &FileInfo) -> Extension<Noted> {
    Extension(Noted(format!("{} is {}", file.path.display(), file.digest)))
}

fn not_served(kinds: &Registry, name: &str) -> Error {
    let known: Vec<&str> = kinds.iter().map(|one| one.info.kind.as_str()).collect();
    Error::NotFound(format!(
        "No plugin provides the kind {name:?}; loaded are: {}",
        known.join(", ")
    ))
}

/// Every kind of every file, by name, then the files that were refused.
pub(crate) fn everything(registry: &Registry) -> Vec<Value> {
    let mut kinds: Vec<(&std::sync::Arc<Kind>, Standing)> = registry.standings().collect();
    kinds.sort_by(|(a, how), (b, other)| {
        let rank = |standing: &Standing| *standing != Standing::Serving;
        (&a.info.kind, rank(how), &a.info.file.path).cmp(&(&b.info.kind, rank(other), &b.info.file.path))
    });
    let kinds = kinds.iter().map(|(one, standing)| kind(registry, one, standing));
    kinds
        .chain(registry.refused().map(|one| refused(registry, one)))
        .collect()
}

fn of_file(registry: &Registry, file: &FileInfo) -> Vec<Value> {
    registry
        .standings()
        .filter(|(one, _)| one.info.file.path == file.path)
        .map(|(one, standing)| kind(registry, one, &standing))
        .collect()
}

/// The same object for the server and for a folder that is looked at without one.
pub(crate) fn kind(registry: &Registry, kind: &Kind, standing: &Standing) -> Value {
    let info = &kind.info;
    let state_versions = info
        .state_versions
        .map(|(oldest, newest)| json!({"oldest": oldest, "newest": newest}));
    let limits = &info.limits;
    let (state, reason) = match standing {
        Standing::Serving => ("serving", reason_beside(registry, &info.file)),
        Standing::Shadowed { by } => (
            "shadowed",
            Some(format!(
                "{} has the kind too and was modified later: remove one of the two",
                by.display()
            )),
        ),
    };
    json!({
        "kind": info.kind,
        "role": info.role.to_string(),
        "version": info.version,
        "summary": info.summary,
        "state": state,
        "since": date(info.file.loaded_at),
        "reason": reason,
        "capabilities": info.capabilities.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "may": kind.may(),
        "state_versions": state_versions,
        "meta": info.meta,
        "limits": {
            "call_timeout_seconds": limits.call_timeout.as_secs_f64(),
            "memory_bytes": limits.memory_bytes,
            "table_elements": limits.table_elements,
            "calls_per_instance": limits.calls_per_instance,
            "instances": limits.instances,
            "max_input_bytes": limits.max_input_bytes,
            "max_output_bytes": limits.max_output_bytes,
            "log_lines": limits.log_lines,
            "log_bytes": limits.log_bytes,
            "http_response_bytes": limits.http_response_bytes,
            "http_timeout_seconds": limits.http_timeout.as_secs_f64(),
        },
        "file": file(&info.file),
        "calls": calls(kind.counts()),
        "input_schema": info.input_schema,
        "output_schema": info.output_schema,
    })
}

/// A file that is good, and whose newest content is not: that stands beside what serves.
fn reason_beside(registry: &Registry, file: &FileInfo) -> Option<String> {
    let refused = registry.refusal(&file.path);
    let told = refused.map(|one| {
        format!(
            "the file has changed and was refused ({}); this build serves on",
            one.problem.reason
        )
    });
    told.or_else(|| (!file.notes.is_empty()).then(|| file.notes.join("; ")))
}

fn refused(registry: &Registry, one: &Refused) -> Value {
    let path = &one.problem.file;
    let serves: Vec<&str> = registry
        .iter()
        .filter(|kind| kind.info.file.path == *path)
        .map(|kind| kind.info.kind.as_str())
        .collect();
    json!({
        "kind": null,
        "state": "refused",
        "since": date(one.since),
        "reason": format!("{}; {}", one.problem.reason, one.problem.advice),
        "file": {"path": path.display().to_string()},
        "serves": serves,
    })
}

fn file(file: &FileInfo) -> Value {
    json!({
        "path": file.path.display().to_string(),
        "digest": file.digest,
        "size_bytes": file.size_bytes,
        "modified_at": date(file.modified),
        "loaded_at": date(file.loaded_at),
        "from_cache": file.from_cache,
        "load_seconds": file.load_time.as_secs_f64(),
        "imports": file.imports,
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
        "queued_seconds": counts.queued.as_secs_f64(),
        "queued_longest_seconds": counts.queued_longest.as_secs_f64(),
        "memory_bytes_max": counts.memory_bytes_max,
    })
}

fn date(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc3339(Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
