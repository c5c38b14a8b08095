//! A run in Prefect's words: what people, the API and the views read.

use crate::run::{Attempt, End, Mode, Node, NodeState, Phase, Run, Stopping, Waiting};
use crate::{ErrorClass, NodeId, RunOutcome, Skip, State, StateType, StopReason, Timestamp};

/// Names that a message lists at most.
const NAMED_MAX: usize = 5;

impl Run {
    #[must_use]
    pub fn state(&self) -> State {
        let (state_type, name) = self.state_label();
        let message = match &self.phase {
            Phase::Stopping { why, .. } => Some(why.message()),
            Phase::Finished(outcome) => Some(self.summary(*outcome)),
            _ => None,
        };
        State {
            state_type,
            name,
            message,
            since: self.since,
        }
    }

    /// Type and name of the state alone.
    #[must_use]
    pub fn state_label(&self) -> (StateType, &'static str) {
        match &self.phase {
            Phase::Scheduled { .. } => (StateType::Scheduled, "Scheduled"),
            Phase::Queued { wait, .. } => match wait {
                Waiting::InTime { .. } => (StateType::Scheduled, "AwaitingConcurrencySlot"),
                Waiting::Late => (StateType::Scheduled, "Late"),
                Waiting::Resuming => (StateType::Scheduled, "Resuming"),
            },
            Phase::Admitted => (StateType::Pending, "Pending"),
            Phase::Running => (StateType::Running, "Running"),
            Phase::Paused => (StateType::Paused, "Paused"),
            Phase::Stopping { .. } => (StateType::Cancelling, "Cancelling"),
            Phase::Finished(RunOutcome::Completed) => (StateType::Completed, "Completed"),
            Phase::Finished(RunOutcome::Failed) => (StateType::Failed, "Failed"),
            Phase::Finished(RunOutcome::TimedOut) => (StateType::Failed, "TimedOut"),
            Phase::Finished(RunOutcome::Cancelled) => (StateType::Cancelled, "Cancelled"),
        }
    }

    fn summary(&self, outcome: RunOutcome) -> String {
        let tasks = self.nodes.len();
        match outcome {
            RunOutcome::Completed => "All task runs completed or were skipped.".to_owned(),
            RunOutcome::Failed => {
                let named: Vec<&str> = self
                    .failed
                    .iter()
                    .take(NAMED_MAX)
                    .map(|task| self.definition.task(*task).name.as_str())
                    .collect();
                let more = self.failed.len().saturating_sub(NAMED_MAX);
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                if named.is_empty() {
                    return "A task run could not run, because one before it did not complete.".to_owned();
                }
                format!(
                    "{} of {tasks} task runs failed: {}{more}",
                    self.failed.len(),
                    named.join(", ")
                )
            }
            RunOutcome::TimedOut => {
                let limit = self.definition.timeout_ms.unwrap_or_default() / 1_000;
                format!("The flow run took longer than its timeout_seconds = {limit}.")
            }
            RunOutcome::Cancelled => "The flow run was cancelled.".to_owned(),
        }
    }

    /// The state of a task run; `None` for a node that does not exist.
    #[must_use]
    pub fn node_state(&self, node: NodeId) -> Option<State> {
        let known = self.node(node)?;
        let (state_type, name, message) = match &known.state {
            NodeState::Blocked => (StateType::Pending, "Pending", self.open_upstreams(node)),
            NodeState::Ready { .. } => (StateType::Pending, "Pending", None),
            NodeState::Mapped => (StateType::Running, "Running", items(known)),
            NodeState::Active(attempt) => active(attempt, self.tries(node, attempt.number)),
            NodeState::Judging { error, .. } => (StateType::Running, "Running", Some(error.message.clone())),
            NodeState::Waiting { attempt, error, .. } => {
                let message = format!("attempt {attempt} follows: {}", error.message);
                (StateType::Scheduled, "AwaitingRetry", Some(message))
            }
            NodeState::Ended(end) => ended(end),
        };
        Some(State {
            state_type,
            name,
            message,
            since: known.since,
        })
    }

