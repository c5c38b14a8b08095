//! `POST /events/count-by/{day|time|event|resource}`: what is kept, counted.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use grepx_engine::Timestamp;
use serde_json::{Value, json};

use super::PrefectEvent;
use super::filter::EventFilter;
use super::kept::kept;
use crate::api::ApiState;
use crate::api::body::Body;
use crate::api::error::Error;
use crate::clock::rfc3339;

/// Spans of time are counted from this Monday, as in Prefect.
const PIVOT: Timestamp = Timestamp(1_711_929_600_000);
/// Spans of one answer, as in Prefect.
const SPANS_MAX: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;

pub(in crate::api) async fn count(
    State(state): State<ApiState>,
    Path(countable): Path<String>,
    body: Body,
) -> Result<Json<Vec<Value>>, Error> {
    let (filter, unit, interval) = body.read(|fields| {
        let filter = fields.object("filter", EventFilter::read).unwrap_or_default();
        let unit = fields.parsed("time_unit", milliseconds).unwrap_or(DAY_MS);
        let interval: f64 = fields.value("time_interval").unwrap_or(1.0);
        if interval < 0.01 {
            fields.fault(Some("time_interval"), "value_error", "The minimum interval is 0.01");
        }
        (filter, unit, interval)
    })?;
    let all = kept(&state, &filter).await?;
    match countable.as_str() {
        "event" => Ok(Json(by_text(&all, |event| (event.event.clone(), event.event.clone())))),
        "resource" => Ok(Json(by_text(&all, |event| {
            let id = event.resource.id().to_owned();
            let name = event.resource.name().map_or_else(|| id.clone(), str::to_owned);
            (id, name)
        }))),
        "day" => by_time(&all, &filter, DAY_MS).map(Json),
        "time" => by_time(&all, &filter, span(unit, interval)).map(Json),
        _ => Err(Error::NotFound(format!(
            "events are not counted by {countable:?}: by day, time, event or resource"
        ))),
    }
}

fn milliseconds(unit: &str) -> Result<i64, String> {
    match unit {
        "week" => Ok(7 * DAY_MS),
        "day" => Ok(DAY_MS),
        "hour" => Ok(3_600_000),
        "minute" => Ok(60_000),
        "second" => Ok(1_000),
        _ => Err("Input should be week, day, hour, minute or second".to_owned()),
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a unit is at most a week, and the product is clamped"
)]
fn span(unit: i64, interval: f64) -> i64 {
    (unit as f64 * interval).clamp(10.0, 1e15) as i64
}

/// The most frequent first.
fn by_text(all: &[PrefectEvent], value: impl Fn(&PrefectEvent) -> (String, String)) -> Vec<Value> {
    let mut counts: BTreeMap<String, (String, u64, Timestamp, Timestamp)> = BTreeMap::new();
    for event in all {
        let (value, label) = value(event);
        let at = event.occurred;
        let entry = counts.entry(value).or_insert((label, 0, at, at));
        entry.1 += 1;
        entry.2 = entry.2.min(at);
        entry.3 = entry.3.max(at);
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, (_, count, ..))| std::cmp::Reverse(*count));
    let counts = counts.into_iter().map(|(value, (label, count, first, last))| {
        json!({"value": value, "label": label, "count": count,
            "start_time": rfc3339(first), "end_time": rfc3339(last)})
    });
    counts.collect()
}

/// Every span from the first to the last that the filter asks for, also those without an event.
fn by_time(all: &[PrefectEvent], filter: &EventFilter, span: i64) -> Result<Vec<Value>, Error> {
    let now = crate::clock::now();
    let place = |at: Timestamp| (at.0 - PIVOT.0).div_euclid(span);
    let first = filter.since.or(all.first().map(|event| event.occurred)).unwrap_or(now);
    let last = filter.until.unwrap_or(now).min(now);
    let (first, last) = (place(first), place(last));
    let spans = last.saturating_sub(first).saturating_add(1);
    if spans > SPANS_MAX {
        return Err(Error::Invalid(format!(
            "The given interval would create {spans} buckets, which is too many. Please increase the interval or \
             reduce the time range to produce {SPANS_MAX} buckets or fewer."
        )));
    }
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for event in all {
        *counts.entry(place(event.occurred)).or_default() += 1;
    }
    let spans = (first..=last).map(|n| {
        let start = Timestamp(PIVOT.0 + n * span);
        json!({"value": n.to_string(), "label": rfc3339(start), "count": counts.get(&n).copied().unwrap_or(0),
            "start_time": rfc3339(start), "end_time": rfc3339(Timestamp(start.0 + span - 1))})
    });
    Ok(spans.collect())
}
