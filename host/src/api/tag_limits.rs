//! `/concurrency_limits`: task runs with a tag at once. The runner keeps to them; who holds a slot
//! is known from live task runs.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use super::body::Body;
use super::error::Error;
use super::filter::uuid;
use super::page::{Asked, cut};
use super::texts::short;
use super::{ApiState, concurrency, wire};
use crate::clock;
use crate::store::{self, ConcurrencyLimit, LimitChange, LimitKey, TAG_PREFIX};

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let page = body.read(Asked::read)?.page()?;
    let limits = state.store.concurrency_limits(clock::now()).await?;
    let of_tags = limits.into_iter().filter(|limit| limit.name.starts_with(TAG_PREFIX));
    let shown = cut(of_tags.collect(), page);
    Ok(Json(shown.iter().map(|limit| shown_with(&state, limit)).collect()))
}

pub(super) async fn read(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    let key = LimitKey::Id(uuid(&id).map_err(Error::Invalid)?);
    find(&state, &key).await
}

pub(super) async fn read_by_tag(State(state): State<ApiState>, Path(tag): Path<String>) -> Result<Json<Value>, Error> {
    find(&state, &key_of(&tag)).await
}

/// 201, or 200 when the tag had a limit, which is then this one.
pub(super) async fn create(State(state): State<ApiState>, body: Body) -> Result<(StatusCode, Json<Value>), Error> {
    let (tag, slots) = body.read(|fields| {
        for name in ["tag", "concurrency_limit"] {
            if !fields.has(name) {
                fields.fault(Some(name), "missing", "Field required");
            }
        }
        (fields.parsed("tag", short), fields.value::<u32>("concurrency_limit"))
    })?;
    let (Some(tag), Some(slots)) = (tag, slots) else {
        return Err(Error::Invalid("tag and concurrency_limit must not be null".into()));
    };
    let now = clock::now();
    let limit = ConcurrencyLimit {
        id: Uuid::now_v7(),
        name: format!("{TAG_PREFIX}{tag}"),
        slots,
        active: true,
        decay_per_second: 0.0,
        taken: 0.0,
        created_at: now,
        updated_at: now,
    };
    let status = match state.store.create_limit(limit).await {
        Ok(()) => StatusCode::CREATED,
        Err(store::Error::LimitNameTaken(_)) => {
            let change = LimitChange {
                slots: Some(slots),
                active: Some(true),
                ..LimitChange::default()
            };
            state.store.change_limit(key_of(&tag), change, now).await?;
            StatusCode::OK
        }
        Err(error) => return Err(error.into()),
    };
    state.runner.sync_tag_limits().await;
    Ok((status, find(&state, &key_of(&tag)).await?))
}

pub(super) async fn delete(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    let key = LimitKey::Id(uuid(&id).map_err(Error::Invalid)?);
    known(&state, &key).await?;
    remove(&state, key).await
}

pub(super) async fn delete_by_tag(
    State(state): State<ApiState>,
    Path(tag): Path<String>,
) -> Result<Json<Value>, Error> {
    remove(&state, key_of(&tag)).await
}

/// Slots follow from live task runs, so there is nothing to reset: it is what it should be.
pub(super) async fn reset(
    State(state): State<ApiState>,
    Path(tag): Path<String>,
    body: Body,
) -> Result<Json<Value>, Error> {
    body.read(|fields| {
        if fields
            .value::<Vec<Value>>("slot_override")
            .is_some_and(|slots| !slots.is_empty())
        {
            let message = "slots of a tag are held by live task runs and by nothing else";
            fields.fault(Some("slot_override"), "not_supported", message);
        }
    })?;
    known(&state, &key_of(&tag)).await?;
    Ok(Json(Value::Null))
}

async fn remove(state: &ApiState, key: LimitKey) -> Result<Json<Value>, Error> {
    if !state.store.delete_limit(key).await? {
        return Err(not_found());
    }
    state.runner.sync_tag_limits().await;
    Ok(Json(Value::Null))
}

async fn find(state: &ApiState, key: &LimitKey) -> Result<Json<Value>, Error> {
    let limit = known(state, key).await?;
    Ok(Json(shown_with(state, &limit)))
}

async fn known(state: &ApiState, key: &LimitKey) -> Result<ConcurrencyLimit, Error> {
    let found = concurrency::find(state, key).await.map_err(|error| match error {
        Error::NotFound(_) => not_found(),
        error => error,
    })?;
    if found.name.starts_with(TAG_PREFIX) {
        Ok(found)
    } else {
        Err(not_found())
    }
}

fn shown_with(state: &ApiState, limit: &ConcurrencyLimit) -> Value {
    let tag = limit.name.strip_prefix(TAG_PREFIX).unwrap_or_default();
    wire::tag_limit(limit, tag, &state.runner.tag_holders(tag))
}

fn key_of(tag: &str) -> LimitKey {
    LimitKey::Name(format!("{TAG_PREFIX}{tag}"))
}

fn not_found() -> Error {
    Error::NotFound("Concurrency limit not found".into())
}
