//! `/v2/concurrency_limits`: limits with a name, which programs (Prefect's `concurrency()` and
//! `rate_limit()`) keep to by themselves, with leases that end when they die.
//!
//! Absent on purpose: slots without a lease of a limit that does not decay. Whoever died with one
//! would keep it for ever.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::{Body, Fields};
use super::error::Error;
use super::filter::uuid;
use super::page::{Asked, cut};
use super::texts::{bounded, short};
use super::{ApiState, wire};
use crate::clock;
use crate::store::{ConcurrencyLimit, LimitChange, LimitKey, NewLease, SlotsAsked, SlotsGiven, TAG_PREFIX};

/// Seconds of a lease: Prefect's default, and its bounds.
const LEASE_SECONDS: f64 = 300.0;
const LEASE_SECONDS_MIN: f64 = 60.0;
const LEASE_SECONDS_MAX: f64 = 86_400.0;
/// Limits of one request for slots.
const NAMES_MAX: usize = 100;

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let page = body.read(Asked::read)?.page()?;
    let limits = state.store.concurrency_limits(clock::now()).await?;
    let shown = cut(limits, page);
    Ok(Json(shown.iter().map(|limit| shown_with(&state, limit)).collect()))
}

pub(super) async fn read(State(state): State<ApiState>, Path(key): Path<String>) -> Result<Json<Value>, Error> {
    let limit = find(&state, &to_key(&key)).await?;
    Ok(Json(shown_with(&state, &limit)))
}

pub(super) async fn create(State(state): State<ApiState>, body: Body) -> Result<(StatusCode, Json<Value>), Error> {
    let (name, change) = body.read(|fields| {
        fields.ignored(&["denied_slots", "active_slots", "avg_slot_occupancy_seconds"]);
        for name in ["name", "limit"] {
            if !fields.has(name) {
                fields.fault(Some(name), "missing", "Field required");
            }
        }
        let change = change(fields);
        (change.name.clone(), change)
    })?;
    let (Some(name), Some(slots)) = (name, change.slots) else {
        return Err(Error::Invalid("name and limit must not be null".into()));
    };
    let now = clock::now();
    let limit = ConcurrencyLimit {
        id: Uuid::now_v7(),
        name,
        slots,
        active: change.active.unwrap_or(true),
        decay_per_second: change.decay_per_second.unwrap_or(0.0),
        taken: 0.0,
        created_at: now,
        updated_at: now,
    };
    state.store.create_limit(limit.clone()).await?;
    state.runner.sync_tag_limits().await;
    Ok((StatusCode::CREATED, Json(shown_with(&state, &limit))))
}

