//! What a person asks of a run over the head of its tasks: that it goes on although it has ended,
//! that a task run is done although it has not completed.

use std::collections::BTreeSet;

use crate::event::Retry;
use crate::rule::Ruling;
use crate::run::{Mode, NodeState, Phase, Run};
use crate::{Fact, Json, NodeId, Rejected, RunOutcome, Skip, StopReason, Timestamp};

impl Run {
    pub(super) fn retry(&self, what: Retry, start_at: Timestamp, now: Timestamp) -> Result<Vec<Fact>, Rejected> {
        let Phase::Finished(outcome) = self.phase else {
            return Err(self.wrong_state("to retry it"));
        };
        let tasks = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let nodes = match what {
            Retry::Failed if outcome == RunOutcome::Completed => return Err(Rejected::NothingFailed),
            Retry::Failed => self.undone(0..tasks),
            Retry::All => (0..tasks).map(NodeId::task).collect(),
            Retry::Only(task) => vec![self.able(task)?],
            Retry::From(task) => {
                let first = self.able(task)?;
                let below = self.definition.descendants(task, |_| true);
                let all: BTreeSet<NodeId> = below.into_iter().map(NodeId::task).chain([first]).collect();
                all.into_iter().collect()
            }
        };
        Ok(self.reopened(nodes, None, start_at, now))
    }

    fn reopened(&self, nodes: Vec<NodeId>, done: Option<Fact>, start_at: Timestamp, now: Timestamp) -> Vec<Fact> {
        let start_at = start_at.max(now);
        let mut facts = vec![Fact::Reopened { start_at }, Fact::Renewed { nodes }];
        facts.extend(done);
        if start_at <= now {
            facts.push(Fact::Queued);
        }
        facts
    }

    /// The task, if its trigger rule lets it run as its upstreams have ended.
    fn able(&self, task: u32) -> Result<NodeId, Rejected> {
        let node = NodeId::task(task);
        self.node(node).ok_or(Rejected::UnknownNode(node))?;
        match self.ruling(node) {
            Ruling::Skip(Skip::Condition(why) | Skip::Rule(why) | Skip::UpstreamFailed(why)) => {
                let task = self.definition.task(task).name.clone();
                Err(Rejected::CannotRun { task, why })
            }
            Ruling::Run | Ruling::Wait => Ok(node),
        }
    }

    /// Of these tasks what has ended otherwise than it should have: the items where there are some.
    fn undone(&self, tasks: impl IntoIterator<Item = u32>) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        for task in tasks {
            let known = &self.nodes[task as usize];
            match &known.items {
                _ if !known.is_undone() => {}
                Some(items) => nodes.extend(
                    (0_u32..)
                        .zip(&items.nodes)
                        .filter(|(_, item)| item.is_undone())
                        .map(|(index, _)| NodeId::item(task, index)),
                ),
                None => nodes.push(NodeId::task(task)),
            }
        }
        nodes
    }

    pub(super) fn done(&self, node: NodeId, note: &str, result: &Json, now: Timestamp) -> Result<Vec<Fact>, Rejected> {
        let known = self.node(node).ok_or(Rejected::UnknownNode(node))?;
        if known.items.is_some() {
            return Err(Rejected::HasItems(self.definition.task(node.task).name.clone()));
        }
        let done = Fact::MarkedDone {
            node,
            note: note.to_owned(),
            bytes: result.len() as u64,
            result: Some(result.clone()),
        };
        let already = || {
            let name = self.node_state(node).map_or("Completed", |state| state.name);
            Err(Rejected::AlreadyDone(name))
        };
        match &known.state {
            NodeState::Active(attempt) if attempt.done.is_some() => already(),
            NodeState::Active(attempt) if matches!(attempt.mode, Mode::Stopping { .. }) => Ok(vec![done]),
            NodeState::Active(attempt) => {
                let stop = Fact::StopAsked {
                    node,
                    attempt: attempt.number,
                    reason: StopReason::Cancelled,
                };
                Ok(vec![done, stop])
            }
            NodeState::Ended(end) if !end.is_undone() => already(),
            NodeState::Ended(_) => {
                let mut nodes = vec![node];
                nodes.extend(self.held_up_by(node.task));
                Ok(match self.phase {
                    Phase::Finished(_) => self.reopened(nodes, Some(done), now, now),
                    _ => vec![Fact::Renewed { nodes }, done],
                })
            }
            _ => Ok(vec![done]),
        }
    }

    /// What did not run, or not to its end, for want of this task.
    fn held_up_by(&self, task: u32) -> Vec<NodeId> {
        let waited = |task: u32| {
            let known = &self.nodes[task as usize];
            known.is_undone() && !self.failed.contains(&task)
        };
        let mut below = self.definition.descendants(task, waited);
        below.sort_unstable();
        self.undone(below)
    }
}
