//! Connections: how the file is opened, with which pragmas, and how its schema comes up to date.

#![allow(
    clippy::disallowed_methods,
    reason = "the run database is opened here and nowhere else"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{Durability, Error};

/// Another program (a backup, a database browser) may hold the file for this long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Page cache, in KiB; filled as needed.
const WRITER_CACHE_KIB: i64 = 64 * 1024;
const READER_CACHE_KIB: i64 = 4 * 1024;
/// Checkpoint after so many pages of 4 KiB in the write-ahead log: pages that many runs share are
/// then written back once instead of again and again (at 4,000 it cost a third of the throughput).
const CHECKPOINT_PAGES: i64 = 12_000;
/// The write-ahead log is cut to this after a checkpoint.
const JOURNAL_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Distinct statements kept prepared; the write path has about 40.
const STATEMENTS_MAX: usize = 128;

mod embedded {
    refinery::embed_migrations!("src/store/migrations");
}

pub(super) fn writer(path: &Path, durability: Durability) -> Result<Connection, Error> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(
        None,
        "synchronous",
        match durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        },
    )?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    migrate(&mut connection, path)?;
    Ok(connection)
}

pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    // Read-only by pragma, not by flag: a reader must be able to rebuild the WAL index.
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let runner = embedded::migrations::runner();
    let known = runner.get_migrations().iter().map(|m| i64::from(m.version())).max();
    let known = known.unwrap_or(0);
    let found = schema(connection)?;
    if found > known {
        return Err(Error::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    }
    let applied = runner.run(connection).map_err(|source| Error::Migration {
        path: path.to_owned(),
        source: Arc::new(source),
    })?;
    for migration in applied.applied_migrations() {
        tracing::info!(
            version = migration.version(),
            name = migration.name(),
            "run store migrated"
        );
    }
    Ok(())
}

fn schema(connection: &Connection) -> Result<i64, Error> {
    let table: Option<i64> = connection
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if table.is_none() {
        return Ok(0);
    }
    let found: Option<i64> =
        connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))?;
    Ok(found.unwrap_or(0))
}
