//! Flows of the catalog.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::body::Body;
use super::error::Error;
use super::filter::{FlowFilter, uuid};
use super::page::{Asked, cut};
use super::{ApiState, wire};
use crate::definitions::Flow;

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, sort, asked) = body.read(|fields| {
        fields.unsupported(&["flow_runs", "task_runs", "deployments", "work_pools"]);
        let sort = fields.parsed("sort", order).unwrap_or_default();
        (FlowFilter::read(fields), sort, Asked::read(fields))
    })?;
    let page = asked.page()?;
    let catalog = state.catalog.load();
    let mut found: Vec<&Flow> = catalog
        .flows
        .values()
        .map(AsRef::as_ref)
        .filter(|flow| wanted.accepts(flow))
        .collect();
    match sort {
        Order::NameAsc => {}
        Order::NameDesc => found.reverse(),
        Order::CreatedDesc => found.sort_by_key(|flow| std::cmp::Reverse((flow.created_at, flow.row_id))),
    }
    Ok(Json(cut(found, page).into_iter().map(wire::flow).collect()))
}

pub(super) async fn count(State(state): State<ApiState>, body: Body) -> Result<Json<usize>, Error> {
    let wanted = body.read(|fields| {
        fields.unsupported(&["flow_runs", "task_runs", "deployments", "work_pools"]);
        FlowFilter::read(fields)
    })?;
    let catalog = state.catalog.load();
    Ok(Json(catalog.flows.values().filter(|flow| wanted.accepts(flow)).count()))
}

pub(super) async fn read(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    let id = uuid(&id).map_err(Error::Invalid)?;
    let catalog = state.catalog.load();
    let found = catalog.flow_by_id(id).map(|flow| wire::flow(flow));
    found.map(Json).ok_or_else(not_found)
}

pub(super) async fn read_by_name(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let catalog = state.catalog.load();
    let found = catalog.flows.get(&name).map(|flow| wire::flow(flow));
    found.map(Json).ok_or_else(not_found)
}

fn not_found() -> Error {
    Error::NotFound("Flow not found".into())
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Order {
    #[default]
    NameAsc,
    NameDesc,
    CreatedDesc,
}

pub(super) fn order(word: &str) -> Result<Order, String> {
    match word {
        "NAME_ASC" => Ok(Order::NameAsc),
        "NAME_DESC" => Ok(Order::NameDesc),
        "CREATED_DESC" | "UPDATED_DESC" => Ok(Order::CreatedDesc),
        _ => Err("Input should be one of NAME_ASC, NAME_DESC, CREATED_DESC, UPDATED_DESC".into()),
    }
}
