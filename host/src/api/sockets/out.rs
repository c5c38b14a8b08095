//! `/events/out`: what is kept, unless the client wants none of it, and then what happens; each event
//! once. A client that is too slow is closed, so that it comes again and is sent what is kept: Prefect
//! has no message for events that are missing.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::talk::{Close, Talk};
use crate::api::ApiState;
use crate::api::bus::{Reader, Told};
use crate::api::prefect_events::filter::EventFilter;
use crate::api::prefect_events::kept::kept;
use crate::api::prefect_events::{PrefectEvent, translate};

/// How long after a commit it is told at most: what was read before can come again so long.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

pub(super) async fn send(state: &ApiState, talk: &mut Talk) -> Result<(), Close> {
    let Some((filter, message)) = super::filter(talk).await? else {
        return Ok(());
    };
    let filter = EventFilter::of(&filter).map_err(|refused| Close::protocol(&super::invalid_filter(&refused)))?;
    // First a place among those who are told, so that nothing falls between what is kept and what comes.
    let reader = Reader::new(state.events.subscribe());
    let mut sent = HashSet::new();
    if message["backfill"] != Value::Bool(false) {
        let all = kept(state, &filter).await;
        for event in all.map_err(|error| Close::trouble(&crate::report::chain(&error)))? {
            sent.insert(event.id);
            talk.send(&envelope(&event)).await?;
        }
    }
    follow(state, talk, &filter, reader, sent).await
}

async fn follow(
    state: &ApiState,
    talk: &mut Talk,
    filter: &EventFilter,
    mut reader: Reader,
    mut sent: HashSet<Uuid>,
) -> Result<(), Close> {
    let forgotten_at = Instant::now() + TOLD_AGAIN;
    while let Some(told) = super::told(talk, &mut reader).await? {
        if !sent.is_empty() && Instant::now() > forgotten_at {
            sent = HashSet::new();
        }
        let happened = match told {
            Told::Event(happened) => happened,
            Told::Gap(gap) => return Err(super::missed(gap, "connect again")),
        };
        let event = happened.event();
        if !filter.may_include(&event.what) {
            continue;
        }
        let event = translate(&event, &state.catalog.load()).filter(|told| filter.includes(told));
        if let Some(event) = event.filter(|told| !sent.remove(&told.id)) {
            talk.send(&envelope(&event)).await?;
        }
    }
    Ok(())
}

fn envelope(event: &PrefectEvent) -> Value {
    json!({"type": "event", "event": event.to_json()})
}
