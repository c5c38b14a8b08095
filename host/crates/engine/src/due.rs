//! What has to be done, derived from the state alone: the same after an event, at boot and in a
//! slow sweep. So there is no recovery code.

use std::sync::Arc;

use crate::agenda::{Alarm, Due, Mark};
use crate::run::{Attempt, Mode, Node, NodeState, Phase, Run};
use crate::waits::{Wait, Watched};
use crate::{Json, NodeId, Outcome, Snapshot, StopReason, TaskError, Timestamp};

/// What a call of a kind is given, beside what the shell knows of flow and task.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub attempt: u32,
    pub step: u32,
    /// When the step became due; the `now` of the call, however often it is tried.
    pub since: Timestamp,
    pub deadline: Option<Timestamp>,
    pub input: Json,
    /// `None` at step 0.
    pub resume: Option<(Snapshot, Vec<(String, Outcome)>)>,
    /// Digest of the build that wrote the state.
    pub build: Option<Arc<str>>,
}

impl Run {
    /// Everything that is due and was put on the agenda after `mark`, in order, with the mark to
    /// go on from. With `Mark::default()`: everything.
    pub fn due(&self, after: Mark) -> (Vec<Due>, Mark) {
        let due = self
            .agenda
            .after(after)
            .filter(|(_, due)| match due {
                Due::Prepare { node } => self.may_start(*node),
                _ => true,
            })
            .map(|(_, due)| due.clone())
            .collect();
        (due, self.agenda.last())
    }

    /// Whether an attempt of the node is under way, or failed and is not judged yet.
    #[must_use]
    pub fn is_under_way(&self, node: NodeId) -> bool {
        self.node(node).is_some_and(Node::is_under_way)
    }

    /// Every node of which an attempt is under way.
    pub fn under_way(&self) -> impl Iterator<Item = NodeId> {
        (0..).zip(&self.nodes).flat_map(|(task, node)| {
            let whole = node.is_under_way().then_some(NodeId::task(task));
            let items = node.items.iter().flat_map(|items| (0..).zip(&items.nodes));
            let items = items.filter(|(_, node)| node.is_under_way());
            whole
                .into_iter()
                .chain(items.map(move |(index, _)| NodeId::item(task, index)))
        })
    }

    /// Whether `Due::Prepare` is due for the node.
    #[must_use]
    pub fn may_prepare(&self, node: NodeId) -> bool {
        self.may_start(node)
            && self
                .node(node)
                .is_some_and(|known| matches!(known.state, NodeState::Ready { .. }))
    }

    /// When `Event::Tick` will next change something, or the retry of a node with tags becomes due.
    #[must_use]
    pub fn next_timer(&self, now: Timestamp) -> Option<Timestamp> {
        let mut timers = self.live_timers();
        let next = timers.find(|(at, alarm)| *at > now || !self.needs_slots(alarm));
        next.map(|(at, _)| *at)
    }

    /// Nodes with tags whose retry is due: `Event::BeginAttempt` may come.
    pub fn retries_due(&self, now: Timestamp) -> impl Iterator<Item = NodeId> {
        let due = self.live_timers().take_while(move |(at, _)| *at <= now);
        due.filter_map(|(_, alarm)| match alarm {
            Alarm::Retry(node) if self.needs_slots(alarm) => Some(*node),
            _ => None,
        })
    }

    /// Whether [`Run::retries_due`] has the node.
    #[must_use]
    pub fn retry_is_due(&self, node: NodeId, now: Timestamp) -> bool {
        let state = self.node(node).map(|known| &known.state);
        let is_due = matches!(state, Some(NodeState::Waiting { until, .. }) if *until <= now);
        is_due && !self.keeps_retries() && self.needs_slots(&Alarm::Retry(node))
    }

    /// A run that is paused, or waits for its slot, begins nothing.
    fn keeps_retries(&self) -> bool {
        matches!(self.phase, Phase::Paused | Phase::Queued { .. } | Phase::Admitted)
    }

    /// Slots of tags are the shell's to give.
    pub(crate) fn needs_slots(&self, alarm: &Alarm) -> bool {
        matches!(alarm, Alarm::Retry(node) if !self.definition.task(node.task).tags.is_empty())
    }

