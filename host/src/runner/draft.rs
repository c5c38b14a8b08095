//! Collects what one commit of a run will hold. Several events of a run that are taken together
//! share a commit, and a row that changed twice is written once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grepx_engine::{Due, Fact, Json, NodeId, Op, Record, Run, Timestamp};
use tokio::sync::oneshot;

use crate::store::{Commit, LogRow, NewSend, RunState, SlotChange, TaskRow};
use crate::traces::Span;

use super::Error;
use super::live::{Head, Live};
use super::log;
use super::tags::Freed;

#[derive(Debug, Default)]
pub(crate) struct Draft {
    facts: Vec<Record>,
    run_changed: bool,
    nodes: BTreeSet<NodeId>,
    inputs: BTreeMap<NodeId, Json>,
    results: Vec<(NodeId, Json)>,
    sends: Vec<NewSend>,
    sends_over: Vec<(NodeId, u32)>,
    renewed: Vec<NodeId>,
    logs: Vec<LogRow>,
    slot: Option<SlotChange>,
    after: After,
}

/// What has to wait for the commit.
#[derive(Debug, Default)]
pub(crate) struct After {
    pub(crate) replies: Vec<oneshot::Sender<Result<(), Error>>>,
    /// Calls that act on the outside world.
    pub(crate) perform: Vec<Due>,
    /// The sends of the commit, in its order.
    pub(crate) sends: Vec<NewSend>,
    /// Slots of tags that are free then.
    pub(crate) freed: Vec<Freed>,
    pub(crate) finished: bool,
    /// The run begins, so long after it was expected to.
    pub(crate) late_by: Option<Duration>,
    /// What has ended, for the collector.
    pub(crate) spans: Vec<Span>,
}

impl Draft {
    pub(crate) fn touch(&mut self, node: NodeId) {
        self.nodes.insert(node);
        self.run_changed = true;
    }

    pub(crate) fn log(&mut self, lines: impl IntoIterator<Item = LogRow>) {
        self.logs.extend(lines);
    }

    pub(crate) fn perform(&mut self, due: Due) {
        if !self.after.perform.contains(&due) {
            self.after.perform.push(due);
        }
    }

    pub(crate) fn free(&mut self, slots: Freed) {
        self.after.freed.push(slots);
    }

    pub(crate) fn reply(&mut self, reply: oneshot::Sender<Result<(), Error>>) {
        self.after.replies.push(reply);
    }

    pub(crate) fn spans(&mut self, spans: Vec<Span>) {
        self.after.spans.extend(spans);
    }

    pub(crate) fn wait_for_slot(&mut self, head: &Head, now: Timestamp) {
        let Some(pool) = head.new.work_pool.clone() else { return };
        self.slot = Some(SlotChange::Wait {
            pool,
            queue: head.new.work_queue.clone().unwrap_or_else(|| "default".to_owned()),
            deployment: head.new.deployment_id,
            since: now,
            expected_start: head.new.expected_start,
        });
    }

    pub(crate) fn record(&mut self, run: &Run, record: &Record) {
        self.logs.extend(log::line(run, record));
        match &record.fact {
            Fact::AttemptStarted {
                node,
                input: Some(input),
                ..
            } => {
                self.inputs.insert(*node, input.clone());
            }
            Fact::Succeeded {
                node,
                result: Some(result),
                ..
            } => self.results.push((*node, result.clone())),
            Fact::Suspended {
                node,
                attempt,
                suspended,
                ..
            } => self.send(*node, *attempt, &suspended.commands, false),
            Fact::Stopped {
                node,
                attempt,
                commands,
            } => {
                if commands.is_empty() {
                    self.sends_over.push((*node, *attempt));
                }
                self.send(*node, *attempt, commands, true);
            }
            Fact::Paused => self.slot = Some(SlotChange::Release),
            Fact::Finished { .. } => self.after.finished = true,
            Fact::Reopened { .. } => {
                self.after.finished = false;
                self.slot = Some(SlotChange::Release);
            }
            Fact::Renewed { nodes } => self.renew(nodes),
            Fact::MarkedDone {
                node,
                result: Some(result),
                ..
            } => self.results.push((*node, result.clone())),
            _ => {}
        }
        if let Fact::Succeeded { node, attempt, .. } | Fact::AttemptFailed { node, attempt, .. } = &record.fact {
            self.sends_over.push((*node, *attempt));
        }
        match record.fact.node() {
            Some(node) => {
                self.nodes.insert(node);
                if node.index.is_some() {
                    self.nodes.insert(NodeId::task(node.task));
                }
            }
            None => self.run_changed = true,
        }
        self.facts.push(record.clone());
    }

