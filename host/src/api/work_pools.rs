//! Work pools: defined in the catalog, switched at run time through the store.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::Value;

use super::body::{Body, Fields};
use super::door::Noted;
use super::error::Error;
use super::filter::PoolFilter;
use super::page::{Asked, cut};
use super::{ApiState, wire};
use crate::definitions::Pool;
use crate::store::{PoolStatus, Switch};

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, asked) = body.read(|fields| (PoolFilter::read(fields), Asked::read(fields)))?;
    let page = asked.page()?;
    let now = state.store.pools().await?;
    let catalog = state.catalog.load();
    let found = catalog.pools.values().filter(|pool| wanted.accepts(pool));
    let pools = found.map(|pool| wire::pool(pool, status(&now, &pool.name))).collect();
    Ok(Json(cut(pools, page)))
}

pub(super) async fn count(State(state): State<ApiState>, body: Body) -> Result<Json<usize>, Error> {
    let wanted = body.read(PoolFilter::read)?;
    let catalog = state.catalog.load();
    let found = catalog.pools.values().filter(|pool| wanted.accepts(pool));
    Ok(Json(found.count()))
}

pub(super) async fn read(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<Value>, Error> {
    let pool = find(&state, &name)?;
    let now = state.store.pools().await?;
    Ok(Json(wire::pool(&pool, status(&now, &name))))
}

/// Until it is set again; a change of the definitions does not undo it.
pub(super) async fn update(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    body: Body,
) -> Result<(Extension<Noted>, StatusCode), Error> {
    let pool = find(&state, &name)?;
    let switch = body.read(|fields| {
        fields.ignored(&["base_job_template", "storage_configuration"]);
        switch(fields, &["description", "name", "type"])
    })?;
    state.store.set_pool_switch(pool.name.clone(), None, switch).await?;
    Ok((noted(switch), StatusCode::NO_CONTENT))
}

/// What is set, in words.
pub(super) fn noted(switch: Switch) -> Extension<Noted> {
    let mut words = Vec::new();
    words.extend(
        switch
            .paused
            .map(|paused| if paused { "paused" } else { "not paused" }.to_owned()),
    );
    words.extend(switch.concurrency_limit.map(|limit| match limit {
        Some(limit) => format!("concurrency limit {limit}"),
        None => "no concurrency limit".to_owned(),
    }));
    words.extend(switch.priority.map(|priority| format!("priority {priority}")));
    Extension(Noted(words.join(", ")))
}

/// `is_paused` and `concurrency_limit`; `defined` belongs to the definitions database.
pub(super) fn switch(fields: &mut Fields<'_>, defined: &[&str]) -> Switch {
    for name in defined {
        if fields.value::<Value>(name).is_some() {
            let message = "this is set in the definitions database: change it there, or with `grepx-host apply`";
            fields.fault(Some(name), "not_supported", message);
        }
    }
    let lifts = fields.has("concurrency_limit");
    Switch {
        paused: fields.value("is_paused"),
        concurrency_limit: lifts.then(|| fields.value("concurrency_limit")),
        priority: None,
    }
}

pub(super) fn find(state: &ApiState, name: &str) -> Result<Arc<Pool>, Error> {
    let found = state.catalog.load().pools.get(name).cloned();
    found.ok_or_else(|| Error::NotFound(format!("Work pool {name:?} not found.")))
}

pub(super) fn status<'a>(now: &'a [PoolStatus], name: &str) -> Option<&'a PoolStatus> {
    now.iter().find(|pool| pool.name == name)
}
