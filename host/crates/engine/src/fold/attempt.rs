//! One attempt, from its first call to its last command. Whatever it has on the agenda goes when it
//! is over.

use std::sync::Arc;

use crate::agenda::{Alarm, Due, Mark};
use crate::decide::timed_out;
use crate::run::{Attempt, End, Mode, NodeState, Run};
use crate::waits::{Wait, Waits, Watched};
use crate::{Command, Json, NodeId, Op, Outcome, StopReason, Suspended, TaskError, Timestamp, Wake};

impl Run {
    pub(super) fn start_attempt(
        &mut self,
        node: NodeId,
        number: u32,
        input: Option<&Json>,
        limit_ms: Option<u64>,
        at: Timestamp,
    ) {
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
            build: None,
            waits: Waits::default(),
            arrived: Vec::new(),
            delivered: 0,
            wake: Wake::Any(Vec::new()),
            status: None,
            error: None,
            done: None,
        }));
        known.since = at;
        known.limit_ms = limit_ms;
        known.attempts = number;
        known.attempt_at = Some(at);
        known.started_at.get_or_insert(at);
        if let Some(input) = input {
            known.input = Some(input.clone());
        }
    }

    pub(super) fn active(&mut self, node: NodeId) -> Option<&mut Attempt> {
        match &mut self.node_mut(node).state {
            NodeState::Active(attempt) => Some(attempt),
            _ => None,
        }
    }

    pub(super) fn suspend(&mut self, node: NodeId, suspended: &Suspended, build: Option<&Arc<str>>, at: Timestamp) {
        let Some(attempt) = self.active(node) else { return };
        let Mode::Calling { mark } = attempt.mode else { return };
        attempt.mode = Mode::Suspended;
        attempt.arrived.drain(..attempt.delivered);
        attempt.delivered = 0;
        attempt.snapshot = Some(suspended.state.clone());
        attempt.build = build.cloned();
        attempt.wake = suspended.wake.clone();
        attempt.status.clone_from(&suspended.status);
        let number = attempt.number;
        self.agenda.settle(mark);
        for command in &suspended.commands {
            self.open_command(node, number, command);
        }
        self.wake(node, at);
    }

    pub(super) fn open_command(&mut self, node: NodeId, attempt: u32, command: &Command) {
        let key = command.key.clone();
        if !matches!(command.op, Op::Cancel(_)) {
            // First, for what the new one puts on the agenda may equal what the old one has there.
            self.close_command(node, &key);
        }
        let wait = match &command.op {
            Op::TimerAt(at) => {
                self.agenda.arm(*at, Alarm::Command(node, key.clone()));
                Wait::Timer(*at)
            }
            Op::Enqueue(_) | Op::Broadcast(_) => Wait::Send,
            Op::Signal(name) => Wait::Signal(name.as_str().into()),
            Op::Cancel(other) => return self.close_command(node, other),
            Op::Reply { connection, key: reply } => self.watch(
                (node, attempt, &key),
                Watched::Reply {
                    connection: connection.clone(),
                    key: reply.clone(),
                },
            ),
            Op::StartFlow(child) => self.watch((node, attempt, &key), Watched::Child(Box::new(child.clone()))),
        };
        if let Some(attempt) = self.active(node) {
            attempt.waits.insert(&key, wait);
        }
    }

    fn watch(&mut self, (node, attempt, key): (NodeId, u32, &str), what: Watched) -> Wait {
        let key = key.to_owned();
        let mark = self.agenda.add(Due::Watch { node, attempt, key });
        Wait::Watch { mark, what }
    }

    pub(super) fn close_command(&mut self, node: NodeId, key: &str) {
        let closed = self.active(node).and_then(|attempt| attempt.waits.remove(key));
        match closed {
            Some(Wait::Timer(at)) => self.agenda.disarm(at, Alarm::Command(node, key.to_owned())),
            Some(Wait::Watch { mark, .. }) => self.agenda.settle(mark),
            Some(Wait::Send | Wait::Signal(_)) | None => {}
        }
    }

    pub(super) fn arrive(&mut self, node: NodeId, key: &str, outcome: &Outcome, at: Timestamp) {
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
    pub(super) fn wake(&mut self, node: NodeId, at: Timestamp) {
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

    pub(super) fn judge(&mut self, node: NodeId, attempt: u32, error: TaskError, at: Timestamp) {
        self.leave(node);
        let mark = self.agenda.add(Due::Judge { node, attempt });
        let known = self.node_mut(node);
        known.state = NodeState::Judging {
            mark,
            attempt,
            error: Box::new(error),
        };
        known.since = at;
        if !self.survives_stop(node) {
            self.unsettled.insert(node);
        }
    }

    pub(super) fn ask_stop(&mut self, node: NodeId, reason: StopReason, at: Timestamp) {
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
                attempt.error = Some(Box::new(timed_out(attempt, limit_ms)));
            }
        }
        self.node_mut(node).since = at;
    }

    pub(super) fn stopped(&mut self, node: NodeId, at: Timestamp) {
        let Some(attempt) = self.active(node) else { return };
        if let Some(done) = attempt.done.take() {
            return self.end(node, End::Completed(*done), at);
        }
        let (number, error) = (attempt.number, attempt.error.take());
        match error {
            Some(error) => self.judge(node, number, *error, at),
            None => {
                self.close_attempt(node);
                self.unsettled.insert(node);
            }
        }
    }

    pub(super) fn plan_retry(&mut self, node: NodeId, attempt: u32, until: Timestamp, at: Timestamp) {
        self.leave(node);
        self.agenda.arm(until, Alarm::Retry(node));
        let known = self.node_mut(node);
        let error = match std::mem::replace(&mut known.state, NodeState::Blocked) {
            NodeState::Judging { error, .. } => error,
            _ => Box::new(TaskError::new(crate::ErrorClass::Retryable, "unknown", "unknown")),
        };
        known.state = NodeState::Waiting { attempt, until, error };
        known.since = at;
    }

    /// Settles the call, the deadline and every open command of the current attempt.
    pub(super) fn close_attempt(&mut self, node: NodeId) {
        let Some(attempt) = self.active(node) else { return };
        let mark: Option<Mark> = match attempt.mode {
            Mode::Calling { mark } | Mode::Stopping { mark, .. } => Some(mark),
            Mode::Suspended => None,
        };
        let deadline = attempt.deadline.take();
        let keys: Vec<String> = attempt.waits.iter().map(|(key, _)| key.to_owned()).collect();
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
