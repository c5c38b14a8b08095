//! Nodes that have ended and begin anew, and nodes that a person calls done. A node that begins anew
//! is as one that never ran, but for its attempts: they go on being counted, so that no id outside
//! stands for two of them.

use crate::agenda::Alarm;
use crate::run::{Done, End, NodeState, Phase, Run, Tally};
use crate::{NodeId, Skip, Timestamp};

impl Tally {
    /// Where an upstream that ended so is counted.
    pub(super) fn place(&mut self, end: &End) -> &mut u32 {
        match end {
            End::Completed(_) => &mut self.completed,
            End::Skipped(Skip::Condition(_) | Skip::Rule(_)) => &mut self.skipped,
            End::Failed { .. } | End::Cancelled | End::Skipped(Skip::UpstreamFailed(_)) => &mut self.failed,
        }
    }
}

impl Run {
    pub(super) fn reopen(&mut self, start_at: Timestamp) -> Phase {
        self.ran_ms = self.run_time_ms(start_at);
        self.begun_at = None;
        self.ended_at = None;
        self.round += 1;
        self.agenda.arm(start_at, Alarm::Start);
        Phase::Scheduled { start_at }
    }

    pub(super) fn renew(&mut self, nodes: &[NodeId], at: Timestamp) {
        self.renewals += 1;
        let mut waiting = nodes.to_vec();
        for &node in nodes {
            match node.index {
                None => self.renew_task(node, at, &mut waiting),
                Some(_) => self.renew_item(node, at, &mut waiting),
            }
        }
        let known = &self.nodes;
        self.failed
            .retain(|task| matches!(known[*task as usize].state, NodeState::Ended(End::Failed { .. })));
        if self.begun_at.is_some() {
            for node in waiting {
                self.consider(node, at);
            }
        }
    }

    fn renew_task(&mut self, node: NodeId, at: Timestamp, waiting: &mut Vec<NodeId>) {
        self.take_back(node.task, waiting);
        let known = self.node_mut(node);
        known.begin_anew(at);
        // They are made again when it is mapped again.
        let Some(items) = known.items.take() else { return };
        known
            .items_before
            .resize(known.items_before.len().max(items.nodes.len()), 0);
        for (before, item) in known.items_before.iter_mut().zip(&items.nodes) {
            *before = item.attempts;
        }
    }

    fn renew_item(&mut self, node: NodeId, at: Timestamp, waiting: &mut Vec<NodeId>) {
        let parent = NodeId::task(node.task);
        if self.node_mut(parent).is_ended() {
            self.take_back(node.task, waiting);
            let known = self.node_mut(parent);
            known.state = NodeState::Mapped;
            known.since = at;
        }
        let NodeState::Ended(end) = self.node_mut(node).state.clone() else {
            return;
        };
        self.node_mut(node).begin_anew(at);
        let Some(items) = &mut self.node_mut(parent).items else {
            return;
        };
        items.open += 1;
        match end {
            End::Failed { .. } => items.failed -= 1,
            End::Cancelled => items.cancelled -= 1,
            End::Completed(_) | End::Skipped(_) => {}
        }
    }

    /// The end of a task does not count any more; what has not begun on the strength of it waits.
    fn take_back(&mut self, task: u32, waiting: &mut Vec<NodeId>) {
        let NodeState::Ended(end) = self.nodes[task as usize].state.clone() else {
            return;
        };
        self.open += 1;
        let definition = self.definition.clone();
        for &next in &definition.task(task).downstreams {
            *self.nodes[next as usize].tally.place(&end) -= 1;
            let next = NodeId::task(next);
            if matches!(self.node_mut(next).state, NodeState::Ready { .. }) {
                self.leave(next);
                self.node_mut(next).state = NodeState::Blocked;
                waiting.push(next);
            }
        }
    }

    pub(super) fn mark_done(&mut self, node: NodeId, done: Done, at: Timestamp) {
        match self.active(node) {
            Some(attempt) => {
                attempt.error = None;
                attempt.done = Some(Box::new(done));
            }
            None => self.end(node, End::Completed(done), at),
        }
    }
}
