//! What an `async` durable kind keeps between two calls: its input, every command that it has
//! given in order, and every answer with the round in which it came. Polling the same function
//! with the same rounds brings it back to where it was.
//!
//! The text of a command says what it is and to whom, not how long or what: a changed pause does
//! not disturb attempts that sleep, a changed way through the code is seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Ctx, Error, ErrorClass, Event, Op, Outcome};

/// The form of this document itself.
const FORM: u32 = 1;
/// Commands of one attempt. The host takes as many in one step; a state of more belongs into
/// several task runs.
pub(crate) const COMMANDS_MAX: usize = 10_000;

/// The state of a [`crate::Journaled`] kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Journal {
    form: u32,
    /// The state version of the build that started the attempt.
    pub(crate) started_with: u32,
    pub(crate) input: Box<RawValue>,
    pub(crate) settings: Box<RawValue>,
    pub(crate) seed: u64,
    pub(crate) rounds: Vec<Round>,
    pub(crate) commands: Vec<Given>,
    /// The round in which the function ended, when messages still had to go out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<usize>,
}

/// One call of the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) now_ms: u64,
    /// The place of a command and its outcome, in the order of the host.
    pub(crate) events: Vec<(usize, Kept)>,
}

/// A command that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) round: usize,
    pub(crate) what: String,
}

/// An [`Outcome`] as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kept {
    Fired,
    Reply(Body),
    Signal(Value),
    Child(Value),
    Failed(Failure),
    Cancelled,
}

/// Most bodies are text, and text stays readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Body {
    Text(String),
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failure {
    class: String,
    code: String,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<Box<Value>>,
}

/// The input document as text, read by the kind in every call.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Document(pub(crate) Box<RawValue>);

impl Journal {
    pub(crate) fn new(ctx: &Ctx, input: Document, started_with: u32) -> Result<Self, Error> {
        let settings: Box<RawValue> = ctx.settings()?;
        Ok(Self {
            form: FORM,
            started_with,
            input: input.0,
            settings,
            seed: ctx.seed,
            rounds: vec![Round {
                now_ms: ctx.now_ms,
                events: Vec::new(),
            }],
            commands: Vec::new(),
            ended: None,
        })
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.form == FORM && !self.rounds.is_empty() {
            return Ok(());
        }
        Err(Error::permanent(
            "unreadable-state",
            format!("the journal has the form {}; this build reads {FORM}", self.form),
        ))
    }

    /// A further round with what has arrived. Events of commands that are not in the journal (a
    /// withdrawal has no answer that anybody waits for) are left out.
    pub(crate) fn add(&mut self, now_ms: u64, events: Vec<Event>) {
        let events = events.into_iter().filter_map(|event| {
            let place: usize = event.key.split('-').next()?.parse().ok()?;
            (place < self.commands.len()).then(|| (place, event.outcome.into()))
        });
        let events = events.collect();
        self.rounds.push(Round { now_ms, events });
    }
}

/// The key of a command: its place and its sort, which people see in a task run's log.
pub(crate) fn key(place: usize, what: &str) -> String {
    let sort = what.split(' ').next().unwrap_or_default();
    format!("{place}-{sort}")
}

/// What a command is, and to whom.
pub(crate) fn what(op: &Op) -> String {
    match op {
        Op::TimerIn(_) | Op::TimerAt(_) => "timer".to_owned(),
        Op::Enqueue(message) => format!("enqueue {} {}", message.connection, message.destination),
        Op::Broadcast(message) => format!("broadcast {} {}", message.connection, message.destination),
        Op::Reply { connection, key } => format!("reply {connection} {key}"),
        Op::Signal(name) => format!("signal {name}"),
        Op::StartFlow(child) => format!("start-flow {}", child.deployment),
        Op::Cancel(earlier) => format!("cancel {earlier}"),
    }
}

/// Whether a command must leave the process even when nobody waits for its answer.
pub(crate) fn must_go_out(what: &str) -> bool {
    let sort = what.split(' ').next().unwrap_or_default();
    match sort {
        "enqueue" | "broadcast" | "start-flow" => true,
        // Of a timer or an ear: the end of the attempt closes them anyway.
        "cancel" => what.ends_with("-enqueue") || what.ends_with("-broadcast") || what.ends_with("-start-flow"),
        _ => false,
    }
}

impl From<Outcome> for Kept {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fired => Self::Fired,
            Outcome::Reply(bytes) => Self::Reply(match String::from_utf8(bytes) {
                Ok(text) => Body::Text(text),
                Err(other) => Body::Bytes(other.into_bytes()),
            }),
            Outcome::Signal(value) => Self::Signal(value),
            Outcome::Child(value) => Self::Child(value),
            Outcome::Failed(error) => Self::Failed(Failure {
                class: error.class_name().to_owned(),
                code: error.code,
                message: error.message,
                retry_after_ms: error.retry_after_ms,
                details: error.details,
            }),
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

impl From<&Kept> for Outcome {
    fn from(kept: &Kept) -> Self {
        match kept {
            Kept::Fired => Self::Fired,
            Kept::Reply(Body::Text(text)) => Self::Reply(text.clone().into_bytes()),
            Kept::Reply(Body::Bytes(bytes)) => Self::Reply(bytes.clone()),
            Kept::Signal(value) => Self::Signal(value.clone()),
            Kept::Child(value) => Self::Child(value.clone()),
            Kept::Failed(failure) => Self::Failed(failure.into()),
            Kept::Cancelled => Self::Cancelled,
        }
    }
}

impl From<&Failure> for Error {
    fn from(failure: &Failure) -> Self {
        let class = ErrorClass::named(&failure.class).unwrap_or(ErrorClass::Permanent);
        let mut error = Self::new(class, &failure.code, &failure.message);
        error.retry_after_ms = failure.retry_after_ms;
        error.details.clone_from(&failure.details);
        error
    }
}

#[cfg(test)]
mod tests;
