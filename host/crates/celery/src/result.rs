//! Results as workers store them under `celery-task-meta-<id>`, read and written.
//!
//! Reading is lenient (see [`crate::json`]), because a result that cannot be read is an answer
//! that somebody waits for. What is not JSON is refused with the worker's setting that made it.
//! Absent: unpacking `result_compression`, pickle, and the results of groups and chords.

use serde::Deserialize;
use serde_json::Value;

use crate::json::{self, JsonError, Notes, special};

pub(crate) mod encode;
#[cfg(test)]
mod tests;

pub use encode::{encode_failure, encode_retry, encode_revoked, encode_started, encode_success};

/// Longest result that is read: 64 MiB. Redis cuts subscribers off above 32 MB already.
pub const MAX_BYTES: usize = 64 << 20;
const COMPRESSED: &[u8] = b"\0celery-compressed\0";

/// The state of a task. Celery lets a task store any word of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Pending,
    Received,
    Started,
    Retry,
    Success,
    Failure,
    Revoked,
    Other(String),
}

impl Status {
    /// Nothing follows, with one exception: another worker may write `REVOKED` for a task that
    /// goes on, and its `SUCCESS` comes later.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Revoked)
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "PENDING",
            Self::Received => "RECEIVED",
            Self::Started => "STARTED",
            Self::Retry => "RETRY",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Revoked => "REVOKED",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for Status {
    fn from(word: &str) -> Self {
        match word {
            "PENDING" => Self::Pending,
            "RECEIVED" => Self::Received,
            "STARTED" => Self::Started,
            "RETRY" => Self::Retry,
            "SUCCESS" => Self::Success,
            "FAILURE" => Self::Failure,
            "REVOKED" => Self::Revoked,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A Python exception as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// The class: `ValueError`.
    pub exc_type: String,
    /// The arguments that it was made with, any JSON.
    pub exc_message: Vec<Value>,
    /// `builtins`, `kombu.exceptions`; empty when not stored.
    pub exc_module: String,
}

/// One stored state of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskResult {
    pub status: Status,
    /// What the task returned, or the data of a state of its own (progress). `null` beside an
    /// exception. Special types are plain strings: see [`crate::json::special`].
    pub result: Value,
    /// Of FAILURE, RETRY and REVOKED.
    pub exception: Option<Exception>,
    pub traceback: Option<String>,
    pub task_id: Option<String>,
    /// ISO 8601 by the worker's clock; only of final states.
    pub date_done: Option<String>,
    pub parent_id: Option<String>,
    /// Of STARTED, and of every state with `result_extended`.
    pub worker: Option<String>,
    /// Only with `result_extended`.
    pub retries: Option<u64>,
    /// Tasks that this one sent. `None` when the worker did not say.
    pub children: Option<usize>,
    /// What could not be kept; paths start at the stored object (`/result/0`).
    pub unrepresentable: Notes,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    #[error("the stored result is empty")]
    Empty,
    #[error(
        "the stored result has {bytes} bytes, more than the limit of {MAX_BYTES}; return a reference (a path or a key) instead"
    )]
    TooLarge { bytes: usize },
    #[error("the worker compresses results ({method}); unset `result_compression` in the worker's settings")]
    Compressed { method: String },
    #[error("the worker stores results as {format}; set `result_serializer = \"json\"` in the worker's settings")]
    Serializer { format: &'static str },
    #[error(
        "the stored result cannot be read; set `result_serializer = \"json\"` in the worker's settings if it stores another format"
    )]
    Json(#[source] JsonError),
    #[error(
        "the stored result is no Celery result: {problem}; check that nothing else writes keys `celery-task-meta-…`"
    )]
    Shape { problem: &'static str },
}

/// The key and the channel of a task's result. `prefix` is the `global_keyprefix` of the workers'
/// `result_backend_transport_options`, which is not the broker's.
pub fn result_key(prefix: &str, id: &str) -> String {
    let joint = if prefix.is_empty() || prefix.ends_with([':', '_', '-', '.']) {
        ""
    } else {
        "_"
    };
    format!("{prefix}{joint}celery-task-meta-{id}")
}

/// Whether the value under a result key ends the wait. A value that cannot be read does: it is an
/// answer, and decoding it tells what is wrong.
pub fn ends_wait(bytes: &[u8]) -> bool {
    peek_status(bytes).map_or(true, |status| status.is_final())
}

