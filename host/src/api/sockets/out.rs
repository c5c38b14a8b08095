//! `/events/out`: what is kept, unless the client wants none of it, and then what happens; each event
//! once. A client that is too slow is closed, so that it comes again and is sent what is kept: Prefect
//! has no message for events that are missing.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::talk::{Close, Talk};
use crate::api::ApiState;
use crate::api::body::Body;
use crate::api::bus::{Subscription, Taken};
use crate::api::prefect_events::filter::EventFilter;
use crate::api::prefect_events::kept::kept;
use crate::api::prefect_events::{PrefectEvent, translate};

pub(super) async fn send(state: &ApiState, talk: &mut Talk) -> Result<(), Close> {
    let Some((filter, message)) = super::filter(talk).await? else {
        return Ok(());
    };
    let filter = Body::of(filter)
        .read(EventFilter::read)
        .map_err(|refused| Close::protocol(&super::invalid_filter(&refused)))?;
    // First a place among those who are told, so that nothing falls between what is kept and what comes.
    let mut subscription = state.events.subscribe();
    let mut sent = HashSet::new();
    if message["backfill"] != Value::Bool(false) {
        let all = kept(state, &filter).await;
        for event in all.map_err(|error| Close::trouble(&crate::report::chain(&error)))? {
            sent.insert(event.id);
            talk.send(&envelope(&event)).await?;
        }
    }
    follow(state, talk, &filter, &mut subscription, sent).await
}

async fn follow(
    state: &ApiState,
    talk: &mut Talk,
    filter: &EventFilter,
    subscription: &mut Subscription,
    mut sent: HashSet<uuid::Uuid>,
) -> Result<(), Close> {
    loop {
        let taken = tokio::select! {
            taken = subscription.next() => taken,
            heard = talk.receive() => match heard? {
                // It has nothing more to say.
                Some(_) => continue,
                None => return Ok(()),
            },
        };
        let (after, entries) = match taken {
            None => return Err(Close::going_away()),
            Some(Taken::Gap(gap)) => {
                let missed = gap.missed.unwrap_or_default();
                return Err(Close::trouble(&format!(
                    "{missed} events were not taken in time and are gone: connect again"
                )));
            }
            Some(Taken::Entries { after, entries }) => (after, entries),
        };
        let catalog = state.catalog.load_full();
        for event in entries.iter().flat_map(|entry| entry.events_after(after)) {
            if let Some(told) = translate(&event, &catalog).filter(|told| filter.includes(told))
                && !sent.remove(&told.id)
            {
                talk.send(&envelope(&told)).await?;
            }
        }
    }
}

fn envelope(event: &PrefectEvent) -> Value {
    json!({"type": "event", "event": event.to_json()})
}
