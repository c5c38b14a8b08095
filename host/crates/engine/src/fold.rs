//! The only mutation of a run, live and in recovery. Total: every fact that `decide` can choose
//! folds without failing, and in linear time over the whole run.

mod again;
mod attempt;

use crate::agenda::{Alarm, Due};
use crate::rule::{Ruling, rule};
use crate::run::{Done, End, Items, Mode, Node, NodeState, Phase, Run, Stopping, Waiting};
use crate::{Fact, Json, NodeId, Record, RunOutcome, StopReason, TaskError, Timestamp};

/// Prefect's `PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS`, whose default is 15 s.
const LATE_AFTER_MS: u64 = 15_000;

impl Run {
    /// Takes one fact of the log, in order.
    pub fn fold(&mut self, record: &Record) {
        debug_assert_eq!(record.seq, self.next_seq, "facts are folded in order, each once");
        self.next_seq = record.seq + 1;
        let at = record.at;
        match &record.fact {
            Fact::Scheduled { .. }
            | Fact::Queued
            | Fact::Late
            | Fact::Admitted
            | Fact::Started
            | Fact::Paused
            | Fact::Resumed
            | Fact::CancelAsked { .. }
            | Fact::FlowTimedOut { .. }
            | Fact::Finished { .. }
            | Fact::Reopened { .. } => self.fold_run(&record.fact, at),
            Fact::Skipped { node, why } => self.end(*node, End::Skipped(why.clone()), at),
            Fact::Mapped { node, items } => self.map(*node, items, at),
            Fact::AttemptStarted {
                node,
                attempt,
                input,
                limit_ms,
            } => self.start_attempt(*node, *attempt, input.as_ref(), *limit_ms, at),
            Fact::Suspended {
                node, suspended, build, ..
            } => self.suspend(*node, suspended, build.as_ref(), at),
            Fact::Outcome { node, key, outcome, .. } => self.arrive(*node, key, outcome, at),
            Fact::Succeeded { node, bytes, .. } => self.end(*node, completed(*bytes), at),
            Fact::AttemptFailed {
                node, attempt, error, ..
            } => self.judge(*node, *attempt, error.clone(), at),
            Fact::StopAsked { node, reason, .. } => self.ask_stop(*node, *reason, at),
            Fact::Stopped { node, .. } => self.stopped(*node, at),
            Fact::RetryPlanned {
                node,
                attempt,
                start_at,
            } => self.plan_retry(*node, *attempt, *start_at, at),
            Fact::Failed { node, error, reason } => {
                let (error, reason) = (Box::new(error.clone()), reason.clone());
                self.end(*node, End::Failed { error, reason }, at);
            }
            Fact::Cancelled { node } => self.end(*node, End::Cancelled, at),
            Fact::Gathered { node } => self.gather(*node, at),
            Fact::Renewed { nodes } => self.renew(nodes, at),
            Fact::MarkedDone { node, note, bytes, .. } => {
                let note = Some(note.clone());
                self.mark_done(*node, Done { bytes: *bytes, note }, at);
            }
        }
    }

    fn fold_run(&mut self, fact: &Fact, at: Timestamp) {
        let phase = match fact {
            Fact::Scheduled { start_at } => {
                self.agenda.arm(*start_at, Alarm::Start);
                Phase::Scheduled { start_at: *start_at }
            }
            Fact::Queued => {
                let mut start_at = at;
                if let Phase::Scheduled { start_at: planned } = self.phase {
                    self.agenda.disarm(planned, Alarm::Start);
                    start_at = planned;
                }
                let late_at = start_at.plus_ms(LATE_AFTER_MS);
                self.agenda.arm(late_at, Alarm::Late);
                Phase::Queued {
                    mark: self.agenda.add(Due::Slot),
                    wait: Waiting::InTime { late_at },
                }
            }
            Fact::Late => {
                self.on_time_no_more();
                match self.phase {
                    Phase::Queued { mark, .. } => Phase::Queued {
                        mark,
                        wait: Waiting::Late,
                    },
                    _ => return,
                }
            }
            Fact::Resumed => Phase::Queued {
                mark: self.agenda.add(Due::Slot),
                wait: Waiting::Resuming,
            },
            Fact::Admitted => {
                self.leave_queue();
                Phase::Admitted
            }
            Fact::Started => return self.start(at),
            Fact::Paused => Phase::Paused,
            Fact::CancelAsked { reason } => return self.stop(Stopping::Cancel(reason.clone()), at),
            Fact::FlowTimedOut { limit_ms } => return self.stop(Stopping::Timeout(*limit_ms), at),
            Fact::Finished { outcome } => {
                self.leave_queue();
                self.agenda.clear();
                self.ended_at = Some(at);
                Phase::Finished(*outcome)
            }
            Fact::Reopened { start_at } => self.reopen(*start_at),
            _ => return,
        };
        self.phase = phase;
        self.since = at;
    }

