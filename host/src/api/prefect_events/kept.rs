//! `POST /events/filter`: what is kept. That is the ring of the last events, and for flow runs that
//! are asked for by their ids all states that the run store has of them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grepx_engine::{FlowRunId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::filter::EventFilter;
use super::{PrefectEvent, states, translate};
use crate::api::ApiState;
use crate::api::body::Body;
use crate::api::bus::Taken;
use crate::api::error::Error;
use crate::store;

/// Events of one page, as in Prefect.
const PAGE: usize = 50;
/// Flow runs whose states are read from the store for one filter.
const NAMED_MAX: usize = 20;

/// Everything that is kept and that the filter includes, by time.
pub(in crate::api) async fn kept(state: &ApiState, filter: &EventFilter) -> Result<Vec<PrefectEvent>, store::Error> {
    let mut all: BTreeMap<(Timestamp, u64, Uuid), PrefectEvent> = BTreeMap::new();
    let mut known = std::collections::HashSet::new();
    let catalog = state.catalog.load_full();
    let mut subscription = state.events.subscribe_to_kept();
    while let Some(taken) = subscription.try_next() {
        let Taken::Entries { after, entries } = taken else {
            continue;
        };
        for event in entries.iter().flat_map(|entry| entry.events_after(after)) {
            if let Some(told) = translate(&event, &catalog).filter(|told| filter.includes(told))
                && known.insert(told.id)
            {
                all.insert((told.occurred, event.position, told.id), told);
            }
        }
    }
    let named = filter.named().filter_map(|id| id.strip_prefix("prefect.flow-run."));
    let named = named.filter_map(|id| Uuid::parse_str(id).ok()).map(FlowRunId);
    for run in named.take(NAMED_MAX) {
        let Some(found) = state.store.flow_run(run).await? else {
            continue;
        };
        let history = states::history(&found, &state.store.states(run).await?, &catalog);
        for (n, told) in (0..).zip(history) {
            if filter.includes(&told) && known.insert(told.id) {
                all.insert((told.occurred, n, told.id), told);
            }
        }
    }
    Ok(all.into_values().collect())
}

/// Where the next page begins: the same filter, after so many events of that time and before.
#[derive(Debug, Deserialize)]
pub(in crate::api) struct PageToken {
    #[serde(rename = "page-token")]
    token: String,
}

pub(in crate::api) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let mut asked = body.into_json();
    let filter = asked.get_mut("filter").map(Value::take).unwrap_or_default();
    let limit = Body::of(asked).read(|fields| {
        let limit: Option<usize> = fields.value("limit");
        if limit.is_some_and(|limit| limit > PAGE) {
            fields.fault(Some("limit"), "less_than_equal", &format!("at most {PAGE}"));
        }
        limit.unwrap_or(PAGE)
    })?;
    page(&state, filter, limit, 0).await
}

pub(in crate::api) async fn next(
    State(state): State<ApiState>,
    Query(PageToken { token }): Query<PageToken>,
) -> Result<Json<Value>, Error> {
    let strange = || Error::Invalid("the page-token is none that this host has given".to_owned());
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| strange())?;
    let (filter, limit, offset): (Value, usize, usize) = serde_json::from_slice(&bytes).map_err(|_| strange())?;
    page(&state, filter, limit.min(PAGE), offset).await
}

async fn page(state: &ApiState, asked: Value, limit: usize, offset: usize) -> Result<Json<Value>, Error> {
    let filter = Body::of(asked.clone()).read(EventFilter::read)?;
    let mut all = kept(state, &filter).await?;
    if !filter.oldest_first {
        all.reverse();
    }
    let total = all.len();
    let events: Vec<Value> = all.iter().skip(offset).take(limit).map(PrefectEvent::to_json).collect();
    let after = offset.saturating_add(limit);
    let next = (limit > 0 && after < total).then(|| {
        let token = URL_SAFE_NO_PAD.encode(json!([asked, limit, after]).to_string());
        let base = state.settings.prefect.api_url.trim_end_matches('/');
        format!("{base}/events/filter/next?page-token={token}")
    });
    Ok(Json(json!({"events": events, "total": total, "next_page": next})))
}
