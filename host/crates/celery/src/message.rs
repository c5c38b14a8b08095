//! Task messages: protocol 2 in kombu's Redis envelope.
//!
//! Some malformed messages end the worker that takes them and go back into the queue, where the
//! next worker dies too. So a message is built only here, from typed fields, and whatever a
//! person supplies (arguments, headers, names) is checked before it is written.
//!
//! Always sent: `ignore_result: false` (the worker then stores a result even where task or app
//! say otherwise), `retries: 0` (another number eats the task's own retries), `eta: null` and
//! `expires: null` (the workers' clocks would decide; the host keeps the time).
//!
//! Absent: canvas, compression, serializers other than JSON, protocol 1.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::envelope::{self, EnvelopeError};
use crate::json::special::{self, MAX_SENT_DEPTH, Unsendable};
use crate::pyrepr;
use crate::queue::MAX_PRIORITY;

mod decode;
#[cfg(test)]
mod tests;

pub use decode::{DecodeError, Received};

/// Characters of `argsrepr` and `kwargsrepr`, as Celery's own default.
pub const MAX_REPR_CHARS: usize = 1024;
/// Bytes of an id, a task name or a queue name.
pub const MAX_NAME_BYTES: usize = 255;
/// Headers of a message beside the protocol's own.
pub const MAX_HEADERS: usize = 64;

