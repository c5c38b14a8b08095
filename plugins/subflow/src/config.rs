//! What a task can say about the run that it starts.

use grepx_plugin_sdk::prelude::*;
use serde::Deserialize;
use serde_json::Map;

const MOST_CHARS: usize = 512;

/// What an expression can work out; `deployment` and `wait` of `task_config` win, and so does each
/// of its parameters. Further keyword arguments are left alone.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Kwargs {
    pub deployment: Option<String>,
    pub parameters: Option<Map<String, Value>>,
}

/// A task's `task_config`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `flow/deployment`, or the deployment's name alone.
    pub deployment: Option<String>,
    pub parameters: Option<Map<String, Value>>,
    /// Whether the task lasts until the run has ended.
    pub wait: Option<bool>,
}

/// The deployment, its parameters, and whether to wait.
pub(crate) fn wanted(input: TaskInput<Kwargs, Config>) -> Result<(String, Value, bool), Error> {
    let TaskInput { kwargs, config, .. } = input;
    let deployment = config.deployment.or(kwargs.deployment).unwrap_or_default();
    let deployment = deployment.trim();
    if deployment.is_empty() {
        return Err(Error::invalid_input(
            "which flow to run is not said: set config.deployment or kwargs.deployment to \"flow/deployment\"",
        ));
    }
    let mut parameters = kwargs.parameters.unwrap_or_default();
    parameters.extend(config.parameters.unwrap_or_default());
    Ok((
        deployment.to_owned(),
        Value::Object(parameters),
        config.wait.unwrap_or(true),
    ))
}

pub(crate) fn input_schema() -> Value {
    let parts = json!({
        "deployment": {
            "type": ["string", "null"], "minLength": 1, "maxLength": MOST_CHARS,
            "description": "flow/deployment, or the deployment's name alone",
        },
        "parameters": {
            "type": ["object", "null"],
            "description": "Over the deployment's own parameters",
        },
    });
    let mut config = parts.clone();
    config["wait"] = json!({
        "type": ["boolean", "null"], "default": true,
        "description": "Last until the run has ended; else only until it exists",
    });
    schema::task(parts, &[], config)
}
