//! Sums over runs: their history by interval and state, how late they start, and which flows and
//! deployments they are of.

use std::collections::HashSet;

use grepx_engine::{StateType, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use uuid::Uuid;

use super::Error;
use super::filter::{Conditions, FlowRunFilter, TaskRunFilter};
use super::rows;
use super::ways::{self, Source};

/// Intervals of equal length, from `from` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    pub from: Timestamp,
    /// At least 1 ms.
    pub length_ms: i64,
    pub count: u32,
    /// What is not over goes on until now.
    pub now: Timestamp,
}

/// Runs of one interval in one state, by when they should start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Of the interval, from 0.
    pub interval: u32,
    pub state_type: StateType,
    pub state_name: String,
    pub runs: u64,
    pub run_time_ms: u64,
    pub late_ms: u64,
}

impl Intervals {
    fn until(&self) -> i64 {
        let length = self.length_ms.saturating_mul(self.count.into());
        self.from.0.saturating_add(length)
    }
}

/// How late a run started, or is by now (the mark) when it has not, in ms.
const FLOW_RUN_LATE: &str = "CASE WHEN r.start_time IS NOT NULL THEN max(r.start_time - r.expected_start, 0) \
     WHEN r.terminal = 0 THEN max(? - r.expected_start, 0) ELSE 0 END";
const FLOW_RUN_TIME: &str =
    "r.total_run_time_ms + CASE WHEN r.state_type = 'RUNNING' THEN max(? - r.state_since, 0) ELSE 0 END";
const TASK_RUN_LATE: &str = "max(coalesce(t.start_time - t.expected_start, 0), 0)";
const TASK_RUN_TIME: &str =
    "t.total_run_time_ms + CASE WHEN t.state_type = 'RUNNING' THEN max(? - t.state_since, 0) ELSE 0 END";

pub(super) fn flow_run_history(
    sql: &Connection,
    filter: &FlowRunFilter,
    intervals: Intervals,
) -> Result<Vec<Tally>, Error> {
    let mut conditions = Conditions::default();
    conditions.flow_runs(filter);
    let select = format!(
        "SELECT (r.expected_start - ?) / ? AS interval, r.state_type, r.state_name, count(*) AS runs, \
         sum({FLOW_RUN_TIME}) AS time, sum({FLOW_RUN_LATE}) AS late \
         FROM flow_runs r WHERE r.expected_start >= ? AND r.expected_start < ? AND {} GROUP BY 1, 2, 3",
        conditions.sql()
    );
    let now = intervals.now.0;
    tallies(sql, &select, intervals, &[now, now], conditions)
}

pub(super) fn task_run_history(
    sql: &Connection,
    filter: &TaskRunFilter,
    intervals: Intervals,
) -> Result<Vec<Tally>, Error> {
    let mut conditions = Conditions::default();
    conditions.task_runs(filter);
    let select = format!(
        "SELECT (t.expected_start - ?) / ? AS interval, t.state_type, t.state_name, count(*) AS runs, \
         sum({TASK_RUN_TIME}) AS time, sum({TASK_RUN_LATE}) AS late \
         FROM task_runs t WHERE t.expected_start >= ? AND t.expected_start < ? AND {} GROUP BY 1, 2, 3",
        conditions.sql()
    );
    tallies(sql, &select, intervals, &[intervals.now.0], conditions)
}

fn tallies(
    sql: &Connection,
    select: &str,
    intervals: Intervals,
    nows: &[i64],
    conditions: Conditions,
) -> Result<Vec<Tally>, Error> {
    let bounds = [intervals.from.0, intervals.until()];
    let numbers = [intervals.from.0, intervals.length_ms]
        .into_iter()
        .chain(nows.iter().copied())
        .chain(bounds);
    let values = numbers.map(Value::Integer).chain(conditions.values);
    let mut select = sql.prepare_cached(select)?;
    let found = select.query_map(params_from_iter(values), tally)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn tally(row: &Row<'_>) -> rusqlite::Result<Tally> {
    Ok(Tally {
        interval: row.get("interval")?,
        state_type: rows::state_type(row.get_ref("state_type")?.as_str()?)?,
        state_name: row.get("state_name")?,
        runs: rows::number(row, "runs")?,
        run_time_ms: rows::number(row, "time")?,
        late_ms: rows::number(row, "late")?,
    })
}

/// In ms over all flow runs that match; `None` when none does.
pub(super) fn mean_lateness(sql: &Connection, filter: &FlowRunFilter, now: Timestamp) -> Result<Option<f64>, Error> {
    let Some(Source { from, clause, .. }) = ways::of_flow_runs(sql, filter)? else {
        return Ok(None);
    };
    let mut select = sql.prepare_cached(&format!("SELECT avg({FLOW_RUN_LATE}) FROM {from} WHERE {}", clause.sql))?;
    let values = std::iter::once(Value::Integer(now.0)).chain(clause.values);
    Ok(select.query_row(params_from_iter(values), |row| row.get(0))?)
}

/// The flows of which there are such flow runs.
pub(super) fn flows_of(sql: &Connection, filter: &FlowRunFilter) -> Result<HashSet<Uuid>, Error> {
    distinct(sql, "flow_id", filter)
}

/// The deployments of which there are such flow runs.
pub(super) fn deployments_of(sql: &Connection, filter: &FlowRunFilter) -> Result<HashSet<Uuid>, Error> {
    distinct(sql, "deployment_id", filter)
}

fn distinct(sql: &Connection, column: &str, filter: &FlowRunFilter) -> Result<HashSet<Uuid>, Error> {
    let Some(Source { from, clause, few }) = ways::of_flow_runs(sql, filter)? else {
        return Ok(HashSet::new());
    };
    // Of many, the first of each origin says enough.
    let select = match few {
        true => format!(
            "SELECT DISTINCT r.{column} AS id FROM {from} WHERE r.{column} IS NOT NULL AND {}",
            clause.sql
        ),
        false => format!(
            "SELECT DISTINCT o.{column} AS id FROM origins o WHERE o.{column} IS NOT NULL \
             AND EXISTS (SELECT 1 FROM flow_runs r INDEXED BY flow_runs_origin WHERE r.origin = o.id AND {})",
            clause.sql
        ),
    };
    let mut select = sql.prepare_cached(&select)?;
    let found = select.query_map(params_from_iter(clause.values), |row| rows::uuid(row, "id"))?;
    Ok(found.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
