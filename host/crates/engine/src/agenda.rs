//! What a run wants done, kept as part of its state, so that "what is new since the last look" and
//! "everything, after a restart" are one ordered walk and never a scan over all nodes.

use std::collections::{BTreeMap, BTreeSet};

use crate::{NodeId, StopReason, Timestamp};

/// A place in the agenda; grows with every entry of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark(pub u64);

/// A command to the shell. It stays due until a fact settles it, so dispatching it twice must be
/// harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Wait for a slot of the work pool.
    Slot,
    /// Evaluate `run_if`, `for_each`, `inputs` and the time limit.
    Prepare { node: NodeId },
    /// Call the kind: `start` at step 0, else `resume`.
    Call { node: NodeId, attempt: u32, step: u32 },
    /// Ask the policy.
    Judge { node: NodeId, attempt: u32 },
    /// Tell the kind to stop.
    Stop {
        node: NodeId,
        attempt: u32,
        reason: StopReason,
    },
    /// Look after an open command (a reply, a child run) until it is settled.
    Watch { node: NodeId, attempt: u32, key: String },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    Start,
    Late,
    FlowLimit,
    Deadline(NodeId),
    Retry(NodeId),
    Command(NodeId, String),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Agenda {
    next: u64,
    due: BTreeMap<Mark, Due>,
    timers: BTreeSet<(Timestamp, Alarm)>,
}

impl Agenda {
    pub(crate) fn add(&mut self, due: Due) -> Mark {
        self.next += 1;
        let mark = Mark(self.next);
        self.due.insert(mark, due);
        mark
    }

    pub(crate) fn settle(&mut self, mark: Mark) {
        self.due.remove(&mark);
    }

    pub(crate) fn after(&self, mark: Mark) -> impl Iterator<Item = (Mark, &Due)> {
        self.due
            .range((std::ops::Bound::Excluded(mark), std::ops::Bound::Unbounded))
            .map(|(mark, due)| (*mark, due))
    }

    pub(crate) fn last(&self) -> Mark {
        Mark(self.next)
    }

    pub(crate) fn arm(&mut self, at: Timestamp, alarm: Alarm) {
        self.timers.insert((at, alarm));
    }

    pub(crate) fn disarm(&mut self, at: Timestamp, alarm: Alarm) {
        self.timers.remove(&(at, alarm));
    }

    pub(crate) fn timers(&self) -> impl Iterator<Item = &(Timestamp, Alarm)> {
        self.timers.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.due.clear();
        self.timers.clear();
    }
}
