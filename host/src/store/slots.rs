//! Reading slots: who holds one, who waits, and the sentence that says why.

use std::collections::BTreeMap;

use grepx_engine::{FlowRunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::admission::{count, waiting_queues};
use super::limits;
use super::rows::{PoolStatus, QueueStatus, SlotRow, blob};
use super::{Error, deployments};

/// Runs before one that waits are counted up to here: a list of those who wait asks for each.
pub(super) const BEFORE_MAX: i64 = 1_000;
/// Holders named in a reason.
const NAMED_MAX: i64 = 3;

/// Every run that holds a slot (true), or waits for one or for its deployment.
pub(super) fn all_runs(sql: &Connection) -> Result<BTreeMap<FlowRunId, bool>, Error> {
    let mut select = sql.prepare_cached("SELECT run_id, held = 1 FROM slots")?;
    let runs = select.query_map([], |row| Ok((FlowRunId(Uuid::from_bytes(row.get(0)?)), row.get(1)?)))?;
    Ok(runs.collect::<Result<_, _>>()?)
}

/// Rows of one pool by queue, expected start, since and run.
pub(super) fn rows(sql: &Connection, pool: &str, held: bool, limit: u32) -> Result<Vec<SlotRow>, Error> {
    let mut select = sql.prepare_cached(
        "SELECT run_id, queue, expected_start, since FROM slots WHERE pool = ?1 AND held = ?2 \
         ORDER BY queue, expected_start, since, run_id LIMIT ?3",
    )?;
    let rows = select.query_map(params![pool, held, limit], |row| {
        Ok(SlotRow {
            run: FlowRunId(Uuid::from_bytes(row.get(0)?)),
            queue: row.get(1)?,
            expected_start: row.get(2).map(Timestamp)?,
            since: row.get(3).map(Timestamp)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn pool_status(sql: &Connection) -> Result<Vec<PoolStatus>, Error> {
    limits::pool_names(sql)?
        .into_iter()
        .filter_map(|name| status_of(sql, name).transpose())
        .collect()
}

fn status_of(sql: &Connection, name: String) -> Result<Option<PoolStatus>, Error> {
    let Some(limits) = limits::of_pool(sql, &name)? else {
        return Ok(None);
    };
    let mut names = limits::queue_names(sql, &name)?;
    names.extend(waiting_queues(sql, &name)?);
    names.sort_unstable();
    names.dedup();
    let queues = names.into_iter().map(|queue| queue_status(sql, &name, queue));
    Ok(Some(PoolStatus {
        queues: queues.collect::<Result<_, _>>()?,
        concurrency_limit: limits.concurrency_limit,
        paused: limits.paused,
        held: unsigned(count(sql, &name, None, true)?),
        waiting: unsigned(count(sql, &name, None, false)?),
        name,
    }))
}

fn queue_status(sql: &Connection, pool: &str, queue: String) -> Result<QueueStatus, Error> {
    let limits = limits::of_queue(sql, pool, &queue)?;
    Ok(QueueStatus {
        priority: limits.priority,
        concurrency_limit: limits.concurrency_limit,
        paused: limits.paused,
        held: unsigned(count(sql, pool, Some(&queue), true)?),
        waiting: unsigned(count(sql, pool, Some(&queue), false)?),
        name: queue,
    })
}

/// Why runs wait for a slot, of those that do.
pub(super) fn reasons_for(sql: &Connection, runs: &[FlowRunId]) -> Result<BTreeMap<FlowRunId, String>, Error> {
    let mut reasons = BTreeMap::new();
    for run in runs {
        if let Some(reason) = reason_for(sql, *run)? {
            reasons.insert(*run, reason);
        }
    }
    Ok(reasons)
}

/// Why a run waits for a slot; `None` when it does not.
pub(super) fn reason_for(sql: &Connection, run: FlowRunId) -> Result<Option<String>, Error> {
    if let Some(parked) = deployments::reason_for(sql, run)? {
        return Ok(Some(parked));
    }
    let mut select =
        sql.prepare_cached("SELECT pool, queue, expected_start, since FROM slots WHERE run_id = ? AND held = 0")?;
    let Some(slot) = select
        .query_row([blob(&run.0)], |row| {
            Ok(Waiting {
                run,
                pool: row.get(0)?,
                queue: row.get(1)?,
                expected_start: row.get(2)?,
                since: row.get(3)?,
            })
        })
        .optional()?
    else {
        return Ok(None);
    };
    slot.reason(sql).map(Some)
}

struct Waiting {
    run: FlowRunId,
    pool: String,
    queue: String,
    expected_start: i64,
    since: i64,
}

impl Waiting {
    fn reason(&self, sql: &Connection) -> Result<String, Error> {
        let Self { pool, queue, .. } = self;
        let Some(of_pool) = limits::of_pool(sql, pool)? else {
            return Ok(format!("work pool {pool} is unknown: no definition names it"));
        };
        if of_pool.paused {
            return Ok(format!("work pool {pool} is paused"));
        }
        let of_queue = limits::of_queue(sql, pool, queue)?;
        if of_queue.paused {
            return Ok(format!("work queue {queue} of work pool {pool} is paused"));
        }
        let held = count(sql, pool, Some(queue), true)?;
        if let Some(limit) = of_queue.concurrency_limit
            && held >= i64::from(limit)
        {
            let before = self.before_in(sql, queue)?;
            let by = holders(sql, pool, Some(queue), held)?;
            return Ok(format!(
                "work queue {queue} of work pool {pool}: {held} of {limit} slots taken, {}{by}",
                runs_before(before)
            ));
        }
        let held = count(sql, pool, None, true)?;
        let limit = of_pool
            .concurrency_limit
            .map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
        let before = self.before(sql, of_queue.priority)?;
        let by = holders(sql, pool, None, held)?;
        Ok(format!(
            "work pool {pool}: {held} of {limit} slots taken, {}{by}",
            runs_before(before)
        ))
    }

    /// Who is served earlier, over all queues of the pool that admit at all.
    fn before(&self, sql: &Connection, priority: u32) -> Result<i64, Error> {
        let mut before = 0;
        for queue in waiting_queues(sql, &self.pool)? {
            let other = limits::of_queue(sql, &self.pool, &queue)?;
            if other.paused {
                continue;
            }
            before += match other.priority.cmp(&priority) {
                std::cmp::Ordering::Less => waiting_in(sql, &self.pool, &queue)?,
                std::cmp::Ordering::Equal => self.before_in(sql, &queue)?,
                std::cmp::Ordering::Greater => 0,
            };
        }
        Ok(before)
    }

    fn before_in(&self, sql: &Connection, queue: &str) -> Result<i64, Error> {
        let mut select = sql.prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM slots WHERE pool = ? AND queue = ? AND held = 0 \
             AND (expected_start, since, run_id) < (?, ?, ?) LIMIT ?)",
        )?;
        let key = params![
            self.pool,
            queue,
            self.expected_start,
            self.since,
            blob(&self.run.0),
            BEFORE_MAX + 1
        ];
        Ok(select.query_row(key, |row| row.get(0))?)
    }
}

/// Who waits in a queue, counted up to the bound.
fn waiting_in(sql: &Connection, pool: &str, queue: &str) -> Result<i64, Error> {
    let mut select = sql.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM slots WHERE held = 0 AND pool = ? AND queue = ? LIMIT ?)",
    )?;
    Ok(select.query_row(params![pool, queue, BEFORE_MAX + 1], |row| row.get(0))?)
}

pub(super) fn runs_before(before: i64) -> String {
    match before {
        0 => "next in line".to_owned(),
        1 => "1 run before this one".to_owned(),
        more if more > BEFORE_MAX => format!("more than {BEFORE_MAX} runs before this one"),
        more => format!("{more} runs before this one"),
    }
}

/// ` (taken by a, b, c and 7 more)`
fn holders(sql: &Connection, pool: &str, queue: Option<&str>, held: i64) -> Result<String, Error> {
    let mut select = sql.prepare_cached(
        "SELECT coalesce(r.name, '(deleted)') FROM slots s LEFT JOIN flow_runs r ON r.id = s.run_id \
         WHERE s.held = 1 AND s.pool = ?1 AND (?2 IS NULL OR s.queue = ?2) ORDER BY s.since, s.run_id LIMIT ?3",
    )?;
    let names = select.query_map(params![pool, queue, NAMED_MAX], |row| row.get(0))?;
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Ok(String::new());
    }
    let more = held - NAMED_MAX;
    let tail = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Ok(format!(" (taken by {}{tail})", names.join(", ")))
}

fn unsigned(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
