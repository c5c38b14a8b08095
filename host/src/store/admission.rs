//! Who may run: slots of work pools and work queues. Every transaction that changes a slot or a
//! limit also gives the free slots to those who wait, so a slot is never free while somebody
//! eligible waits, and a limit is never exceeded, whatever happens in between.
//!
//! Occupancy is counted from the rows; there is no counter that could drift.

use grepx_engine::FlowRunId;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::failpoint::{self, Point};

use super::limits::{self, Limits};
use super::model::{SlotChange, SlotNews};
use super::rows::blob;
use super::writer::Writing;
use super::{Error, deployments};

/// `held` of a run that waits for its deployment, for its pool, and of one that has its slot.
const PARKED: i64 = -1;
const WAITING: i64 = 0;
const HELD: i64 = 1;

pub(super) fn change(writing: &mut Writing<'_>, run: FlowRunId, change: &SlotChange) -> Result<(), Error> {
    match change {
        SlotChange::Release => release(writing, run),
        SlotChange::Wait {
            pool,
            queue,
            deployment,
            since,
            expected_start,
        } => {
            let limited = match deployment {
                Some(id) => deployments::limit_of(writing.sql, *id)?.is_some(),
                None => false,
            };
            let place = params![
                blob(&run.0),
                pool,
                queue,
                deployment.as_ref().map(blob),
                expected_start.0,
                since.0,
                if limited { PARKED } else { WAITING }
            ];
            let mut put = writing.sql.prepare_cached(
                "INSERT INTO slots (run_id, pool, queue, deployment_id, expected_start, since, held) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?;
            if put.execute(place)? == 0 {
                match slot_of(writing.sql, run)? {
                    Some(slot) if slot.pool == *pool && slot.queue == *queue => {
                        ask_again(writing, run, slot, *deployment);
                        return Ok(());
                    }
                    _ => release(writing, run)?,
                }
                put.execute(place)?;
            }
            match deployment {
                Some(id) if limited => {
                    writing.deployments.insert(*id);
                }
                _ => {
                    writing.touched.insert(pool.clone());
                }
            }
            Ok(())
        }
    }
}

/// Asked again, as every start of the host does: the run keeps its place, and what was decided
/// about it is told again.
fn ask_again(writing: &mut Writing<'_>, run: FlowRunId, slot: Slot, deployment: Option<Uuid>) {
    match slot.held {
        HELD => writing.news.push(SlotNews::Admitted(run)),
        PARKED => writing.deployments.extend(deployment),
        _ => {
            writing.touched.insert(slot.pool);
        }
    }
}

/// Also of a run that only waits, or has none.
pub(super) fn release(writing: &mut Writing<'_>, run: FlowRunId) -> Result<(), Error> {
    let mut delete = writing
        .sql
        .prepare_cached("DELETE FROM slots WHERE run_id = ? RETURNING pool, deployment_id")?;
    let place: Option<(String, Option<[u8; 16]>)> = delete
        .query_row([blob(&run.0)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((pool, deployment)) = place {
        failpoint::reach(Point::Release);
        writing.touched.insert(pool);
        writing.deployments.extend(deployment.map(Uuid::from_bytes));
    }
    Ok(())
}

/// Gives the free slots of every touched pool away, after the deployments have let on whom they may.
pub(super) fn admit(writing: &mut Writing<'_>) -> Result<(), Error> {
    deployments::admit(writing)?;
    while let Some(pool) = writing.touched.pop_first() {
        let Some(limits) = limits::of_pool(writing.sql, &pool)? else {
            continue;
        };
        if limits.paused {
            continue;
        }
        let free = free(writing.sql, &pool, None, limits.concurrency_limit)?;
        let mut chosen = candidates(writing.sql, &pool, free)?;
        // By priority, expected start, since, run id: the order of the fields.
        chosen.sort_unstable();
        chosen.truncate(usize::try_from(free).unwrap_or(usize::MAX));
        for candidate in chosen {
            let mut hold = writing
                .sql
                .prepare_cached("UPDATE slots SET held = 1 WHERE run_id = ?")?;
            hold.execute([candidate.run])?;
            failpoint::reach(Point::Admission);
            writing
                .news
                .push(SlotNews::Admitted(FlowRunId(Uuid::from_bytes(candidate.run))));
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    priority: u32,
    expected_start: i64,
    since: i64,
    run: [u8; 16],
}

/// The first of each queue, as many as the queue may admit: no more rows are read than could be
/// admitted from that queue.
fn candidates(sql: &Connection, pool: &str, free_of_pool: i64) -> Result<Vec<Candidate>, Error> {
    let mut chosen = Vec::new();
    if free_of_pool == 0 {
        return Ok(chosen);
    }
    for queue in waiting_queues(sql, pool)? {
        let Limits {
            priority,
            concurrency_limit,
            paused,
        } = limits::of_queue(sql, pool, &queue)?;
        if paused {
            continue;
        }
        let room = free(sql, pool, Some(&queue), concurrency_limit)?.min(free_of_pool);
        let mut first = sql.prepare_cached(
            "SELECT expected_start, since, run_id FROM slots WHERE pool = ? AND queue = ? AND held = 0 \
             ORDER BY expected_start, since, run_id LIMIT ?",
        )?;
        let rows = first.query_map(params![pool, queue, room], |row| {
            Ok(Candidate {
                priority,
                expected_start: row.get(0)?,
                since: row.get(1)?,
                run: row.get(2)?,
            })
        })?;
        for row in rows {
            chosen.push(row?);
        }
    }
    Ok(chosen)
}

/// Slots that may still be given; `i64::MAX` without a limit, which is then not counted.
fn free(sql: &Connection, pool: &str, queue: Option<&str>, limit: Option<u32>) -> Result<i64, Error> {
    match limit {
        None => Ok(i64::MAX),
        Some(0) => Ok(0),
        Some(limit) => Ok((i64::from(limit) - count(sql, pool, queue, true)?).max(0)),
    }
}

/// Rows of a pool, or of one of its queues.
pub(super) fn count(sql: &Connection, pool: &str, queue: Option<&str>, held: bool) -> Result<i64, Error> {
    // The literal 0 or 1 lets SQLite use the partial index.
    let mut select = sql.prepare_cached(match (queue, held) {
        (None, true) => "SELECT count(*) FROM slots WHERE held = 1 AND pool = ?1",
        (None, false) => "SELECT count(*) FROM slots WHERE held = 0 AND pool = ?1",
        (Some(_), true) => "SELECT count(*) FROM slots WHERE held = 1 AND pool = ?1 AND queue = ?2",
        (Some(_), false) => "SELECT count(*) FROM slots WHERE held = 0 AND pool = ?1 AND queue = ?2",
    })?;
    let rows = match queue {
        None => select.query_row([pool], |row| row.get(0)),
        Some(queue) => select.query_row([pool, queue], |row| row.get(0)),
    };
    Ok(rows?)
}

/// Queues in which somebody waits, each found by one seek.
pub(super) fn waiting_queues(sql: &Connection, pool: &str) -> Result<Vec<String>, Error> {
    let mut queues: Vec<String> = Vec::new();
    let mut next = sql.prepare_cached("SELECT min(queue) FROM slots WHERE held = 0 AND pool = ? AND queue > ?")?;
    loop {
        let after = queues.last().map_or("", String::as_str);
        let found: Option<String> = next.query_row([pool, after], |row| row.get(0))?;
        match found {
            Some(queue) => queues.push(queue),
            None => return Ok(queues),
        }
    }
}

struct Slot {
    pool: String,
    queue: String,
    held: i64,
}

fn slot_of(sql: &Connection, run: FlowRunId) -> Result<Option<Slot>, Error> {
    let mut select = sql.prepare_cached("SELECT pool, queue, held FROM slots WHERE run_id = ?")?;
    let slot = select.query_row([blob(&run.0)], |row| {
        Ok(Slot {
            pool: row.get(0)?,
            queue: row.get(1)?,
            held: row.get(2)?,
        })
    });
    Ok(slot.optional()?)
}

#[cfg(test)]
mod tests;
