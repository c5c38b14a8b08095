//! Between the engine's types and the generated ones, by hand: a change of the contract has to be
//! thought about here. What a guest returns is checked on the way.

use std::collections::HashSet;

use grepx_engine::{
    Bytes, ChildRun, Command, ErrorClass, Json, Message, Op, Outcome, Snapshot, Step, StopReason, Suspended, TaskError,
    Timestamp, Verdict, Wake,
};

use super::bindings::{judge, steps, types};
use super::types::{Ctx, KeyedOutcome};

/// Commands of one answer.
const COMMANDS_MAX: usize = 10_000;
/// Below what serde_json takes.
const DEPTH_MAX: usize = 100;

/// Why an answer cannot be taken, for a person.
pub(super) type Invalid = String;

pub(super) fn ctx(ctx: &Ctx, settings: &[u8]) -> types::Ctx {
    types::Ctx {
        flow_run: ctx.flow_run.to_string(),
        task_run: ctx.task_run.to_string(),
        task: ctx.task.clone(),
        flow: ctx.flow.clone(),
        attempt: ctx.attempt,
        step: ctx.step,
        now_ms: millis(ctx.now),
        seed: ctx.seed,
        idempotency_key: ctx.idempotency_key.to_string(),
        deadline_ms: ctx.deadline.map(millis),
        traceparent: ctx.traceparent.clone(),
        settings: settings.to_vec(),
        meta: ctx.meta.clone().into_iter().collect(),
    }
}

/// Times before 1970 become 1970: the contract has no sign.
pub(super) fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.0).unwrap_or(0)
}

pub(super) fn json(bytes: Vec<u8>, what: &str) -> Result<Json, Invalid> {
    let text = String::from_utf8(bytes).map_err(|e| format!("{what} is not UTF-8 ({})", e.utf8_error()))?;
    check_depth(text.as_bytes(), what)?;
    Json::parse(text).map_err(|e| format!("{what} is not JSON ({e})"))
}

/// Everything that reads the document later recurses, so its depth is bounded where it comes in.
fn check_depth(text: &[u8], what: &str) -> Result<(), Invalid> {
    // Most documents have too few brackets to be deep, and counting is quick.
    if text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() <= DEPTH_MAX {
        return Ok(());
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(format!("{what} is nested deeper than {DEPTH_MAX} levels"));
        }
    }
    Ok(())
}

pub(super) fn error_out(error: &TaskError) -> types::Error {
    types::Error {
        class: match error.class {
            ErrorClass::Retryable => types::ErrorClass::Retryable,
            ErrorClass::Permanent => types::ErrorClass::Permanent,
            ErrorClass::InvalidInput => types::ErrorClass::InvalidInput,
            ErrorClass::Unauthorised => types::ErrorClass::Unauthorised,
            ErrorClass::RateLimited => types::ErrorClass::RateLimited,
            ErrorClass::Cancelled => types::ErrorClass::Cancelled,
            ErrorClass::TimedOut => types::ErrorClass::TimedOut,
        },
        code: error.code.clone(),
        message: error.message.clone(),
        retry_after_ms: error.retry_after_ms,
        details: error.details.as_ref().map(|json| json.as_str().into()),
    }
}

/// Details that are not JSON are kept as a JSON string: they must not hide the error.
pub(super) fn error_in(error: types::Error) -> TaskError {
    TaskError {
        class: match error.class {
            types::ErrorClass::Retryable => ErrorClass::Retryable,
            types::ErrorClass::Permanent => ErrorClass::Permanent,
            types::ErrorClass::InvalidInput => ErrorClass::InvalidInput,
            types::ErrorClass::Unauthorised => ErrorClass::Unauthorised,
            types::ErrorClass::RateLimited => ErrorClass::RateLimited,
            types::ErrorClass::Cancelled => ErrorClass::Cancelled,
            types::ErrorClass::TimedOut => ErrorClass::TimedOut,
        },
        code: error.code,
        message: error.message,
        retry_after_ms: error.retry_after_ms,
        details: error.details.map(|bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            json(bytes, "the details").unwrap_or_else(|_| Json::from(&text.into()))
        }),
    }
}

pub(super) fn snapshot_out(snapshot: &Snapshot) -> steps::Snapshot {
    steps::Snapshot {
        version: snapshot.version,
        data: snapshot.data.as_ref().to_vec(),
    }
}

pub(super) fn events_out(events: &[KeyedOutcome]) -> Vec<steps::Event> {
    let event = |event: &KeyedOutcome| steps::Event {
        key: event.key.clone(),
        outcome: match &event.outcome {
            Outcome::Fired => steps::Outcome::Fired,
            Outcome::Reply(bytes) => steps::Outcome::Reply(bytes.as_ref().to_vec()),
            Outcome::Signal(json) => steps::Outcome::Signal(json.as_str().into()),
            Outcome::Child(json) => steps::Outcome::Child(json.as_str().into()),
            Outcome::Failed(error) => steps::Outcome::Failed(error_out(error)),
            Outcome::Cancelled => steps::Outcome::Cancelled,
        },
    };
    events.iter().map(event).collect()
}

