//! What can happen to a run. Every answer from outside names its attempt, an answer of a call its
//! step, and what was evaluated before an attempt the renewals that it knew of, so that a late one
//! is told from a current one.

use std::sync::Arc;

use crate::{Command, Json, NodeId, Outcome, Step, TaskError, Timestamp, Verdict};

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The work pool and the work queue have a free slot.
    Admitted,
    /// Time has passed: every timer up to now is due.
    Tick,
    /// The retry of a node is due, and there are slots of its tags: its next attempt begins. Of a node
    /// without tags it begins by itself.
    BeginAttempt {
        node: NodeId,
    },
    /// `run_if`, `for_each`, `inputs` and the time limit of a ready node have been evaluated.
    Prepared {
        node: NodeId,
        /// [`crate::Run::renewals`] when it was evaluated: where nodes have begun anew, or are done
        /// because somebody says so, there are other results.
        renewals: u32,
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
    /// A run that has ended is to go on, from this time.
    Retry {
        what: Retry,
        start_at: Timestamp,
    },
    /// A person says that the node is done, with this result.
    MarkDone {
        node: NodeId,
        note: String,
        result: Json,
    },
}

/// Which task runs of an ended flow run begin anew. The others keep their state and their result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Those that failed or were cancelled, and those that could not run because of them; of a
    /// `for_each` only such items.
    Failed,
    /// All of them.
    All,
    /// The task and everything downstream of it.
    From(u32),
    /// The task alone.
    Only(u32),
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
    #[error("no task run failed or was cancelled: name the task to begin with")]
    NothingFailed,
    #[error("{task} could not run: {why}. Begin with the task run that did not complete, or mark that one as done")]
    CannotRun { task: String, why: String },
    #[error("the task run is done already: it is {0}")]
    AlreadyDone(&'static str),
    #[error("{0} runs once for each of its items: mark those as done")]
    HasItems(String),
}
