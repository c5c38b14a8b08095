//! Judges what was filled in by a JSON Schema (draft 2020-12, the assertions that describe
//! a form). Small on purpose: a general validator would be nine tenths of this component.
//!
//! A schema is looked through once, when the question is asked: what could not be enforced here is
//! refused then, so nothing in a form is silently not checked. Deliberately absent: references to
//! other documents, `format` (an annotation by default), `unevaluated…`.

mod judge;
mod schema;

use grepx_plugin_sdk::prelude::*;

/// Schemas within schemas, and references that follow each other.
const DEPTH_MAX: u32 = 64;

pub(crate) use judge::problems;
pub(crate) use schema::check;

/// A part of the same document: `#`, `#/$defs/price`.
fn referred<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.is_empty() {
        return Some(root);
    }
    root.pointer(pointer)
}

/// Equal as JSON Schema has it: 1 is 1.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64() && !both_whole(one, other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|found| same(value, found)))
        }
        _ => one == other,
    }
}

/// Whole numbers are compared as such: as fractions large ones would fall together.
fn both_whole(one: &serde_json::Number, other: &serde_json::Number) -> bool {
    !one.is_f64() && !other.is_f64()
}

#[cfg(test)]
mod tests;
