//! Writes definitions: the only place that changes `grepx-master.db`, on a connection of its own,
//! in one transaction, and only what a plan says.

#![allow(
    clippy::disallowed_methods,
    reason = "the definitions database is written here and nowhere else"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params_from_iter};
use serde_json::Value;

use super::plan::{Change, Plan, plan};
use super::row::Rows;
use super::schema::{Column, Holds, Table};
use crate::config::sqlite_path;

use super::source::{SourceError, read_tables};
use super::yaml::Files;
use crate::yaml::Mistakes;

/// How long a writer of another program is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{0}")]
    Mistakes(Mistakes),
    #[error("the database {} lacks the table {table}; create it with --create", .path.display())]
    NoTable { path: PathBuf, table: Table },
    #[error("{table} of {} lacks the column {column}, which a database of the original has; repair the table", .path.display())]
    NoColumn {
        path: PathBuf,
        table: Table,
        column: &'static str,
    },
    #[error("the database has changed since the plan was made; look at a new plan")]
    Stale,
    #[error("the directory of {} cannot be made", .path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("{what} of {} failed, nothing was changed", .path.display())]
    Write {
        path: PathBuf,
        what: String,
        source: rusqlite::Error,
    },
}

impl ApplyError {
    /// Another program holds the database for longer than it is waited for.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// This process may not write the file.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let refused = [ErrorCode::ReadOnly, ErrorCode::CannotOpen, ErrorCode::PermissionDenied];
        self.code().is_some_and(|code| refused.contains(&code))
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Write { source, .. } => source.sqlite_error_code(),
            _ => None,
        }
    }
}

/// The rows to plan against. With `create`, a missing database has none.
///
/// # Errors
/// When the database is missing, unreadable or no SQLite database.
pub fn current(url: &str, create: bool) -> Result<Rows, SourceError> {
    let path = sqlite_path(url).map_err(SourceError::from)?;
    if !path.exists() {
        if create {
            return Ok(Rows::default());
        }
        return Err(SourceError::Missing { path });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |source| SourceError::Read {
        path: path.clone(),
        source,
    };
    let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    read_tables(&transaction, &path)
}

/// Carries out `plan`, which `plan(files, current(url, create)?)` made.
///
/// # Errors
/// When the database has changed since, lacks tables and `create` does not allow to make them, or
/// refuses a row. Nothing is changed then.
pub fn apply(url: &str, files: &Files, plan: &Plan, create: bool) -> Result<(), ApplyError> {
    let path = sqlite_path(url).map_err(SourceError::from)?;
    if !create && !path.exists() {
        return Err(SourceError::Missing { path }.into());
    }
    if let Some(parent) = path.parent().filter(|parent| create && !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|source| ApplyError::Directory {
            path: path.clone(),
            source,
        })?;
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let open = Connection::open_with_flags(&path, flags);
    let mut connection = open.map_err(|source| failure(&path, "opening", source))?;
    carry_out(&mut connection, &path, files, plan, create)
}

/// The rows that `files` would make in an empty database: what `check` judges.
///
/// # Errors
/// For mistakes that `plan` finds.
pub fn rows_of(files: &Files) -> Result<Rows, ApplyError> {
    let path = Path::new(":memory:");
    let mut connection = Connection::open_in_memory().map_err(|source| failure(path, "opening", source))?;
    let plan = plan(files, &Rows::default()).map_err(ApplyError::Mistakes)?;
    carry_out(&mut connection, path, files, &plan, true)?;
    Ok(read_tables(&connection, path)?)
}

fn carry_out(
    connection: &mut Connection,
    path: &Path,
    files: &Files,
    wanted: &Plan,
    create: bool,
) -> Result<(), ApplyError> {
    let failed = |what: &str, source| failure(path, what, source);
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(|error| failed("opening", error))?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| failed("locking", error))?;
    let rows = read_tables(&transaction, path)?;
    if plan(files, &rows).map_err(ApplyError::Mistakes)? != *wanted {
        return Err(ApplyError::Stale);
    }
    for &table in &wanted.new_tables {
        if !create {
            return Err(ApplyError::NoTable {
                path: path.to_owned(),
                table,
            });
        }
        let what = format!("creating {table}");
        transaction
            .execute(&create_table(table), [])
            .map_err(|error| failed(&what, error))?;
    }
    for &(table, name) in &wanted.new_columns {
        let column = table.column(name).filter(|column| column.optional);
        let Some(column) = column else {
            return Err(ApplyError::NoColumn {
                path: path.to_owned(),
                table,
                column: name,
            });
        };
        let sql = format!("ALTER TABLE {table} ADD COLUMN {name} {}", column.sql);
        let what = format!("adding the column {name} to {table}");
        transaction.execute(&sql, []).map_err(|error| failed(&what, error))?;
    }
    for change in &wanted.changes {
        let what = match change {
            Change::Insert { table, name, .. } => format!("adding {table} {name:?}"),
            Change::Update { table, name, .. } => format!("changing {table} {name:?}"),
        };
        one(&transaction, change, &rows).map_err(|error| failed(&what, error))?;
    }
    transaction.commit().map_err(|error| failed("committing", error))
}

