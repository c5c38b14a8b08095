//! What passes between a run and a task kind: errors, commands, outcomes. The Rust side of the
//! `types` and `durable` interfaces of `wit/plugin.wit`, in the same words.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Json, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    Retryable,
    Permanent,
    InvalidInput,
    Unauthorised,
    RateLimited,
    Cancelled,
    TimedOut,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    pub class: ErrorClass,
    /// Stable and machine-readable: `celery-not-registered`.
    pub code: String,
    /// One line for a person: what is wrong and what to do.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Traceback, exception type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Json>,
}

impl TaskError {
    #[must_use]
    pub fn new(class: ErrorClass, code: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.to_owned(),
            message: message.into(),
            retry_after_ms: None,
            details: None,
        }
    }
}

pub type Meta = BTreeMap<String, String>;

/// Something for a queue or a channel of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Name of a connection in the host's configuration.
    pub connection: String,
    pub destination: String,
    pub body: Bytes,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: Meta,
}

/// A flow run started by a task run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildRun {
    /// `flow/deployment`, or the deployment's name alone.
    pub deployment: String,
    pub parameters: Json,
    pub idempotency_key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The host turns `timer-in` into an instant when it takes the answer.
    TimerAt(Timestamp),
    /// Shared by the fact, the outbox and whoever sends it.
    Enqueue(Arc<Message>),
    Broadcast(Arc<Message>),
    /// Stays open over many answers.
    Reply {
        connection: Arc<str>,
        key: Arc<str>,
    },
    Signal(String),
    StartFlow(ChildRun),
    /// Withdraws the open command of that key.
    Cancel(String),
}

/// An operation with the key that the kind chose for it, unique in the attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub key: String,
    pub op: Op,
}

/// How a command turned out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Fired,
    Reply(Bytes),
    Signal(Json),
    Child(Json),
    Failed(TaskError),
    Cancelled,
}

/// A kind's own state; only the kind can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: u32,
    pub data: Bytes,
}

/// Which outcomes wake a suspended attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    Any(Vec<String>),
    All(Vec<String>),
}

/// An attempt that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    pub state: Snapshot,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
    pub wake: Wake,
    /// One line on what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// A kind's answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Done(Json),
    Failed(TaskError),
    Suspended(Suspended),
}

/// Why an attempt is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    Cancelled,
    TimedOut,
    FlowFailed,
}

/// A policy's answer to a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    RetryInMs(u64),
    GiveUp(String),
}
