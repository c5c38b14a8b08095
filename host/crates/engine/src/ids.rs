//! Typed ids. Every id below the flow run is derived from it, so nothing has to be looked up to
//! know the id of a task run or of an attempt, and a replayed log yields the same ids.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One execution of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlowRunId(pub Uuid);

/// One task of a flow run, over all of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskRunId(pub Uuid);

/// A task's place in its definition; with `index`, one item of a `for_each`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId {
    pub task: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

impl NodeId {
    #[must_use]
    pub const fn task(task: u32) -> Self {
        Self { task, index: None }
    }

    #[must_use]
    pub const fn item(task: u32, index: u32) -> Self {
        Self {
            task,
            index: Some(index),
        }
    }

    /// The id under which this node of `run` is known outside.
    #[must_use]
    pub fn run_id(self, run: FlowRunId) -> TaskRunId {
        let mut name = [0_u8; 9];
        name[..4].copy_from_slice(&self.task.to_be_bytes());
        if let Some(index) = self.index {
            name[4] = 1;
            name[5..].copy_from_slice(&index.to_be_bytes());
        }
        TaskRunId(Uuid::new_v5(&run.0, &name))
    }
}

impl TaskRunId {
    /// The idempotency key of an attempt: new for each one, the same after every restart.
    #[must_use]
    pub fn attempt_key(self, attempt: u32) -> Uuid {
        Uuid::new_v5(&self.0, &attempt.to_be_bytes())
    }
}

impl fmt::Display for FlowRunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TaskRunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            None => write!(f, "#{}", self.task),
            Some(index) => write!(f, "#{}[{index}]", self.task),
        }
    }
}
