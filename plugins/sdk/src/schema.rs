//! JSON Schemas: derived from types, or written by hand without the frame of the input document.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// What documents have to look like that are read as `T`.
pub fn input_of<T: JsonSchema>() -> Value {
    generate::<T>(SchemaSettings::draft2020_12())
}

/// What documents look like that are written from `T`.
pub fn output_of<T: JsonSchema>() -> Value {
    generate::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn generate<T: JsonSchema>(settings: SchemaSettings) -> Value {
    // Without references, except where a type holds itself: people read schemas.
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

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

#[cfg(test)]
mod tests;