    /// What the nodes have left behind goes; their rows are written anew.
    fn renew(&mut self, nodes: &[NodeId]) {
        let renewed: BTreeSet<NodeId> = nodes.iter().copied().collect();
        // With a task that is mapped again go its items.
        let stays = |node: &NodeId| !renewed.contains(node) && !renewed.contains(&NodeId::task(node.task));
        self.results.retain(|(node, _)| stays(node));
        self.inputs.retain(|node, _| stays(node));
        self.nodes
            .extend(renewed.iter().flat_map(|node| [*node, NodeId::task(node.task)]));
        self.renewed.extend(nodes);
    }

    fn send(&mut self, node: NodeId, attempt: u32, commands: &[grepx_engine::Command], keep: bool) {
        for command in commands {
            let is_cancel = matches!(command.op, Op::Cancel(_));
            if is_cancel || matches!(command.op, Op::Enqueue(_) | Op::Broadcast(_)) {
                self.sends.push(NewSend {
                    node,
                    attempt,
                    key: command.key.clone(),
                    op: command.op.clone(),
                    keep: keep || is_cancel,
                });
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.facts.is_empty()
            && self.nodes.is_empty()
            && self.logs.is_empty()
            && self.slot.is_none()
            && self.after.replies.is_empty()
            && self.after.perform.is_empty()
    }
}

/// Turns the draft of `live` into a commit, and what follows it.
pub(crate) fn take(live: &mut Live) -> (Commit, After) {
    let draft = std::mem::take(&mut live.draft);
    let mut after = draft.after;
    after.sends.clone_from(&draft.sends);
    // Lateness is about the first start.
    let is_first = |record: &&Record| record.fact == Fact::Started && live.run.started_at() == Some(record.at);
    let started = draft.facts.iter().find(is_first);
    after.late_by = started.map(|record| {
        let expected = live.head.new.expected_start;
        Duration::from_millis(record.at.since_ms(expected))
    });
    let tasks = draft
        .nodes
        .iter()
        .filter_map(|node| task_row(live, *node, draft.inputs.get(node), &draft.results))
        .collect();
    let commit = Commit {
        identity: Some(live.head.identity.clone()),
        facts: draft.facts,
        state: draft.run_changed.then(|| run_state(live)),
        tasks,
        results: draft.results,
        outbox: draft.sends,
        sends_over: draft.sends_over,
        renewed: draft.renewed,
        logs: draft.logs,
        slot: draft.slot,
        ..Commit::new(live.id())
    };
    (commit, after)
}

fn run_state(live: &Live) -> RunState {
    let run = &live.run;
    let (start_time, end_time) = (run.started_at(), run.ended_at());
    RunState {
        state: run.state(),
        start_time,
        end_time,
        total_run_time_ms: run.run_time_ms(crate::clock::now()),
        run_count: run.starts(),
        starts_again: run.starts_again(),
        reason: live.holds.values().next().map(|reason| reason.to_string()),
    }
}

pub(crate) fn task_row(live: &Live, node: NodeId, input: Option<&Json>, results: &[(NodeId, Json)]) -> Option<TaskRow> {
    let run = &live.run;
    let task = live.plan.definition.task(node.task);
    let state = run.node_state(node)?;
    let start_time = run.node_started_at(node);
    let end_time = state.state_type.is_terminal().then_some(state.since);
    let attempt = run.attempts(node);
    let name = match node.index {
        Some(index) => format!("{}[{index}]", task.name),
        None => task.name.clone(),
    };
    Some(TaskRow {
        node,
        name,
        kind: task.kind.clone(),
        attempt,
        expected_start: run.retry_at(node).or(start_time),
        start_time,
        end_time,
        total_run_time_ms: match (start_time, end_time) {
            (Some(start), Some(end)) => end.since_ms(start),
            _ => 0,
        },
        reason: live.holds.get(&node).map(|reason| reason.to_string()),
        status: run.status(node).map(str::to_owned),
        external_id: (attempt > 0).then(|| node.run_id(live.id()).attempt_key(attempt).to_string()),
        tags: task.tags.clone(),
        result_bytes: results
            .iter()
            .find(|(known, _)| *known == node)
            .map(|(_, result)| result.len() as u64),
        input: input.cloned(),
        state,
    })
}
