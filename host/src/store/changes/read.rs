//! Reads that say where they stand among the changes: what is told with a later position is not in
//! them, all else is. So a watcher goes on from a read without a gap and without a change twice.

use grepx_engine::{FlowRunId, NodeId};
use rusqlite::{Connection, params};

use super::super::rows::{self, FlowRun, LogLine, TaskRun, blob, item};
use super::super::{Error, Store, reads};

/// Something read, and the position of the last change that is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    pub position: u64,
    pub read: T,
}

impl Store {
    /// A flow run, and how many log lines it has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn flow_run_at(&self, run: FlowRunId) -> Result<At<Option<(FlowRun, i64)>>, Error> {
        self.at(move |sql| flow_run(sql, run)).await
    }

    /// Task runs of a flow run in the order of their tasks and items, after one of them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn task_runs_at(
        &self,
        run: FlowRunId,
        after: Option<NodeId>,
        limit: u32,
    ) -> Result<At<Vec<TaskRun>>, Error> {
        self.at(move |sql| task_runs(sql, run, after, limit)).await
    }

    /// Log lines of a flow run in the order of writing, from the one with this number.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn log_lines(&self, run: FlowRunId, from: i64, limit: u32) -> Result<Vec<LogLine>, Error> {
        self.0.readers.read(move |sql| log_lines(sql, run, from, limit)).await
    }

    async fn at<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<At<T>, Error> {
        let watch = self.0.watch.clone();
        let at = move |sql: &Connection| {
            let position = watch.at(sql)?;
            Ok(At {
                position,
                read: read(sql)?,
            })
        };
        self.0.readers.read(at).await
    }
}

fn flow_run(sql: &Connection, run: FlowRunId) -> Result<Option<(FlowRun, i64)>, Error> {
    let Some(found) = reads::flow_run(sql, run)? else {
        return Ok(None);
    };
    let mut last = sql.prepare_cached("SELECT max(n) FROM logs WHERE run_id = ?")?;
    let last: Option<i64> = last.query_row([blob(&run.0)], |row| row.get(0))?;
    Ok(Some((found, last.map_or(0, |n| n + 1))))
}

fn task_runs(sql: &Connection, run: FlowRunId, after: Option<NodeId>, limit: u32) -> Result<Vec<TaskRun>, Error> {
    let after = after.map_or((-1, i64::MIN), |node| (i64::from(node.task), item(node)));
    let mut select = sql.prepare_cached(
        "SELECT * FROM task_runs WHERE run_id = ?1 AND (task, item) > (?2, ?3) ORDER BY task, item LIMIT ?4",
    )?;
    let found = select.query_map(params![blob(&run.0), after.0, after.1, limit], rows::task_run)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn log_lines(sql: &Connection, run: FlowRunId, from: i64, limit: u32) -> Result<Vec<LogLine>, Error> {
    let mut select = sql.prepare_cached("SELECT * FROM logs WHERE run_id = ?1 AND n >= ?2 ORDER BY n LIMIT ?3")?;
    let found = select.query_map(params![blob(&run.0), from, limit], reads::log_line)?;
    Ok(found.collect::<Result<_, _>>()?)
}
