//! Deployments of the catalog.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::body::Body;
use super::error::Error;
use super::filter::{Filters, uuid};
use super::flows::{Order, sort};
use super::page::{Asked, Numbered, cut};
use super::{ApiState, wire};
use crate::definitions::Deployment;

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, sort, asked) = body.read(|fields| (Filters::read(fields), sort(fields), Asked::read(fields)))?;
    let page = asked.page()?;
    let found = sorted(wanted.deployments(&state).await?, sort);
    shown(&state, cut(found, page)).await.map(Json)
}

pub(super) async fn paginate(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let (wanted, sort, asked) = body.read(|fields| (Filters::read(fields), sort(fields), Numbered::read(fields)))?;
    let page = asked.page()?;
    let found = sorted(wanted.deployments(&state).await?, sort);
    let count = found.len() as u64;
    Ok(Json(asked.answer(page, count, shown(&state, cut(found, page)).await?)))
}

pub(super) async fn count(State(state): State<ApiState>, body: Body) -> Result<Json<usize>, Error> {
    let wanted = body.read(Filters::read)?;
    Ok(Json(wanted.deployments(&state).await?.len()))
}

async fn shown(state: &ApiState, deployments: Vec<Arc<Deployment>>) -> Result<Vec<Value>, Error> {
    let switches = state.store.deployment_switches().await?;
    Ok(deployments.iter().map(|one| wire::deployment(one, &switches)).collect())
}

/// They come by name.
fn sorted(mut deployments: Vec<Arc<Deployment>>, order: Order) -> Vec<Arc<Deployment>> {
    match order {
        Order::NameAsc => {}
        Order::NameDesc => deployments.reverse(),
        Order::CreatedDesc => deployments.sort_by_key(|one| std::cmp::Reverse((one.created_at, one.row_id))),
    }
    deployments
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