pub(super) fn events_bytes(events: &[KeyedOutcome]) -> usize {
    let bytes = |event: &KeyedOutcome| {
        event.key.len()
            + match &event.outcome {
                Outcome::Fired | Outcome::Cancelled => 0,
                Outcome::Reply(bytes) => bytes.as_ref().len(),
                Outcome::Signal(json) | Outcome::Child(json) => json.len(),
                Outcome::Failed(error) => error.message.len() + error.details.as_ref().map_or(0, Json::len),
            }
    };
    events.iter().map(bytes).sum()
}

pub(super) fn stop_reason(reason: StopReason) -> steps::StopReason {
    match reason {
        StopReason::Cancelled => steps::StopReason::Cancelled,
        StopReason::TimedOut => steps::StopReason::TimedOut,
        StopReason::FlowFailed => steps::StopReason::FlowFailed,
    }
}

/// `now` is the step's own time, from which `timer-in` counts.
pub(super) fn step(step: steps::Step, now: Timestamp) -> Result<Step, Invalid> {
    Ok(match step {
        steps::Step::Done(bytes) => Step::Done(json(bytes, "the result")?),
        steps::Step::Failed(error) => Step::Failed(error_in(error)),
        steps::Step::Suspended(suspended) => Step::Suspended(Suspended {
            state: Snapshot {
                version: suspended.state.version,
                data: Bytes::from(suspended.state.data),
            },
            commands: commands(suspended.commands, now)?,
            wake: match suspended.wake {
                steps::Wake::Any(keys) => Wake::Any(keys),
                steps::Wake::All(keys) => Wake::All(keys),
            },
            status: suspended.status,
        }),
    })
}

pub(super) fn commands(found: Vec<steps::Command>, now: Timestamp) -> Result<Vec<Command>, Invalid> {
    if found.len() > COMMANDS_MAX {
        return Err(format!("it has {} commands, the limit is {COMMANDS_MAX}", found.len()));
    }
    let mut keys = HashSet::with_capacity(found.len());
    if let Some(twice) = found.iter().find(|command| !keys.insert(command.key.as_str())) {
        return Err(format!("two commands have the key `{}`", twice.key));
    }
    found
        .into_iter()
        .map(|c| {
            Ok(Command {
                op: op(c.op, now)?,
                key: c.key,
            })
        })
        .collect()
}

fn op(op: steps::Op, now: Timestamp) -> Result<Op, Invalid> {
    Ok(match op {
        steps::Op::TimerIn(ms) => Op::TimerAt(now.plus_ms(ms)),
        steps::Op::TimerAt(ms) => Op::TimerAt(Timestamp(i64::try_from(ms).unwrap_or(i64::MAX))),
        steps::Op::Enqueue(m) => Op::Enqueue(message(m).into()),
        steps::Op::Broadcast(m) => Op::Broadcast(message(m).into()),
        steps::Op::Reply((connection, key)) => Op::Reply {
            connection: connection.into(),
            key: key.into(),
        },
        steps::Op::Signal(name) => Op::Signal(name),
        steps::Op::StartFlow(child) => Op::StartFlow(ChildRun {
            deployment: child.deployment,
            parameters: json(child.parameters, "the parameters of a child run")?,
            idempotency_key: child.idempotency_key,
        }),
        steps::Op::Cancel(key) => Op::Cancel(key),
    })
}

fn message(message: steps::Message) -> Message {
    Message {
        connection: message.connection,
        destination: message.destination,
        body: Bytes::from(message.body),
        meta: message.meta.into_iter().collect(),
    }
}

pub(super) fn verdict(verdict: judge::Verdict, scrub: impl Fn(&str) -> String) -> Verdict {
    match verdict {
        judge::Verdict::RetryIn(ms) => Verdict::RetryInMs(ms),
        judge::Verdict::GiveUp(reason) => Verdict::GiveUp(scrub(&reason)),
    }
}

/// What of an answer has to be kept: texts and payloads.
pub(super) fn step_bytes(step: &steps::Step) -> usize {
    match step {
        steps::Step::Done(bytes) => bytes.len(),
        steps::Step::Failed(error) => error_bytes(error),
        steps::Step::Suspended(s) => {
            let (steps::Wake::Any(keys) | steps::Wake::All(keys)) = &s.wake;
            let wake: usize = keys.iter().map(String::len).sum();
            s.state.data.len() + commands_bytes(&s.commands) + wake + s.status.as_ref().map_or(0, String::len)
        }
    }
}

pub(super) fn error_bytes(error: &types::Error) -> usize {
    error.code.len() + error.message.len() + error.details.as_ref().map_or(0, Vec::len)
}

pub(super) fn commands_bytes(commands: &[steps::Command]) -> usize {
    let bytes = |command: &steps::Command| {
        command.key.len()
            + match &command.op {
                steps::Op::TimerIn(_) | steps::Op::TimerAt(_) => 0,
                steps::Op::Enqueue(m) | steps::Op::Broadcast(m) => {
                    let meta: usize = m.meta.iter().map(|(key, value)| key.len() + value.len()).sum();
                    m.connection.len() + m.destination.len() + m.body.len() + meta
                }
                steps::Op::Reply((connection, key)) => connection.len() + key.len(),
                steps::Op::Signal(name) | steps::Op::Cancel(name) => name.len(),
                steps::Op::StartFlow(c) => c.deployment.len() + c.parameters.len() + c.idempotency_key.len(),
            }
    };
    commands.iter().map(bytes).sum()
}

#[cfg(test)]
mod tests;
