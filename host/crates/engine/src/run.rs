//! A flow run as its log says it is. Only `fold` writes here.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::agenda::{Agenda, Mark};
use crate::waits::Waits;
use crate::{
    Definition, Fact, FlowRunId, Json, NodeId, Outcome, Record, RunOutcome, Skip, Snapshot, StopReason, TaskError,
    Timestamp, TriggerRule, Wake,
};

/// A flow run. Two runs that folded the same log are equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub(crate) id: FlowRunId,
    pub(crate) definition: Arc<Definition>,
    pub(crate) next_seq: u64,
    pub(crate) phase: Phase,
    pub(crate) since: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    /// Of the present round; `None` until it has started.
    pub(crate) begun_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    /// How often it has been reopened.
    pub(crate) round: u32,
    /// How often nodes have begun anew, in an ended run or a live one.
    pub(crate) renewals: u32,
    /// Rounds that have started.
    pub(crate) starts: u32,
    /// How long earlier rounds took.
    pub(crate) ran_ms: u64,
    pub(crate) nodes: Vec<Node>,
    /// Tasks that have not ended.
    pub(crate) open: u32,
    /// Tasks that failed, in the order in which they did.
    pub(crate) failed: Vec<u32>,
    pub(crate) agenda: Agenda,
    /// Nodes whose end follows from what has happened; empty between two events.
    pub(crate) unsettled: BTreeSet<NodeId>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    Scheduled { start_at: Timestamp },
    Queued { mark: Mark, wait: Waiting },
    Admitted,
    Running,
    Paused,
    Stopping { why: Stopping, forced: bool },
    Finished(RunOutcome),
}

/// How a queued run stands against its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    InTime {
        late_at: Timestamp,
    },
    Late,
    /// It has run before: lateness is about the first start.
    Resuming,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stopping {
    Cancel(String),
    Timeout(u64),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) state: NodeState,
    pub(crate) since: Timestamp,
    pub(crate) tally: Tally,
    pub(crate) started_at: Option<Timestamp>,
    /// Attempts begun so far, over all rounds.
    pub(crate) attempts: u32,
    /// When the last of them began.
    pub(crate) attempt_at: Option<Timestamp>,
    /// Of these, those begun before the node last began anew.
    pub(crate) attempts_before: u32,
    pub(crate) input: Option<Json>,
    pub(crate) limit_ms: Option<u64>,
    /// What a `for_each` gave this node.
    pub(crate) item: Option<Json>,
    pub(crate) items: Option<Box<Items>>,
    /// Attempts of items that were given up to be mapped again, by index.
    pub(crate) items_before: Vec<u32>,
}

/// How the upstreams of a node ended, counted as they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) completed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Items {
    pub(crate) nodes: Vec<Node>,
    pub(crate) open: u32,
    pub(crate) failed: u32,
    pub(crate) cancelled: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NodeState {
    /// Upstreams are open.
    Blocked,
    /// The trigger rule is met.
    Ready {
        mark: Mark,
    },
    /// Its items run in its place.
    Mapped,
    Active(Box<Attempt>),
    /// Failed; the policy has not decided yet.
    Judging {
        mark: Mark,
        attempt: u32,
        error: Box<TaskError>,
    },
    /// The next attempt starts at `until`.
    Waiting {
        attempt: u32,
        until: Timestamp,
        error: Box<TaskError>,
    },
    Ended(End),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) step: u32,
    pub(crate) mode: Mode,
    /// When the current step became due: the `now` of its call.
    pub(crate) step_since: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) snapshot: Option<Snapshot>,
    /// Digest of the build that wrote the snapshot.
    pub(crate) build: Option<Arc<str>>,
    pub(crate) waits: Waits,
    /// Outcomes that the kind has not seen, or that the call in flight carries (`delivered`).
    pub(crate) arrived: Vec<(String, Outcome)>,
    pub(crate) delivered: usize,
    pub(crate) wake: Wake,
    pub(crate) status: Option<String>,
    pub(crate) error: Option<Box<TaskError>>,
    /// It was marked as done: that is how it ends when it has been stopped.
    pub(crate) done: Option<Box<Done>>,
}

/// A completion, with the note of who marked it as done.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Done {
    pub(crate) bytes: u64,
    pub(crate) note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Calling { mark: Mark },
    Suspended,
    Stopping { mark: Mark, reason: StopReason },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    Completed(Done),
    Failed { error: Box<TaskError>, reason: String },
    Skipped(Skip),
    Cancelled,
}

impl Node {
    pub(crate) fn new(item: Option<Json>) -> Self {
        Self {
            state: NodeState::Blocked,
            since: Timestamp::default(),
            tally: Tally::default(),
            started_at: None,
            attempts: 0,
            attempt_at: None,
            attempts_before: 0,
            input: None,
            limit_ms: None,
            item,
            items: None,
            items_before: Vec::new(),
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.state, NodeState::Ended(_))
    }

    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.state, NodeState::Active(_) | NodeState::Judging { .. })
    }

    /// Whether it has ended otherwise than it should have.
    pub(crate) fn is_undone(&self) -> bool {
        matches!(&self.state, NodeState::Ended(end) if end.is_undone())
    }
}

