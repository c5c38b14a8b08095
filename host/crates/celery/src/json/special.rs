//! Python values that kombu wraps because JSON has no form for them:
//! `{"__type__": "decimal", "__value__": "1.10"}`.
//!
//! Read: `datetime`, `date`, `time`, `decimal` and `bytes` (which is text) become their string,
//! `base64` its base64 text, `uuid` the hyphenated form. A type that an application registered
//! itself stays as it is.
//!
//! Written: never. In an argument a worker would turn such an object into another type, or throw
//! the whole message away when it does not know the type, so [`refuse`] finds them first.

use serde_json::{Map, Value};

use super::MAX_DEPTH;

/// Levels of a value that is sent: two less than what is read, for the frame around it.
pub const MAX_SENT_DEPTH: usize = MAX_DEPTH - 2;
const TYPE: &str = "__type__";
const VALUE: &str = "__value__";

/// Why a value cannot be sent. `path` is a JSON pointer below the value checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsendable {
    Marked { path: String },
    TooDeep { path: String },
}

/// Replaces every wrapped value; calls `unknown` with the names of types that it does not know.
/// The value must be within [`MAX_DEPTH`].
pub fn unwrap(value: &mut Value, unknown: &mut dyn FnMut(&str)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| unwrap(item, unknown)),
        Value::Object(map) => {
            map.values_mut().for_each(|item| unwrap(item, unknown));
            if let Some(plain) = plain(map, unknown) {
                *value = plain;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn plain(map: &Map<String, Value>, unknown: &mut dyn FnMut(&str)) -> Option<Value> {
    if map.len() != 2 {
        return None;
    }
    let value = map.get(VALUE)?;
    let name = map.get(TYPE)?.as_str().unwrap_or("(not a string)");
    let text = match name {
        "datetime" | "date" | "time" | "decimal" | "bytes" | "base64" => value.as_str(),
        "uuid" => value.get("hex").and_then(Value::as_str),
        _ => None,
    };
    let Some(text) = text else {
        unknown(name);
        return None;
    };
    Some(Value::String(if name == "uuid" {
        hyphenated(text)
    } else {
        text.to_owned()
    }))
}

fn hyphenated(hex: &str) -> String {
    match hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"),
        false => hex.to_owned(),
    }
}

/// Checks a value that goes into a message.
pub fn refuse(value: &Value) -> Result<(), Unsendable> {
    check(value, &mut Vec::new())
}

fn check(value: &Value, path: &mut Vec<String>) -> Result<(), Unsendable> {
    let pointer = |path: &[String]| path.iter().map(|segment| format!("/{segment}")).collect();
    if nested(value) && path.len() >= MAX_SENT_DEPTH {
        return Err(Unsendable::TooDeep {
            path: pointer(&path[..8]),
        });
    }
    match value {
        Value::Array(items) => {
            // Scalars need no path; large lists of them are common.
            for (index, item) in items.iter().enumerate().filter(|(_, v)| nested(v)) {
                path.push(index.to_string());
                check(item, path)?;
                path.pop();
            }
        }
        Value::Object(map) => {
            if map.contains_key(TYPE) && map.contains_key(VALUE) {
                return Err(Unsendable::Marked { path: pointer(path) });
            }
            for (key, item) in map.iter().filter(|(_, v)| nested(v)) {
                path.push(key.replace('~', "~0").replace('/', "~1"));
                check(item, path)?;
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

fn nested(value: &Value) -> bool {
    value.is_array() || value.is_object()
}
