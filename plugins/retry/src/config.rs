//! The keys of `retry_config`, their defaults and their schema.

use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Deserializer};

/// A task's `retry_config`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Attempts after the first one.
    #[serde(deserialize_with = "null_is_default")]
    pub max_retries: u32,
    #[serde(deserialize_with = "null_is_default")]
    pub retry_delay_seconds: Delays,
    /// The delay grows by a random part of up to this factor: `delay × (1 + U × factor)`.
    pub retry_jitter_factor: Option<f64>,
    pub backoff: Option<Backoff>,
    /// The base of the exponential growth; 2 by default.
    pub backoff_factor: Option<f64>,
    /// No delay is longer, except one that the failure itself asks for. `None`: a delay grows
    /// up to an hour, a fixed one is as long as it says.
    pub max_delay_seconds: Option<f64>,
    /// Error classes, codes or exception types; `None`: the classes that may pass.
    pub retry_on: Option<Vec<String>>,
    /// Wins over `retry_on`.
    pub never_retry_on: Option<Vec<String>>,
    /// From the start of the first attempt: no retry begins later.
    pub max_total_seconds: Option<f64>,
}

/// Rows of a database say null for what they leave open.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(reader: D) -> Result<T, D::Error> {
    Option::deserialize(reader).map(Option::unwrap_or_default)
}

/// Seconds before each retry; the last of a list repeats.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a number of seconds or a list of them")]
pub enum Delays {
    One(f64),
    List(Vec<f64>),
}

impl Default for Delays {
    fn default() -> Self {
        Self::One(0.0)
    }
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

/// Longest delay and longest budget: ten years.
const MOST_SECONDS: f64 = 315_576_000.0;
/// Delays of a list.
const DELAYS_MAX: usize = 1000;
/// Names of a list.
const NAMES_MAX: usize = 256;

impl Config {
    /// What the types cannot say: `Err` names the key and what it takes.
    pub(crate) fn check(&self) -> Result<(), String> {
        let delays = match &self.retry_delay_seconds {
            Delays::One(seconds) => std::slice::from_ref(seconds),
            Delays::List(list) => list.as_slice(),
        };
        if delays.len() > DELAYS_MAX {
            return Err(format!(
                "retry_delay_seconds has {} delays, the limit is {DELAYS_MAX}",
                delays.len()
            ));
        }
        for seconds in delays {
            range("retry_delay_seconds", Some(*seconds), 0.0, MOST_SECONDS)?;
        }
        range("max_delay_seconds", self.max_delay_seconds, 0.0, MOST_SECONDS)?;
        range("max_total_seconds", self.max_total_seconds, 0.0, MOST_SECONDS)?;
        range("retry_jitter_factor", self.retry_jitter_factor, 0.0, 1000.0)?;
        range("backoff_factor", self.backoff_factor, 1.0, 1000.0)?;
        for (key, names) in [("retry_on", &self.retry_on), ("never_retry_on", &self.never_retry_on)] {
            let names = names.as_deref().unwrap_or_default();
            if names.len() > NAMES_MAX {
                return Err(format!("{key} has {} names, the limit is {NAMES_MAX}", names.len()));
            }
            if names.iter().any(|name| name.trim().is_empty()) {
                return Err(format!("{key} holds an empty name"));
            }
        }
        Ok(())
    }
}

fn range(key: &str, value: Option<f64>, least: f64, most: f64) -> Result<(), String> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(format!("{key} is {value}; it must be between {least} and {most}"))
        }
        _ => Ok(()),
    }
}

pub(crate) fn schema() -> Value {
    let seconds = json!({ "type": "number", "minimum": 0, "maximum": MOST_SECONDS });
    let or_null = |mut schema: Value, description: &str| {
        schema["type"] = json!([schema["type"], "null"]);
        schema["description"] = json!(description);
        schema
    };
    let names = |description: &str| {
        json!({
            "type": ["array", "null"], "maxItems": NAMES_MAX, "items": { "type": "string", "pattern": "\\S" },
            "description": description,
        })
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "max_retries": {
                "type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX, "default": 0,
                "description": "Attempts after the first one",
            },
            "retry_delay_seconds": {
                "anyOf": [seconds, { "type": "array", "maxItems": DELAYS_MAX, "items": seconds }, { "type": "null" }],
                "default": 0,
                "description": "Before each retry; the last of a list repeats",
            },
            "retry_jitter_factor": {
                "type": ["number", "null"], "minimum": 0, "maximum": 1000,
                "description": "Lengthens the delay by a random part of up to this factor",
            },
            "backoff": { "enum": ["fixed", "exponential", "full_jitter", null], "default": "fixed" },
            "backoff_factor": { "type": ["number", "null"], "minimum": 1, "maximum": 1000, "default": 2 },
            "max_delay_seconds": or_null(
                seconds.clone(),
                "No delay is longer, except one that the failure asks for; by default growth stops at 3600",
            ),
            "max_total_seconds": or_null(seconds, "From the start of the first attempt; no retry begins later"),
            "retry_on": names("Error classes, codes or exception types; by default retryable, rate-limited, timed-out"),
            "never_retry_on": names("The same kinds of names; wins over retry_on"),
        },
    })
}
