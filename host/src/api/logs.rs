//! Log lines of flow runs and task runs.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::body::Body;
use super::error::Error;
use super::page::Asked;
use super::{ApiState, filter, wire};

pub(super) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (wanted, asked) = body.read(|fields| {
        let newest_first = fields.parsed("sort", newest_first).unwrap_or_default();
        let mut wanted = filter::logs(fields);
        wanted.newest_first = newest_first;
        (wanted, Asked::read(fields))
    })?;
    let found = state.store.logs(wanted, asked.page()?).await?;
    Ok(Json(found.iter().map(wire::log).collect()))
}

fn newest_first(word: &str) -> Result<bool, String> {
    match word {
        "TIMESTAMP_ASC" => Ok(false),
        "TIMESTAMP_DESC" => Ok(true),
        _ => Err("Input should be TIMESTAMP_ASC or TIMESTAMP_DESC".into()),
    }
}
