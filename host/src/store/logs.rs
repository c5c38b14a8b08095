//! Log lines of flow runs, bounded per run: after the last one that fits, a line says so.

use grepx_engine::FlowRunId;
use rusqlite::params;

use super::Error;
use super::model::{LOG_BYTES_MAX, LogRow};
use super::rows::blob;
use super::writer::Writing;

/// Lines of one flow run and its task runs, unless the settings say otherwise.
pub const LINES_MAX: i64 = 100_000;

/// What was kept of the lines that were given.
#[derive(Debug, Default)]
pub(super) struct Appended {
    /// The number of the first one; lines of a flow run count from 0.
    pub(super) first: i64,
    pub(super) lines: usize,
    /// Stands in place of the last one: further lines are dropped.
    pub(super) last: Option<LogRow>,
}

pub(super) fn append(writing: &Writing<'_>, run: FlowRunId, rows: &[LogRow]) -> Result<Appended, Error> {
    append_up_to(writing, run, rows, writing.log_lines_max)
}

pub(super) fn append_up_to(
    writing: &Writing<'_>,
    run: FlowRunId,
    rows: &[LogRow],
    lines_max: i64,
) -> Result<Appended, Error> {
    let mut appended = Appended::default();
    if rows.is_empty() {
        return Ok(appended);
    }
    let mut last = writing.sql.prepare_cached("SELECT max(n) FROM logs WHERE run_id = ?")?;
    let last: Option<i64> = last.query_row([blob(&run.0)], |row| row.get(0))?;
    let mut insert = writing.sql.prepare_cached(
        "INSERT INTO logs (run_id, n, task_run_id, at, level, logger, message) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    appended.first = last.map_or(0, |n| n + 1);
    for (n, row) in (appended.first..=lines_max).zip(rows) {
        let full = (n == lines_max).then(|| LogRow {
            task_run: None,
            at: row.at,
            level: 30,
            logger: "grepx-host".to_owned(),
            message: format!("this flow run has written {lines_max} log lines, the limit: later lines are dropped"),
        });
        appended.last = full;
        appended.lines += 1;
        let row = appended.last.as_ref().unwrap_or(row);
        insert.execute(params![
            blob(&run.0),
            n,
            row.task_run.as_ref().map(|task| blob(&task.0)),
            row.at.0,
            row.level,
            row.logger,
            row.message
        ])?;
    }
    Ok(appended)
}

/// Cuts a message to [`LOG_BYTES_MAX`], and says so in it.
pub(super) fn cut(message: &mut String) {
    if message.len() <= LOG_BYTES_MAX {
        return;
    }
    let bytes = message.len();
    message.truncate(message.floor_char_boundary(LOG_BYTES_MAX));
    message.push_str(&format!("… (cut, {bytes} bytes)"));
}

#[cfg(test)]
mod tests;
