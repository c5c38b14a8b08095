//! What has happened to a run, for good. The log of a run is a list of these; folding it gives the
//! run. Their JSON form is the format of the run store: a variant or a field is never renamed,
//! only added (`tests/golden/facts.jsonl` keeps watch).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Command, Json, NodeId, Outcome, StopReason, Suspended, TaskError, Timestamp};

/// A fact with its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// From 0, without gaps.
    pub seq: u64,
    pub at: Timestamp,
    pub fact: Fact,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The run exists and may start at `start_at`.
    Scheduled {
        start_at: Timestamp,
    },
    /// Its time has come; it waits for a slot of its work pool.
    Queued,
    /// It has waited for its slot for too long: Prefect's "Late".
    Late,
    /// It has a slot.
    Admitted,
    Started,
    /// The node ends without having run.
    Skipped {
        node: NodeId,
        why: Skip,
    },
    /// The node has become one node per item.
    Mapped {
        node: NodeId,
        items: Vec<Json>,
    },
    AttemptStarted {
        node: NodeId,
        attempt: u32,
        /// Only with the first attempt: the later ones use the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Json>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit_ms: Option<u64>,
    },
    Suspended {
        node: NodeId,
        attempt: u32,
        step: u32,
        suspended: Suspended,
        /// Digest of the build that gave the answer; logs of older hosts have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        build: Option<Arc<str>>,
    },
    Outcome {
        node: NodeId,
        attempt: u32,
        key: String,
        outcome: Outcome,
    },
    Succeeded {
        node: NodeId,
        attempt: u32,
        bytes: u64,
        /// Kept beside the log, until the node begins anew.
        #[serde(skip)]
        result: Option<Json>,
        /// Digest of the build that gave the answer; logs of older hosts have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        build: Option<Arc<str>>,
    },
    /// The attempt is over; the policy decides what comes next.
    AttemptFailed {
        node: NodeId,
        attempt: u32,
        error: TaskError,
        /// Digest of the build that gave the answer; logs of older hosts have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        build: Option<Arc<str>>,
    },
    /// The attempt is to be stopped.
    StopAsked {
        node: NodeId,
        attempt: u32,
        reason: StopReason,
    },
    /// The kind has left its last commands.
    Stopped {
        node: NodeId,
        attempt: u32,
        commands: Vec<Command>,
    },
    RetryPlanned {
        node: NodeId,
        attempt: u32,
        start_at: Timestamp,
    },
    /// The node has failed for good.
    Failed {
        node: NodeId,
        error: TaskError,
        reason: String,
    },
    /// The node ends by the end of its flow run.
    Cancelled {
        node: NodeId,
    },
    /// Every item of a `for_each` has ended.
    Gathered {
        node: NodeId,
    },
    CancelAsked {
        reason: String,
    },
    FlowTimedOut {
        limit_ms: u64,
    },
    Paused,
    Resumed,
    Finished {
        outcome: RunOutcome,
    },
    /// Somebody has asked that the run, which had ended, goes on from `start_at`.
    Reopened {
        start_at: Timestamp,
    },
    /// These nodes begin anew, as if they had never run; only their attempts keep counting. A task
    /// with items is named by those of them that do, or by itself when it is mapped again.
    Renewed {
        nodes: Vec<NodeId>,
    },
    /// A person says that the node is done. An attempt that runs is stopped first.
    MarkedDone {
        node: NodeId,
        note: String,
        bytes: u64,
        /// Kept beside the log, as that of `Succeeded`.
        #[serde(skip)]
        result: Option<Json>,
    },
}

impl Fact {
    /// The node that it is about; `None` when it is about the whole run, or about many nodes.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        match self {
            Self::Skipped { node, .. }
            | Self::Mapped { node, .. }
            | Self::AttemptStarted { node, .. }
            | Self::Suspended { node, .. }
            | Self::Outcome { node, .. }
            | Self::Succeeded { node, .. }
            | Self::AttemptFailed { node, .. }
            | Self::StopAsked { node, .. }
            | Self::Stopped { node, .. }
            | Self::RetryPlanned { node, .. }
            | Self::Failed { node, .. }
            | Self::Cancelled { node }
            | Self::Gathered { node }
            | Self::MarkedDone { node, .. } => Some(*node),
            Self::Scheduled { .. }
            | Self::Queued
            | Self::Late
            | Self::Admitted
            | Self::Started
            | Self::CancelAsked { .. }
            | Self::FlowTimedOut { .. }
            | Self::Paused
            | Self::Resumed
            | Self::Finished { .. }
            | Self::Reopened { .. }
            | Self::Renewed { .. } => None,
        }
    }
}

/// Why a node never ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// `run_if` was false.
    Condition(String),
    /// The trigger rule cannot be met, and no failure is the cause.
    Rule(String),
    /// The trigger rule cannot be met because of a failure upstream.
    UpstreamFailed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    Completed,
    Failed,
    TimedOut,
    Cancelled,
}