impl End {
    pub(crate) fn is_undone(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Cancelled | Self::Skipped(Skip::UpstreamFailed(_)) => true,
            Self::Completed(_) | Self::Skipped(Skip::Condition(_) | Skip::Rule(_)) => false,
        }
    }
}

impl Run {
    /// A run without a past: fold its log into it.
    #[must_use]
    pub fn new(id: FlowRunId, definition: Arc<Definition>) -> Self {
        let nodes = definition.tasks.iter().map(|_| Node::new(None)).collect();
        Self {
            id,
            open: u32::try_from(definition.tasks.len()).unwrap_or(u32::MAX),
            definition,
            next_seq: 0,
            phase: Phase::Scheduled {
                start_at: Timestamp::default(),
            },
            since: Timestamp::default(),
            started_at: None,
            begun_at: None,
            ended_at: None,
            round: 0,
            renewals: 0,
            starts: 0,
            ran_ms: 0,
            nodes,
            failed: Vec::new(),
            agenda: Agenda::default(),
            unsettled: BTreeSet::new(),
        }
    }

    /// The run that a log tells of.
    #[must_use]
    pub fn replay(id: FlowRunId, definition: Arc<Definition>, log: impl IntoIterator<Item = Record>) -> Self {
        let mut run = Self::new(id, definition);
        for record in log {
            run.fold(&record);
        }
        run
    }

    /// The first facts of a new run.
    #[must_use]
    pub fn schedule(&mut self, start_at: Timestamp, now: Timestamp) -> Vec<Record> {
        let mut log = Vec::new();
        self.record(Fact::Scheduled { start_at }, now, &mut log);
        if start_at <= now {
            self.record(Fact::Queued, now, &mut log);
        }
        log
    }

    #[must_use]
    pub fn id(&self) -> FlowRunId {
        self.id
    }

    #[must_use]
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The number of the next fact.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished(_))
    }

    /// When it first started.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// When its present round started; `None` until it has.
    #[must_use]
    pub fn begun_at(&self) -> Option<Timestamp> {
        self.begun_at
    }

    /// How often it has been reopened.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// How often nodes of it have begun anew, those of one request together. Every reopening is one.
    #[must_use]
    pub fn renewals(&self) -> u32 {
        self.renewals
    }

    /// How often it has started: Prefect's `run_count`.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// The time for which a run waits that is to go on after its end.
    #[must_use]
    pub fn starts_again(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Scheduled { start_at } if self.round > 0 => Some(start_at),
            _ => None,
        }
    }

    /// How long it has been under way, without the time for which it had ended.
    #[must_use]
    pub fn run_time_ms(&self, now: Timestamp) -> u64 {
        let until = self.ended_at.unwrap_or(now);
        let round = self.begun_at.map_or(0, |begun| until.since_ms(begun));
        self.ran_ms.saturating_add(round)
    }

    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    /// Digests of the builds that wrote the state of an attempt that has not ended.
    pub fn builds(&self) -> impl Iterator<Item = &Arc<str>> {
        let items = self
            .nodes
            .iter()
            .flat_map(|node| node.items.iter().flat_map(|items| &items.nodes));
        self.nodes.iter().chain(items).filter_map(|node| match &node.state {
            NodeState::Active(attempt) => attempt.build.as_ref(),
            _ => None,
        })
    }

    pub(crate) fn node(&self, node: NodeId) -> Option<&Node> {
        let task = self.nodes.get(node.task as usize)?;
        match node.index {
            None => Some(task),
            Some(index) => task.items.as_ref()?.nodes.get(index as usize),
        }
    }

    pub(crate) fn node_mut(&mut self, node: NodeId) -> &mut Node {
        let task = &mut self.nodes[node.task as usize];
        match node.index {
            Some(index) => {
                let items = task.items.as_mut().expect("only a mapped task has items");
                &mut items.nodes[index as usize]
            }
            None => task,
        }
    }

    /// Whether new work may start: a paused run starts none, a stopping one only its clean-up.
    pub(crate) fn may_start(&self, node: NodeId) -> bool {
        match &self.phase {
            Phase::Running => true,
            Phase::Stopping { forced, .. } => !forced && self.cleans_up(node),
            _ => false,
        }
    }

    /// Whether a stopping run leaves the node alone.
    pub(crate) fn survives_stop(&self, node: NodeId) -> bool {
        match &self.phase {
            Phase::Stopping { forced, .. } => !forced && self.cleans_up(node),
            _ => true,
        }
    }

    fn cleans_up(&self, node: NodeId) -> bool {
        self.definition.task(node.task).trigger_rule == TriggerRule::Always
    }
}
