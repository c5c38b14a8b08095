//! Chooses facts. Reads the run, never writes it; answers that are late or misplaced are refused
//! with a reason.

mod again;

use std::sync::Arc;

use crate::agenda::Alarm;
use crate::run::{Attempt, End, Mode, NodeState, Phase, Run};
use crate::{
    ErrorClass, Event, Fact, NodeId, Outcome, Prepared, Record, Rejected, RunOutcome, Skip, Step, StopReason,
    TaskError, Timestamp, Verdict,
};

/// Attempts of one task run at most, whatever its policy says; anew when it begins anew.
pub const ATTEMPTS_MAX: u32 = 1_000;

impl Run {
    /// Takes an event: decides, folds, and settles what follows from it. The records are what has
    /// to be committed; without any, nothing has changed.
    ///
    /// # Errors
    /// When the event is stale or not possible now; the run is then unchanged.
    pub fn apply(&mut self, event: &Event, now: Timestamp) -> Result<Vec<Record>, Rejected> {
        let mut log = Vec::new();
        loop {
            let facts = self.decide(event, now)?;
            let more = matches!(event, Event::Tick) && !facts.is_empty();
            for fact in facts {
                self.record(fact, now, &mut log);
            }
            while let Some(fact) = self.consequence() {
                self.record(fact, now, &mut log);
            }
            if !more || self.is_finished() {
                return Ok(log);
            }
        }
    }

    pub(crate) fn record(&mut self, fact: Fact, at: Timestamp, log: &mut Vec<Record>) {
        let record = Record {
            seq: self.next_seq,
            at,
            fact,
        };
        self.fold(&record);
        log.push(record);
    }

    fn decide(&self, event: &Event, now: Timestamp) -> Result<Vec<Fact>, Rejected> {
        match event {
            Event::Retry { what, start_at } => self.retry(*what, *start_at, now),
            Event::MarkDone { node, note, result } => self.done(*node, note, result, now),
            _ if self.is_finished() => Err(Rejected::Terminal(self.state().name)),
            Event::Admitted => match self.phase {
                Phase::Queued { .. } => Ok(vec![Fact::Admitted, Fact::Started]),
                _ => Err(self.wrong_state("to admit it")),
            },
            Event::Tick => Ok(self.first_due_timer(now).into_iter().collect()),
            Event::BeginAttempt { node } => match self.retry_is_due(*node, now) {
                true => Ok(self.next_attempt(*node).into_iter().collect()),
                false => Err(self.stale(*node, self.attempts(*node) + 1, 0)),
            },
            Event::Prepared {
                node,
                renewals,
                prepared,
            } => self.prepared(*node, *renewals, prepared),
            Event::Answered {
                node,
                attempt,
                step,
                answer,
                build,
            } => self.answered(*node, *attempt, *step, answer, build.as_ref()),
            Event::Outcome {
                node,
                attempt,
                key,
                outcome,
            } => self.outcome(*node, *attempt, key, outcome),
            Event::Judged { node, attempt, verdict } => self.judged(*node, *attempt, verdict, now),
            Event::Stopped {
                node,
                attempt,
                commands,
            } => {
                let current = self.attempt(*node, *attempt, 0)?;
                match current.mode {
                    Mode::Stopping { .. } => Ok(vec![Fact::Stopped {
                        node: *node,
                        attempt: *attempt,
                        commands: commands.clone(),
                    }]),
                    _ => Err(self.stale(*node, *attempt, 0)),
                }
            }
            Event::Cancel { reason } => Ok(vec![Fact::CancelAsked { reason: reason.clone() }]),
            Event::Pause => match self.phase {
                Phase::Running => Ok(vec![Fact::Paused]),
                _ => Err(self.wrong_state("to pause it")),
            },
            Event::Resume => match self.phase {
                Phase::Paused => Ok(vec![Fact::Resumed]),
                _ => Err(self.wrong_state("to resume it")),
            },
        }
    }

