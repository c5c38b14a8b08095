//! A flow run in memory: the engine's run with everything around it that may be forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use grepx_engine::{
    Fact, FlowRunId, Json, Mark, Message, NodeId, Op, Outcome, Record, Run, StateType, TaskRunId, Timestamp,
};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::store::{Commit, NewRun, RunIdentity};

use super::Error;
use super::draft::{self, After, Draft};
use super::log;
use super::plan::Plan;

#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) run: Run,
    pub(crate) head: Arc<Head>,
    pub(crate) plan: Arc<Plan>,
    /// Up to where the agenda has been dispatched.
    pub(crate) mark: Mark,
    /// What is being done, by the place in the run that it will answer for.
    pub(crate) inflight: BTreeMap<(NodeId, Work), (u64, AbortHandle)>,
    /// Calls that act on the outside, by attempt and step: their commits are made, and they have not
    /// been answered.
    pub(crate) allowed: BTreeMap<NodeId, (u32, u32)>,
    /// Results that other tasks read.
    pub(crate) results: HashMap<TaskRunId, Json>,
    /// Why nodes cannot go on, as far as the host is the cause.
    pub(crate) holds: BTreeMap<NodeId, Arc<str>>,
    /// Messages that a worker should take.
    pub(crate) queued: BTreeMap<NodeId, Queued>,
    /// Reply keys that the broker watches.
    pub(crate) watching: BTreeMap<NodeId, Vec<Watching>>,
    /// Commits that are complete: each state of the flow run has one of its own, so that history and
    /// events show them all.
    sealed: Vec<(Commit, After)>,
    /// The state of the flow run when a commit was last sealed.
    shown: (StateType, &'static str),
    /// What the commit after those will hold.
    pub(crate) draft: Draft,
    pub(crate) armed: Option<Timestamp>,
    /// Its first commit is on its way; until then nothing else may be committed.
    pub(crate) creating: bool,
}

/// What a run was made with. People may call it otherwise since: that is in its row only.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) new: NewRun,
    /// As it is shown with each change of the run.
    pub(crate) identity: Arc<RunIdentity>,
    pub(crate) parameters: serde_json::Value,
    /// What expressions see as `run`.
    pub(crate) variables: serde_json::Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    Prepare,
    Call,
    Judge,
    Stop,
}

impl Work {
    pub(crate) const COUNT: usize = 4;
}

/// A message that was given out, for the questions why nobody takes it and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) to: Arc<Destination>,
    /// Of the command.
    pub(crate) attempt: u32,
    pub(crate) key: Box<str>,
    pub(crate) since: Timestamp,
    /// A worker has said something about it.
    pub(crate) taken: bool,
    /// Of the last sign of it, or the last look for it.
    pub(crate) seen: Timestamp,
    /// Looks in a row that found it nowhere.
    pub(crate) missing: u32,
}

/// Where messages go, and for which task of the workers. One for all of a `for_each`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination {
    pub(crate) connection: String,
    pub(crate) queue: String,
    pub(crate) task_name: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Watching {
    /// Key of the command.
    pub(crate) command: Box<str>,
    pub(crate) connection: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) attempt: u32,
}

/// Keeps messages that were given out in step with the facts, of now or of a log that is read back.
pub(crate) fn follow(queued: &mut BTreeMap<NodeId, Queued>, record: &Record) {
    match &record.fact {
        Fact::Suspended {
            node,
            attempt,
            suspended,
            ..
        } => {
            for command in &suspended.commands {
                if let Op::Enqueue(message) = &command.op {
                    let to = destination(queued, *node, message);
                    queued.insert(*node, Queued::new(to, *attempt, &command.key, record.at));
                }
            }
        }
        Fact::Outcome { node, outcome, .. } => match (queued.get_mut(node), outcome) {
            (Some(known), Outcome::Reply(_)) => known.heard(record.at),
            (Some(_), Outcome::Failed(_) | Outcome::Cancelled) => drop(queued.remove(node)),
            _ => {}
        },
        Fact::Succeeded { node, .. } | Fact::AttemptFailed { node, .. } | Fact::StopAsked { node, .. } => {
            queued.remove(node);
        }
        _ => {}
    }
}

