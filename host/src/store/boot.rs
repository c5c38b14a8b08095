//! What a host needs to go on where the last one stopped: the runs that have not ended, with
//! their logs, and the sends that are open.

use std::collections::HashMap;

use grepx_engine::{Fact, FlowRunId, Json, NodeId, Op, Record, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::model::SendId;
use super::rows::{self, LiveRun, OpenSend, RUN_COLUMNS, RUN_TABLES};
use super::{Error, reads};

/// Hands every live run to `each`, in the order of the ids; one scan over runs and facts. A run
/// that cannot be read is handed over as the error, and the scan goes on. Ends early when `each`
/// says false.
pub(super) fn live_runs(sql: &Connection, mut each: impl FnMut(Result<LiveRun, Error>) -> bool) -> Result<(), Error> {
    let mut select = sql.prepare(&format!(
        "SELECT {RUN_COLUMNS}, f.seq AS f_seq, f.at AS f_at, f.fact AS f_fact \
         FROM {RUN_TABLES} LEFT JOIN facts f ON f.run_id = r.id \
         WHERE r.terminal = 0 ORDER BY r.id, f.seq"
    ))?;
    let mut scan = Scan {
        sql,
        definitions: HashMap::new(),
    };
    let mut rows = select.query([])?;
    let mut current: Option<(FlowRunId, Result<LiveRun, Error>)> = None;
    while let Some(row) = rows.next()? {
        let id = FlowRunId(rows::uuid(row, "id")?);
        if current.as_ref().is_none_or(|(run, _)| *run != id) {
            if let Some((_, done)) = current.take()
                && !each(done)
            {
                return Ok(());
            }
            current = Some((id, scan.header(id, row)));
        }
        let Some((_, live)) = &mut current else { continue };
        if let Ok(run) = live
            && let Err(error) = scan.record(id, row, &mut run.records)
        {
            *live = Err(error);
        }
    }
    if let Some((_, done)) = current {
        each(done);
    }
    Ok(())
}

struct Scan<'a> {
    sql: &'a Connection,
    definitions: HashMap<String, Json>,
}

impl Scan<'_> {
    fn header(&mut self, id: FlowRunId, row: &Row<'_>) -> Result<LiveRun, Error> {
        let run = rows::new_run(row)?;
        let definition = match self.definitions.get(&run.definition) {
            Some(known) => known.clone(),
            None => {
                let found = reads::definition(self.sql, &run.definition)?;
                let found = found.ok_or_else(|| unreadable(id, format!("its definition {}", run.definition), None))?;
                self.definitions.insert(run.definition.clone(), found.clone());
                found
            }
        };
        Ok(LiveRun {
            run,
            definition,
            records: Vec::new(),
        })
    }

    /// The row's fact, if the run has any.
    fn record(&self, id: FlowRunId, row: &Row<'_>, records: &mut Vec<Record>) -> Result<(), Error> {
        let json = match row.get_ref("f_fact")? {
            ValueRef::Null => return Ok(()),
            json => json.as_str().map_err(rusqlite::Error::from)?,
        };
        let seq = rows::number(row, "f_seq")?;
        if seq != records.len() as u64 {
            return Err(unreadable(id, format!("fact {} (missing)", records.len()), None));
        }
        let mut fact: Fact =
            serde_json::from_str(json).map_err(|source| unreadable(id, format!("fact {seq}"), Some(source)))?;
        if let Fact::Succeeded { node, result, .. } = &mut fact {
            *result = reads::result_of(self.sql, id.0, i64::from(node.task), rows::item(*node))?;
        }
        records.push(Record {
            seq,
            at: rows::time(row, "f_at")?,
            fact,
        });
        Ok(())
    }
}

fn unreadable(run: FlowRunId, what: String, source: Option<serde_json::Error>) -> Error {
    Error::Unreadable {
        run,
        what,
        source: source.map(std::sync::Arc::new),
    }
}

/// In the order of their ids, from after `after`.
pub(super) fn open_sends(sql: &Connection, after: SendId, limit: u32) -> Result<Vec<OpenSend>, Error> {
    let mut select = sql.prepare_cached("SELECT * FROM outbox WHERE id > ? ORDER BY id LIMIT ?")?;
    let mut rows = select.query(params![after.0, limit])?;
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

/// The log of one run, ended or not, in order.
pub(super) fn records(sql: &Connection, run: FlowRunId) -> Result<Vec<Record>, Error> {
    let mut select =
        sql.prepare_cached("SELECT seq AS f_seq, at AS f_at, fact AS f_fact FROM facts WHERE run_id = ? ORDER BY seq")?;
    let scan = Scan {
        sql,
        definitions: HashMap::new(),
    };
    let mut rows = select.query([rows::blob(&run.0)])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        scan.record(run, row, &mut records)?;
    }
    Ok(records)
}

#[cfg(test)]
mod tests;
