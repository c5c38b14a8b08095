//! Remote control: commands that all workers of a broker hear, and their answers.
//!
//! A command is published to a channel and is lost when nobody listens; the number that `PUBLISH`
//! returns is the number of workers that got it. For an answer the sender first adds
//! [`Mailbox::binding_member`] to the set [`Mailbox::binding_key`], publishes, and pops
//! [`Mailbox::reply_list`]; afterwards it removes both, as an unread list never expires. The
//! sender's id (`oid`) and the ticket are arguments: fresh ones for every command.
//!
//! Absent: commands that change workers (pool size, consumers, rate limits, shutdown).

use serde_json::{Map, Value, json};

use crate::envelope::{self, Envelope, EnvelopeError, field};
use crate::queue::QueueLayout;

mod reply;
#[cfg(test)]
mod tests;

pub use reply::{Answer, Reply, TaskPlace, queue_names, registered_names, task_places};

/// Ids in one command.
pub const MAX_IDS: usize = 10_000;

/// Where commands and answers go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The broker's database number; a part of the channel's name.
    pub db: u32,
    /// The workers' `control_exchange`.
    pub exchange: String,
    pub layout: QueueLayout,
}

impl Mailbox {
    /// With the stock exchange and layout.
    pub fn new(db: u32) -> Self {
        Self {
            db,
            exchange: "celery".into(),
            layout: QueueLayout::default(),
        }
    }

    /// The channel to publish commands to.
    pub fn channel(&self) -> String {
        format!("{}/{}.{}.pidbox", self.layout.key_prefix, self.db, self.exchange)
    }

    /// The list to which workers push answers for `oid`.
    pub fn reply_list(&self, oid: &str) -> String {
        format!("{}{}", self.layout.key_prefix, self.reply_queue(oid))
    }

    /// The set in which workers look up the list; without a member the answer is dropped.
    pub fn binding_key(&self) -> String {
        format!("{}_kombu.binding.{}", self.layout.key_prefix, self.reply_exchange())
    }

    /// The member of [`Self::binding_key`] for `oid`.
    pub fn binding_member(&self, oid: &str) -> String {
        let separator = &self.layout.separator;
        format!("{oid}{separator}{separator}{}", self.reply_queue(oid))
    }

    fn reply_exchange(&self) -> String {
        format!("reply.{}.pidbox", self.exchange)
    }

    fn reply_queue(&self, oid: &str) -> String {
        format!("{oid}.{}", self.reply_exchange())
    }
}

/// Signals for a running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Term,
    Kill,
    Usr1,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Kill => "SIGKILL",
            Self::Usr1 => "SIGUSR1",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Drops waiting tasks; with `terminate` also ends running ones (prefork workers only).
    Revoke {
        ids: Vec<String>,
        terminate: bool,
        signal: Signal,
    },
    Ping,
    /// The names of the tasks that a worker has.
    Registered,
    /// The queues that a worker reads.
    ActiveQueues,
    /// Who has these tasks, and in which stage.
    QueryTask {
        ids: Vec<String>,
    },
}

/// Where the answers to a command go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    pub oid: String,
    pub ticket: String,
}

