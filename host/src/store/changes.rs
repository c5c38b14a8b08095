//! What transactions have changed, for whoever watches. It is told after the transaction is on the
//! disk, in the order of the transactions, and each change once.
//!
//! Rows are handed on as the submitter made them, shared and not copied, so that telling nobody
//! costs next to nothing. A reader may ask for the position of what it reads ([`Watch::at`]): what is
//! told after that position is not in its rows, and everything before it is.
//!
//! Absent on purpose: who listens, how much of it is kept, and what it looks like outside. Also what
//! people call a flow run ([`super::Amendment`]), and task runs of items that go because their task
//! begins anew: its own row tells of that.

mod read;

use std::sync::{Arc, Mutex, PoisonError};

use grepx_engine::{FlowRunId, StateType, Timestamp};
use rusqlite::Connection;
use uuid::Uuid;

use super::Error;
use super::model::{LogRow, NewRun, RunState, Switch, TaskRow};
use super::rows::state_id;

pub use read::At;

/// Is told of every change. Called by the writer's thread, which waits for it: it must not block.
pub trait Observer: Send + Sync + std::fmt::Debug {
    /// After the transaction.
    fn committed(&self, changes: Vec<Changed>);

    /// Where the last change stands that was told.
    fn position(&self) -> u64;
}

#[derive(Debug, Clone)]
pub enum Changed {
    /// A flow run with its task runs and log lines.
    Run(Arc<RunChange>),
    /// A schedule has planned a flow run.
    Planned(Arc<RunIdentity>),
    /// A flow run is gone, with all that belongs to it.
    Removed(FlowRunId),
    /// A deployment (`schedule` is `None`) or one of its schedules was switched on or off.
    DeploymentSwitch {
        deployment: Uuid,
        schedule: Option<Uuid>,
        active: bool,
    },
    /// A work pool (`queue` is `None`) or one of its queues was switched; `None` is back to what the
    /// definitions say.
    PoolSwitch {
        pool: String,
        queue: Option<String>,
        switch: Option<Switch>,
    },
}

/// What is shown of a flow run with each change, as it was when the run was taken up: of what people
/// call it since, its row knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    pub id: FlowRunId,
    pub name: String,
    pub flow_id: Uuid,
    pub flow_name: String,
    pub deployment_id: Option<Uuid>,
    pub deployment_name: Option<String>,
    pub work_pool: Option<String>,
    pub work_queue: Option<String>,
    pub tags: Vec<String>,
    pub auto_scheduled: bool,
    pub created_at: Timestamp,
    pub expected_start: Timestamp,
}

impl From<&NewRun> for RunIdentity {
    fn from(run: &NewRun) -> Self {
        Self {
            id: run.id,
            name: run.name.clone(),
            flow_id: run.flow_id,
            flow_name: run.flow_name.clone(),
            deployment_id: run.deployment_id,
            deployment_name: run.deployment_name.clone(),
            work_pool: run.work_pool.clone(),
            work_queue: run.work_queue.clone(),
            tags: run.tags.clone(),
            auto_scheduled: run.auto_scheduled,
            created_at: run.created_at,
            expected_start: run.expected_start,
        }
    }
}

/// The rows of one commit.
#[derive(Debug)]
pub struct CommittedRows {
    pub run: FlowRunId,
    /// `None` when the submitter did not say.
    pub identity: Option<Arc<RunIdentity>>,
    pub state: Option<RunState>,
    /// Without their inputs.
    pub tasks: Vec<TaskRow>,
    pub logs: Vec<LogRow>,
}

/// What one commit has changed of what people see.
#[derive(Debug)]
pub struct RunChange {
    pub rows: Arc<CommittedRows>,
    /// The state of the flow run, if it is another one.
    pub state: Option<Step>,
    /// Those of `rows.tasks` that are not as they were, by their place in it.
    pub tasks: Vec<(u32, Step)>,
    /// The number of the first of `rows.logs` that was kept; lines of a flow run count from 0.
    pub first_line: i64,
    /// How many were kept.
    pub lines: usize,
    /// The last line, in place of one of `rows.logs`: the run has written as many as it may.
    pub last_line: Option<LogRow>,
}

/// A row that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Of the state, in the row's history.
    pub n: i64,
    /// The state before, if type or name are others now.
    pub from: Option<(StateType, Box<str>)>,
    /// The row is new.
    pub new: bool,
}

impl Step {
    /// Whether type or name of the state are others now.
    #[must_use]
    pub const fn is_new_state(&self) -> bool {
        self.new || self.from.is_some()
    }

    /// The id of the state, of this flow run or task run.
    #[must_use]
    pub fn state_id(&self, owner: Uuid) -> Uuid {
        state_id(owner, self.n)
    }

    /// The id of the state before.
    #[must_use]
    pub fn previous_id(&self, owner: Uuid) -> Option<Uuid> {
        self.from.as_ref().map(|_| state_id(owner, self.n - 1))
    }
}

impl RunChange {
    /// Whether people see anything of it.
    pub(super) fn is_empty(&self) -> bool {
        self.state.is_none() && self.tasks.is_empty() && self.lines == 0
    }

    /// The kept log line of this place, with its number.
    #[must_use]
    pub fn line(&self, place: usize) -> Option<(i64, &LogRow)> {
        if place >= self.lines {
            return None;
        }
        let row = match &self.last_line {
            Some(last) if place + 1 == self.lines => last,
            _ => self.rows.logs.get(place)?,
        };
        Some((self.first_line + i64::try_from(place).ok()?, row))
    }
}

/// The id of a log line of a flow run.
#[must_use]
pub fn line_id(run: FlowRunId, n: i64) -> Uuid {
    state_id(run.0, n)
}

/// The id of the state of a flow run that is only planned.
#[must_use]
pub fn planned_state_id(run: FlowRunId) -> Uuid {
    state_id(run.0, -1)
}

/// The observer, and what keeps positions true.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    observer: Option<Arc<dyn Observer>>,
    /// Held from a commit until it is told, so that nobody reads in between.
    gate: Arc<Mutex<()>>,
}

impl Watch {
    pub(super) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self {
            observer,
            gate: Arc::default(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.observer.is_some()
    }

    /// Commits, then tells.
    pub(super) fn commit(&self, transaction: rusqlite::Transaction<'_>, changes: Vec<Changed>) -> rusqlite::Result<()> {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        transaction.commit()?;
        if let Some(observer) = &self.observer
            && !changes.is_empty()
        {
            observer.committed(changes);
        }
        Ok(())
    }

    /// Fixes what the read transaction of `sql` sees, and says at which position that is.
    pub(super) fn at(&self, sql: &Connection) -> Result<u64, Error> {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        // SQLite takes its snapshot with the first read, not with BEGIN.
        sql.query_row("SELECT count(*) FROM (SELECT 1 FROM flow_runs LIMIT 1)", [], |_| Ok(()))?;
        Ok(self.observer.as_ref().map_or(0, |observer| observer.position()))
    }
}

#[cfg(test)]
mod tests;