    fn leave_queue(&mut self) {
        self.on_time_no_more();
        if let Phase::Queued { mark, .. } = self.phase {
            self.agenda.settle(mark);
        }
    }

    fn on_time_no_more(&mut self) {
        if let Phase::Queued {
            wait: Waiting::InTime { late_at },
            ..
        } = self.phase
        {
            self.agenda.disarm(late_at, Alarm::Late);
        }
    }

    fn start(&mut self, at: Timestamp) {
        self.phase = Phase::Running;
        self.since = at;
        if self.begun_at.is_none() {
            self.begun_at = Some(at);
            self.started_at.get_or_insert(at);
            self.starts += 1;
            if let Some(limit) = self.definition.timeout_ms {
                self.agenda.arm(at.plus_ms(limit), Alarm::FlowLimit);
            }
        }
        for node in self.node_ids() {
            match self.node_mut(node).state {
                NodeState::Ready { .. } => self.prepare_again(node),
                _ => self.consider(node, at),
            }
        }
    }

    /// What was held back becomes new on the agenda.
    fn prepare_again(&mut self, node: NodeId) {
        if let NodeState::Ready { mark } = self.node_mut(node).state {
            self.agenda.settle(mark);
            let mark = self.agenda.add(Due::Prepare { node });
            self.node_mut(node).state = NodeState::Ready { mark };
        }
    }

    fn stop(&mut self, why: Stopping, at: Timestamp) {
        self.leave_queue();
        if let Phase::Scheduled { start_at } = self.phase {
            self.agenda.disarm(start_at, Alarm::Start);
        }
        if let (Some(begun), Some(limit)) = (self.begun_at, self.definition.timeout_ms) {
            self.agenda.disarm(begun.plus_ms(limit), Alarm::FlowLimit);
        }
        let again = matches!(self.phase, Phase::Stopping { .. });
        let never_began = self.begun_at.is_none();
        self.phase = Phase::Stopping {
            why,
            forced: again || never_began,
        };
        self.since = at;
        for node in self.node_ids() {
            if self.survives_stop(node) {
                self.prepare_again(node);
                continue;
            }
            match &self.node_mut(node).state {
                NodeState::Active(attempt) if matches!(attempt.mode, Mode::Stopping { .. }) => {}
                NodeState::Active(_) => self.ask_stop(node, StopReason::Cancelled, at),
                NodeState::Mapped | NodeState::Ended(_) => {}
                _ => {
                    self.unsettled.insert(node);
                }
            }
        }
    }

    fn node_ids(&self) -> Vec<NodeId> {
        let mut ids = Vec::with_capacity(self.nodes.len());
        for (task, node) in (0_u32..).zip(&self.nodes) {
            ids.push(NodeId::task(task));
            let items = node.items.as_ref().map_or(0, |items| items.nodes.len());
            ids.extend((0..u32::try_from(items).unwrap_or(u32::MAX)).map(|index| NodeId::item(task, index)));
        }
        ids
    }

    pub(crate) fn ruling(&self, node: NodeId) -> Ruling {
        let task = self.definition.task(node.task);
        let upstreams = u32::try_from(task.upstreams.len()).unwrap_or(u32::MAX);
        match self.node(node) {
            Some(known) if node.index.is_none() => rule(task.trigger_rule, known.tally, upstreams),
            _ => Ruling::Run,
        }
    }

    /// An upstream has ended: see what that means for a blocked node.
    fn consider(&mut self, node: NodeId, at: Timestamp) {
        if !matches!(self.node_mut(node).state, NodeState::Blocked) {
            return;
        }
        if !self.survives_stop(node) {
            self.unsettled.insert(node);
            return;
        }
        match self.ruling(node) {
            Ruling::Wait => {}
            Ruling::Run => self.ready(node, at),
            Ruling::Skip(_) => {
                self.unsettled.insert(node);
            }
        }
    }