/// What the protocol and Celery's request object call their own. Another value under one of these
/// names reaches the worker as its own field.
const RESERVED_HEADERS: [&str; 41] = [
    "args",
    "argsrepr",
    "callbacks",
    "called_directly",
    "chain",
    "chord",
    "compression",
    "correlation_id",
    "delivery_info",
    "errbacks",
    "eta",
    "expires",
    "group",
    "group_index",
    "headers",
    "hostname",
    "id",
    "ignore_result",
    "is_eager",
    "kwargs",
    "kwargsrepr",
    "lang",
    "logfile",
    "loglevel",
    "origin",
    "parent_id",
    "properties",
    "redelivered",
    "replaced_task_nesting",
    "reply_to",
    "retries",
    "root_id",
    "shadow",
    "soft_time_limit",
    "stamped_headers",
    "stamps",
    "task",
    "taskset",
    "time_limit",
    "timelimit",
    "utc",
];

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MessageError {
    #[error("`{field}` is empty")]
    Empty { field: &'static str },
    #[error("`{field}` is {value:?}: it must have at most {MAX_NAME_BYTES} bytes and no control characters")]
    Name { field: &'static str, value: String },
    #[error(
        "{path} holds an object with both `__type__` and `__value__`, which a worker would turn into another type or refuse; rename one of the keys"
    )]
    Marked { path: String },
    #[error("{path} is nested deeper than {MAX_SENT_DEPTH} levels")]
    TooDeep { path: String },
    #[error("the header `{name}` belongs to the protocol; choose another name, such as `x-{name}`")]
    ReservedHeader { name: String },
    #[error("{count} headers, more than the limit of {MAX_HEADERS}")]
    TooManyHeaders { count: usize },
    #[error("`priority` is {found}: it goes from 0 (runs first on Redis) to {MAX_PRIORITY}")]
    Priority { found: u8 },
    #[error("`{field}` is {found} seconds: it must be a number above zero")]
    TimeLimit { field: &'static str, found: f64 },
    #[error("the message cannot be written")]
    Envelope(#[source] EnvelopeError),
}

/// One task to run.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskMessage {
    /// A fresh id for every publication: a worker remembers revoked ids, and a second run of a
    /// finished id stores nothing.
    pub id: String,
    /// The name under which workers register the task: `tasks.add`.
    pub task: String,
    pub args: Vec<Value>,
    pub kwargs: Map<String, Value>,
    pub queue: String,
    /// 0 to 9; on Redis the lower runs first.
    pub priority: Option<u8>,
    /// Seconds until `SoftTimeLimitExceeded` is raised in the task; prefork workers only.
    pub soft_time_limit: Option<f64>,
    /// Seconds until the worker kills the task; prefork workers only.
    pub hard_time_limit: Option<f64>,
    /// Headers beside the protocol's, for tracing.
    pub headers: BTreeMap<String, Value>,
    /// The name that logs show instead of the task's.
    pub shadow: Option<String>,
    /// `None`: the message is its own root.
    pub root_id: Option<String>,
    pub parent_id: Option<String>,
    /// Who sent it: `grepx@host`.
    pub origin: String,
    /// Unique per publication, not the task id: it is a key in the workers' table of
    /// unacknowledged messages.
    pub delivery_tag: String,
}

impl TaskMessage {
    /// A message without arguments and options.
    pub fn new(id: &str, task: &str, queue: &str, delivery_tag: &str) -> Self {
        Self {
            id: id.into(),
            task: task.into(),
            args: Vec::new(),
            kwargs: Map::new(),
            queue: queue.into(),
            priority: None,
            soft_time_limit: None,
            hard_time_limit: None,
            headers: BTreeMap::new(),
            shadow: None,
            root_id: None,
            parent_id: None,
            origin: "grepx".into(),
            delivery_tag: delivery_tag.into(),
        }
    }

    /// The value to `LPUSH` onto [`crate::QueueLayout::list`].
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        self.check()?;
        let embed = serde_json::json!({
            "callbacks": null, "errbacks": null, "chain": null, "chord": null
        });
        let body =
            serde_json::to_vec(&(&self.args, &self.kwargs, embed)).expect("values with string keys always serialize");
        let priority = self.priority.unwrap_or(0);
        let mut properties = Map::new();
        properties.insert("correlation_id".into(), self.id.as_str().into());
        properties.insert("reply_to".into(), "".into());
        properties.extend(envelope::properties("", &self.queue, priority, &self.delivery_tag));
        envelope::encode(&body, &self.protocol_headers(), &properties).map_err(MessageError::Envelope)
    }

    /// The id of a message in a list, whoever sent it and whatever its body is.
    pub fn id_of(bytes: &[u8]) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Headed {
            headers: Headers,
        }
        #[derive(serde::Deserialize)]
        struct Headers {
            id: String,
        }
        serde_json::from_slice::<Headed>(bytes)
            .ok()
            .map(|message| message.headers.id)
    }

    fn protocol_headers(&self) -> Map<String, Value> {
        let root = self.root_id.as_deref().unwrap_or(&self.id);
        let limits = [seconds(self.hard_time_limit), seconds(self.soft_time_limit)];
        let own: [(&str, Value); 19] = [
            ("lang", "py".into()),
            ("task", self.task.as_str().into()),
            ("id", self.id.as_str().into()),
            ("shadow", self.shadow.as_deref().into()),
            ("eta", Value::Null),
            ("expires", Value::Null),
            ("group", Value::Null),
            ("group_index", Value::Null),
            ("retries", 0.into()),
            ("timelimit", limits.to_vec().into()),
            ("root_id", root.into()),
            ("parent_id", self.parent_id.as_deref().into()),
            ("argsrepr", pyrepr::list(&self.args, MAX_REPR_CHARS).into()),
            ("kwargsrepr", pyrepr::dict(&self.kwargs, MAX_REPR_CHARS).into()),
            ("origin", self.origin.as_str().into()),
            ("ignore_result", false.into()),
            ("replaced_task_nesting", 0.into()),
            ("stamped_headers", Value::Null),
            ("stamps", Map::new().into()),
        ];
        let user = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        user.chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
    }

    fn check(&self) -> Result<(), MessageError> {
        name("id", &self.id)?;
        name("task", &self.task)?;
        name("queue", &self.queue)?;
        name("delivery_tag", &self.delivery_tag)?;
        name("origin", &self.origin)?;
        let optional = [
            ("shadow", &self.shadow),
            ("root_id", &self.root_id),
            ("parent_id", &self.parent_id),
        ];
        for (field, value) in optional {
            value.as_deref().map_or(Ok(()), |value| name(field, value))?;
        }
        if let Some(found) = self.priority.filter(|priority| *priority > MAX_PRIORITY) {
            return Err(MessageError::Priority { found });
        }
        time_limit("soft_time_limit", self.soft_time_limit)?;
        time_limit("hard_time_limit", self.hard_time_limit)?;
        for (index, value) in self.args.iter().enumerate() {
            special::refuse(value).map_err(|error| unsendable(&format!("args/{index}"), error))?;
        }
        if self.kwargs.contains_key("__type__") && self.kwargs.contains_key("__value__") {
            return Err(MessageError::Marked { path: "kwargs".into() });
        }
        for (key, value) in &self.kwargs {
            special::refuse(value).map_err(|error| unsendable(&format!("kwargs/{key}"), error))?;
        }
        self.check_headers()
    }

    fn check_headers(&self) -> Result<(), MessageError> {
        if self.headers.len() > MAX_HEADERS {
            return Err(MessageError::TooManyHeaders {
                count: self.headers.len(),
            });
        }
        for (key, value) in &self.headers {
            name("headers", key)?;
            let reserved = RESERVED_HEADERS.contains(&key.as_str());
            // Python attributes of the request object, among them its methods' own fields.
            if reserved || key.starts_with('_') {
                return Err(MessageError::ReservedHeader { name: key.clone() });
            }
            special::refuse(value).map_err(|error| unsendable(&format!("headers/{key}"), error))?;
        }
        Ok(())
    }
}

fn name(field: &'static str, value: &str) -> Result<(), MessageError> {
    if value.is_empty() {
        return Err(MessageError::Empty { field });
    }
    if value.len() > MAX_NAME_BYTES || value.chars().any(char::is_control) {
        let value = value.chars().take(80).collect();
        return Err(MessageError::Name { field, value });
    }
    Ok(())
}

fn time_limit(field: &'static str, limit: Option<f64>) -> Result<(), MessageError> {
    match limit {
        Some(found) if !(found.is_finite() && found > 0.0) => Err(MessageError::TimeLimit { field, found }),
        _ => Ok(()),
    }
}

fn unsendable(top: &str, error: Unsendable) -> MessageError {
    match error {
        Unsendable::Marked { path } => MessageError::Marked {
            path: format!("{top}{path}"),
        },
        Unsendable::TooDeep { path } => MessageError::TooDeep {
            path: format!("{top}{path}"),
        },
    }
}

/// Whole seconds as an integer, as Python writes them.
fn seconds(limit: Option<f64>) -> Value {
    match limit {
        Some(limit) if limit.fract() == 0.0 && limit < 1e15 => (limit as u64).into(),
        other => other.into(),
    }
}
