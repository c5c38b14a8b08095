//! Limits of work pools and work queues: what the definitions say, and what was set at run time
//! over it. The latter survives a reload of the former.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use super::changes::Changed;
use super::model::{PoolLimits, Switch};
use super::writer::Writing;

/// In force for one pool or one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) priority: u32,
    pub(super) concurrency_limit: Option<u32>,
    pub(super) paused: bool,
}

/// A queue that no definition names: no limit, after all others.
const UNLISTED: Limits = Limits {
    priority: u32::MAX,
    concurrency_limit: None,
    paused: false,
};

/// `concurrency_limit` of a switch that lifts the limit.
const LIFTED: i64 = -1;

/// Replaces every pool and queue. Each pool then admits whom it may.
pub(super) fn sync(writing: &mut Writing<'_>, pools: &[PoolLimits]) -> Result<(), Error> {
    writing.sql.execute_batch("DELETE FROM pools; DELETE FROM queues;")?;
    for pool in pools {
        writing
            .sql
            .prepare_cached("INSERT INTO pools (name, concurrency_limit, paused) VALUES (?, ?, ?)")?
            .execute(params![pool.name, pool.concurrency_limit, pool.paused])?;
        for queue in &pool.queues {
            let mut put = writing.sql.prepare_cached(
                "INSERT INTO queues (pool, name, priority, concurrency_limit, paused) VALUES (?, ?, ?, ?, ?)",
            )?;
            put.execute(params![
                pool.name,
                queue.name,
                queue.priority,
                queue.concurrency_limit,
                queue.paused
            ])?;
        }
        writing.touched.insert(pool.name.clone());
    }
    Ok(())
}

/// Sets what is `Some`, and leaves the rest of an earlier switch as it is.
pub(super) fn set_switch(
    writing: &mut Writing<'_>,
    pool: &str,
    queue: Option<&str>,
    switch: Switch,
) -> Result<(), Error> {
    let limit = switch.concurrency_limit.map(|limit| limit.map_or(LIFTED, i64::from));
    let mut put = writing.sql.prepare_cached(
        "INSERT INTO pool_switches (pool, queue, paused, concurrency_limit, priority) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (pool, queue) DO UPDATE SET paused = coalesce(excluded.paused, paused), \
         concurrency_limit = coalesce(excluded.concurrency_limit, concurrency_limit), \
         priority = coalesce(excluded.priority, priority)",
    )?;
    put.execute(params![
        pool,
        queue.unwrap_or(""),
        switch.paused,
        limit,
        switch.priority
    ])?;
    writing.touched.insert(pool.to_owned());
    writing.tell(|| told(pool, queue, Some(switch)));
    Ok(())
}

/// Back to what the definitions say.
pub(super) fn clear_switch(writing: &mut Writing<'_>, pool: &str, queue: Option<&str>) -> Result<(), Error> {
    let mut delete = writing
        .sql
        .prepare_cached("DELETE FROM pool_switches WHERE pool = ? AND queue = ?")?;
    delete.execute([pool, queue.unwrap_or("")])?;
    writing.touched.insert(pool.to_owned());
    writing.tell(|| told(pool, queue, None));
    Ok(())
}

fn told(pool: &str, queue: Option<&str>, switch: Option<Switch>) -> Changed {
    Changed::PoolSwitch {
        pool: pool.to_owned(),
        queue: queue.map(str::to_owned),
        switch,
    }
}

/// `None` for a pool that no definition names: it admits nobody.
pub(super) fn of_pool(sql: &Connection, pool: &str) -> Result<Option<Limits>, Error> {
    let mut select = sql.prepare_cached("SELECT 1 AS priority, concurrency_limit, paused FROM pools WHERE name = ?")?;
    let Some(defined) = select.query_row([pool], limits).optional()? else {
        return Ok(None);
    };
    Ok(Some(overlay(defined, switch(sql, pool, "")?)))
}

pub(super) fn of_queue(sql: &Connection, pool: &str, queue: &str) -> Result<Limits, Error> {
    let mut select =
        sql.prepare_cached("SELECT priority, concurrency_limit, paused FROM queues WHERE pool = ? AND name = ?")?;
    let defined = select.query_row([pool, queue], limits).optional()?.unwrap_or(UNLISTED);
    Ok(overlay(defined, switch(sql, pool, queue)?))
}

/// Every pool that a definition names.
pub(super) fn pool_names(sql: &Connection) -> Result<Vec<String>, Error> {
    let mut select = sql.prepare_cached("SELECT name FROM pools ORDER BY name")?;
    let names = select.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Every queue that a definition names, by name.
pub(super) fn queue_names(sql: &Connection, pool: &str) -> Result<Vec<String>, Error> {
    let mut select = sql.prepare_cached("SELECT name FROM queues WHERE pool = ? ORDER BY name")?;
    let names = select.query_map([pool], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// All switches, by pool and queue; `None` is the pool itself.
pub(super) fn switches(sql: &Connection) -> Result<BTreeMap<(String, Option<String>), Switch>, Error> {
    let mut select =
        sql.prepare_cached("SELECT pool, queue, paused, concurrency_limit, priority FROM pool_switches")?;
    let rows = select.query_map([], |row| {
        let queue: String = row.get("queue")?;
        Ok((
            (row.get("pool")?, Some(queue).filter(|queue| !queue.is_empty())),
            to_switch(row)?,
        ))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn switch(sql: &Connection, pool: &str, queue: &str) -> Result<Switch, Error> {
    let mut select = sql
        .prepare_cached("SELECT paused, concurrency_limit, priority FROM pool_switches WHERE pool = ? AND queue = ?")?;
    Ok(select
        .query_row([pool, queue], to_switch)
        .optional()?
        .unwrap_or_default())
}

fn to_switch(row: &Row<'_>) -> rusqlite::Result<Switch> {
    let limit: Option<i64> = row.get("concurrency_limit")?;
    Ok(Switch {
        paused: row.get("paused")?,
        concurrency_limit: limit.map(|limit| u32::try_from(limit).ok()),
        priority: row.get("priority")?,
    })
}

fn limits(row: &Row<'_>) -> rusqlite::Result<Limits> {
    Ok(Limits {
        priority: row.get("priority")?,
        concurrency_limit: row.get("concurrency_limit")?,
        paused: row.get("paused")?,
    })
}

fn overlay(defined: Limits, switch: Switch) -> Limits {
    Limits {
        priority: switch.priority.unwrap_or(defined.priority),
        concurrency_limit: switch.concurrency_limit.unwrap_or(defined.concurrency_limit),
        paused: switch.paused.unwrap_or(defined.paused),
    }
}
