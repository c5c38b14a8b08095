//! A simulation's look into the database: as a person has it with a page that is up to date, and at
//! every transaction. It costs no virtual time and asks nothing of the host.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use grepx_engine::{FlowRunId, NodeId, TaskRunId};
use rusqlite::{Connection, OptionalExtension as _, Row};
use uuid::Uuid;

use super::rows::blob;
use super::{Error, FILE_NAME, tallies};

#[derive(Debug, Clone)]
pub struct Eyes(Arc<Mutex<Connection>>);

impl Eyes {
    pub fn open(dir: &Path) -> Self {
        let connection = Connection::open(dir.join(FILE_NAME)).expect("the database opens");
        Self(Arc::new(Mutex::new(connection)))
    }

    fn all<T>(&self, sql: &str, row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut select = connection.prepare_cached(sql).expect("a statement");
        let rows = select.query_map([], row).expect("the database can be read");
        rows.collect::<Result<_, _>>().expect("rows")
    }

    /// The attempt of a task run that has begun last, as far as it is kept.
    pub fn attempt(&self, task_run: TaskRunId) -> u32 {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut select = connection
            .prepare_cached("SELECT attempt FROM task_runs WHERE id = ?")
            .expect("a statement");
        let found = select.query_row([blob(&task_run.0)], |row| row.get(0)).optional();
        found.expect("the database can be read").unwrap_or(0)
    }

    fn runs(&self, sql: &str) -> Vec<FlowRunId> {
        self.all(sql, |row| Ok(FlowRunId(Uuid::from_bytes(row.get(0)?))))
    }

    /// Flow runs that have not ended.
    pub fn live(&self) -> Vec<FlowRunId> {
        self.runs("SELECT id FROM flow_runs WHERE terminal = 0 AND planned = 0 ORDER BY id")
    }

    pub fn ended(&self) -> Vec<FlowRunId> {
        self.runs("SELECT id FROM flow_runs WHERE terminal = 1 AND planned = 0 ORDER BY id")
    }

    pub fn paused(&self) -> Vec<FlowRunId> {
        self.runs("SELECT id FROM flow_runs WHERE state_type = 'PAUSED' ORDER BY id")
    }

    /// Approvals that wait.
    pub fn waiting(&self) -> Vec<(FlowRunId, NodeId)> {
        self.nodes(
            "SELECT run_id, task, item FROM task_runs WHERE kind = 'ask' AND state_type = 'RUNNING' \
             ORDER BY run_id, task, item",
        )
    }

    /// Task runs that somebody may want to be done.
    pub fn task_runs(&self) -> Vec<(FlowRunId, NodeId)> {
        self.nodes(
            "SELECT run_id, task, item FROM task_runs WHERE state_type <> 'COMPLETED' ORDER BY run_id, task, item",
        )
    }

    fn nodes(&self, sql: &str) -> Vec<(FlowRunId, NodeId)> {
        self.all(sql, |row| {
            let (task, item): (u32, i64) = (row.get(1)?, row.get(2)?);
            let node = NodeId {
                task,
                index: u32::try_from(item).ok(),
            };
            Ok((FlowRunId(Uuid::from_bytes(row.get(0)?)), node))
        })
    }

    /// Rows of task runs that are not there, or have no result.
    pub fn orphans(&self) -> Vec<String> {
        self.all(
            "SELECT 'the result of ' || hex(run_id) || ' #' || task || ' ' || item FROM results r \
             WHERE NOT EXISTS (SELECT 1 FROM task_runs t WHERE (t.run_id, t.task, t.item) = (r.run_id, r.task, r.item) \
                 AND t.state_type = 'COMPLETED') \
             UNION ALL SELECT 'a state of ' || hex(run_id) || ' #' || task || ' ' || item FROM states s \
             WHERE task >= 0 AND NOT EXISTS (SELECT 1 FROM task_runs t \
                 WHERE (t.run_id, t.task, t.item) = (s.run_id, s.task, s.item)) \
             UNION ALL SELECT 'a tag of ' || hex(run_id) || ' #' || task || ' ' || item FROM task_run_tags g \
             WHERE NOT EXISTS (SELECT 1 FROM task_runs t WHERE (t.run_id, t.task, t.item) = (g.run_id, g.task, g.item))",
            |row| row.get(0),
        )
    }

    /// What is left to do, for people; nothing when all is done.
    pub fn left(&self) -> Vec<String> {
        self.all(
            "SELECT flow_name || ' ' || hex(id) || ' is ' || state_name || ' ' || coalesce(reason, '') FROM flow_runs \
             WHERE terminal = 0 UNION ALL SELECT 'to send: ' || hex(run_id) || ' ' || op FROM outbox LIMIT 6",
            |row| row.get(0),
        )
    }
}

/// What is so after a transaction.
#[derive(Debug)]
pub struct Moment {
    /// Work pool, work queue and deployment of each flow run that is under way, as it says itself.
    pub busy: Vec<(String, String, String)>,
    /// Slots that are held, by work pool.
    pub held: BTreeMap<String, u32>,
    /// Flow runs that have ended and hold or want a slot.
    pub leaked: u32,
    /// Where the tallies differ from the rows.
    pub miscounted: Vec<String>,
    /// Task runs with a tag of which an attempt is under way.
    pub tagged: u32,
}

impl Moment {
    pub(super) fn see(sql: &Connection) -> Result<Self, Error> {
        let mut busy = sql.prepare_cached(
            "SELECT work_pool, work_queue, deployment_name FROM flow_runs \
             WHERE state_type IN ('PENDING', 'RUNNING') AND work_pool IS NOT NULL",
        )?;
        let busy = busy.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut held = sql.prepare_cached("SELECT pool, count(*) FROM slots WHERE held = 1 GROUP BY pool")?;
        let held = held.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut leaked =
            sql.prepare_cached("SELECT count(*) FROM slots JOIN flow_runs ON id = run_id WHERE terminal = 1")?;
        let mut tagged = sql.prepare_cached(
            "SELECT count(*) FROM task_runs WHERE attempt > 0 AND tags <> '[]' \
             AND state_type IN ('RUNNING', 'CANCELLING')",
        )?;
        Ok(Self {
            tagged: tagged.query_row([], |row| row.get(0))?,
            busy: busy.collect::<Result<_, _>>()?,
            held: held.collect::<Result<_, _>>()?,
            leaked: leaked.query_row([], |row| row.get(0))?,
            miscounted: tallies::differences(sql)?,
        })
    }
}
