//! The keys of `retry_config`, their defaults and their schema.

use grepx_plugin_sdk::prelude::*;
use serde::Deserialize;

/// A task's `retry_config`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Attempts after the first one.
    pub max_retries: u32,
    pub retry_delay_seconds: Delays,
    /// The delay grows by a random part of up to this factor: `delay × (1 + U × factor)`.
    pub retry_jitter_factor: Option<f64>,
    pub backoff: Option<Backoff>,
    /// The base of the exponential growth.
    pub backoff_factor: f64,
    /// No delay is longer, except one that the failure itself asks for. `None`: a delay grows
    /// up to an hour, a fixed one is as long as it says.
    pub max_delay_seconds: Option<f64>,
    /// Error classes, codes or exception types; `None`: the classes that may pass.
    pub retry_on: Option<Vec<String>>,
    /// Wins over `retry_on`.
    pub never_retry_on: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_retries: 0,
            retry_delay_seconds: Delays::One(0.0),
            retry_jitter_factor: None,
            backoff: None,
            backoff_factor: 2.0,
            max_delay_seconds: None,
            retry_on: None,
            never_retry_on: Vec::new(),
        }
    }
}

/// Seconds before each retry; the last of a list repeats.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a number of seconds or a list of them")]
pub enum Delays {
    One(f64),
    List(Vec<f64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// The delay as it is configured.
    Fixed,
    /// The delay times `backoff_factor` for each retry that was used.
    Exponential,
    /// Anywhere between zero and the exponential delay, so that many tasks do not come back at once.
    FullJitter,
}

pub(crate) fn schema() -> Value {
    let seconds = json!({ "type": "number", "minimum": 0 });
    let names = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "max_retries": {
                "type": "integer", "minimum": 0, "maximum": u32::MAX, "default": 0,
                "description": "Attempts after the first one",
            },
            "retry_delay_seconds": {
                "anyOf": [seconds, { "type": "array", "items": seconds }], "default": 0,
                "description": "Before each retry; the last of a list repeats",
            },
            "retry_jitter_factor": {
                "type": ["number", "null"], "minimum": 0,
                "description": "Lengthens the delay by a random part of up to this factor",
            },
            "backoff": { "enum": ["fixed", "exponential", "full_jitter", null], "default": "fixed" },
            "backoff_factor": { "type": "number", "minimum": 1, "default": 2 },
            "max_delay_seconds": {
                "type": ["number", "null"], "minimum": 0,
                "description": "No delay is longer, except one that the failure asks for; by default growth stops at 3600",
            },
            "retry_on": {
                "anyOf": [names, { "type": "null" }],
                "description": "Error classes, codes or exception types; by default retryable, rate-limited, timed-out",
            },
            "never_retry_on": names,
        },
    })
}
