//! JSON Schemas of the input document, without writing its frame again for every kind.

use serde_json::{Value, json};

/// The document of a task whose kind reads these keyword arguments and configuration keys.
/// Further keyword arguments are allowed, further configuration keys are not.
pub fn task(kwargs: Value, required: &[&str], config: Value) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": if required.is_empty() { json!([]) } else { json!(["kwargs"]) },
        "properties": {
            "name": { "type": ["string", "null"], "description": "The Celery task's name" },
            "args": { "type": "array" },
            "kwargs": { "type": "object", "properties": kwargs, "required": required },
            "config": config_object(config, &[]),
        },
    })
}

/// As [`task`], for a kind that reads only its configuration and cannot do without some keys.
pub fn task_with_config(config: Value, required: &[&str]) -> Value {
    let mut schema = task(json!({}), &[], json!({}));
    schema["properties"]["config"] = config_object(config, required);
    if !required.is_empty() {
        schema["required"] = json!(["config"]);
    }
    schema
}

fn config_object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