/// Null means unchanged.
pub(super) async fn update(
    State(state): State<ApiState>,
    Path(key): Path<String>,
    body: Body,
) -> Result<StatusCode, Error> {
    let change = body.read(|fields| {
        fields.ignored(&["denied_slots", "active_slots"]);
        change(fields)
    })?;
    if !state.store.change_limit(to_key(&key), change, clock::now()).await? {
        return Err(not_found());
    }
    state.runner.sync_tag_limits().await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(State(state): State<ApiState>, Path(key): Path<String>) -> Result<StatusCode, Error> {
    if !state.store.delete_limit(to_key(&key)).await? {
        return Err(not_found());
    }
    state.runner.sync_tag_limits().await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn take(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let asked = body.read(|fields| asked(fields, None))?;
    let limits = given(&state, asked).await?;
    Ok(Json(Value::Array(limits)))
}

pub(super) async fn take_with_lease(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let id = Uuid::now_v7();
    let asked = body.read(|fields| {
        let lease = NewLease {
            id,
            expires_at: clock::now().plus_ms(lease_ms(fields)),
            holder: holder(fields),
        };
        asked(fields, Some(lease))
    })?;
    let limits = given(&state, asked).await?;
    Ok(Json(json!({"lease_id": id, "limits": limits})))
}

/// Slots of a limit that decays are given back by time.
pub(super) async fn give_back(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let names: Vec<String> = body.read(|fields| fields.value("names"))?.unwrap_or_default();
    let limits = state.store.concurrency_limits(clock::now()).await?;
    let named = limits.iter().filter(|limit| names.contains(&limit.name));
    if let Some(limit) = named.clone().find(|limit| limit.decay_per_second == 0.0) {
        return Err(no_lease(&limit.name));
    }
    Ok(Json(named.map(wire::brief_limit).collect()))
}

/// A lease that has ended is none to give back.
pub(super) async fn end_lease(State(state): State<ApiState>, body: Body) -> Result<StatusCode, Error> {
    let lease = body.read(|fields| fields.parsed("lease_id", uuid))?;
    let lease = lease.ok_or_else(|| Error::Invalid("lease_id is missing".into()))?;
    state.store.end_lease(lease).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn renew(
    State(state): State<ApiState>,
    Path(lease): Path<String>,
    body: Body,
) -> Result<StatusCode, Error> {
    let lease = uuid(&lease).map_err(Error::Invalid)?;
    let now = clock::now();
    let until = now.plus_ms(body.read(lease_ms)?);
    if state.store.renew_lease(lease, until, now).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::Gone(
            "Lease not found - it may have expired or been revoked".into(),
        ))
    }
}

pub(super) async fn find(state: &ApiState, key: &LimitKey) -> Result<ConcurrencyLimit, Error> {
    let limits = state.store.concurrency_limits(clock::now()).await?;
    let mut limits = limits.into_iter();
    let found = limits.find(|limit| match key {
        LimitKey::Id(id) => limit.id == *id,
        LimitKey::Name(name) => limit.name == *name,
    });
    found.ok_or_else(not_found)
}

/// Slots of a tag are held by live task runs.
fn shown_with(state: &ApiState, limit: &ConcurrencyLimit) -> Value {
    let taken = match limit.name.strip_prefix(TAG_PREFIX) {
        #[allow(clippy::cast_precision_loss, reason = "slots are few")]
        Some(tag) => state.runner.tag_holders(tag).len() as f64,
        None => limit.taken,
    };
    wire::limit(limit, taken)
}

fn to_key(text: &str) -> LimitKey {
    Uuid::try_parse(text).map_or_else(|_| LimitKey::Name(text.to_owned()), LimitKey::Id)
}

fn change(fields: &mut Fields<'_>) -> LimitChange {
    let decay: Option<f64> = fields.value("slot_decay_per_second");
    if decay.is_some_and(|decay| !(0.0..=1e6).contains(&decay)) {
        fields.fault(
            Some("slot_decay_per_second"),
            "value_error",
            "should be from 0 to 1,000,000",
        );
    }
    LimitChange {
        name: fields.parsed("name", short),
        slots: fields.value("limit"),
        active: fields.value("active"),
        decay_per_second: decay,
    }
}

fn asked(fields: &mut Fields<'_>, lease: Option<NewLease>) -> SlotsAsked {
    let names: Vec<String> = fields.value("names").unwrap_or_default();
    let slots: u32 = fields.value("slots").unwrap_or_default();
    if names.is_empty() || names.len() > NAMES_MAX {
        fields.fault(
            Some("names"),
            "value_error",
            &format!("should have from 1 to {NAMES_MAX} names"),
        );
    }
    if names.iter().any(|name| name.starts_with(TAG_PREFIX)) {
        let message = "slots of a tag are held by task runs alone";
        fields.fault(Some("names"), "value_error", message);
    }
    if slots == 0 {
        fields.fault(Some("slots"), "greater_than", "Input should be greater than 0");
    }
    SlotsAsked { names, slots, lease }
}

/// Whatever the client says of itself.
fn holder(fields: &mut Fields<'_>) -> Option<String> {
    let holder = fields.value::<Value>("holder")?;
    bounded(&holder.to_string())
        .map_err(|wrong| fields.fault(Some("holder"), "value_error", &wrong))
        .ok()
}

fn lease_ms(fields: &mut Fields<'_>) -> u64 {
    let seconds: f64 = fields.value("lease_duration").unwrap_or(LEASE_SECONDS);
    if !(LEASE_SECONDS_MIN..=LEASE_SECONDS_MAX).contains(&seconds) {
        let message = format!("should be from {LEASE_SECONDS_MIN} to {LEASE_SECONDS_MAX} seconds");
        fields.fault(Some("lease_duration"), "value_error", &message);
        return 0;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
    let ms = (seconds * 1_000.0) as u64;
    ms
}

async fn given(state: &ApiState, asked: SlotsAsked) -> Result<Vec<Value>, Error> {
    match state.store.take_slots(asked, clock::now()).await? {
        SlotsGiven::All(limits) => Ok(limits.iter().map(wire::brief_limit).collect()),
        SlotsGiven::Full { name, wait_seconds } => Err(Error::Locked {
            message: format!("all slots of concurrency limit {name:?} are taken"),
            wait_seconds,
        }),
        SlotsGiven::TooMany { name, slots } => Err(Error::Invalid(format!(
            "Slots requested is greater than the limit: {name:?} has {slots}"
        ))),
        SlotsGiven::NoLease { name } => Err(no_lease(&name)),
    }
}

fn no_lease(name: &str) -> Error {
    Error::Invalid(format!(
        "concurrency limit {name:?} has no slot decay, so its slots are held by leases only: ask \
         /api/v2/concurrency_limits/increment-with-lease, as Prefect's concurrency() does"
    ))
}

fn not_found() -> Error {
    Error::NotFound("Concurrency Limit not found".into())
}
