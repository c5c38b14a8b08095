//! Who changed what. A record costs no commit of its own: it waits in a bounded list and rides along
//! with the next group of the writer. It is put there before the change is asked for, so no change
//! is on the disk without the record of who wanted it; how it ended comes a moment later, and is
//! unknown when the host stopped in between.
//!
//! Absent on purpose: runs that schedules start (their rows say which schedule), and reading.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use grepx_engine::Timestamp;
use rusqlite::{Connection, Row, named_params, params};
use uuid::Uuid;

use super::{Error, Store, keys, rows};

/// Rows that are kept, unless the settings say otherwise.
pub const AUDIT_ROWS_MAX: i64 = 100_000;
/// Records that may wait for the writer.
const WAITING_MAX: usize = 8_192;
/// Characters of a path or of a note.
const TEXT_CHARS_MAX: usize = 500;

/// A change that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// `key ci`, `operator`, `loopback`, …
    pub who: String,
    pub address: Option<String>,
    /// Of HTTP; `CLI` for a command that has the store to itself.
    pub method: String,
    /// The pattern of the path, or the command.
    pub route: String,
    /// The path itself, with the ids.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub n: i64,
    pub entry: AuditEntry,
    /// HTTP status; `None` when the host stopped before the answer.
    pub status: Option<u16>,
    pub note: Option<String>,
}

/// A record that waits for its end.
#[derive(Debug)]
#[must_use = "say how it ended"]
pub struct AuditMark(i64);

#[derive(Debug)]
pub(super) enum Rider {
    Begun(i64, AuditEntry),
    Ended(i64, u16, Option<String>),
    KeyUsed(Uuid, Timestamp),
}

/// What rides along with the next group.
#[derive(Debug)]
pub(super) struct Riders {
    waiting: Mutex<Vec<Rider>>,
    next: AtomicI64,
    rows_max: i64,
}

impl Riders {
    pub(super) fn new(sql: &Connection, rows_max: i64) -> Result<Arc<Self>, Error> {
        let last: i64 = sql.query_row("SELECT coalesce(max(n), 0) FROM audit", [], |row| row.get(0))?;
        Ok(Arc::new(Self {
            waiting: Mutex::default(),
            next: AtomicI64::new(last + 1),
            rows_max,
        }))
    }

    fn push(&self, rider: Rider, most: usize) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = waiting.len() < most;
        if fits {
            waiting.push(rider);
        }
        fits
    }

    pub(super) fn take(&self) -> Vec<Rider> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The group was undone: they go with the next one, before those that came since.
    pub(super) fn put_back(&self, mut riders: Vec<Rider>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        riders.append(&mut waiting);
        *waiting = riders;
    }

    fn is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// A record that cannot be written costs nobody their change, and is told in the log.
    pub(super) fn write(&self, sql: &Connection, riders: &[Rider]) -> Result<(), Error> {
        for rider in riders {
            let written = match rider {
                Rider::Begun(n, entry) => begin(sql, *n, entry),
                Rider::Ended(n, status, note) => end(sql, *n, *status, note.as_deref()),
                Rider::KeyUsed(id, at) => keys::used(sql, *id, *at),
            };
            match written {
                Err(error) if error.concerns_all() => return Err(error),
                Err(error) => {
                    tracing::error!(error = %crate::report::chain(&error), ?rider, "a record of the audit log is lost");
                }
                Ok(()) => {}
            }
        }
        if riders.iter().any(|rider| matches!(rider, Rider::Begun(..))) {
            sql.prepare_cached("DELETE FROM audit WHERE n <= (SELECT max(n) FROM audit) - ?")?
                .execute([self.rows_max])?;
        }
        Ok(())
    }
}

impl Store {
    /// To be called before the change is asked for; waits for nothing.
    ///
    /// # Errors
    /// When too many records wait for the writer: then the change must not be asked for.
    pub fn record(&self, mut entry: AuditEntry) -> Result<AuditMark, Error> {
        let riders = &self.0.riders;
        entry.path = short(entry.path);
        let n = riders.next.fetch_add(1, Ordering::Relaxed);
        if riders.push(Rider::Begun(n, entry), WAITING_MAX) {
            Ok(AuditMark(n))
        } else {
            Err(Error::QueueFull { limit: WAITING_MAX })
        }
    }

    /// How it ended.
    pub fn record_end(&self, mark: AuditMark, status: u16, note: Option<String>) {
        // Each was let in by `record`, so twice as many is a bound.
        let ended = Rider::Ended(mark.0, status, note.map(short));
        self.0.riders.push(ended, 2 * WAITING_MAX);
    }

    /// Notes that a key was used; without effect while the writer is behind.
    pub fn record_use(&self, key: Uuid, at: Timestamp) {
        self.0.riders.push(Rider::KeyUsed(key, at), WAITING_MAX);
    }

    /// Writes the records that no change has taken along.
    ///
    /// # Errors
    /// When they were not kept; they go with the next change then.
    pub async fn flush_records(&self) -> Result<(), Error> {
        if self.0.riders.is_empty() {
            return Ok(());
        }
        self.write(|_| Ok(())).await
    }
}

fn begin(sql: &Connection, n: i64, entry: &AuditEntry) -> Result<(), Error> {
    let mut put = sql.prepare_cached(
        "INSERT INTO audit (n, at, who, address, method, route, path) \
         VALUES (:n, :at, :who, :address, :method, :route, :path)",
    )?;
    put.execute(named_params! {
        ":n": n,
        ":at": entry.at.0,
        ":who": entry.who,
        ":address": entry.address,
        ":method": entry.method,
        ":route": entry.route,
        ":path": entry.path,
    })?;
    Ok(())
}

fn end(sql: &Connection, n: i64, status: u16, note: Option<&str>) -> Result<(), Error> {
    let mut put = sql.prepare_cached("UPDATE audit SET status = ?, note = ? WHERE n = ?")?;
    put.execute(params![status, note, n])?;
    Ok(())
}

/// The newest first, of those before `before`.
pub(super) fn newest(sql: &Connection, before: Option<i64>, limit: u32) -> Result<Vec<AuditRow>, Error> {
    let mut select = sql.prepare_cached("SELECT * FROM audit WHERE n < ? ORDER BY n DESC LIMIT ?")?;
    let found = select.query_map(params![before.unwrap_or(i64::MAX), limit], row)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        n: row.get("n")?,
        entry: AuditEntry {
            at: rows::time(row, "at")?,
            who: row.get("who")?,
            address: row.get("address")?,
            method: row.get("method")?,
            route: row.get("route")?,
            path: row.get("path")?,
        },
        status: row.get("status")?,
        note: row.get("note")?,
    })
}

fn short(text: String) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
