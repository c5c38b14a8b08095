//! The audit log: ours. Who changed what, the newest first.

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use super::ApiState;
use super::error::Error;
use crate::clock::rfc3339;
use crate::store::AuditRow;

/// Rows of one answer.
const ROWS_MAX: u32 = 1_000;
const ROWS: u32 = 200;

#[derive(Debug, serde::Deserialize)]
pub(super) struct Asked {
    limit: Option<u32>,
    /// Number of a row: those before it.
    before: Option<i64>,
}

pub(super) async fn list(State(state): State<ApiState>, Query(asked): Query<Asked>) -> Result<Json<Vec<Value>>, Error> {
    let limit = asked.limit.unwrap_or(ROWS);
    if limit > ROWS_MAX {
        return Err(Error::Invalid(format!("limit should be at most {ROWS_MAX}")));
    }
    // What has been answered is in the list.
    state.store.flush_records().await?;
    let rows = state.store.audit(asked.before, limit).await?;
    Ok(Json(rows.iter().map(shown).collect()))
}

pub(crate) fn shown(row: &AuditRow) -> Value {
    json!({
        "n": row.n,
        "at": rfc3339(row.entry.at),
        "who": row.entry.who,
        "address": row.entry.address,
        "method": row.entry.method,
        "route": row.entry.route,
        "path": row.entry.path,
        "status": row.status,
        "note": row.note,
    })
}
