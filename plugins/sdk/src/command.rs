//! What a durable kind asks the host to do while it sleeps. Each command has a key that is
//! unique in the attempt; the event that answers it carries the same key.

use std::time::Duration;

use serde_json::Value;

use crate::bindings::durable::exports::grepx::plugin::durable as raw;

/// A command under its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    pub key: String,
    pub op: Op,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// From the step's `now_ms`.
    TimerIn(Duration),
    /// Milliseconds since 1970, UTC.
    TimerAt(u64),
    /// Put into a queue, exactly once where the broker can.
    Enqueue(Message),
    /// To whoever listens.
    Broadcast(Message),
    /// Every value that appears under the key of the connection, until the attempt ends.
    Reply {
        connection: String,
        key: String,
    },
    /// A named signal from outside: a person's approval, a webhook.
    Signal(String),
    StartFlow(ChildRun),
    /// Withdraws an earlier command by its key.
    Cancel(String),
}

/// A message for a connection of the host's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub connection: String,
    /// Queue or channel.
    pub destination: String,
    pub body: Vec<u8>,
    pub meta: Vec<(String, String)>,
}

impl Message {
    pub fn new(connection: impl Into<String>, destination: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            connection: connection.into(),
            destination: destination.into(),
            body: body.into(),
            meta: Vec::new(),
        }
    }

    #[must_use]
    pub fn meta(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.push((name.into(), value.into()));
        self
    }
}

/// A flow run to start and to wait for.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildRun {
    pub deployment: String,
    pub parameters: Value,
    pub idempotency_key: String,
}

impl Command {
    pub fn new(key: impl Into<String>, op: Op) -> Self {
        Self { key: key.into(), op }
    }

    pub fn timer_in(key: impl Into<String>, after: Duration) -> Self {
        Self::new(key, Op::TimerIn(after))
    }

    pub fn timer_at(key: impl Into<String>, at_ms: u64) -> Self {
        Self::new(key, Op::TimerAt(at_ms))
    }

    pub fn enqueue(key: impl Into<String>, message: Message) -> Self {
        Self::new(key, Op::Enqueue(message))
    }

    pub fn broadcast(key: impl Into<String>, message: Message) -> Self {
        Self::new(key, Op::Broadcast(message))
    }

    pub fn reply(key: impl Into<String>, connection: impl Into<String>, reply_key: impl Into<String>) -> Self {
        let (connection, reply_key) = (connection.into(), reply_key.into());
        Self::new(
            key,
            Op::Reply {
                connection,
                key: reply_key,
            },
        )
    }

    pub fn signal(key: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(key, Op::Signal(name.into()))
    }

    pub fn start_flow(key: impl Into<String>, child: ChildRun) -> Self {
        Self::new(key, Op::StartFlow(child))
    }

    /// Withdraws the command `earlier`; its own key is made from it.
    pub fn cancel(earlier: impl Into<String>) -> Self {
        let earlier = earlier.into();
        Self::new(format!("cancel {earlier}"), Op::Cancel(earlier))
    }
}

impl From<Command> for raw::Command {
    fn from(command: Command) -> Self {
        let op = match command.op {
            // A timer of more than 584 million years is as good as none.
            Op::TimerIn(after) => raw::Op::TimerIn(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            Op::TimerAt(at_ms) => raw::Op::TimerAt(at_ms),
            Op::Enqueue(message) => raw::Op::Enqueue(message.into()),
            Op::Broadcast(message) => raw::Op::Broadcast(message.into()),
            Op::Reply { connection, key } => raw::Op::Reply((connection, key)),
            Op::Signal(name) => raw::Op::Signal(name),
            Op::StartFlow(child) => raw::Op::StartFlow(raw::ChildRun {
                deployment: child.deployment,
                parameters: child.parameters.to_string().into_bytes(),
                idempotency_key: child.idempotency_key,
            }),
            Op::Cancel(earlier) => raw::Op::Cancel(earlier),
        };
        Self { key: command.key, op }
    }
}

impl From<Message> for raw::Message {
    fn from(message: Message) -> Self {
        Self {
            connection: message.connection,
            destination: message.destination,
            body: message.body,
            meta: message.meta,
        }
    }
}
