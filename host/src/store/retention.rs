//! Removes flow runs that ended long ago.
//!
//! A run disappears at once, with the row that shows it; the rest of its rows follows in steps of a
//! bounded number of rows each, so that the writer is never held for long. What a stop interrupts
//! the next step goes on with.
//!
//! Absent on purpose: giving pages back to the file system while the host works. SQLite can, at the
//! price of a second page that nearly every commit has to write; free pages are used again instead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grepx_engine::{FlowRunId, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::changes::Changed;
use super::writer::Writing;
use super::{Error, Store};
use crate::config::Retention;
use crate::failpoint::{self, Point};

/// Bytes of what may be long that one step removes: each page of it is touched.
const BYTES_AT_ONCE: i64 = 2 << 20;
/// Flow runs that one step takes up at most.
const RUNS_AT_ONCE: u64 = 50;
/// Rows that go at once with a run that somebody deletes.
const ROWS_OF_ONE: u64 = 2_000;
/// Between two steps: others write.
const PAUSE: Duration = Duration::from_millis(25);

/// Tables with rows of a run, beside `flow_runs` and `run_inputs`; what tells its rows apart.
const TABLES: [(&str, &str); 8] = [
    ("task_runs", "task, item"),
    ("logs", "n"),
    ("states", "task, item, n"),
    ("results", "task, item"),
    ("facts", "seq"),
    ("outbox", "id"),
    ("flow_run_tags", "tag"),
    ("task_run_tags", "tag, task, item"),
];
/// Columns that may be long.
const LONG: [(&str, &str); 2] = [("results", "json"), ("facts", "fact")];

/// Flow runs that ended before go; `None` keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cutoffs {
    pub completed: Option<Timestamp>,
    /// Failed and crashed.
    pub failed: Option<Timestamp>,
    pub cancelled: Option<Timestamp>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    pub flow_runs: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// There is more to do.
    pub more: bool,
}

/// What has been removed since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    flow_runs: AtomicU64,
    rows: AtomicU64,
}

impl Counters {
    fn count(&self, step: &Removed) {
        self.flow_runs.fetch_add(step.flow_runs, Ordering::Relaxed);
        self.rows.fetch_add(step.rows, Ordering::Relaxed);
    }
}

/// Bytes of the file, and how many of them are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    pub bytes: u64,
    pub free: u64,
}

/// What a collection has found and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    pub removed: Removed,
    /// Runs of which only rows without a run were left.
    pub orphaned: u64,
    pub space: Space,
}

impl Cutoffs {
    /// As the settings have it at this moment.
    #[must_use]
    pub fn of(settings: &Retention, now: Timestamp) -> Self {
        let before = |age: Duration| Some(Timestamp(now.0.saturating_sub(milliseconds(age))));
        Self {
            completed: before(settings.completed),
            failed: before(settings.failed),
            cancelled: before(settings.cancelled),
        }
    }

    fn by_state(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let all = [
            ("COMPLETED", self.completed),
            ("FAILED", self.failed),
            ("CRASHED", self.failed),
            ("CANCELLED", self.cancelled),
        ];
        all.into_iter().filter_map(|(state, before)| Some((state, before?)))
    }
}

impl Store {
    /// Removes what has to go and rows that belong to nothing.
    ///
    /// # Errors
    /// When the store refuses; what was removed before stays removed.
    pub async fn collect(&self, cutoffs: Cutoffs, rows: u32, time: Duration) -> Result<Collected, Error> {
        let orphaned = self.take_up_orphans().await?;
        let removed = self.remove_ended(cutoffs, rows, time).await?;
        Ok(Collected {
            removed,
            orphaned,
            space: self.space().await?,
        })
    }

    /// Removes what has to go, in steps of so many rows, for so long at most.
    ///
    /// # Errors
    /// When the store refuses; what was removed before stays removed.
    pub async fn remove_ended(&self, cutoffs: Cutoffs, rows: u32, time: Duration) -> Result<Removed, Error> {
        let began = std::time::Instant::now();
        let mut all = Removed::default();
        loop {
            if !self.is_idle() {
                tokio::time::sleep(PAUSE).await;
            } else {
                let step = self.write(move |writing| remove(writing, cutoffs, rows.into())).await?;
                all.flow_runs += step.flow_runs;
                all.rows += step.rows;
                self.0.removed.count(&step);
                if step.rows > 0 {
                    failpoint::reach(Point::RemovalStep);
                }
                if !step.more {
                    return Ok(all);
                }
                tokio::time::sleep(PAUSE).await;
            }
            if began.elapsed() > time {
                return Ok(Removed { more: true, ..all });
            }
        }
    }

    /// What has been removed since the start.
    #[must_use]
    pub fn removed(&self) -> Removed {
        let counters = &self.0.removed;
        Removed {
            flow_runs: counters.flow_runs.load(Ordering::Relaxed),
            rows: counters.rows.load(Ordering::Relaxed),
            more: false,
        }
    }

