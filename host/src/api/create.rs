//! `create_flow_run`: what was sent and what the deployment has become one request to the runner.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use grepx_engine::Timestamp;
use serde_json::{Map, Value};

use super::body::Body;
use super::door::{Noted, Visitor};
use super::error::Error;
use super::filter::{instant, uuid};
use super::texts::{check_labels, short, tags};
use super::{ApiState, deployments, flow_runs};
use crate::runner::{RunRequest, Triggered};
use crate::traces::{CALLER_LABEL, Place};

#[derive(Debug)]
struct Sent {
    name: Option<String>,
    parameters: Map<String, Value>,
    tags: Vec<String>,
    idempotency_key: Option<String>,
    start_at: Option<Timestamp>,
    labels: Map<String, Value>,
    work_queue: Option<String>,
}

pub(super) async fn create_flow_run(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Extension<Noted>, Json<Value>), Error> {
    let id = uuid(&id).map_err(Error::Invalid)?;
    let mut sent = read(body)?;
    if state.traces.is_some() {
        note_caller(&headers, &mut sent.labels);
    }
    let deployment = state
        .catalog
        .load()
        .deployment_by_id(id)
        .cloned()
        .ok_or_else(deployments::not_found)?;
    let merged = deployment.parameters_with(&sent.parameters);
    deployment
        .check_parameters(&merged)
        .map_err(|why| Error::Conflict(format!("Error creating flow run: {why}")))?;
    let mut tags = sent.tags;
    tags.extend(deployment.tags.iter().cloned());
    let mut seen = std::collections::HashSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    let request = RunRequest {
        flow: deployment.flow.clone(),
        deployment: Some(deployment),
        name: sent.name,
        parameters: merged,
        tags,
        idempotency_key: sent.idempotency_key,
        start_at: sent.start_at,
        created_by: visitor.created_by(),
        labels: Value::Object(sent.labels),
        work_queue: sent.work_queue,
        parent: None,
        planned: None,
    };
    let (status, run) = match state.runner.trigger(request).await? {
        Triggered::New(run) => (StatusCode::CREATED, run),
        // Only schedules skip.
        Triggered::Skipped => return Err(Error::Conflict("The deployment is busy and skips runs then.".into())),
        Triggered::Existing(run) => (StatusCode::OK, run),
    };
    let noted = Noted(format!("flow run {run}"));
    Ok((status, Extension(noted), Json(flow_runs::find(&state, run).await?)))
}

fn read(body: Body) -> Result<Sent, Error> {
    body.read(|fields| {
        let start_at = fields
            .loose("state", |state| {
                state.loose("state_details", |details| details.parsed("scheduled_time", instant))
            })
            .flatten()
            .flatten();
        let labels: Map<String, Value> = fields.value("labels").unwrap_or_default();
        if let Err(wrong) = check_labels(&labels) {
            fields.fault(Some("labels"), "value_error", &wrong);
        }
        Sent {
            name: fields.parsed("name", short),
            parameters: fields.value("parameters").unwrap_or_default(),
            tags: tags(fields).unwrap_or_default(),
            idempotency_key: fields.parsed("idempotency_key", short),
            start_at,
            labels,
            work_queue: fields.parsed("work_queue_name", short),
        }
    })
}

/// Keeps the span that the request belongs to, unless the client has named one itself.
fn note_caller(headers: &HeaderMap, labels: &mut Map<String, Value>) {
    let caller = headers.get("traceparent").and_then(|value| value.to_str().ok());
    if let Some(caller) = caller.filter(|caller| Place::parse(caller).is_some()) {
        labels.entry(CALLER_LABEL).or_insert_with(|| caller.into());
    }
}
