//! Flows of the catalog.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::body::{Body, Fields};
use super::error::Error;
use super::filter::{Filters, uuid};
use super::page::{Asked, Numbered, cut};
use super::{ApiState, wire};
use crate::definitions::Flow;

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, sort, asked) = body.read(|fields| (Filters::read(fields), sort(fields), Asked::read(fields)))?;
    let page = asked.page()?;
    let found = sorted(wanted.flows(&state).await?, sort);
    Ok(Json(shown(cut(found, page))))
}

pub(super) async fn paginate(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let (wanted, sort, asked) = body.read(|fields| (Filters::read(fields), sort(fields), Numbered::read(fields)))?;
    let page = asked.page()?;
    let found = sorted(wanted.flows(&state).await?, sort);
    let count = found.len() as u64;
    Ok(Json(asked.answer(page, count, shown(cut(found, page)))))
}

pub(super) async fn count(State(state): State<ApiState>, body: Body) -> Result<Json<usize>, Error> {
    let wanted = body.read(Filters::read)?;
    Ok(Json(wanted.flows(&state).await?.len()))
}

fn shown(flows: Vec<Arc<Flow>>) -> Vec<Value> {
    flows.iter().map(|flow| wire::flow(flow)).collect()
}

/// They come by name.
fn sorted(mut flows: Vec<Arc<Flow>>, order: Order) -> Vec<Arc<Flow>> {
    match order {
        Order::NameAsc => {}
        Order::NameDesc => flows.reverse(),
        Order::CreatedDesc => flows.sort_by_key(|flow| std::cmp::Reverse((flow.created_at, flow.row_id))),
    }
    flows
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

pub(super) fn sort(fields: &mut Fields<'_>) -> Order {
    fields.parsed("sort", order).unwrap_or_default()
}

fn order(word: &str) -> Result<Order, String> {
    match word {
        "NAME_ASC" => Ok(Order::NameAsc),
        "NAME_DESC" => Ok(Order::NameDesc),
        "CREATED_DESC" | "UPDATED_DESC" => Ok(Order::CreatedDesc),
        _ => Err("Input should be one of NAME_ASC, NAME_DESC, CREATED_DESC, UPDATED_DESC".into()),
    }
}