    /// Rows of runs that are not there go with the next removal. How many such runs there are.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn take_up_orphans(&self) -> Result<u64, Error> {
        let found = self.orphans().await?;
        let count = found.len() as u64;
        self.write(move |writing| {
            for run in &found {
                put_removal(writing.sql, run)?;
            }
            Ok(())
        })
        .await?;
        Ok(count)
    }

    /// Forgets definitions that no flow run uses, and origins of none. Only while nothing makes runs.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn forget_definitions(&self) -> Result<u64, Error> {
        self.write(|writing| {
            writing.sql.execute_batch(
                "DELETE FROM tallies WHERE runs = 0; \
                 DELETE FROM origins WHERE id NOT IN (SELECT origin FROM flow_runs)",
            )?;
            let unused = "DELETE FROM definitions WHERE digest NOT IN (SELECT definition FROM flow_runs)";
            let forgotten = writing.sql.execute(unused, [])? as u64;
            failpoint::reach(Point::DefinitionsForgotten);
            Ok(forgotten)
        })
        .await
    }
}

/// One step.
fn remove(writing: &mut Writing<'_>, cutoffs: Cutoffs, rows_max: u64) -> Result<Removed, Error> {
    let sql = writing.sql;
    let mut removed = Removed::default();
    // Rows that are read to be counted take their time too.
    let mut counted = 0;
    loop {
        for run in begun(sql)? {
            let left = rows_max.saturating_sub(removed.rows + counted);
            if !remove_rows(sql, &run, left, &mut removed)? {
                removed.more = true;
                return Ok(removed);
            }
        }
        let left = rows_max.saturating_sub(removed.rows + counted);
        let next = if left == 0 { 1 } else { RUNS_AT_ONCE.min(left) };
        let runs = due(sql, cutoffs, next)?;
        removed.more = !runs.is_empty();
        if runs.is_empty() || left == 0 {
            return Ok(removed);
        }
        for run in runs {
            counted += begin(writing, &run)?;
            failpoint::reach(Point::RemovalBegun);
            if let Ok(id) = Uuid::from_slice(&run) {
                writing.tell(|| Changed::Removed(FlowRunId(id)));
            }
            removed.flow_runs += 1;
            removed.rows += 1;
            if removed.rows + counted >= rows_max {
                return Ok(removed);
            }
        }
    }
}

/// Ended runs that have to go, longest ago first. A child stays as long as its parent is live.
fn due(sql: &Connection, cutoffs: Cutoffs, limit: u64) -> Result<Vec<Vec<u8>>, Error> {
    let mut runs = Vec::new();
    for (state, before) in cutoffs.by_state() {
        let left = limit.saturating_sub(runs.len() as u64);
        let mut select = sql.prepare_cached(&format!("SELECT r.id {DUE} ORDER BY r.end_time LIMIT ?3"))?;
        let found = select.query_map(params![state, before.0, bounded(left)], |row| row.get(0))?;
        for run in found {
            runs.push(run?);
        }
    }
    Ok(runs)
}

const DUE: &str = "FROM flow_runs r WHERE r.terminal = 1 AND r.state_type = ?1 AND r.end_time < ?2 \
     AND NOT EXISTS (SELECT 1 FROM flow_runs p WHERE p.id = r.parent_run AND p.terminal = 0)";

/// How many runs would go.
pub(super) fn count_due(sql: &Connection, cutoffs: Cutoffs) -> Result<u64, Error> {
    let mut all = 0;
    for (state, before) in cutoffs.by_state() {
        let mut select = sql.prepare_cached(&format!("SELECT count(*) {DUE}"))?;
        all += select.query_row(params![state, before.0], |row| row.get::<_, i64>(0))?;
    }
    Ok(u64::try_from(all).unwrap_or(0))
}

/// Removes one run on request: it is gone at once, and what is left of its rows goes with the next
/// removal.
pub(super) fn remove_run(writing: &mut Writing<'_>, run: &[u8]) -> Result<(), Error> {
    begin(writing, run)?;
    remove_rows(writing.sql, run, ROWS_OF_ONE, &mut Removed::default())?;
    Ok(())
}

/// From here on nobody sees the run. How many task runs it had.
fn begin(writing: &mut Writing<'_>, run: &[u8]) -> Result<u64, Error> {
    put_removal(writing.sql, run)?;
    hide(writing, run)
}

fn hide(writing: &mut Writing<'_>, run: &[u8]) -> Result<u64, Error> {
    let counted = writing.tallies.forget(writing.sql, run)?;
    for delete in [
        "DELETE FROM slots WHERE run_id = ?",
        "DELETE FROM run_inputs WHERE run_id = ?",
        "DELETE FROM flow_runs WHERE id = ?",
    ] {
        writing.sql.prepare_cached(delete)?.execute([run])?;
    }
    Ok(counted)
}

