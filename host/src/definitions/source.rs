//! Reads the rows. The database belongs to others: it is opened read-only, nothing is created or
//! locked longer than one reading takes, and a file that is replaced is noticed.
//!
//! Absent on purpose: the meaning of rows (`compile`), PostgreSQL.

#![allow(
    clippy::disallowed_methods,
    reason = "the definitions database is read here and nowhere else"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::config::{self, DatabaseUrlError};

use super::row::{CELL_BYTES_MAX, Cell, Row, Rows};
use super::schema::Table;

/// Rows of a table at most; more is taken for a mistake.
const ROWS_MAX: usize = 200_000;
/// How long a reading waits for a writer of a database that is not in WAL mode.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Url(#[from] DatabaseUrlError),
    #[error("there is no database {}; check database.db_url, or create one with `grepx-host apply --create`", .path.display())]
    Missing { path: PathBuf },
    #[error("{} has no table prefect_flows; check database.db_url, or create the tables with `grepx-host apply --create`", .path.display())]
    NoTables { path: PathBuf },
    #[error("the database {} cannot be read", .path.display())]
    Read { path: PathBuf, source: rusqlite::Error },
    #[error("{table} of {} has more than {limit} rows; remove rows that are no longer used", .path.display())]
    TooManyRows { path: PathBuf, table: Table, limit: usize },
}

/// The definitions database, held open.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    open: Option<Open>,
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    identity: Identity,
}

/// A file as far as the file system tells it from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// What the last reading saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    identity: Option<Identity>,
    modified: Option<SystemTime>,
    size: u64,
    data_version: Option<i64>,
}

impl Source {
    /// Opens the database that `url` names. A file that is not there yet is no error here: `load`
    /// says so, and `changed` sees it come.
    ///
    /// # Errors
    /// For a URL that is not one of SQLite.
    pub fn open(url: &str) -> Result<Self, SourceError> {
        Ok(Self {
            path: config::sqlite_path(url)?,
            open: None,
            seen: None,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a commit by anyone, or another file in its place, came after the last `load`.
    /// Cheap: one `stat` and one pragma.
    pub fn changed(&mut self) -> bool {
        match self.seen {
            None => true,
            Some(seen) => self.look() != seen,
        }
    }

    /// Reads all rows in one snapshot.
    ///
    /// # Errors
    /// When the file is missing, unreadable, no database, or without the tables.
    pub fn load(&mut self) -> Result<Rows, SourceError> {
        // Looked at first: what is committed in between is seen by the next `changed`.
        let before = self.look();
        self.seen = Some(before);
        let Some(open) = &self.open else {
            return Err(match self.connect() {
                Err(error) => error,
                Ok(_) => SourceError::Missing {
                    path: self.path.clone(),
                },
            });
        };
        let rows = read(&open.connection, &self.path);
        if matches!(rows, Err(SourceError::Read { .. })) {
            self.open = None;
            // What it was like is not known: the next look counts as a change.
            self.seen = None;
        }
        rows
    }

    /// The file as it is now; reopens it when another one has taken its place.
    fn look(&mut self) -> Seen {
        let metadata = std::fs::metadata(&self.path).ok();
        let identity = metadata.as_ref().map(identity);
        if self.open.as_ref().map(|open| open.identity) != identity {
            self.open = None;
        }
        if self.open.is_none() && metadata.is_some() {
            self.open = self.connect().ok();
        }
        let data_version = self.open.as_ref().and_then(|open| {
            let version = open.connection.query_row("PRAGMA data_version", [], |row| row.get(0));
            version.ok()
        });
        Seen {
            identity,
            modified: metadata.as_ref().and_then(|metadata| metadata.modified().ok()),
            size: metadata.as_ref().map_or(0, std::fs::Metadata::len),
            data_version,
        }
    }

    fn connect(&self) -> Result<Open, SourceError> {
        let path = self.path.clone();
        let Ok(metadata) = std::fs::metadata(&path) else {
            return Err(SourceError::Missing { path });
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).and_then(|connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            Ok(connection)
        });
        match connection {
            Ok(connection) => Ok(Open {
                connection,
                identity: identity(&metadata),
            }),
            Err(source) => Err(SourceError::Read { path, source }),
        }
    }
}

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

#[cfg(not(unix))]
fn identity(metadata: &std::fs::Metadata) -> Identity {
    let created = metadata.created().ok();
    let age = created.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    Identity {
        device: 0,
        inode: age.map_or(0, |age| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)),
    }
}

/// Reads the tables in one transaction.
fn read(connection: &Connection, path: &Path) -> Result<Rows, SourceError> {
    let failed = |source| SourceError::Read {
        path: path.to_owned(),
        source,
    };
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    let rows = read_tables(&transaction, path)?;
    if !rows.has_table(Table::Flows) {
        return Err(SourceError::NoTables { path: path.to_owned() });
    }
    Ok(rows)
}

/// Reads those of the four tables that there are. The caller holds a transaction.
pub(super) fn read_tables(connection: &Connection, path: &Path) -> Result<Rows, SourceError> {
    let mut rows = Rows::default();
    for table in Table::ALL {
        read_table(connection, table, &mut rows, path)?;
    }
    Ok(rows)
}

fn read_table(connection: &Connection, table: Table, rows: &mut Rows, path: &Path) -> Result<(), SourceError> {
    let failed = |source| SourceError::Read {
        path: path.to_owned(),
        source,
    };
    let known = "SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1";
    let there: i64 = connection
        .query_row(known, [table.name()], |row| row.get(0))
        .map_err(failed)?;
    if there == 0 {
        return Ok(());
    }
    let sql = format!("SELECT * FROM {} LIMIT {}", table.name(), ROWS_MAX + 1);
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let columns: Vec<String> = statement.column_names().map(str::to_ascii_lowercase).collect();
    let mut found = Vec::new();
    let mut cursor = statement.query([]).map_err(failed)?;
    while let Some(row) = cursor.next().map_err(failed)? {
        if found.len() == ROWS_MAX {
            return Err(SourceError::TooManyRows {
                path: path.to_owned(),
                table,
                limit: ROWS_MAX,
            });
        }
        let mut cells = std::collections::BTreeMap::new();
        for (place, column) in columns.iter().enumerate() {
            cells.insert(column.clone(), cell(row.get_ref(place).map_err(failed)?));
        }
        found.push(Row { cells });
    }
    found.sort_by_key(Row::id);
    rows.columns.insert(table, columns.into_iter().collect());
    rows.rows.insert(table, found);
    Ok(())
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) if bytes.len() > CELL_BYTES_MAX => Cell::TooLong(bytes.len()),
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Blob(bytes.to_owned()),
        },
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_owned()),
    }
}

#[cfg(test)]
mod tests;