    fn ready(&mut self, node: NodeId, at: Timestamp) {
        let mark = self.agenda.add(Due::Prepare { node });
        let known = self.node_mut(node);
        known.state = NodeState::Ready { mark };
        known.since = at;
    }

    fn map(&mut self, node: NodeId, items: &[Json], at: Timestamp) {
        self.leave(node);
        let known = self.node_mut(node);
        known.state = NodeState::Mapped;
        known.since = at;
        known.started_at = Some(at);
        let open = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let before = known.items_before.iter().copied().chain(std::iter::repeat(0));
        let nodes = items.iter().zip(before).map(|(item, attempts)| Node {
            attempts,
            attempts_before: attempts,
            ..Node::new(Some(item.clone()))
        });
        known.items = Some(Box::new(Items {
            nodes: nodes.collect(),
            open,
            failed: 0,
            cancelled: 0,
        }));
        if items.is_empty() {
            self.unsettled.insert(node);
        }
        for index in 0..open {
            self.ready(NodeId::item(node.task, index), at);
        }
    }

    fn gather(&mut self, node: NodeId, at: Timestamp) {
        let Some(items) = &self.node_mut(node).items else {
            return;
        };
        let end = if items.failed > 0 {
            let message = format!("{} of {} items failed", items.failed, items.nodes.len());
            End::Failed {
                error: Box::new(TaskError::new(crate::ErrorClass::Permanent, "items-failed", message)),
                reason: "its items are retried one by one".to_owned(),
            }
        } else if items.cancelled > 0 {
            End::Cancelled
        } else {
            completed(0)
        };
        self.end(node, end, at);
    }

    fn end(&mut self, node: NodeId, end: End, at: Timestamp) {
        self.leave(node);
        self.unsettled.remove(&node);
        let known = self.node_mut(node);
        known.state = NodeState::Ended(end.clone());
        known.since = at;
        known.input = None;
        match node.index {
            Some(_) => self.item_ended(NodeId::task(node.task), &end),
            None => self.task_ended(node.task, &end, at),
        }
    }

    fn item_ended(&mut self, parent: NodeId, end: &End) {
        let Some(items) = &mut self.node_mut(parent).items else {
            return;
        };
        items.open -= 1;
        match end {
            End::Failed { .. } => items.failed += 1,
            End::Cancelled => items.cancelled += 1,
            End::Completed(_) | End::Skipped(_) => {}
        }
        if items.open == 0 {
            self.unsettled.insert(parent);
        }
    }

    fn task_ended(&mut self, task: u32, end: &End, at: Timestamp) {
        self.open -= 1;
        if matches!(end, End::Failed { .. }) {
            self.failed.push(task);
        }
        let definition = self.definition.clone();
        for &next in &definition.task(task).downstreams {
            *self.nodes[next as usize].tally.place(end) += 1;
            self.consider(NodeId::task(next), at);
        }
    }

    /// Takes everything off the agenda that belongs to the node's present state.
    fn leave(&mut self, node: NodeId) {
        match &self.node_mut(node).state {
            NodeState::Ready { mark } | NodeState::Judging { mark, .. } => {
                let mark = *mark;
                self.agenda.settle(mark);
            }
            NodeState::Waiting { until, .. } => {
                let until = *until;
                self.agenda.disarm(until, Alarm::Retry(node));
            }
            NodeState::Active(_) => self.close_attempt(node),
            NodeState::Blocked | NodeState::Mapped | NodeState::Ended(_) => {}
        }
    }
}

fn completed(bytes: u64) -> End {
    End::Completed(Done { bytes, note: None })
}

impl Node {
    /// As if it had never run; its attempts keep counting.
    fn begin_anew(&mut self, at: Timestamp) {
        self.state = NodeState::Blocked;
        self.since = at;
        self.started_at = None;
        self.attempts_before = self.attempts;
        self.limit_ms = None;
    }
}

impl Stopping {
    pub(crate) fn outcome(&self) -> RunOutcome {
        match self {
            Self::Cancel(_) => RunOutcome::Cancelled,
            Self::Timeout(_) => RunOutcome::TimedOut,
        }
    }
}