/// The status alone, without building the result where the value is strict JSON.
pub fn peek_status(bytes: &[u8]) -> Result<Status, ResultError> {
    #[derive(Deserialize)]
    struct Peek<'a> {
        #[serde(borrow)]
        status: std::borrow::Cow<'a, str>,
    }
    recognise(bytes)?;
    match serde_json::from_slice::<Peek<'_>>(bytes) {
        Ok(peek) => Ok(Status::from(&*peek.status)),
        Err(_not_strict) => TaskResult::decode(bytes).map(|result| result.status),
    }
}

fn recognise(bytes: &[u8]) -> Result<(), ResultError> {
    if bytes.len() > MAX_BYTES {
        return Err(ResultError::TooLarge { bytes: bytes.len() });
    }
    if let Some(rest) = bytes.strip_prefix(COMPRESSED) {
        let method = rest.split(|byte| *byte == 0).next().unwrap_or_default();
        let method = String::from_utf8_lossy(&method[..method.len().min(60)]).into_owned();
        return Err(ResultError::Compressed { method });
    }
    match bytes.trim_ascii_start().first() {
        None => Err(ResultError::Empty),
        Some(b'{') => Ok(()),
        Some(0x80) => Err(ResultError::Serializer { format: "pickle" }),
        Some(0x81..=0x8f | 0xde | 0xdf) => Err(ResultError::Serializer { format: "msgpack" }),
        Some(b'a'..=b'z') if bytes.contains(&b':') => Err(ResultError::Serializer { format: "YAML" }),
        Some(_) => Err(ResultError::Serializer {
            format: "something other than JSON",
        }),
    }
}

impl TaskResult {
    pub fn decode(bytes: &[u8]) -> Result<Self, ResultError> {
        recognise(bytes)?;
        let (mut meta, notes) = json::read(bytes).map_err(ResultError::Json)?;
        special::unwrap(&mut meta, &mut |_stays_as_it_is| {});
        let Value::Object(mut meta) = meta else {
            return Err(ResultError::Shape {
                problem: "it is not an object",
            });
        };
        let Some(Value::String(word)) = meta.get("status") else {
            return Err(ResultError::Shape {
                problem: "`status` is not a string",
            });
        };
        let status = Status::from(word.as_str());
        let mut result = meta.remove("result").unwrap_or_default();
        let exception = match status {
            Status::Failure | Status::Retry | Status::Revoked => Some(Exception::from_stored(result.take())),
            _ => None,
        };
        let started_on = match status {
            Status::Started => result.get("hostname").and_then(Value::as_str).map(str::to_owned),
            _ => None,
        };
        let mut text = |name: &str| match meta.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Ok(Self {
            status,
            result,
            exception,
            traceback: text("traceback"),
            task_id: text("task_id"),
            date_done: text("date_done"),
            parent_id: text("parent_id"),
            worker: text("worker").or(started_on),
            retries: meta.get("retries").and_then(Value::as_u64),
            children: meta.get("children").and_then(Value::as_array).map(Vec::len),
            unrepresentable: notes,
        })
    }
}

impl Exception {
    /// An exception of Python's own, made with one text.
    pub fn new(exc_type: &str, exc_module: &str, message: &str) -> Self {
        Self {
            exc_type: exc_type.into(),
            exc_message: vec![message.into()],
            exc_module: exc_module.into(),
        }
    }

    /// Older workers and other languages store less than the three fields, so nothing is required.
    fn from_stored(stored: Value) -> Self {
        let mut stored = match stored {
            Value::Object(map) if map.contains_key("exc_type") => map,
            Value::Null => serde_json::Map::new(),
            other => {
                return Self {
                    exc_message: vec![other],
                    ..Self::new("Exception", "", "")
                };
            }
        };
        let mut text = |name: &str, default: &str| match stored.remove(name) {
            Some(Value::String(text)) => text,
            _ => default.to_owned(),
        };
        let (exc_type, exc_module) = (text("exc_type", "Exception"), text("exc_module", ""));
        let exc_message = match stored.remove("exc_message") {
            Some(Value::Array(arguments)) => arguments,
            None | Some(Value::Null) => Vec::new(),
            Some(single) => vec![single],
        };
        Self {
            exc_type,
            exc_message,
            exc_module,
        }
    }
}
