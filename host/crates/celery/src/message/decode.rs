//! Reading a task message, for the embedded worker. It takes what a stock worker takes, and
//! answers with a typed error where that one would end or drop the message.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{RESERVED_HEADERS, TaskMessage};
use crate::envelope::{Envelope, EnvelopeError, field};
use crate::json::{Notes, special};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the message cannot be read")]
    Unreadable(#[source] EnvelopeError),
    #[error("the message has Celery's old task protocol 1; set `task_protocol = 2` where it is sent")]
    ProtocolOne,
    #[error("the body is a list of {found}, expected [args, kwargs, embed]")]
    BodyShape { found: usize },
    #[error("an argument has the special type {name:?}, which is not known here")]
    SpecialType { name: String },
}

/// A message as a worker gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    pub message: TaskMessage,
    /// How often the task's own code has sent it again.
    pub retries: u64,
    /// ISO 8601; without an offset it is UTC.
    pub eta: Option<String>,
    /// ISO 8601; without an offset it is UTC.
    pub expires: Option<String>,
    pub ignore_result: bool,
    /// The broker gave it out before.
    pub redelivered: bool,
    /// Which of callbacks, errbacks, chain and chord it carries; they are not kept.
    pub canvas: Vec<&'static str>,
    /// What could not be kept; paths start at the body (`/0/2` is the third positional argument).
    pub notes: Notes,
}

impl Received {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let envelope = Envelope::decode(bytes).map_err(DecodeError::Unreadable)?;
        if !envelope.headers.contains_key("task") && envelope.body.get("task").is_some() {
            return Err(DecodeError::ProtocolOne);
        }
        Fields(&envelope).received(body(&envelope.body)?)
    }
}

impl TaskMessage {
    /// Reads an envelope; see [`Received`] for what a worker needs beside the task.
    pub fn decode(bytes: &[u8]) -> Result<Received, DecodeError> {
        Received::decode(bytes)
    }
}

struct Body {
    args: Vec<Value>,
    kwargs: Map<String, Value>,
    canvas: Vec<&'static str>,
}

fn body(body: &Value) -> Result<Body, DecodeError> {
    let wrong = |name, expected, found| DecodeError::Unreadable(field(name, expected, found));
    let Value::Array(parts) = body else {
        return Err(wrong("body", "a list", Some(body)));
    };
    let (args, kwargs, embed) = match parts.as_slice() {
        [args, kwargs] => (args, kwargs, &Value::Null),
        [args, kwargs, embed] => (args, kwargs, embed),
        _ => return Err(DecodeError::BodyShape { found: parts.len() }),
    };
    let mut unknown = None;
    let mut plain = |value: &Value| {
        let mut value = value.clone();
        special::unwrap(&mut value, &mut |name| unknown = Some(name.to_owned()));
        value
    };
    let (args, kwargs) = (plain(args), plain(kwargs));
    if let Some(name) = unknown {
        return Err(DecodeError::SpecialType { name });
    }
    let Value::Array(args) = args else {
        return Err(wrong("args", "a list", Some(&args)));
    };
    let Value::Object(kwargs) = kwargs else {
        return Err(wrong("kwargs", "an object", Some(&kwargs)));
    };
    let carried = |name: &&str| match embed.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    let canvas = ["callbacks", "errbacks", "chain", "chord"]
        .into_iter()
        .filter(carried)
        .collect();
    Ok(Body { args, kwargs, canvas })
}

struct Fields<'a>(&'a Envelope);

impl Fields<'_> {
    fn received(&self, body: Body) -> Result<Received, DecodeError> {
        let headers = &self.0.headers;
        let properties = &self.0.properties;
        let info = properties.get("delivery_info");
        let limits = self.time_limits()?;
        let id = self.required("headers.id", headers.get("id"))?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let message = TaskMessage {
            task: self.required("headers.task", headers.get("task"))?,
            args: body.args,
            kwargs: body.kwargs,
            queue: text(info.and_then(|info| info.get("routing_key"))).unwrap_or_default(),
            priority: properties
                .get("priority")
                .and_then(Value::as_u64)
                .map(|n| n.min(9) as u8),
            hard_time_limit: limits[0],
            soft_time_limit: limits[1],
            headers: self.custom_headers(),
            shadow: text(headers.get("shadow")),
            root_id: text(headers.get("root_id")).filter(|root| *root != id),
            parent_id: text(headers.get("parent_id")),
            origin: text(headers.get("origin")).unwrap_or_default(),
            delivery_tag: text(properties.get("delivery_tag")).unwrap_or_default(),
            id,
        };
        let flag = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
        Ok(Received {
            message,
            retries: headers.get("retries").and_then(Value::as_u64).unwrap_or(0),
            eta: text(headers.get("eta")),
            expires: text(headers.get("expires")),
            ignore_result: flag(headers.get("ignore_result")),
            redelivered: flag(headers.get("redelivered")) || flag(info.and_then(|info| info.get("redelivered"))),
            canvas: body.canvas,
            notes: self.0.notes.clone(),
        })
    }

    fn required(&self, name: &'static str, value: Option<&Value>) -> Result<String, DecodeError> {
        match value {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            other => Err(DecodeError::Unreadable(field(name, "a string", other))),
        }
    }

    /// [hard, soft].
    fn time_limits(&self) -> Result<[Option<f64>; 2], DecodeError> {
        let found = self.0.headers.get("timelimit");
        match found {
            None | Some(Value::Null) => Ok([None, None]),
            Some(Value::Array(pair)) if pair.len() == 2 => Ok([pair[0].as_f64(), pair[1].as_f64()]),
            other => Err(DecodeError::Unreadable(field(
                "headers.timelimit",
                "a list [hard, soft]",
                other,
            ))),
        }
    }

    fn custom_headers(&self) -> BTreeMap<String, Value> {
        let own = |name: &str| RESERVED_HEADERS.contains(&name);
        let headers = self.0.headers.iter().filter(|(name, _)| !own(name));
        headers.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}
