//! Deployments of the catalog.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::body::Body;
use super::error::Error;
use super::filter::{DeploymentFilter, uuid};
use super::flows::{Order, order};
use super::page::{Asked, cut};
use super::{ApiState, wire};
use crate::definitions::Deployment;

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, sort, asked) = body.read(|fields| {
        fields.unsupported(&["flow_runs", "task_runs", "work_pool_queues"]);
        let sort = fields.parsed("sort", order).unwrap_or_default();
        (DeploymentFilter::read_with_flows(fields), sort, Asked::read(fields))
    })?;
    let page = asked.page()?;
    let catalog = state.catalog.load_full();
    let all = catalog.deployments.iter().map(AsRef::as_ref);
    let mut found: Vec<&Deployment> = all.filter(|one| wanted.accepts(one)).collect();
    match sort {
        Order::NameAsc => {}
        Order::NameDesc => found.reverse(),
        Order::CreatedDesc => found.sort_by_key(|one| std::cmp::Reverse((one.created_at, one.row_id))),
    }
    let switches = state.store.deployment_switches().await?;
    let shown = cut(found, page).into_iter().map(|one| wire::deployment(one, &switches));
    Ok(Json(shown.collect()))
}

pub(super) async fn count(State(state): State<ApiState>, body: Body) -> Result<Json<usize>, Error> {
    let wanted = body.read(|fields| {
        fields.unsupported(&["flow_runs", "task_runs", "work_pool_queues"]);
        DeploymentFilter::read_with_flows(fields)
    })?;
    let catalog = state.catalog.load();
    Ok(Json(
        catalog.deployments.iter().filter(|one| wanted.accepts(one)).count(),
    ))
}

pub(super) async fn read(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    let found = find(&state, &id)?;
    let switches = state.store.deployment_switches().await?;
    Ok(Json(wire::deployment(&found, &switches)))
}

pub(super) async fn read_by_name(
    State(state): State<ApiState>,
    Path((flow, name)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let catalog = state.catalog.load_full();
    let found = catalog.deployment(&name).filter(|one| one.flow.name == flow);
    let found = found.ok_or_else(not_found)?;
    let switches = state.store.deployment_switches().await?;
    Ok(Json(wire::deployment(found, &switches)))
}

pub(super) fn find(state: &ApiState, id: &str) -> Result<Arc<Deployment>, Error> {
    let id = uuid(id).map_err(Error::Invalid)?;
    let found = state.catalog.load().deployment_by_id(id).cloned();
    found.ok_or_else(not_found)
}

pub(super) fn not_found() -> Error {
    Error::NotFound("Deployment not found".into())
}