    /// One timer at a time: what it does may settle the next one.
    fn first_due_timer(&self, now: Timestamp) -> Option<Fact> {
        let mut due = self.live_timers().take_while(|(at, _)| *at <= now);
        let (_, alarm) = due.find(|(_, alarm)| !self.needs_slots(alarm))?;
        match alarm {
            Alarm::Start => Some(Fact::Queued),
            Alarm::Late => Some(Fact::Late),
            Alarm::FlowLimit => Some(Fact::FlowTimedOut {
                limit_ms: self.definition.timeout_ms.unwrap_or_default(),
            }),
            Alarm::Deadline(node) => match &self.node(*node)?.state {
                NodeState::Active(attempt) => Some(Fact::StopAsked {
                    node: *node,
                    attempt: attempt.number,
                    reason: StopReason::TimedOut,
                }),
                _ => None,
            },
            Alarm::Retry(node) => self.next_attempt(*node),
            Alarm::Command(node, key) => match &self.node(*node)?.state {
                NodeState::Active(attempt) => Some(Fact::Outcome {
                    node: *node,
                    attempt: attempt.number,
                    key: key.clone(),
                    outcome: Outcome::Fired,
                }),
                _ => None,
            },
        }
    }

    /// Of a node that waits for it, with the input of the last one.
    fn next_attempt(&self, node: NodeId) -> Option<Fact> {
        let known = self.node(node)?;
        match known.state {
            NodeState::Waiting { attempt, .. } => Some(Fact::AttemptStarted {
                node,
                attempt,
                input: None,
                limit_ms: known.limit_ms,
            }),
            _ => None,
        }
    }

    fn prepared(&self, node: NodeId, renewals: u32, prepared: &Prepared) -> Result<Vec<Fact>, Rejected> {
        let known = self.node(node).ok_or(Rejected::UnknownNode(node))?;
        let attempt = known.attempts + 1;
        if renewals != self.renewals || !matches!(known.state, NodeState::Ready { .. }) {
            return Err(self.stale(node, attempt, 0));
        }
        if !self.may_start(node) {
            return Err(self.wrong_state("to start a task run"));
        }
        Ok(vec![match prepared {
            Prepared::Skip { why } => Fact::Skipped {
                node,
                why: Skip::Condition(why.clone()),
            },
            Prepared::Map { items } => Fact::Mapped {
                node,
                items: items.clone(),
            },
            Prepared::Run { input, limit_ms } => Fact::AttemptStarted {
                node,
                attempt,
                input: Some(input.clone()),
                limit_ms: *limit_ms,
            },
            Prepared::Invalid(error) => Fact::Failed {
                node,
                error: error.clone(),
                reason: "it could not start".to_owned(),
            },
        }])
    }

    fn answered(
        &self,
        node: NodeId,
        attempt: u32,
        step: u32,
        answer: &Step,
        build: Option<&Arc<str>>,
    ) -> Result<Vec<Fact>, Rejected> {
        let current = self.attempt(node, attempt, step)?;
        if current.step != step || !matches!(current.mode, Mode::Calling { .. }) {
            return Err(self.stale(node, attempt, step));
        }
        let build = build.cloned();
        Ok(vec![match answer {
            Step::Done(result) => Fact::Succeeded {
                node,
                attempt,
                bytes: result.len() as u64,
                result: Some(result.clone()),
                build,
            },
            Step::Failed(error) => Fact::AttemptFailed {
                node,
                attempt,
                error: error.clone(),
                build,
            },
            Step::Suspended(suspended) => Fact::Suspended {
                node,
                attempt,
                step,
                suspended: suspended.clone(),
                build,
            },
        }])
    }

    fn outcome(&self, node: NodeId, attempt: u32, key: &str, outcome: &Outcome) -> Result<Vec<Fact>, Rejected> {
        let current = self.attempt(node, attempt, 0)?;
        if matches!(current.mode, Mode::Stopping { .. }) || current.waits.get(key).is_none() {
            return Err(self.stale(node, attempt, current.step));
        }
        Ok(vec![Fact::Outcome {
            node,
            attempt,
            key: key.to_owned(),
            outcome: outcome.clone(),
        }])
    }

