//! What a task can say about its request, as configuration and as keyword arguments.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use grepx_plugin_sdk::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Limits;

const DEFAULT_SECONDS: f64 = 30.0;
const MOST_SECONDS: f64 = 3600.0;
const DEFAULT_BYTES: usize = 1024 * 1024;
/// The largest result that a host keeps by default.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// What an expression can work out: the keyword arguments, and the same keys of `task_config`,
/// which win. Further keyword arguments are left alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Parts {
    pub method: Option<String>,
    pub url: Option<String>,
    /// Scalars, or lists of them, which repeat the name; null leaves a name out.
    pub query: Option<BTreeMap<String, Value>>,
    /// Scalars; null leaves a header out.
    pub headers: Option<BTreeMap<String, Value>>,
    /// As text, so that no number loses a digit.
    pub json: Option<Box<RawValue>>,
    pub text: Option<String>,
    pub form: Option<BTreeMap<String, Value>>,
}

/// A task's `task_config`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub method: Option<String>,
    pub url: Option<String>,
    pub query: Option<BTreeMap<String, Value>>,
    pub headers: Option<BTreeMap<String, Value>>,
    pub json: Option<Box<RawValue>>,
    pub text: Option<String>,
    pub form: Option<BTreeMap<String, Value>>,
    pub timeout_seconds: Option<f64>,
    pub max_response_bytes: Option<usize>,
    pub expect: Option<Vec<Expected>>,
    pub parse: Option<Parse>,
    /// Whether `Idempotency-Key` is sent.
    pub idempotency_key: Option<bool>,
}

/// A status, or a class of them as `2xx`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a status such as 404, or a class of them such as \"2xx\"")]
pub enum Expected {
    Status(u16),
    Class(String),
}

/// How the body of the answer is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parse {
    /// As its content type says.
    #[default]
    Auto,
    Json,
    Text,
    Base64,
}

impl Config {
    /// The statuses that are a success.
    pub(crate) fn expected(&self) -> Result<Vec<RangeInclusive<u16>>, Error> {
        let Some(list) = self.expect.as_ref().filter(|list| !list.is_empty()) else {
            return Ok(vec![200..=299]);
        };
        list.iter().map(Expected::range).collect()
    }

    /// Within what the attempt has left.
    pub(crate) fn limits(&self, ctx: &Ctx) -> Result<Limits, Error> {
        let seconds = self.timeout_seconds.unwrap_or(DEFAULT_SECONDS);
        if !(0.001..=MOST_SECONDS).contains(&seconds) {
            return Err(Error::invalid_input(format!(
                "config.timeout_seconds is {seconds}; it must be between 0.001 and {MOST_SECONDS}"
            )));
        }
        let bytes = self.max_response_bytes.unwrap_or(DEFAULT_BYTES);
        if bytes > MOST_BYTES {
            return Err(Error::invalid_input(format!(
                "config.max_response_bytes is {bytes}; it must not be above {MOST_BYTES}"
            )));
        }
        let own = Duration::from_secs_f64(seconds);
        let time = ctx.remaining().map_or(own, |left| left.min(own));
        Ok(Limits { time, bytes })
    }
}

impl Expected {
    fn range(&self) -> Result<RangeInclusive<u16>, Error> {
        let wrong = |written: &dyn std::fmt::Display| {
            Error::invalid_input(format!(
                "config.expect holds {written}; write statuses from 100 to 599, or classes from 1xx to 5xx"
            ))
        };
        match self {
            Self::Status(status @ 100..=599) => Ok(*status..=*status),
            Self::Status(other) => Err(wrong(other)),
            Self::Class(class) => match class.as_bytes() {
                [digit @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => {
                    let first = u16::from(digit - b'0') * 100;
                    Ok(first..=first + 99)
                }
                _ => Err(wrong(class)),
            },
        }
    }
}

pub(crate) fn input_schema() -> Value {
    let scalar = json!(["string", "number", "boolean", "null"]);
    let names = |description: &str, repeat: bool| {
        let mut value = json!({ "type": scalar });
        if repeat {
            value = json!({ "anyOf": [value, { "type": "array", "items": { "type": scalar } }] });
        }
        json!({
            "type": ["object", "null"], "maxProperties": 256, "additionalProperties": value,
            "description": description,
        })
    };
    let parts = json!({
        "method": {
            "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", null],
            "description": "By default GET, or POST with a body",
        },
        "url": {
            "type": ["string", "null"], "pattern": "^https?://[^/?#]", "maxLength": 8192,
            "description": "http:// or https://, with a path and a query as they are sent",
        },
        "query": names("Added to the URL's query; a list repeats its name", true),
        "headers": names("Request headers", false),
        "json": { "description": "Body, sent as application/json" },
        "text": { "type": ["string", "null"], "description": "Body, sent as text/plain" },
        "form": names("Body, sent as application/x-www-form-urlencoded", true),
    });
    let mut config = parts.clone();
    let own = json!({
        "timeout_seconds": {
            "type": ["number", "null"], "minimum": 0.001, "maximum": MOST_SECONDS, "default": DEFAULT_SECONDS,
            "description": "For the whole request, to the last byte of the answer",
        },
        "max_response_bytes": {
            "type": ["integer", "null"], "minimum": 0, "maximum": MOST_BYTES, "default": DEFAULT_BYTES,
            "description": "A longer body fails the task",
        },
        "expect": {
            "type": ["array", "null"], "maxItems": 32, "default": ["2xx"],
            "items": { "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "pattern": "^[1-5][xX][xX]$" },
            ] },
            "description": "Statuses that are a success",
        },
        "parse": {
            "enum": ["auto", "json", "text", "base64", null], "default": "auto",
            "description": "How the body is read; auto goes by its content type",
        },
        "idempotency_key": {
            "type": ["boolean", "null"], "default": true,
            "description": "Send Idempotency-Key, the same whenever this attempt is repeated",
        },
    });
    if let (Some(config), Value::Object(own)) = (config.as_object_mut(), own) {
        config.extend(own);
    }
    schema::task(parts, &[], config)
}