/// One command as it is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub command: Command,
    /// Worker names (`celery@host`); `None` is all.
    pub destination: Option<Vec<String>>,
    pub reply_to: Option<ReplyTo>,
    /// Unique per publication.
    pub delivery_tag: String,
    /// Seconds since 1970, UTC; workers do not check it.
    pub expires: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("{count} task ids in one command; it takes 1 to {MAX_IDS}")]
    Ids { count: usize },
    #[error("the control message cannot be written")]
    Write(#[source] EnvelopeError),
    #[error("the control message cannot be read")]
    Read(#[source] EnvelopeError),
    #[error("the control method {method:?} is not known here")]
    Method { method: String },
}

impl Request {
    /// To everybody, without an answer.
    pub fn new(command: Command, delivery_tag: &str) -> Self {
        let delivery_tag = delivery_tag.into();
        Self {
            command,
            destination: None,
            reply_to: None,
            delivery_tag,
            expires: None,
        }
    }

    pub fn encode(&self, mailbox: &Mailbox) -> Result<Vec<u8>, ControlError> {
        let (method, arguments) = self.command.to_wire()?;
        let mut body = json!({
            "method": method,
            "arguments": arguments,
            "destination": self.destination,
            "pattern": null,
            "matcher": null,
        });
        if let Some(reply_to) = &self.reply_to {
            body["ticket"] = reply_to.ticket.as_str().into();
            body["reply_to"] = json!({
                "exchange": mailbox.reply_exchange(),
                "routing_key": reply_to.oid,
            });
        }
        let mut headers = Map::new();
        headers.insert("clock".into(), 1.into());
        headers.insert("expires".into(), self.expires.into());
        let exchange = format!("{}.pidbox", mailbox.exchange);
        let properties = envelope::properties(&exchange, "", 0, &self.delivery_tag);
        let body = serde_json::to_vec(&body).expect("values with string keys always serialize");
        envelope::encode(&body, &headers, &properties).map_err(ControlError::Write)
    }

    /// For the embedded worker.
    pub fn decode(bytes: &[u8]) -> Result<Self, ControlError> {
        let envelope = Envelope::decode(bytes).map_err(ControlError::Read)?;
        let body = envelope::object(envelope.body, "body").map_err(ControlError::Read)?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let oid = text(body.get("reply_to").and_then(|reply_to| reply_to.get("routing_key")));
        let reply_to = match (oid, text(body.get("ticket"))) {
            (Some(oid), Some(ticket)) => Some(ReplyTo { oid, ticket }),
            _ => None,
        };
        let destination = body.get("destination").and_then(Value::as_array);
        Ok(Self {
            command: Command::from_wire(&body)?,
            destination: destination.map(|names| strings(names)),
            reply_to,
            delivery_tag: text(envelope.properties.get("delivery_tag")).unwrap_or_default(),
            expires: envelope.headers.get("expires").and_then(Value::as_f64),
        })
    }
}

impl Command {
    fn to_wire(&self) -> Result<(&'static str, Value), ControlError> {
        if let Self::Revoke { ids, .. } | Self::QueryTask { ids } = self
            && !(1..=MAX_IDS).contains(&ids.len())
        {
            return Err(ControlError::Ids { count: ids.len() });
        }
        Ok(match self {
            Self::Revoke { ids, terminate, signal } => (
                "revoke",
                json!({"task_id": ids, "terminate": terminate, "signal": signal.name()}),
            ),
            Self::Ping => ("ping", json!({})),
            Self::Registered => ("registered", json!({"taskinfoitems": []})),
            Self::ActiveQueues => ("active_queues", json!({})),
            Self::QueryTask { ids } => ("query_task", json!({"ids": ids})),
        })
    }

    fn from_wire(body: &Map<String, Value>) -> Result<Self, ControlError> {
        let arguments = body.get("arguments").unwrap_or(&Value::Null);
        let ids = |name: &'static str| match arguments.get(name) {
            Some(Value::String(id)) => Ok(vec![id.clone()]),
            Some(Value::Array(ids)) => Ok(strings(ids)),
            other => Err(ControlError::Read(field(name, "an id or a list of ids", other))),
        };
        match body.get("method").and_then(Value::as_str) {
            Some("revoke") => Ok(Self::Revoke {
                ids: ids("task_id")?,
                terminate: arguments.get("terminate").and_then(Value::as_bool).unwrap_or(false),
                signal: match arguments.get("signal").and_then(Value::as_str) {
                    Some("SIGKILL" | "KILL") => Signal::Kill,
                    Some("SIGUSR1" | "USR1") => Signal::Usr1,
                    _ => Signal::Term,
                },
            }),
            Some("ping") => Ok(Self::Ping),
            Some("registered") => Ok(Self::Registered),
            Some("active_queues") => Ok(Self::ActiveQueues),
            Some("query_task") => Ok(Self::QueryTask { ids: ids("ids")? }),
            Some(method) => Err(ControlError::Method {
                method: method.chars().take(60).collect(),
            }),
            None => Err(ControlError::Read(field("method", "a string", body.get("method")))),
        }
    }
}

fn strings(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