fn failure(path: &Path, what: &str, source: rusqlite::Error) -> ApplyError {
    ApplyError::Write {
        path: path.to_owned(),
        what: what.to_owned(),
        source,
    }
}

fn create_table(table: Table) -> String {
    let columns: Vec<String> = table
        .columns()
        .iter()
        .map(|column| format!("{} {}", column.name, column.sql))
        .collect();
    format!("CREATE TABLE {table} ({})", columns.join(", "))
}

fn one(connection: &Connection, change: &Change, rows: &Rows) -> Result<(), rusqlite::Error> {
    match change {
        Change::Insert { table, name, values } => {
            let mut columns = vec!["name"];
            let mut places = vec!["?".to_owned()];
            let mut parameters = vec![Sql::Text(name.clone())];
            for column in table.columns() {
                if let Some(value) = values.get(column.name) {
                    columns.push(column.name);
                    places.push("?".to_owned());
                    parameters.push(sql(connection, column, value)?);
                } else if has_default(column) && (!rows.has_table(*table) || rows.has_column(*table, column.name)) {
                    columns.push(column.name);
                    places.push(column.default.to_owned());
                }
            }
            let (columns, places) = (columns.join(", "), places.join(", "));
            let sql = format!("INSERT INTO {table} ({columns}) VALUES ({places})");
            connection.prepare_cached(&sql)?.execute(params_from_iter(parameters))?;
        }
        Change::Update {
            table, row_id, fields, ..
        } => {
            let mut sets = Vec::with_capacity(fields.len());
            let mut parameters = Vec::with_capacity(fields.len() + 1);
            for field in fields {
                let Some(column) = table.column(field.column) else {
                    continue;
                };
                sets.push(format!("{} = ?", field.column));
                parameters.push(sql(connection, column, &field.new)?);
            }
            parameters.push(Sql::Integer(*row_id));
            let sql = format!("UPDATE {table} SET {} WHERE id = ?", sets.join(", "));
            connection.prepare_cached(&sql)?.execute(params_from_iter(parameters))?;
        }
    }
    Ok(())
}

fn has_default(column: &Column) -> bool {
    column.name != "id" && column.name != "name" && column.default != "NULL"
}

/// `value` as the column stores it. Flows come before what names them, so their ids are known.
fn sql(connection: &Connection, column: &Column, value: &Value) -> Result<Sql, rusqlite::Error> {
    Ok(match (column.holds, value) {
        (_, Value::Null) => Sql::Null,
        (Holds::FlowId, Value::String(name)) => {
            let find = "SELECT id FROM prefect_flows WHERE name = ?1 ORDER BY id LIMIT 1";
            Sql::Integer(connection.prepare_cached(find)?.query_row([name], |row| row.get(0))?)
        }
        (Holds::Text, Value::String(text)) => Sql::Text(text.clone()),
        (Holds::Flag, Value::Bool(flag)) => Sql::Integer(i64::from(*flag)),
        (Holds::Integer, Value::Number(number)) => number.as_i64().map_or(Sql::Null, Sql::Integer),
        (_, value) => Sql::Text(value.to_string()),
    })
}

#[cfg(test)]
mod tests;
