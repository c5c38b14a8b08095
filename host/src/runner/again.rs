//! What a person asks of runs over the head of their tasks: that one goes on after its end, that a
//! task run is done. A run that has ended is read back from its log for it; what is refused leaves
//! nothing behind.

use grepx_engine::{Definition, Event, FlowRunId, Json, NodeId, Retry, Timestamp};

use super::{Error, Runner};
use crate::failpoint::{self, Point};

/// Tasks that an error names.
const TASKS_NAMED: usize = 20;

/// Where a flow run that has ended begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// With what failed or was cancelled, and what could not run because of that.
    Failed,
    /// With all that it has.
    Start,
    /// With this task and everything downstream of it.
    From(String),
    /// With this task alone.
    Only(String),
}

impl Runner {
    /// Lets a flow run that has ended go on, from `start_at` or at once; returns when that is kept.
    ///
    /// # Errors
    /// When there is no such run or task, the run has not ended, or nothing of it can begin anew.
    pub async fn retry(&self, run: FlowRunId, begin: Begin, start_at: Option<Timestamp>) -> Result<(), Error> {
        if self.draining.is_cancelled() {
            return Err(Error::Draining);
        }
        let what = match begin {
            Begin::Failed => Retry::Failed,
            Begin::Start => Retry::All,
            Begin::From(task) => Retry::From(self.task_of(run, task).await?),
            Begin::Only(task) => Retry::Only(self.task_of(run, task).await?),
        };
        let start_at = start_at.unwrap_or_else(crate::clock::now);
        failpoint::reach(Point::RetryAsked);
        let answer = self.ask(run, Event::Retry { what, start_at }).await;
        failpoint::reach(Point::RetryTaken);
        answer
    }

    /// Completes a task run in the name of a person; what waits for it goes on, also in a flow run
    /// that has ended.
    ///
    /// # Errors
    /// When there is no such task run, or it is done already.
    pub async fn mark_done(&self, run: FlowRunId, node: NodeId, note: String, result: Json) -> Result<(), Error> {
        if self.draining.is_cancelled() {
            return Err(Error::Draining);
        }
        let answer = self.ask(run, Event::MarkDone { node, note, result }).await;
        failpoint::reach(Point::DoneTaken);
        answer
    }

    /// By the definition that the run has, which need not be today's.
    async fn task_of(&self, run: FlowRunId, name: String) -> Result<u32, Error> {
        let stored = self.store.flow_run(run).await?.ok_or(Error::NotLive(run))?;
        let definition = self.store.definition(stored.run.definition).await?;
        let definition = definition.and_then(|json| serde_json::from_str::<Definition>(json.as_str()).ok());
        let Some(definition) = definition else {
            return Err(Error::NoSuchTask {
                name,
                tasks: "unreadable".to_owned(),
            });
        };
        definition.find(&name).ok_or_else(|| {
            let names = definition.tasks.iter().map(|task| task.name.as_str());
            let tasks = names.take(TASKS_NAMED).collect::<Vec<_>>().join(", ");
            Error::NoSuchTask { name, tasks }
        })
    }
}