    fn open_upstreams(&self, node: NodeId) -> Option<String> {
        let open: Vec<&str> = self
            .definition
            .task(node.task)
            .upstreams
            .iter()
            .filter(|upstream| !self.nodes[**upstream as usize].is_ended())
            .take(NAMED_MAX)
            .map(|upstream| self.definition.task(*upstream).name.as_str())
            .collect();
        (!open.is_empty()).then(|| format!("waits for {}", open.join(", ")))
    }

    /// What the kind last said it waits for.
    #[must_use]
    pub fn status(&self, node: NodeId) -> Option<&str> {
        match self.node(node).map(|known| &known.state) {
            Some(NodeState::Active(attempt)) => attempt.status.as_deref(),
            _ => None,
        }
    }

    /// The attempt that runs, is awaited or ran last; 0 before the first.
    #[must_use]
    pub fn attempt_number(&self, node: NodeId) -> u32 {
        match self.node(node).map(|known| &known.state) {
            Some(NodeState::Active(attempt)) => attempt.number,
            Some(NodeState::Judging { attempt, .. } | NodeState::Waiting { attempt, .. }) => *attempt,
            _ => 0,
        }
    }

    /// Attempts of the node that have begun.
    #[must_use]
    pub fn attempts(&self, node: NodeId) -> u32 {
        self.node(node).map_or(0, |known| known.attempts)
    }

    /// Which attempt this is since the node last began anew, from 1: what a policy counts.
    #[must_use]
    pub fn tries(&self, node: NodeId, attempt: u32) -> u32 {
        let before = self.node(node).map_or(0, |known| known.attempts_before);
        attempt.saturating_sub(before).max(1)
    }

    /// When the node's first attempt began, since it last began anew.
    #[must_use]
    pub fn node_started_at(&self, node: NodeId) -> Option<Timestamp> {
        self.node(node)?.started_at
    }

    /// When the last attempt of the node began, which may be over.
    #[must_use]
    pub fn attempt_started_at(&self, node: NodeId) -> Option<Timestamp> {
        self.node(node)?.attempt_at
    }

    /// When the next attempt of the node begins.
    #[must_use]
    pub fn retry_at(&self, node: NodeId) -> Option<Timestamp> {
        match self.node(node)?.state {
            NodeState::Waiting { until, .. } => Some(until),
            _ => None,
        }
    }
}

impl Stopping {
    fn message(&self) -> String {
        match self {
            Self::Cancel(reason) => reason.clone(),
            Self::Timeout(limit_ms) => format!("timed out after {} s", limit_ms / 1_000),
        }
    }
}

type View = (StateType, &'static str, Option<String>);

/// `tries` since its node last began anew, this attempt included.
fn active(attempt: &Attempt, tries: u32) -> View {
    match attempt.mode {
        Mode::Stopping { .. } if attempt.done.is_some() => (
            StateType::Running,
            "Running",
            Some("marked as done; its attempt is being stopped".to_owned()),
        ),
        Mode::Stopping {
            reason: StopReason::TimedOut,
            ..
        } => (
            StateType::Running,
            "Running",
            Some("timed out; being stopped".to_owned()),
        ),
        Mode::Stopping { .. } => (StateType::Cancelling, "Cancelling", None),
        _ if tries > 1 => (StateType::Running, "Retrying", attempt.status.clone()),
        _ => (StateType::Running, "Running", attempt.status.clone()),
    }
}

fn items(node: &Node) -> Option<String> {
    let items = node.items.as_ref()?;
    let done = items.nodes.len() - items.open as usize;
    Some(format!("{done} of {} items done", items.nodes.len()))
}

fn ended(end: &End) -> View {
    match end {
        End::Completed(done) => {
            let message = done.note.as_ref().map(|note| format!("Marked as done: {note}"));
            (StateType::Completed, "Completed", message)
        }
        End::Failed { error, reason } => {
            let name = if error.class == ErrorClass::TimedOut {
                "TimedOut"
            } else {
                "Failed"
            };
            let message = format!("{} ({}; {reason})", error.message, error.code);
            (StateType::Failed, name, Some(message))
        }
        End::Skipped(Skip::Condition(why) | Skip::Rule(why)) => (StateType::Completed, "Skipped", Some(why.clone())),
        End::Skipped(Skip::UpstreamFailed(why)) => (StateType::Cancelled, "UpstreamFailed", Some(why.clone())),
        End::Cancelled => (StateType::Cancelled, "Cancelled", None),
    }
}
