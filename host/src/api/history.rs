//! How many runs there were when, by state, and how late they started: what dashboards ask.

use axum::Json;
use axum::extract::State;
use grepx_engine::Timestamp;
use serde_json::{Value, json};

use super::ApiState;
use super::body::{Body, Fields};
use super::error::Error;
use super::filter::{Filters, instant};
use crate::clock;
use crate::clock::rfc3339;
use crate::store::{Intervals, Tally};

/// Intervals of one answer at most; what comes after them is left out, as Prefect does.
const INTERVALS_MAX: i64 = 500;

pub(super) async fn of_flow_runs(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (filters, asked) = body.read(|fields| (Filters::read(fields), read(fields)))?;
    let intervals = intervals(asked)?;
    let wanted = filters.flow_runs(&state).await?;
    let tallies = state.store.flow_run_history(wanted, intervals).await?;
    Ok(Json(shown(intervals, &tallies)))
}

pub(super) async fn of_task_runs(State(state): State<ApiState>, body: Body) -> Result<Json<Vec<Value>>, Error> {
    let (filters, asked) = body.read(|fields| (Filters::read(fields), read(fields)))?;
    let intervals = intervals(asked)?;
    let wanted = filters.task_runs(&state).await?;
    let tallies = state.store.task_run_history(wanted, intervals).await?;
    Ok(Json(shown(intervals, &tallies)))
}

/// `POST /flow_runs/lateness`: the mean in seconds, null without runs.
pub(super) async fn lateness(State(state): State<ApiState>, body: Body) -> Result<Json<Option<f64>>, Error> {
    let wanted = body.read(Filters::read)?.flow_runs(&state).await?;
    let mean = state.store.mean_lateness(wanted, clock::now()).await?;
    Ok(Json(mean.map(|ms| ms / 1_000.0)))
}

/// Start, end and the length of an interval in ms.
type Asked = Option<(Timestamp, Timestamp, i64)>;

fn read(fields: &mut Fields<'_>) -> Asked {
    for name in ["history_start", "history_end", "history_interval_seconds"] {
        if !fields.has(name) {
            fields.fault(Some(name), "missing", "Field required");
        }
    }
    let start = fields.parsed("history_start", instant);
    let end = fields.parsed("history_end", instant);
    let seconds: Option<f64> = fields.value("history_interval_seconds");
    #[allow(clippy::cast_possible_truncation, reason = "what is too large is cut to the largest")]
    let length = seconds.map(|seconds| (seconds * 1_000.0) as i64);
    Some((start?, end?, length?))
}

fn intervals(asked: Asked) -> Result<Intervals, Error> {
    let (from, until, length_ms) = asked
        .ok_or_else(|| Error::Invalid("history_start, history_end and history_interval_seconds are needed.".into()))?;
    if length_ms < 1_000 {
        return Err(Error::Invalid(
            "History interval must not be less than 1 second.".into(),
        ));
    }
    let elapsed = until.0.saturating_sub(from.0).max(0);
    let whole = elapsed / length_ms + i64::from(elapsed % length_ms > 0);
    Ok(Intervals {
        from,
        length_ms,
        count: u32::try_from(whole.min(INTERVALS_MAX)).unwrap_or(0),
        now: clock::now(),
    })
}

fn shown(intervals: Intervals, tallies: &[Tally]) -> Vec<Value> {
    let edge = |n: u32| {
        Timestamp(
            intervals
                .from
                .0
                .saturating_add(intervals.length_ms.saturating_mul(n.into())),
        )
    };
    let one = |n: u32| {
        let states = tallies.iter().filter(|tally| tally.interval == n).map(tally);
        json!({
            "interval_start": rfc3339(edge(n)),
            "interval_end": rfc3339(edge(n + 1)),
            "states": states.collect::<Vec<_>>(),
        })
    };
    (0..intervals.count).map(one).collect()
}

fn tally(one: &Tally) -> Value {
    json!({
        "state_type": one.state_type,
        "state_name": one.state_name,
        "count_runs": one.runs,
        "sum_estimated_run_time": super::wire::seconds(one.run_time_ms),
        "sum_estimated_lateness": super::wire::seconds(one.late_ms),
    })
}
