//! The only mutation of a run, live and in recovery. Total: every fact that `decide` can choose
//! folds without failing, and in linear time over the whole run.

use std::collections::BTreeMap;

use crate::agenda::{Alarm, Due, Mark};
use crate::decide::timed_out;
use crate::rule::{Ruling, rule};
use crate::run::{Attempt, End, Items, Mode, Node, NodeState, Phase, Run, Stopping, Wait};
use crate::{
    Command, Fact, Json, NodeId, Op, Outcome, Record, RunOutcome, Skip, StopReason, Suspended, TaskError, Timestamp,
    Wake,
};

impl Run {
    /// Takes one fact of the log, in order.
    pub fn fold(&mut self, record: &Record) {
        debug_assert_eq!(record.seq, self.next_seq, "facts are folded in order, each once");
        self.next_seq = record.seq + 1;
        let at = record.at;
        match &record.fact {
            Fact::Scheduled { .. }
            | Fact::Queued
            | Fact::Admitted
            | Fact::Started
            | Fact::Paused
            | Fact::Resumed
            | Fact::CancelAsked { .. }
            | Fact::FlowTimedOut { .. }
            | Fact::Finished { .. } => self.fold_run(&record.fact, at),
            Fact::Skipped { node, why } => self.end(*node, End::Skipped(why.clone()), at),
            Fact::Mapped { node, items } => self.map(*node, items, at),
            Fact::AttemptStarted {
                node,
                attempt,
                input,
                limit_ms,
            } => self.start_attempt(*node, *attempt, input.as_ref(), *limit_ms, at),
            Fact::Suspended { node, suspended, .. } => self.suspend(*node, suspended, at),
            Fact::Outcome { node, key, outcome, .. } => self.arrive(*node, key, outcome, at),
            Fact::Succeeded { node, bytes, .. } => self.end(*node, End::Completed { bytes: *bytes }, at),
            Fact::AttemptFailed { node, attempt, error } => self.judge(*node, *attempt, error.clone(), at),
            Fact::StopAsked { node, reason, .. } => self.ask_stop(*node, *reason, at),
            Fact::Stopped { node, .. } => self.stopped(*node, at),
            Fact::RetryPlanned {
                node,
                attempt,
                start_at,
            } => self.plan_retry(*node, *attempt, *start_at, at),
            Fact::Failed { node, error, reason } => {
                let (error, reason) = (error.clone(), reason.clone());
                self.end(*node, End::Failed { error, reason }, at);
            }
            Fact::Cancelled { node } => self.end(*node, End::Cancelled, at),
            Fact::Gathered { node } => self.gather(*node, at),
        }
    }

