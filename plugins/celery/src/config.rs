//! What a task and what the operator can set, and which queue comes out of it.

use std::collections::BTreeMap;

use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// A task's `task_config`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub queue: Option<String>,
    /// 0 to 9; on Redis the lower number runs first.
    pub priority: Option<u8>,
    /// A connection of the host's configuration.
    pub connection: Option<String>,
    /// Raises `SoftTimeLimitExceeded` in the task; prefork workers only.
    pub soft_time_limit_seconds: Option<f64>,
    /// Whether the worker is told to kill the task some seconds after the attempt's deadline.
    pub send_time_limit: Option<bool>,
    /// The name that the workers' logs show instead of the task's.
    pub shadow: Option<String>,
    /// Headers beside the protocol's.
    #[serde(default)]
    pub headers: BTreeMap<String, Value>,
    /// Instead of the settings'.
    pub when_lost: Option<WhenLost>,
}

/// What becomes of an attempt whose message nobody has any more. It may have run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenLost {
    /// It fails, and the retry policy may try again.
    #[default]
    Retry,
    /// It fails, and nothing is tried again.
    Fail,
    /// A person decides.
    Ask,
}

impl WhenLost {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The plugin's settings in the host's configuration: how the workers are set up.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Celery queues of work queues.
    #[serde(default)]
    pub(crate) queues: BTreeMap<String, String>,
    /// Of tasks in the work queue `default`, or in none.
    pub(crate) default_queue: Option<String>,
    /// `global_keyprefix` of the workers' `result_backend_transport_options`.
    #[serde(default)]
    pub(crate) result_key_prefix: String,
    /// For tasks that do not say it.
    pub(crate) when_lost: Option<WhenLost>,
    /// The same where the workers of another connection are set up otherwise.
    #[serde(default)]
    connections: BTreeMap<String, Settings>,
}

const DEFAULT_QUEUE: &str = "celery";
const DEFAULT_WORK_QUEUE: &str = "default";
const DEFAULT_CONNECTION: &str = "celery";

impl Settings {
    pub(crate) fn of(&self, connection: &str) -> &Self {
        self.connections.get(connection).unwrap_or(self)
    }
}

impl Config {
    pub(crate) fn connection(&self) -> &str {
        self.connection.as_deref().unwrap_or(DEFAULT_CONNECTION)
    }

    /// The task's own queue, else the one of its work queue, else the work queue's name.
    pub(crate) fn queue(&self, workers: &Settings, work_queue: Option<&str>) -> String {
        let own = self.queue.as_ref();
        let mapped = || work_queue.and_then(|name| workers.queues.get(name));
        if let Some(queue) = own.or_else(mapped) {
            return queue.clone();
        }
        match work_queue {
            None | Some(DEFAULT_WORK_QUEUE) => workers
                .default_queue
                .clone()
                .unwrap_or_else(|| DEFAULT_QUEUE.to_owned()),
            Some(name) => name.to_owned(),
        }
    }
}

pub(crate) fn input_schema() -> Value {
    let text = json!({ "type": ["string", "null"], "minLength": 1, "maxLength": 255 });
    let described = |mut schema: Value, description: &str| {
        schema["description"] = json!(description);
        schema
    };
    let config = json!({
        "queue": described(text.clone(), "Celery queue; by default the one of the work queue"),
        "priority": {
            "type": ["integer", "null"], "minimum": 0, "maximum": 9,
            "description": "On Redis the lower number runs first",
        },
        "connection": described(text.clone(), "Connection of the host's configuration; by default celery"),
        "soft_time_limit_seconds": {
            "type": ["number", "null"], "exclusiveMinimum": 0,
            "description": "Raises SoftTimeLimitExceeded in the task; prefork workers only",
        },
        "send_time_limit": {
            "type": ["boolean", "null"], "default": true,
            "description": "Tell the worker to kill the task shortly after the attempt's deadline",
        },
        "shadow": described(text.clone(), "Name in the workers' logs"),
        "headers": { "type": "object", "maxProperties": 64, "description": "Further message headers" },
        "when_lost": {
            "enum": ["retry", "fail", "ask", null],
            "description": "What becomes of the attempt when nobody has its message any more",
        },
    });
    let mut schema = schema::task(json!({}), &[], config);
    schema["properties"]["name"] = json!({
        "type": "string", "minLength": 1, "maxLength": 255,
        "description": "celery_task_name: the name under which workers register the task",
    });
    schema["required"] = json!(["name"]);
    schema
}

#[cfg(test)]
mod tests;
