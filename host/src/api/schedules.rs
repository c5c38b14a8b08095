//! Schedules of deployments: shown, tried out, switched on and off. Their rules belong to the
//! definitions database; a switch is the host's own and survives reloads.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use grepx_engine::StateType;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::body::{Body, Fields};
use super::door::Noted;
use super::error::Error;
use super::filter::{instant, uuid};
use super::{ApiState, deployments, flow_runs, wire};
use crate::clock::to_chrono;
use crate::definitions::{Deployment, ScheduleType, Timing, preview};
use crate::store::{Choice, FlowRunFilter, FlowRunSort, Page, Period};

const OWNED: &str =
    "schedules belong to the definitions database: change prefect_deployments there, or with `grepx-host apply`";
/// Instants of a preview when nothing is said, as in the command line.
const INSTANTS: usize = 10;
/// Prefect's limit of one answer.
const RUNS_MAX: u32 = 200;

type Switches = BTreeMap<(Uuid, Option<Uuid>), bool>;

/// `PATCH /deployments/{id}`: `paused` only.
pub(super) async fn update_deployment(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<(Extension<Noted>, StatusCode), Error> {
    let deployment = deployments::find(&state, &id)?;
    let paused = body.read(|fields| {
        let paused: Option<bool> = fields.value("paused");
        only(
            fields,
            &[
                "description",
                "parameters",
                "tags",
                "schedules",
                "work_pool_name",
                "work_queue_name",
                "concurrency_limit",
            ],
        );
        paused
    })?;
    if let Some(paused) = paused {
        switch(&state, deployment.id, None, !paused).await?;
    }
    Ok((noted(paused.map(|paused| !paused)), StatusCode::NO_CONTENT))
}

pub(super) async fn pause_deployment(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Error> {
    let deployment = deployments::find(&state, &id)?;
    switch(&state, deployment.id, None, false).await?;
    Ok(Json(Value::Null))
}

pub(super) async fn resume_deployment(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Error> {
    let deployment = deployments::find(&state, &id)?;
    switch(&state, deployment.id, None, true).await?;
    Ok(Json(Value::Null))
}

pub(super) async fn list(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    let deployment = deployments::find(&state, &id)?;
    let switches = state.store.deployment_switches().await?;
    let mut shown = wire::deployment(&deployment, &switches);
    Ok(Json(shown["schedules"].take()))
}

/// `PATCH /deployments/{id}/schedules/{schedule}`: `active` only.
pub(super) async fn update(
    State(state): State<ApiState>,
    Path((id, schedule)): Path<(String, String)>,
    body: Body,
) -> Result<(Extension<Noted>, StatusCode), Error> {
    let deployment = deployments::find(&state, &id)?;
    let schedule = uuid(&schedule).map_err(Error::Invalid)?;
    if !deployment.schedules.iter().any(|one| one.id == schedule) {
        return Err(Error::NotFound("Schedule not found.".into()));
    }
    let active = body.read(|fields| {
        let active: Option<bool> = fields.value("active");
        only(fields, &["schedule", "parameters", "slug", "max_scheduled_runs"]);
        active
    })?;
    if let Some(active) = active {
        switch(&state, deployment.id, Some(schedule), active).await?;
    }
    Ok((noted(active), StatusCode::NO_CONTENT))
}

pub(super) async fn refuse() -> Error {
    Error::Forbidden(OWNED.into())
}

fn noted(active: Option<bool>) -> Extension<Noted> {
    let word = match active {
        Some(true) => "switched on",
        Some(false) => "switched off",
        None => "nothing to switch",
    };
    Extension(Noted(word.to_owned()))
}

async fn switch(state: &ApiState, deployment: Uuid, schedule: Option<Uuid>, active: bool) -> Result<(), Error> {
    state.store.set_deployment_switch(deployment, schedule, active).await?;
    state.runner.sync_schedules().await;
    Ok(())
}

/// Fields that belong to the definitions database.
fn only(fields: &mut Fields<'_>, defined: &[&str]) {
    for name in defined {
        if fields.value::<Value>(name).is_some() {
            fields.fault(Some(name), "not_supported", OWNED);
        }
    }
}

/// `POST /deployments/get_scheduled_flow_runs`: what comes next, soonest first.
pub(super) async fn scheduled_of_deployments(
    State(state): State<ApiState>,
    body: Body,
) -> Result<Json<Vec<Value>>, Error> {
    let (deployments, before, limit) = body.read(|fields| {
        let deployments = fields.list("deployment_ids", uuid).unwrap_or_default();
        (deployments, fields.parsed("scheduled_before", instant), limit(fields))
    })?;
    let filter = FlowRunFilter {
        deployment_id: Choice::any(deployments),
        ..scheduled(before, None)
    };
    soonest(&state, filter, limit).await.map(Json)
}

/// `POST /work_pools/{name}/get_scheduled_flow_runs`: the same, each with its pool and queue.
pub(super) async fn scheduled_of_pool(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Vec<Value>>, Error> {
    let pool = super::work_pools::find(&state, &name)?;
    let (queues, before, after, limit) = body.read(|fields| {
        let queues: Option<Vec<String>> = fields.value("work_queue_names");
        let before = fields.parsed("scheduled_before", instant);
        let after = fields.parsed("scheduled_after", instant);
        (queues, before, after, limit(fields))
    })?;
    let filter = FlowRunFilter {
        work_pool: Choice::any([pool.name.clone()]),
        work_queue: queues.map_or_else(Choice::default, Choice::any),
        ..scheduled(before, after)
    };
    let runs = soonest(&state, filter, limit).await?;
    let answers = runs.into_iter().map(
        |run| json!({"work_pool_id": run["work_pool_id"], "work_queue_id": run["work_queue_id"], "flow_run": run}),
    );
    Ok(Json(answers.collect()))
}

/// `POST /work_queues/{id}/get_runs`: what comes next in one queue.
pub(super) async fn scheduled_of_queue(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Vec<Value>>, Error> {
    let (pool, queue) = super::work_queues::find(&state, uuid(&id).map_err(Error::Invalid)?)?;
    let (before, limit) = body.read(|fields| (fields.parsed("scheduled_before", instant), limit(fields)))?;
    let filter = FlowRunFilter {
        work_pool: Choice::any([pool.name.clone()]),
        work_queue: Choice::any([queue.name]),
        ..scheduled(before, None)
    };
    soonest(&state, filter, limit).await.map(Json)
}

fn limit(fields: &mut Fields<'_>) -> u32 {
    let asked: Option<u32> = fields.value("limit");
    if asked.is_some_and(|limit| limit > RUNS_MAX) {
        fields.fault(Some("limit"), "value_error", &format!("at most {RUNS_MAX}"));
    }
    asked.unwrap_or(RUNS_MAX)
}

fn scheduled(before: Option<grepx_engine::Timestamp>, after: Option<grepx_engine::Timestamp>) -> FlowRunFilter {
    FlowRunFilter {
        state_type: Choice::any([StateType::Scheduled]),
        expected_start: Period {
            before,
            after,
            is_null: None,
        },
        ..FlowRunFilter::default()
    }
}

async fn soonest(state: &ApiState, filter: FlowRunFilter, limit: u32) -> Result<Vec<Value>, Error> {
    let page = Page::first(limit);
    let found = state
        .store
        .flow_runs(filter, FlowRunSort::ExpectedStartAsc, page)
        .await?;
    flow_runs::with_reasons(state, found).await
}

/// What is to be tried out.
enum Tried {
    Rule(Box<Timing>),
    Deployment(Arc<Deployment>),
}

/// `POST /schedules/preview`: `{"type", "config"}` as a row has them, or `{"deployment": name}`,
/// with `from` and `n`.
pub(super) async fn try_out(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let (tried, from, most) = body.read(|fields| {
        let from = fields.parsed("from", instant).map(to_chrono);
        let most: usize = fields.value("n").unwrap_or(INSTANTS);
        (tried(&state, fields), from, most)
    })?;
    let from = from.unwrap_or_else(|| to_chrono(crate::clock::now()));
    match tried {
        Some(Tried::Rule(timing)) => Ok(Json(preview(&timing, from, most))),
        Some(Tried::Deployment(deployment)) => {
            let switches = state.store.deployment_switches().await?;
            Ok(Json(of_deployment(&deployment, &switches, from, most)))
        }
        None => Err(Error::Invalid(
            "say what to try: {\"type\": \"cron\", \"config\": {…}} or {\"deployment\": \"flow/deployment\"}".into(),
        )),
    }
}

fn tried(state: &ApiState, fields: &mut Fields<'_>) -> Option<Tried> {
    if let Some(name) = fields.value::<String>("deployment") {
        return match state.catalog.load().deployment_named(&name) {
            Some(deployment) => Some(Tried::Deployment(deployment.clone())),
            None => {
                fields.fault(Some("deployment"), "value_error", "there is no such deployment");
                None
            }
        };
    }
    let word: String = fields.value("type")?;
    let Some(schedule_type) = ScheduleType::parse(&word) else {
        fields.fault(Some("type"), "value_error", "write cron, interval or rrule");
        return None;
    };
    let config: Map<String, Value> = fields.value("config").unwrap_or_default();
    match Timing::parse(schedule_type, &config, None) {
        Ok(timing) => Some(Tried::Rule(Box::new(timing))),
        Err(refusal) => {
            fields.fault(Some("config"), "value_error", &refusal);
            None
        }
    }
}

fn of_deployment(deployment: &Deployment, switches: &Switches, from: DateTime<Utc>, most: usize) -> Value {
    let shown = wire::deployment(deployment, switches);
    let schedules = deployment
        .schedules
        .iter()
        .zip(shown["schedules"].as_array().into_iter().flatten());
    let schedules: Vec<Value> = schedules
        .map(|(spec, shown)| {
            let mut one = match &spec.timing {
                Ok(timing) => preview(timing, from, most),
                Err(problem) => json!({"problem": problem, "instants": []}),
            };
            one["slug"] = spec.key.as_str().into();
            one["active"] = shown["active"].clone();
            one
        })
        .collect();
    json!({
        "deployment": format!("{}/{}", deployment.flow.name, deployment.name),
        "paused": shown["paused"],
        "schedules": schedules,
    })
}
