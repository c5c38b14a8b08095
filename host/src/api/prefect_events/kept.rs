//! `POST /events/filter`: what is kept. That is the ring of the last events, and for flow runs that
//! are asked for by their ids all states that the run store has of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

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
use crate::api::bus::{Bus, Taken};
use crate::api::error::Error;
use crate::clock::{self, rfc3339};
use crate::definitions::Catalog;
use crate::store;

/// Events of one page, as in Prefect.
const PAGE: usize = 50;
/// Flow runs whose states are read from the store for one filter.
const NAMED_MAX: usize = 20;

/// Events by time, each once.
#[derive(Default)]
struct Kept {
    all: BTreeMap<(Timestamp, u64, Uuid), PrefectEvent>,
    known: HashSet<Uuid>,
}

impl Kept {
    fn take(&mut self, place: u64, told: PrefectEvent) {
        if self.known.insert(told.id) {
            self.all.insert((told.occurred, place, told.id), told);
        }
    }
}

/// Everything that is kept and that the filter includes, by time.
pub(in crate::api) async fn kept(state: &ApiState, filter: &EventFilter) -> Result<Vec<PrefectEvent>, store::Error> {
    let catalog = state.catalog.load_full();
    // Ten thousand events take a while, for which others would wait.
    let (events, own, of_now) = (state.events.clone(), filter.clone(), Arc::clone(&catalog));
    let reading = tokio::task::spawn_blocking(move || of_ring(&events, &own, &of_now));
    let mut kept = match reading.await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(kept) => kept,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => return Err(store::Error::Closed),
    };
    let named = filter.named().filter_map(|id| id.strip_prefix("prefect.flow-run."));
    let named = named.filter_map(|id| Uuid::parse_str(id).ok()).map(FlowRunId);
    for run in named.take(NAMED_MAX) {
        let Some(found) = state.store.flow_run(run).await? else {
            continue;
        };
        let history = states::history(&found, &state.store.states(run).await?, &catalog);
        for (n, told) in (0..).zip(history) {
            if filter.includes(&told) {
                kept.take(n, told);
            }
        }
    }
    Ok(kept.all.into_values().collect())
}

fn of_ring(events: &Bus, filter: &EventFilter, catalog: &Catalog) -> Kept {
    let mut kept = Kept::default();
    let until = events.position();
    let mut subscription = events.subscribe_to_kept();
    while subscription.position() < until
        && let Some(taken) = subscription.try_next()
    {
        let Taken::Entries { after, entries } = taken else {
            continue;
        };
        let told = entries.iter().flat_map(|entry| entry.events_after(after));
        for event in told.filter(|event| filter.may_include(&event.what)) {
            if let Some(told) = translate(&event, catalog).filter(|told| filter.includes(told)) {
                kept.take(event.position, told);
            }
        }
    }
    kept
}

/// Where the next page begins: the same filter, after so many events of that time and before.
#[derive(Debug, Deserialize)]
pub(in crate::api) struct PageToken {
    #[serde(rename = "page-token")]
    token: String,
}

pub(in crate::api) async fn filter(State(state): State<ApiState>, body: Body) -> Result<Json<Value>, Error> {
    let mut asked = body.into_json();
    let mut filter = asked.get_mut("filter").map(Value::take).unwrap_or_default();
    let limit = Body::of(asked).read(|fields| {
        let limit: Option<usize> = fields.value("limit");
        if limit.is_some_and(|limit| limit > PAGE) {
            fields.fault(Some("limit"), "less_than_equal", &format!("at most {PAGE}"));
        }
        limit.unwrap_or(PAGE)
    })?;
    if EventFilter::of(&filter)?.until.is_none() {
        end_now(&mut filter);
    }
    page(&state, filter, limit, 0).await
}

/// What happens between two pages must not move what is on the second. The filter has been read.
fn end_now(filter: &mut Value) {
    if filter.is_null() {
        *filter = json!({});
    }
    if filter["occurred"].is_null() {
        filter["occurred"] = json!({});
    }
    filter["occurred"]["until"] = rfc3339(clock::now()).into();
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
    let filter = EventFilter::of(&asked)?;
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
