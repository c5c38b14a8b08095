//! Keys of the API: ours. Made, listed, revoked; a key itself is in one answer, the one that makes
//! it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use grepx_engine::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ApiState;
use super::body::Body;
use super::door::{Noted, key};
use super::error::Error;
use super::filter::uuid;
use crate::clock::{self, rfc3339};
use crate::store::{KeyRow, NewKey, Scope};

const NAME_CHARS_MAX: usize = 100;
/// Ten years.
const LIFE_S_MAX: u64 = 10 * 366 * 86_400;

pub(super) async fn list(State(state): State<ApiState>) -> Result<Json<Vec<Value>>, Error> {
    let rows = state.store.keys().await?;
    let now = clock::now();
    Ok(Json(rows.iter().map(|row| shown(row, now)).collect()))
}

/// `{"name", "scope", "expires_in_seconds"}`; the answer has the key itself as `key`.
pub(super) async fn create(
    State(state): State<ApiState>,
    body: Body,
) -> Result<(StatusCode, Extension<Noted>, Json<Value>), Error> {
    let (name, scope, life) = body.read(|fields| {
        let name = fields.parsed("name", check_name);
        let scope = fields.parsed("scope", |word| {
            Scope::parse(word).ok_or_else(|| "should be read, run or admin".to_owned())
        });
        let life: Option<u64> = fields.value("expires_in_seconds");
        if life.is_some_and(|life| !(1..=LIFE_S_MAX).contains(&life)) {
            fields.fault(
                Some("expires_in_seconds"),
                "value_error",
                "should be between a second and ten years",
            );
        }
        (name, scope, life)
    })?;
    let (Some(name), Some(scope)) = (name, scope) else {
        return Err(Error::Invalid(
            "a key needs a name and a scope: read, run or admin".to_owned(),
        ));
    };
    let text =
        key::generate().map_err(|error| Error::Unavailable(format!("this system gives no random numbers: {error}")))?;
    let now = clock::now();
    let made = NewKey {
        id: Uuid::now_v7(),
        name,
        digest: key::digest(&text),
        scope,
        created_at: now,
        expires_at: life.map(|life| now.plus_ms(life.saturating_mul(1_000))),
    };
    let opened = !state.door.is_closed();
    state.store.create_key(made.clone()).await?;
    state.door.read_keys().await?;
    let noted = Noted(format!("key {} ({scope}, {})", made.name, made.id));
    let row = KeyRow {
        key: made,
        last_used_at: None,
        revoked_at: None,
    };
    let mut answer = shown(&row, now);
    answer["key"] = text.into();
    answer["first"] = opened.into();
    Ok((StatusCode::CREATED, Extension(noted), Json(answer)))
}

pub(super) async fn revoke(State(state): State<ApiState>, Path(id): Path<String>) -> Result<StatusCode, Error> {
    let id = uuid(&id).map_err(Error::Invalid)?;
    if !state.store.revoke_key(id, clock::now()).await? {
        return Err(Error::NotFound(format!("There is no key {id}")));
    }
    state.door.read_keys().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Names are told from ids, and stand in logs.
pub(crate) fn check_name(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_alphanumeric() || "-_.@ ".contains(c);
    let sized = !name.trim().is_empty() && name.chars().nth(NAME_CHARS_MAX).is_none();
    if sized && name.chars().all(fits) && Uuid::try_parse(name).is_err() {
        return Ok(name.to_owned());
    }
    Err(format!(
        "should be a name of 1 to {NAME_CHARS_MAX} letters, digits, spaces and -_.@"
    ))
}

/// Everything but the key and its digest.
pub(crate) fn shown(row: &KeyRow, now: Timestamp) -> Value {
    let state = match row.revoked_at {
        Some(_) => "revoked",
        None if row.is_live(now) => "live",
        None => "expired",
    };
    json!({
        "id": row.key.id,
        "name": row.key.name,
        "scope": row.key.scope.as_str(),
        "state": state,
        "created": rfc3339(row.key.created_at),
        "expires": row.key.expires_at.map(rfc3339),
        "last_used": row.last_used_at.map(rfc3339),
        "revoked": row.revoked_at.map(rfc3339),
    })
}
