//! Arguments by position or by name become one document, as Python binds them.

use grepx_plugin_sdk::prelude::*;
use serde::de::DeserializeOwned;

/// Reads the arguments of a task whose parameters have these names, in this order.
pub(crate) fn bind<T: DeserializeOwned>(input: TaskInput, parameters: &[&str]) -> Result<T, Error> {
    let given = input.args.len();
    if given > parameters.len() {
        return Err(type_error(format!(
            "{given} positional arguments are given, but there are only {}: {}",
            parameters.len(),
            parameters.join(", ")
        )));
    }
    let mut named = input.kwargs;
    for (&name, value) in parameters.iter().zip(input.args) {
        if named.insert(name.to_owned(), value).is_some() {
            return Err(type_error(format!(
                "the argument {name} is given by position and by name"
            )));
        }
    }
    if let Some(unknown) = named.keys().find(|name| !parameters.contains(&name.as_str())) {
        return Err(type_error(format!(
            "there is no argument {unknown}; there are {}",
            parameters.join(", ")
        )));
    }
    serde_json::from_value(Value::Object(named)).map_err(|error| type_error(error.to_string()))
}

/// A failure in the words of a Python worker.
pub(crate) fn raised(exc_type: &str, message: &str) -> Error {
    Error::retryable("task-failed", format!("{exc_type}: {message}"))
        .details(json!({ "exc_type": exc_type, "exc_message": [message], "exc_module": "builtins" }))
}

pub(crate) fn value_error(message: impl AsRef<str>) -> Error {
    let raised = raised("ValueError", message.as_ref());
    Error {
        class: ErrorClass::InvalidInput,
        ..raised
    }
}

fn type_error(message: impl AsRef<str>) -> Error {
    let raised = raised("TypeError", message.as_ref());
    Error {
        class: ErrorClass::InvalidInput,
        ..raised
    }
}

/// The schema of an input document whose arguments may come by position, so that none of them
/// has to be among the keyword arguments.
pub(crate) fn schema(kwargs: Value, parameters: &[&str]) -> Value {
    let mut schema = schema::task(kwargs, &[], json!({}));
    schema["properties"]["args"]["maxItems"] = json!(parameters.len());
    schema
}

#[cfg(test)]
mod tests;