    pub(crate) fn live_timers(&self) -> impl Iterator<Item = &(Timestamp, Alarm)> {
        let held = self.keeps_retries();
        self.agenda
            .timers()
            .filter(move |(_, alarm)| !(held && matches!(alarm, Alarm::Retry(_))))
    }

    /// The call that `Due::Call` stands for; `None` when it is not due any more.
    #[must_use]
    pub fn call(&self, node: NodeId) -> Option<Call> {
        let known = self.node(node)?;
        let NodeState::Active(attempt) = &known.state else {
            return None;
        };
        if !matches!(attempt.mode, Mode::Calling { .. }) {
            return None;
        }
        Some(call(attempt, known.input.clone().unwrap_or_else(Json::null)))
    }

    /// What a stopping attempt leaves to its kind: the state of its last step and the reason.
    #[must_use]
    pub fn stopping(&self, node: NodeId) -> Option<(Call, StopReason)> {
        let known = self.node(node)?;
        let NodeState::Active(attempt) = &known.state else {
            return None;
        };
        match attempt.mode {
            Mode::Stopping { reason, .. } => {
                let input = known.input.clone().unwrap_or_else(Json::null);
                Some((call(attempt, input), reason))
            }
            _ => None,
        }
    }

    /// The failure that a policy has to decide on, with the attempt that failed.
    #[must_use]
    pub fn failure(&self, node: NodeId) -> Option<(u32, &TaskError, Timestamp)> {
        let known = self.node(node)?;
        match &known.state {
            NodeState::Judging { attempt, error, .. } => Some((*attempt, error, known.since)),
            _ => None,
        }
    }

    /// The open command that `Due::Watch` stands for.
    #[must_use]
    pub fn watched(&self, node: NodeId, attempt: u32, key: &str) -> Option<&Watched> {
        let NodeState::Active(current) = &self.node(node)?.state else {
            return None;
        };
        match current.waits.get(key) {
            Some(Wait::Watch { what, .. }) if current.number == attempt => Some(what),
            _ => None,
        }
    }

    /// Open signal commands: (node, attempt, command key) for a signal's name.
    #[must_use]
    pub fn awaits_signal(&self, node: NodeId, name: &str) -> Option<(u32, String)> {
        let NodeState::Active(current) = &self.node(node)?.state else {
            return None;
        };
        let (key, _) = current
            .waits
            .iter()
            .find(|(_, wait)| matches!(wait, Wait::Signal(known) if **known == *name))?;
        Some((current.number, key.to_owned()))
    }

    /// The names of the signals that an attempt of the node waits for.
    #[must_use]
    pub fn open_signals(&self, node: NodeId) -> Vec<&str> {
        let Some(NodeState::Active(current)) = self.node(node).map(|known| &known.state) else {
            return Vec::new();
        };
        let names = current.waits.iter().filter_map(|(_, wait)| match wait {
            Wait::Signal(name) => Some(&**name),
            _ => None,
        });
        names.collect()
    }

    /// The item that a `for_each` gave to this node.
    #[must_use]
    pub fn item(&self, node: NodeId) -> Option<&Json> {
        self.node(node)?.item.as_ref()
    }

    /// How many items a mapped task has.
    #[must_use]
    pub fn items(&self, task: u32) -> Option<u32> {
        let items = self.nodes.get(task as usize)?.items.as_ref()?;
        u32::try_from(items.nodes.len()).ok()
    }

    /// Whether the node completed, so that a result of it exists.
    #[must_use]
    pub fn has_result(&self, node: NodeId) -> bool {
        self.node(node)
            .is_some_and(|known| matches!(known.state, NodeState::Ended(crate::run::End::Completed(_))))
    }
}

fn call(attempt: &Attempt, input: Json) -> Call {
    Call {
        attempt: attempt.number,
        step: attempt.step,
        since: attempt.step_since,
        deadline: attempt.deadline,
        input,
        build: attempt.build.clone(),
        resume: attempt
            .snapshot
            .clone()
            .map(|snapshot| (snapshot, attempt.arrived[..attempt.delivered].to_vec())),
    }
}