    fn judged(&self, node: NodeId, attempt: u32, verdict: &Verdict, now: Timestamp) -> Result<Vec<Fact>, Rejected> {
        let known = self.node(node).ok_or(Rejected::UnknownNode(node))?;
        let NodeState::Judging {
            attempt: current,
            error,
            ..
        } = &known.state
        else {
            return Err(self.stale(node, attempt, 0));
        };
        if *current != attempt {
            return Err(self.stale(node, attempt, 0));
        }
        let gave_up = |reason: String| Fact::Failed {
            node,
            error: (**error).clone(),
            reason,
        };
        Ok(vec![match verdict {
            Verdict::RetryInMs(_) if self.tries(node, attempt) >= ATTEMPTS_MAX => {
                gave_up(format!("the limit of {ATTEMPTS_MAX} attempts is reached"))
            }
            Verdict::RetryInMs(ms) => Fact::RetryPlanned {
                node,
                attempt: attempt + 1,
                start_at: now.plus_ms(*ms),
            },
            Verdict::GiveUp(reason) => gave_up(reason.clone()),
        }])
    }

    /// What has to follow from the state; `None` when everything is settled.
    fn consequence(&self) -> Option<Fact> {
        if let Some(&node) = self.unsettled.first() {
            return Some(self.settle(node));
        }
        let begun = self.begun_at.is_some() || matches!(self.phase, Phase::Stopping { .. });
        if !begun || self.open > 0 || self.is_finished() {
            return None;
        }
        Some(Fact::Finished {
            outcome: match &self.phase {
                Phase::Stopping { why, .. } => why.outcome(),
                _ => self.outcome_of_tasks(),
            },
        })
    }

    /// A run that has gone on in part may hold tasks that never ran.
    fn outcome_of_tasks(&self) -> RunOutcome {
        let any = |is: fn(&End) -> bool| {
            let mut ends = self.nodes.iter();
            ends.any(|node| matches!(&node.state, NodeState::Ended(end) if is(end)))
        };
        if !self.failed.is_empty() || any(|end| matches!(end, End::Skipped(Skip::UpstreamFailed(_)))) {
            RunOutcome::Failed
        } else if any(|end| matches!(end, End::Cancelled)) {
            RunOutcome::Cancelled
        } else {
            RunOutcome::Completed
        }
    }

    fn settle(&self, node: NodeId) -> Fact {
        let known = self.node(node).expect("only known nodes are unsettled");
        if matches!(known.state, NodeState::Mapped) {
            return Fact::Gathered { node };
        }
        if !self.survives_stop(node) {
            return Fact::Cancelled { node };
        }
        match self.ruling(node) {
            crate::rule::Ruling::Skip(why) => Fact::Skipped { node, why },
            _ => Fact::Cancelled { node },
        }
    }

    fn attempt(&self, node: NodeId, attempt: u32, step: u32) -> Result<&Attempt, Rejected> {
        let known = self.node(node).ok_or(Rejected::UnknownNode(node))?;
        match &known.state {
            NodeState::Active(current) if current.number == attempt => Ok(current),
            _ => Err(self.stale(node, attempt, step)),
        }
    }

    fn stale(&self, node: NodeId, attempt: u32, step: u32) -> Rejected {
        let current = match self.node(node).map(|known| &known.state) {
            Some(NodeState::Active(current)) => format!("attempt {} step {}", current.number, current.step),
            _ => self.node_state(node).map_or("nothing", |state| state.name).to_owned(),
        };
        Rejected::Stale { attempt, step, current }
    }

    fn wrong_state(&self, wanted: &'static str) -> Rejected {
        Rejected::WrongState {
            state: self.state().name,
            wanted,
        }
    }
}

/// What an attempt that ran out of time is told to have failed with.
pub(crate) fn timed_out(attempt: &Attempt, limit_ms: Option<u64>) -> TaskError {
    let limit = limit_ms.map_or_else(String::new, |ms| format!(" of {} s", ms / 1_000));
    let last = attempt
        .status
        .as_ref()
        .map_or_else(String::new, |status| format!("; last seen: {status}"));
    TaskError::new(
        ErrorClass::TimedOut,
        "timed-out",
        format!("the attempt took longer than its time limit{limit} (timeout_seconds){last}"),
    )
}
