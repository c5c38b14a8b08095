//! What clients of Prefect ask for and this host does not keep: some of it is empty, some of it
//! belongs to the definitions database. Each refusal says where to go.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::ApiState;
use super::body::Body;
use super::error::Error;
use super::wire;

/// `POST /flows/`: Prefect answers with the flow that is there by that name.
pub(super) async fn create_flow(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let name: Option<String> = body.read(|fields| fields.value("name"))?;
    let catalog = state.catalog.load();
    let found = name.and_then(|name| catalog.flows.get(&name).map(|flow| wire::flow(flow)));
    found.map(Json).ok_or_else(|| owned("prefect_flows"))
}

pub(super) async fn flows() -> Error {
    owned("prefect_flows")
}

pub(super) async fn deployments() -> Error {
    owned("prefect_deployments")
}

pub(super) async fn work_pools() -> Error {
    owned("prefect_work_pools")
}

/// A queue is there because a deployment names it.
pub(super) async fn work_queues() -> Error {
    owned("prefect_deployments (work_queue_name)")
}

fn owned(table: &str) -> Error {
    Error::Forbidden(format!(
        "definitions belong to the definitions database: change {table} there, or with `grepx-host apply`"
    ))
}

/// Task runs are made and moved by the host alone.
pub(super) async fn runs() -> Error {
    Error::NotImplemented(
        "this host makes and executes runs itself: start one with POST /api/deployments/{id}/create_flow_run".into(),
    )
}

/// Prefect's workers have nothing to do here.
pub(super) async fn workers() -> Error {
    Error::NotImplemented(
        "this host serves its work pools itself: tasks go to Celery workers, no Prefect worker is needed".into(),
    )
}

pub(super) async fn automations() -> Error {
    Error::NotImplemented(
        "this host has no automations: retries, time limits and trigger rules belong to the tasks".into(),
    )
}

pub(super) async fn variables() -> Error {
    Error::NotImplemented(
        "this host keeps no variables: use parameters of deployments, or secrets of its configuration".into(),
    )
}

pub(super) async fn artifacts() -> Error {
    Error::NotImplemented(
        "this host keeps no artifacts: GET /api/task_runs/{id}/result has what a task returned".into(),
    )
}

/// Of an artifact, a variable, an automation: there is none.
pub(super) async fn nothing(uri: Uri) -> Error {
    let of = match uri.path() {
        path if path.contains("/variables") => "Variable",
        path if path.contains("/artifacts") => "Artifact",
        _ => "Automation",
    };
    Error::NotFound(format!("{of} not found"))
}

pub(super) async fn no_rows(_: Body) -> Json<[Value; 0]> {
    Json([])
}

pub(super) async fn zero(_: Body) -> Json<u64> {
    Json(0)
}

/// Nothing that a resource owned is left over.
pub(super) async fn nothing_owned(Path(_): Path<String>) -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(Value::Null))
}

/// `GET /ui-settings`, which Prefect's own pages read first.
pub(super) async fn ui_settings(State(state): State<ApiState>) -> Json<Value> {
    Json(json!({
        "api_url": state.settings.api_url(),
        "csrf_enabled": false,
        "auth": null,
        "flags": [],
        "default_ui": "v2",
        "available_uis": [],
        "v1_base_url": "/",
        "v2_base_url": "/v2",
    }))
}

/// `GET /admin/settings`: every setting in force, with its secrets masked.
pub(super) async fn settings(State(state): State<ApiState>) -> Json<Value> {
    let lines = state.settings.report().into_iter();
    Json(lines.map(|line| (line.key, Value::from(line.value))).collect())
}
