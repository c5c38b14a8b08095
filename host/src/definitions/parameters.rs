//! Parameters of a flow run against the flow's `parameters_schema`, refused in Prefect's words,
//! which its CLI prints.
//!
//! Absent on purpose: coercion. Prefect's schema check has none either.

use std::borrow::Cow;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError};
use serde_json::{Map, Value, json};

use super::Deployment;

/// Bytes of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Deployment {
    /// Judges `parameters`, already merged; nothing to judge when the flow has no schema.
    ///
    /// # Errors
    /// The first thing that is wrong, in a sentence.
    pub fn check_parameters(&self, parameters: &Map<String, Value>) -> Result<(), String> {
        check(self, parameters)
    }
}

fn check(deployment: &Deployment, parameters: &Map<String, Value>) -> Result<(), String> {
    let Some(schema) = schema(deployment) else {
        return Ok(());
    };
    // Linear-time patterns: a backtracking one could hold the server for hours.
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX);
    let validator = jsonschema::options()
        .with_pattern_options(patterns)
        .build(&schema)
        .map_err(|error| {
            format!(
                "the parameters_schema of flow {:?} is no JSON Schema: {error}",
                deployment.flow.name
            )
        })?;
    let parameters = Value::Object(parameters.clone());
    validator.validate(&parameters).map_err(|error| sentence(&error))
}

/// The row's own schema, with what every run has allowed in it.
fn schema(deployment: &Deployment) -> Option<Value> {
    let mut schema = deployment.flow.parameters_schema.as_ref()?.as_object()?.clone();
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Value::Object(properties) = properties {
        for name in deployment.flow.parameters.keys() {
            properties.entry(name.clone()).or_insert_with(|| json!({}));
        }
    }
    Some(Value::Object(schema))
}

fn sentence(error: &ValidationError<'_>) -> String {
    let pointer = error.instance_path().to_string();
    let field = pointer.trim_start_matches('/').replace('/', ".");
    let place = if field.is_empty() {
        "Validation failed.".to_owned()
    } else {
        format!("Validation failed for field '{field}'.")
    };
    format!("{place} Failure reason: {}", reason(error))
}

/// As Python would write it, where the schema's words are known.
fn reason(error: &ValidationError<'_>) -> String {
    let value = || python(error.instance());
    match error.kind() {
        ValidationErrorKind::Required { property } => format!("{} is a required property", python(property)),
        ValidationErrorKind::Enum { options } => format!("{} is not one of {}", value(), python(options)),
        ValidationErrorKind::Maximum { limit } => {
            format!("{} is greater than the maximum of {limit}", value())
        }
        ValidationErrorKind::Minimum { limit } => format!("{} is less than the minimum of {limit}", value()),
        ValidationErrorKind::MaxLength { .. } => format!("{} is too long", value()),
        ValidationErrorKind::MinLength { .. } => format!("{} is too short", value()),
        ValidationErrorKind::Pattern { pattern } => {
            format!("{} does not match '{pattern}'", value())
        }
        ValidationErrorKind::Type { .. } => {
            let words = error.to_string();
            match words.rsplit_once(" is not of type") {
                Some((_, types)) => format!("{} is not of type{}", value(), types.replace('"', "'")),
                None => words,
            }
        }
        _ => error.to_string(),
    }
}

fn python(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(text) => format!("'{text}'").into(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(python).collect();
            format!("[{}]", items.join(", ")).into()
        }
        Value::Number(_) | Value::Object(_) => value.to_string().into(),
    }
}
