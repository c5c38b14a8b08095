//! Looks for damage in a database file.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::Error;

/// How many steps of SQLite's machine lie between two looks at the time.
const STEPS: i32 = 10_000;

/// How closely a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Every page and every row.
    Quick,
    /// Also that indexes and tables say the same.
    Full,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Sound,
    /// What was read is sound, and the time was over.
    SoundSoFar,
    /// One finding a line.
    Damage(String),
}

/// For so long at most.
pub(super) fn check(connection: &mut Connection, depth: Depth, limit: Option<Duration>) -> Result<Found, Error> {
    if let Some(limit) = limit {
        let began = Instant::now();
        connection.progress_handler(STEPS, Some(move || began.elapsed() > limit))?;
    }
    let findings = findings(connection, depth);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match findings {
        Ok(lines) if lines == ["ok"] => Ok(Found::Sound),
        Ok(lines) => Ok(Found::Damage(lines.join("\n"))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(Found::SoundSoFar),
        Err(error) => match Error::from(error) {
            Error::Corrupt { source } => Ok(Found::Damage(source.to_string())),
            other => Err(other),
        },
    }
}

fn findings(connection: &Connection, depth: Depth) -> rusqlite::Result<Vec<String>> {
    let pragma = match depth {
        Depth::Quick => "PRAGMA quick_check",
        Depth::Full => "PRAGMA integrity_check",
    };
    let mut statement = connection.prepare(pragma)?;
    let lines = statement.query_map([], |row| row.get(0))?;
    lines.collect()
}