    fn fold_run(&mut self, fact: &Fact, at: Timestamp) {
        let phase = match fact {
            Fact::Scheduled { start_at } => {
                self.agenda.arm(*start_at, Alarm::Start);
                Phase::Scheduled { start_at: *start_at }
            }
            Fact::Queued => {
                if let Phase::Scheduled { start_at } = self.phase {
                    self.agenda.disarm(start_at, Alarm::Start);
                }
                Phase::Queued {
                    mark: self.agenda.add(Due::Slot),
                }
            }
            Fact::Resumed => Phase::Queued {
                mark: self.agenda.add(Due::Slot),
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
            _ => return,
        };
        self.phase = phase;
        self.since = at;
    }

    fn leave_queue(&mut self) {
        if let Phase::Queued { mark } = self.phase {
            self.agenda.settle(mark);
        }
    }

    fn start(&mut self, at: Timestamp) {
        self.phase = Phase::Running;
        self.since = at;
        if self.started_at.is_none() {
            self.started_at = Some(at);
            if let Some(limit) = self.definition.timeout_ms {
                self.agenda.arm(at.plus_ms(limit), Alarm::FlowLimit);
            }
            let definition = self.definition.clone();
            for (task, _) in (0_u32..)
                .zip(&definition.tasks)
                .filter(|(_, task)| task.upstreams.is_empty())
            {
                self.consider(NodeId::task(task), at);
            }
            return;
        }
        for node in self.node_ids() {
            if let NodeState::Ready { mark } = self.node_mut(node).state {
                self.agenda.settle(mark);
                let mark = self.agenda.add(Due::Prepare { node });
                self.node_mut(node).state = NodeState::Ready { mark };
            }
        }
    }

    fn stop(&mut self, why: Stopping, at: Timestamp) {
        self.leave_queue();
        if let Phase::Scheduled { start_at } = self.phase {
            self.agenda.disarm(start_at, Alarm::Start);
        }
        if let (Some(started), Some(limit)) = (self.started_at, self.definition.timeout_ms) {
            self.agenda.disarm(started.plus_ms(limit), Alarm::FlowLimit);
        }
        let again = matches!(self.phase, Phase::Stopping { .. });
        let never_began = self.started_at.is_none();
        self.phase = Phase::Stopping {
            why,
            forced: again || never_began,
        };
        self.since = at;
        for node in self.node_ids() {
            if self.survives_stop(node) {
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
        known.items = Some(Box::new(Items {
            nodes: items.iter().map(|item| Node::new(Some(item.clone()))).collect(),
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

    fn start_attempt(&mut self, node: NodeId, number: u32, input: Option<&Json>, limit_ms: Option<u64>, at: Timestamp) {
        self.leave(node);
        let mark = self.agenda.add(Due::Call {
            node,
            attempt: number,
            step: 0,
        });
        let deadline = limit_ms.map(|limit| at.plus_ms(limit));
        if let Some(deadline) = deadline {
            self.agenda.arm(deadline, Alarm::Deadline(node));
        }
        let known = self.node_mut(node);
        known.state = NodeState::Active(Box::new(Attempt {
            number,
            step: 0,
            mode: Mode::Calling { mark },
            step_since: at,
            deadline,
            snapshot: None,
            waits: BTreeMap::new(),
            arrived: Vec::new(),
            delivered: 0,
            wake: Wake::Any(Vec::new()),
            status: None,
            error: None,
        }));
        known.since = at;
        known.limit_ms = limit_ms;
        known.started_at.get_or_insert(at);
        if let Some(input) = input {
            known.input = Some(input.clone());
        }
    }

    fn active(&mut self, node: NodeId) -> Option<&mut Attempt> {
        match &mut self.node_mut(node).state {
            NodeState::Active(attempt) => Some(attempt),
            _ => None,
        }
    }

    fn suspend(&mut self, node: NodeId, suspended: &Suspended, at: Timestamp) {
        let Some(attempt) = self.active(node) else { return };
        let Mode::Calling { mark } = attempt.mode else { return };
        attempt.mode = Mode::Suspended;
        attempt.arrived.drain(..attempt.delivered);
        attempt.delivered = 0;
        attempt.snapshot = Some(suspended.state.clone());
        attempt.wake = suspended.wake.clone();
        attempt.status.clone_from(&suspended.status);
        let number = attempt.number;
        self.agenda.settle(mark);
        for command in &suspended.commands {
            self.open_command(node, number, command);
        }
        self.wake(node, at);
    }

    fn open_command(&mut self, node: NodeId, attempt: u32, command: &Command) {
        let key = command.key.clone();
        let wait = match &command.op {
            Op::TimerAt(at) => {
                self.agenda.arm(*at, Alarm::Command(node, key.clone()));
                Wait::Timer(*at)
            }
            Op::Enqueue(_) | Op::Broadcast(_) => Wait::Send,
            Op::Signal(name) => Wait::Signal(name.clone()),
            Op::Cancel(other) => return self.close_command(node, other),
            Op::Reply { .. } | Op::StartFlow(_) => Wait::Watch {
                mark: self.agenda.add(Due::Watch {
                    node,
                    attempt,
                    key: key.clone(),
                }),
                op: command.op.clone(),
            },
        };
        self.close_command(node, &key);
        if let Some(attempt) = self.active(node) {
            attempt.waits.insert(key, wait);
        }
    }

    fn close_command(&mut self, node: NodeId, key: &str) {
        let closed = self.active(node).and_then(|attempt| attempt.waits.remove(key));
        match closed {
            Some(Wait::Timer(at)) => self.agenda.disarm(at, Alarm::Command(node, key.to_owned())),
            Some(Wait::Watch { mark, .. }) => self.agenda.settle(mark),
            Some(Wait::Send | Wait::Signal(_)) | None => {}
        }
    }

    fn arrive(&mut self, node: NodeId, key: &str, outcome: &Outcome, at: Timestamp) {
        let stays_open = matches!(outcome, Outcome::Reply(_));
        if !stays_open {
            self.close_command(node, key);
        }
        let Some(attempt) = self.active(node) else { return };
        // Of several replies that the kind has not seen, the last one counts.
        let fresh = &mut attempt.arrived[attempt.delivered..];
        match fresh.iter_mut().find(|(known, _)| stays_open && known == key) {
            Some((_, old)) => *old = outcome.clone(),
            None => attempt.arrived.push((key.to_owned(), outcome.clone())),
        }
        self.wake(node, at);
    }

    /// Resumes a suspended attempt when what it waits for has arrived. A failure always wakes.
    fn wake(&mut self, node: NodeId, at: Timestamp) {
        let Some(attempt) = self.active(node) else { return };
        if !matches!(attempt.mode, Mode::Suspended) {
            return;
        }
        let has = |key: &String| attempt.arrived.iter().any(|(arrived, _)| arrived == key);
        let met = match &attempt.wake {
            Wake::Any(keys) => keys.iter().any(has),
            Wake::All(keys) => keys.iter().all(has),
        };
        let failed = attempt
            .arrived
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
        if !met && !failed {
            return;
        }
        attempt.step += 1;
        attempt.step_since = at;
        attempt.delivered = attempt.arrived.len();
        let due = Due::Call {
            node,
            attempt: attempt.number,
            step: attempt.step,
        };
        let mark = self.agenda.add(due);
        if let Some(attempt) = self.active(node) {
            attempt.mode = Mode::Calling { mark };
        }
    }

    fn judge(&mut self, node: NodeId, attempt: u32, error: TaskError, at: Timestamp) {
        self.leave(node);
        let mark = self.agenda.add(Due::Judge { node, attempt });
        let known = self.node_mut(node);
        known.state = NodeState::Judging { mark, attempt, error };
        known.since = at;
        if !self.survives_stop(node) {
            self.unsettled.insert(node);
        }
    }

    fn ask_stop(&mut self, node: NodeId, reason: StopReason, at: Timestamp) {
        self.close_attempt(node);
        let Some(number) = self.active(node).map(|attempt| attempt.number) else {
            return;
        };
        let mark = self.agenda.add(Due::Stop {
            node,
            attempt: number,
            reason,
        });
        let limit_ms = self.node_mut(node).limit_ms;
        if let Some(attempt) = self.active(node) {
            attempt.mode = Mode::Stopping { mark, reason };
            if reason == StopReason::TimedOut {
                attempt.error = Some(timed_out(attempt, limit_ms));
            }
        }
        self.node_mut(node).since = at;
    }

    fn stopped(&mut self, node: NodeId, at: Timestamp) {
        let Some(attempt) = self.active(node) else { return };
        let (number, error) = (attempt.number, attempt.error.take());
        match error {
            Some(error) => self.judge(node, number, error, at),
            None => {
                self.close_attempt(node);
                self.unsettled.insert(node);
            }
        }
    }

    fn plan_retry(&mut self, node: NodeId, attempt: u32, until: Timestamp, at: Timestamp) {
        self.leave(node);
        self.agenda.arm(until, Alarm::Retry(node));
        let known = self.node_mut(node);
        let error = match std::mem::replace(&mut known.state, NodeState::Blocked) {
            NodeState::Judging { error, .. } => error,
            _ => TaskError::new(crate::ErrorClass::Retryable, "unknown", "unknown"),
        };
        known.state = NodeState::Waiting { attempt, until, error };
        known.since = at;
    }

    fn gather(&mut self, node: NodeId, at: Timestamp) {
        let Some(items) = &self.node_mut(node).items else {
            return;
        };
        let end = if items.failed > 0 {
            let message = format!("{} of {} items failed", items.failed, items.nodes.len());
            End::Failed {
                error: TaskError::new(crate::ErrorClass::Permanent, "items-failed", message),
                reason: "its items are retried one by one".to_owned(),
            }
        } else if items.cancelled > 0 {
            End::Cancelled
        } else {
            End::Completed { bytes: 0 }
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
            End::Completed { .. } | End::Skipped(_) => {}
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
            let tally = &mut self.nodes[next as usize].tally;
            match end {
                End::Completed { .. } => tally.completed += 1,
                End::Skipped(Skip::Condition(_) | Skip::Rule(_)) => tally.skipped += 1,
                End::Failed { .. } | End::Cancelled | End::Skipped(Skip::UpstreamFailed(_)) => tally.failed += 1,
            }
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

    /// Settles the call, the deadline and every open command of the current attempt.
    fn close_attempt(&mut self, node: NodeId) {
        let Some(attempt) = self.active(node) else { return };
        let mark: Option<Mark> = match attempt.mode {
            Mode::Calling { mark } | Mode::Stopping { mark, .. } => Some(mark),
            Mode::Suspended => None,
        };
        let deadline = attempt.deadline.take();
        let keys: Vec<String> = attempt.waits.keys().cloned().collect();
        if let Some(mark) = mark {
            self.agenda.settle(mark);
        }
        if let Some(deadline) = deadline {
            self.agenda.disarm(deadline, Alarm::Deadline(node));
        }
        for key in keys {
            self.close_command(node, &key);
        }
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