/// That of the message; that of a neighbour, if its message went to the same place.
fn destination(queued: &BTreeMap<NodeId, Queued>, node: NodeId, message: &Message) -> Arc<Destination> {
    let new = Destination {
        connection: message.connection.clone(),
        queue: message.destination.clone(),
        task_name: message.meta.get("task-name").cloned().unwrap_or_default(),
    };
    let (before, after) = (queued.range(..node).next_back(), queued.range(node..).next());
    let mut neighbours = before.into_iter().chain(after);
    let same = neighbours.find(|(_, neighbour)| *neighbour.to == new);
    same.map_or_else(|| Arc::new(new), |(_, neighbour)| neighbour.to.clone())
}

impl Queued {
    fn new(to: Arc<Destination>, attempt: u32, key: &str, since: Timestamp) -> Self {
        Self {
            to,
            attempt,
            key: key.into(),
            since,
            taken: false,
            seen: since,
            missing: 0,
        }
    }

    /// A worker has said something about it.
    pub(crate) fn heard(&mut self, at: Timestamp) {
        self.taken = true;
        self.seen = self.seen.max(at);
        self.missing = 0;
    }
}

impl Head {
    pub(crate) fn new(new: NewRun) -> Self {
        let variables = serde_json::json!({
            "id": new.id.to_string(),
            "name": new.name,
            "flow": new.flow_name,
            "deployment": new.deployment_name,
            "tags": new.tags,
            "scheduled_time": crate::clock::rfc3339(new.expected_start),
        });
        Self {
            parameters: new.parameters.to_value(),
            identity: Arc::new(RunIdentity::from(&new)),
            variables,
            new,
        }
    }
}

impl Live {
    pub(crate) fn new(run: Run, head: Head, plan: Arc<Plan>) -> Self {
        Self {
            shown: run.state_label(),
            sealed: Vec::new(),
            run,
            head: Arc::new(head),
            plan,
            mark: Mark::default(),
            inflight: BTreeMap::new(),
            allowed: BTreeMap::new(),
            results: HashMap::new(),
            holds: BTreeMap::new(),
            queued: BTreeMap::new(),
            watching: BTreeMap::new(),
            draft: Draft::default(),
            armed: None,
            creating: false,
        }
    }

    pub(crate) fn id(&self) -> FlowRunId {
        self.run.id()
    }

    /// Closes the draft when the flow run has come into another state.
    pub(crate) fn seal(&mut self) {
        let label = self.run.state_label();
        if label != self.shown {
            self.shown = label;
            let complete = draft::take(self);
            self.sealed.push(complete);
        }
    }

    /// Whether everything that has happened is with the store.
    pub(crate) fn is_submitted(&self) -> bool {
        self.sealed.is_empty() && self.draft.is_empty()
    }

    /// What the run begins with in the store; what follows stays.
    pub(crate) fn take_first_commit(&mut self) -> Commit {
        if self.sealed.is_empty() {
            return draft::take(self).0;
        }
        self.sealed.remove(0).0
    }

    /// What is to be committed, in this order.
    pub(crate) fn take_commits(&mut self) -> Vec<(Commit, After)> {
        let mut commits = std::mem::take(&mut self.sealed);
        if !self.draft.is_empty() {
            commits.push(draft::take(self));
        }
        commits
    }

    pub(crate) fn draft_reply(&mut self, reply: Option<oneshot::Sender<Result<(), Error>>>) {
        if let Some(reply) = reply {
            self.draft.reply(reply);
        }
    }

    /// The node cannot go on, for this reason.
    pub(crate) fn hold(&mut self, node: NodeId, reason: impl Into<Arc<str>>) {
        let reason = reason.into();
        if self.holds.get(&node) != Some(&reason) {
            self.draft.log([log::note(self.id(), node, &reason)]);
            self.holds.insert(node, reason);
            self.draft.touch(node);
        }
    }

    /// The result of a node, if it is at hand.
    pub(crate) fn result(&self, node: NodeId) -> Option<&Json> {
        self.results.get(&node.run_id(self.id()))
    }

    /// The refusal of a signal that the node does not wait for.
    pub(crate) fn awaits_another(&self, node: NodeId, name: String) -> Error {
        let open = match self.run.open_signals(node).as_slice() {
            [] => "it waits for no signal".to_owned(),
            open => format!("it waits for {}", open.join(", ")),
        };
        Error::NotAwaited { name, open }
    }
}