/// Removes a run that is only planned, and has next to nothing.
pub(super) fn remove_planned(writing: &mut Writing<'_>, run: FlowRunId) -> Result<(), Error> {
    let id = run.0.as_bytes();
    hide(writing, id)?;
    for (table, _) in TABLES {
        let mut delete = writing
            .sql
            .prepare_cached(&format!("DELETE FROM {table} WHERE run_id = ?"))?;
        delete.execute([id])?;
    }
    writing.tell(|| Changed::Removed(run));
    Ok(())
}

/// Whether rows of such a run are still there, and nobody sees them.
pub(super) fn is_begun(sql: &Connection, run: &[u8]) -> rusqlite::Result<bool> {
    sql.prepare_cached("SELECT 1 FROM removals WHERE run_id = ?")?
        .exists([run])
}

fn put_removal(sql: &Connection, run: &[u8]) -> Result<(), Error> {
    let mut put = sql.prepare_cached("INSERT OR IGNORE INTO removals (run_id) VALUES (?)")?;
    put.execute([run])?;
    Ok(())
}

fn begun(sql: &Connection) -> Result<Vec<Vec<u8>>, Error> {
    let mut select = sql.prepare_cached("SELECT run_id FROM removals LIMIT ?")?;
    let found = select.query_map([bounded(RUNS_AT_ONCE)], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// False when rows are left.
fn remove_rows(sql: &Connection, run: &[u8], mut left: u64, removed: &mut Removed) -> Result<bool, Error> {
    for (table, key) in TABLES {
        let limit = match LONG.iter().find(|(long, _)| *long == table) {
            Some((_, column)) => short_enough(sql, run, table, key, column, left)?,
            None => left,
        };
        let mut count = sql.prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE run_id = ?1 LIMIT ?2)"
        ))?;
        let rows: i64 = count.query_row(params![run, bounded(limit + 1)], |row| row.get(0))?;
        let rows = u64::try_from(rows).unwrap_or(0);
        if rows == 0 {
            continue;
        }
        if rows > limit {
            let mut first = sql.prepare_cached(&format!(
                "DELETE FROM {table} WHERE run_id = ?1 AND ({key}) < \
                 (SELECT {key} FROM {table} WHERE run_id = ?1 ORDER BY {key} LIMIT 1 OFFSET ?2)"
            ))?;
            removed.rows += first.execute(params![run, bounded(limit)])? as u64;
            return Ok(false);
        }
        let mut all = sql.prepare_cached(&format!("DELETE FROM {table} WHERE run_id = ?1"))?;
        let gone = all.execute([run])? as u64;
        removed.rows += gone;
        left = left.saturating_sub(gone);
    }
    let mut over = sql.prepare_cached("DELETE FROM removals WHERE run_id = ?")?;
    over.execute([run])?;
    Ok(true)
}

/// How many of the first rows one step may take; one at least, if any.
fn short_enough(sql: &Connection, run: &[u8], table: &str, key: &str, column: &str, left: u64) -> Result<u64, Error> {
    let mut lengths = sql.prepare_cached(&format!(
        "SELECT octet_length({column}) FROM {table} WHERE run_id = ?1 ORDER BY {key} LIMIT ?2"
    ))?;
    let lengths = lengths.query_map(params![run, bounded(left)], |row| row.get::<_, i64>(0))?;
    let (mut rows, mut bytes) = (0, 0);
    for length in lengths {
        bytes += length?;
        if rows > 0 && bytes > BYTES_AT_ONCE {
            return Ok(rows);
        }
        rows += 1;
    }
    Ok(rows.max(1).min(left))
}

/// Runs that have rows, are not there and are not being removed: found by steps from one run to the next, not by reading
/// all of their rows.
pub(super) fn orphans(sql: &Connection) -> Result<Vec<Vec<u8>>, Error> {
    let mut orphans = std::collections::BTreeSet::new();
    for (table, _) in TABLES {
        let mut next = sql.prepare(&format!("SELECT min(run_id) FROM {table} WHERE run_id > ?"))?;
        let mut known = sql.prepare_cached(
            "SELECT 1 FROM flow_runs WHERE id = ?1 UNION ALL SELECT 1 FROM removals WHERE run_id = ?1",
        )?;
        let mut run: Vec<u8> = Vec::new();
        while let Some(found) = next.query_row([&run], |row| row.get::<_, Option<Vec<u8>>>(0))? {
            if !known.exists([&found])? {
                orphans.insert(found.clone());
            }
            run = found;
        }
    }
    Ok(orphans.into_iter().collect())
}

pub(super) fn space(sql: &Connection) -> Result<Space, Error> {
    let number = |pragma: &str| -> Result<u64, Error> {
        let found: i64 = sql.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
        Ok(u64::try_from(found).unwrap_or(0))
    };
    let page = number("page_size")?;
    Ok(Space {
        bytes: number("page_count")? * page,
        free: number("freelist_count")? * page,
    })
}

fn milliseconds(age: Duration) -> i64 {
    i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}

fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
