//! Connections: how the file is opened, with which pragmas, and how its schema comes up to date.

#![allow(
    clippy::disallowed_methods,
    reason = "the run database is opened here and nowhere else"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::check::{self, Depth, Found};
use super::{Durability, Error};

/// Another program (a database browser) may hold the file for this long before it counts as trouble.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// A start looks through the file for damage for so long; what lies behind is checked on request.
const CHECK_TIME_MAX: Duration = Duration::from_secs(2);
/// After the disk was full there has to be so much room before work is taken again: else the next
/// commits would fill it at once.
const ROOM_BYTES: usize = 1 << 20;
/// Page cache, in KiB; filled as needed.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
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
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)?;
    // Else statements whose plan could depend on a bound value are prepared again each time: a fifth
    // of the writer's time. What needs a partial index names the value in its text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    migrate(&mut connection, path)?;
    // After the migrations: what they sort may be as large as the file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if let Found::Damage(first) = check::check(&mut connection, Depth::Quick, Some(CHECK_TIME_MAX))? {
        return Err(Error::damaged(first));
    }
    Ok(connection)
}

/// Whether a change could be written now: bytes beside the database, then a page of it.
pub(super) fn has_room(connection: &Connection, path: &Path) -> Result<(), Error> {
    let beside = path.with_extension("room");
    // Where no file may be made, the database itself may still be written.
    if let Ok(file) = File::create(&beside) {
        let written = write_room(file);
        let removed = std::fs::remove_file(&beside);
        written.and(removed).map_err(Error::of_disk)?;
    }
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)?;
    Ok(())
}

fn write_room(mut file: File) -> std::io::Result<()> {
    file.write_all(&vec![0; ROOM_BYTES])?;
    file.sync_all()
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
    schema_that_we_know(connection, path)?;
    let applied = embedded::migrations::runner()
        .run(connection)
        .map_err(|source| Error::Migration {
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

/// The schema of the file; 0 when it is none of ours yet. A newer one is refused.
pub(super) fn schema_that_we_know(connection: &Connection, path: &Path) -> Result<i64, Error> {
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
    Ok(found)
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
