//! What a host needs to go on where the last one stopped: the runs that have not ended, with
//! their logs, and the sends that are open.

use std::collections::HashMap;

use grepx_engine::{Fact, FlowRunId, Json, NodeId, Op, Record, Timestamp};
use rusqlite::{Connection, Row, params};

use super::model::SendId;
use super::rows::{self, LiveRun, OpenSend, RUN_COLUMNS, RUN_TABLES};
use super::{Error, reads};

/// Which runs are handed over; planned ones have no log and never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that have not ended.
    Live,
    All,
}

/// One of several parts of all runs, about as large as each other, so that they can be read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Of the last byte of the id, which is random in every id.
    first: u8,
    last: u8,
}

impl Share {
    pub const ALL: Self = Self {
        first: 0,
        last: u8::MAX,
    };

    /// All runs, in so many parts (1 to 256).
    #[must_use]
    pub fn split(parts: usize) -> Vec<Self> {
        let parts = parts.clamp(1, 256);
        let bound = |part: usize| u8::try_from(part * 256 / parts).unwrap_or(u8::MAX);
        (0..parts)
            .map(|part| Self {
                first: bound(part),
                last: if part + 1 == parts {
                    u8::MAX
                } else {
                    bound(part + 1) - 1
                },
            })
            .collect()
    }
}

/// Hands every run to `each`, in the order of the ids. A run that cannot be read is handed
/// over as the error, and the scan goes on. Ends early when `each` says false.
///
/// Runs and facts are two statements on purpose: in a join every fact would carry the columns of
/// its run, parameters and all, through a sorter.
pub(super) fn runs(
    sql: &Connection,
    which: Which,
    share: Share,
    mut each: impl FnMut(Result<LiveRun, Error>) -> bool,
) -> Result<(), Error> {
    let condition = match which {
        Which::Live => "r.terminal = 0 AND r.planned = 0",
        Which::All => "r.planned = 0",
    };
    let mut select = sql.prepare(&format!(
        "SELECT {RUN_COLUMNS} FROM {RUN_TABLES} WHERE {condition} AND substr(r.id, 16) BETWEEN ? AND ? ORDER BY r.id"
    ))?;
    let mut definitions = HashMap::new();
    let mut rows = select.query([[share.first], [share.last]])?;
    while let Some(row) = rows.next()? {
        if !each(live_run(sql, row, &mut definitions)) {
            break;
        }
    }
    Ok(())
}

/// One run with its log, ended or not; `None` when there is none, or it is only planned.
pub(super) fn run(sql: &Connection, run: FlowRunId) -> Result<Option<LiveRun>, Error> {
    let mut select = sql.prepare_cached(&format!(
        "SELECT {RUN_COLUMNS} FROM {RUN_TABLES} WHERE r.id = ? AND r.planned = 0"
    ))?;
    let mut rows = select.query([rows::blob(&run.0)])?;
    let found = rows.next()?;
    found.map(|row| live_run(sql, row, &mut HashMap::new())).transpose()
}

fn live_run(sql: &Connection, row: &Row<'_>, definitions: &mut HashMap<String, Json>) -> Result<LiveRun, Error> {
    let run = rows::new_run(row)?;
    let definition = match definitions.get(&run.definition) {
        Some(known) => known.clone(),
        None => {
            let found = reads::definition(sql, &run.definition)?;
            let found = found.ok_or_else(|| unreadable(run.id, format!("its definition {}", run.definition), None))?;
            definitions.insert(run.definition.clone(), found.clone());
            found
        }
    };
    Ok(LiveRun {
        records: records(sql, run.id)?,
        definition,
        run,
    })
}

/// The log of one run, ended or not, in order; completions with the result that is kept.
pub(super) fn records(sql: &Connection, run: FlowRunId) -> Result<Vec<Record>, Error> {
    let mut select = sql.prepare_cached("SELECT seq, at, fact FROM facts WHERE run_id = ? ORDER BY seq")?;
    let mut rows = select.query([rows::blob(&run.0)])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = rows::number(row, "seq")?;
        if seq != records.len() as u64 {
            return Err(unreadable(run, format!("fact {} (missing)", records.len()), None));
        }
        let json = row.get_ref("fact")?.as_str().map_err(rusqlite::Error::from)?;
        let mut fact: Fact =
            serde_json::from_str(json).map_err(|source| unreadable(run, format!("fact {seq}"), Some(source)))?;
        if let Fact::Succeeded { node, result, .. } | Fact::MarkedDone { node, result, .. } = &mut fact {
            *result = reads::result_of(sql, run.0, i64::from(node.task), rows::item(*node))?;
        }
        records.push(Record {
            seq,
            at: rows::time(row, "at")?,
            fact,
        });
    }
    Ok(records)
}

fn unreadable(run: FlowRunId, what: String, source: Option<serde_json::Error>) -> Error {
    Error::Unreadable {
        run,
        what,
        source: source.map(std::sync::Arc::new),
    }
}

/// In the order of their ids, from after `after`.
pub(super) fn open_sends(sql: &Connection, after: SendId, limit: u32, sent_too: bool) -> Result<Vec<OpenSend>, Error> {
    let mut select =
        sql.prepare_cached("SELECT * FROM outbox WHERE id > ? AND (sent_at IS NULL OR ?) ORDER BY id LIMIT ?")?;
    let mut rows = select.query(params![after.0, sent_too, limit])?;
    let mut sends = Vec::new();
    while let Some(row) = rows.next()? {
        sends.push(open_send(row)?);
    }
    Ok(sends)
}

/// The send of one command of an attempt.
pub(super) fn find_send(
    sql: &Connection,
    run: FlowRunId,
    node: NodeId,
    attempt: u32,
    key: &str,
) -> Result<Option<OpenSend>, Error> {
    let mut select = sql.prepare_cached(
        "SELECT * FROM outbox WHERE run_id = ? AND task = ? AND item = ? AND attempt = ? AND key = ? ORDER BY id LIMIT 1",
    )?;
    let place = params![rows::blob(&run.0), node.task, rows::item(node), attempt, key];
    let mut rows = select.query(place)?;
    rows.next()?.map(open_send).transpose()
}

fn open_send(row: &Row<'_>) -> Result<OpenSend, Error> {
    let run = FlowRunId(rows::uuid(row, "run_id")?);
    let id = SendId(row.get("id")?);
    let json = row.get_ref("op")?.as_str().map_err(rusqlite::Error::from)?;
    let op: Op =
        serde_json::from_str(json).map_err(|source| unreadable(run, format!("send {}", id.0), Some(source)))?;
    let sent_at: Option<i64> = row.get("sent_at")?;
    Ok(OpenSend {
        id,
        run,
        node: rows::to_node(row.get("task")?, row.get("item")?),
        attempt: row.get("attempt")?,
        key: row.get("key")?,
        op,
        keep: row.get("keep")?,
        sent_at: sent_at.map(Timestamp),
    })
}

#[cfg(test)]
mod tests;
