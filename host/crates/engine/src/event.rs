//! What can happen to a run. Every answer from outside names its attempt, and an answer of a call
//! its step, so that a late one is told from a current one.

use std::sync::Arc;

use crate::{Command, Json, NodeId, Outcome, Step, TaskError, Verdict};

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The work pool and the work queue have a free slot.
    Admitted,
    /// Time has passed: every timer up to now is due.
    Tick,
    /// `run_if`, `for_each`, `inputs` and the time limit of a ready node have been evaluated.
    Prepared {
        node: NodeId,
        prepared: Prepared,
    },
    /// A call of the kind has returned.
    Answered {
        node: NodeId,
        attempt: u32,
        step: u32,
        answer: Step,
        /// Digest of the build that was called.
        build: Option<Arc<str>>,
    },
    /// A command of the attempt has turned out.
    Outcome {
        node: NodeId,
        attempt: u32,
        key: String,
        outcome: Outcome,
    },
    /// The policy has decided on a failed attempt.
    Judged {
        node: NodeId,
        attempt: u32,
        verdict: Verdict,
    },
    /// The kind has been told to stop the attempt, and left these commands.
    Stopped {
        node: NodeId,
        attempt: u32,
        commands: Vec<Command>,
    },
    Cancel {
        reason: String,
    },
    Pause,
    Resume,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Prepared {
    Skip {
        why: String,
    },
    /// One item of a `for_each` each.
    Map {
        items: Vec<Json>,
    },
    Run {
        input: Json,
        limit_ms: Option<u64>,
    },
    /// An expression failed, or the input does not fit the kind's schema.
    Invalid(TaskError),
}

/// Why an event changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("the flow run is already {0}")]
    Terminal(&'static str),
    #[error("the answer is stale: it is for attempt {attempt} step {step}, current is {current}")]
    Stale { attempt: u32, step: u32, current: String },
    #[error("the flow run is {state}: {wanted} is not possible")]
    WrongState { state: &'static str, wanted: &'static str },
    #[error("the flow run has no task run {0}")]
    UnknownNode(NodeId),
}
