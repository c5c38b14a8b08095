//! Work queues of a pool, and over all pools by id.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use grepx_engine::StateType;
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::{Body, Fields};
use super::door::Noted;
use super::error::Error;
use super::filter::{QueueFilter, uuid};
use super::page::{Asked, cut};
use super::{ApiState, wire, work_pools};
use crate::definitions::{Catalog, Pool, Queue};
use crate::store::{Choice, FlowRunFilter, PoolStatus, Switch};

pub(super) async fn filter(
    State(state): State<ApiState>,
    Path(pool): Path<String>,
    body: Body,
) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, asked) = body.read(asked)?;
    let page = asked.page()?;
    let pool = work_pools::find(&state, &pool)?;
    let now = state.store.pools().await?;
    Ok(Json(cut(queues(&pool, &wanted, &now), page)))
}

pub(super) async fn filter_all(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, asked) = body.read(asked)?;
    let page = asked.page()?;
    let now = state.store.pools().await?;
    let catalog = state.catalog.load();
    let pools = catalog.pools.values();
    let all = pools.flat_map(|pool| queues(pool, &wanted, &now)).collect();
    Ok(Json(cut(all, page)))
}

pub(super) async fn read(
    State(state): State<ApiState>,
    Path((pool, queue)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let pool = work_pools::find(&state, &pool)?;
    let found = pool.queues.iter().find(|one| one.name == queue);
    let queue = found.ok_or_else(|| not_found(&queue))?;
    let now = state.store.pools().await?;
    Ok(Json(one(&pool, queue, &now)))
}

pub(super) async fn read_by_id(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    let (pool, queue) = find(&state, uuid(&id).map_err(Error::Invalid)?)?;
    let now = state.store.pools().await?;
    Ok(Json(one(&pool, &queue, &now)))
}

pub(super) async fn read_by_name(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let now = state.store.pools().await?;
    let catalog = state.catalog.load();
    let mut all = queues_of(&catalog);
    let (pool, queue) = all
        .find(|(_, queue)| queue.name == name)
        .ok_or_else(|| not_found(&name))?;
    Ok(Json(one(pool, queue, &now)))
}

/// `GET /work_queues/{id}/status`: healthy while nobody in it is late.
pub(super) async fn status(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    let (pool, queue) = find(&state, uuid(&id).map_err(Error::Invalid)?)?;
    let late = FlowRunFilter {
        state_type: Choice::any([StateType::Scheduled]),
        state_name: Choice::any(["Late".to_owned()]),
        work_pool: Choice::any([pool.name.clone()]),
        work_queue: Choice::any([queue.name]),
        ..FlowRunFilter::default()
    };
    let late = state.store.count_flow_runs(late).await?;
    Ok(Json(json!({
        "healthy": late == 0,
        "late_runs_count": late,
        "last_polled": null,
        "health_check_policy": {"maximum_late_runs": 0, "maximum_seconds_since_last_polled": null},
    })))
}

pub(super) async fn update(
    State(state): State<ApiState>,
    Path((pool, queue)): Path<(String, String)>,
    body: Body,
) -> Result<(Extension<Noted>, StatusCode), Error> {
    let pool = work_pools::find(&state, &pool)?;
    if !pool.queues.iter().any(|one| one.name == queue) {
        return Err(not_found(&queue));
    }
    set(&state, &pool, queue, body).await
}

pub(super) async fn update_by_id(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<(Extension<Noted>, StatusCode), Error> {
    let (pool, queue) = find(&state, uuid(&id).map_err(Error::Invalid)?)?;
    set(&state, &pool, queue.name, body).await
}

async fn set(
    state: &ApiState,
    pool: &Pool,
    queue: String,
    body: Body,
) -> Result<(Extension<Noted>, StatusCode), Error> {
    let switch = body.read(|fields| {
        fields.ignored(&["filter", "last_polled"]);
        Switch {
            priority: fields.value("priority"),
            ..work_pools::switch(fields, &["description", "name"])
        }
    })?;
    state
        .store
        .set_pool_switch(pool.name.clone(), Some(queue), switch)
        .await?;
    Ok((work_pools::noted(switch), StatusCode::NO_CONTENT))
}

fn asked(fields: &mut Fields<'_>) -> (QueueFilter, Asked) {
    (QueueFilter::read(fields), Asked::read(fields))
}

pub(super) fn find(state: &ApiState, id: Uuid) -> Result<(Arc<Pool>, Queue), Error> {
    let catalog = state.catalog.load();
    let found = queues_of(&catalog).find(|(_, queue)| queue.id == id);
    let (pool, queue) = found.ok_or_else(|| not_found(&id.to_string()))?;
    Ok((pool.clone(), queue.clone()))
}

fn queues_of(catalog: &Catalog) -> impl Iterator<Item = (&Arc<Pool>, &Queue)> {
    let pools = catalog.pools.values();
    pools.flat_map(|pool| pool.queues.iter().map(move |queue| (pool, queue)))
}

fn queues(pool: &Pool, wanted: &QueueFilter, now: &[PoolStatus]) -> Vec<Value> {
    let found = pool.queues.iter().filter(|queue| wanted.accepts(queue));
    found.map(|queue| one(pool, queue, now)).collect()
}

fn one(pool: &Pool, queue: &Queue, now: &[PoolStatus]) -> Value {
    let status = work_pools::status(now, &pool.name);
    let status = status.and_then(|pool| pool.queues.iter().find(|one| one.name == queue.name));
    wire::queue(pool, queue, status)
}

fn not_found(name: &str) -> Error {
    Error::NotFound(format!("Work queue {name:?} not found."))
}
