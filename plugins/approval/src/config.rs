//! What a task can say about the decision that it waits for.

use std::time::Duration;

use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// 10 years.
const MOST_SECONDS: f64 = 315_576_000.0;
const MOST_CHARS: usize = 4096;

/// What an expression can work out; the same keys of `task_config` win. Further keyword arguments
/// are left alone.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Kwargs {
    pub message: Option<String>,
    pub approvers: Option<String>,
    pub expires_in_seconds: Option<f64>,
}

/// A task's `task_config`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The question.
    pub message: Option<String>,
    /// Who should decide, for people.
    pub approvers: Option<String>,
    /// JSON Schema of what an approval has to come with.
    pub form: Option<Value>,
    pub expires_in_seconds: Option<f64>,
    pub on_expiry: Option<OnExpiry>,
}

/// What follows when nobody has decided in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    #[default]
    Fail,
    Approve,
    Reject,
}

pub(crate) fn expiry(seconds: Option<f64>) -> Result<Option<Duration>, Error> {
    let Some(seconds) = seconds else { return Ok(None) };
    if !(0.0..=MOST_SECONDS).contains(&seconds) {
        return Err(Error::invalid_input(format!(
            "expires_in_seconds is {seconds}; it must be between 0 and {MOST_SECONDS} (10 years)"
        )));
    }
    Ok(Some(Duration::from_millis((seconds * 1000.0).ceil() as u64)))
}

pub(crate) fn input_schema() -> Value {
    let text =
        |description: &str| json!({ "type": ["string", "null"], "maxLength": MOST_CHARS, "description": description });
    let expires = json!({
        "type": ["number", "null"], "minimum": 0, "maximum": MOST_SECONDS,
        "description": "From the start of the attempt; without it the wait has no end of its own",
    });
    let kwargs = json!({
        "message": text("The question"),
        "approvers": text("Who should decide, for people"),
        "expires_in_seconds": expires,
    });
    let mut config = kwargs.clone();
    config["form"] = json!({
        "type": ["object", "boolean", "null"],
        "description": "JSON Schema of what an approval has to come with",
    });
    config["on_expiry"] = json!({ "enum": ["fail", "approve", "reject", null], "default": "fail" });
    schema::task(kwargs, &[], config)
}
