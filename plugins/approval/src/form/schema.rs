//! Whether a schema is one that can be enforced here; the first thing that is wrong, with its
//! place.

use grepx_plugin_sdk::prelude::*;
use regex_lite::Regex;

use super::{DEPTH_MAX, referred};

/// Assertions that nobody here would enforce.
const UNKNOWN_HERE: [&str; 9] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$recursiveRef",
    "additionalItems",
    "dependencies",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$vocabulary",
];
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];

pub(crate) fn check(schema: &Value) -> Result<(), String> {
    walk(schema, schema, "#", 0)
}

fn walk(root: &Value, schema: &Value, at: &str, depth: u32) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("{at} lies deeper than {DEPTH_MAX} schemas"));
    }
    let members = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(members) => members,
        _ => return Err(format!("{at} is neither an object nor true or false")),
    };
    for (keyword, value) in members {
        let at = format!("{at}/{keyword}");
        if UNKNOWN_HERE.contains(&keyword.as_str()) {
            return Err(format!("{at} is not known here"));
        }
        match keyword.as_str() {
            "not" | "if" | "then" | "else" | "items" | "contains" | "additionalProperties" | "propertyNames" => {
                walk(root, value, &at, depth + 1)?;
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                let list = value.as_array().filter(|list| !list.is_empty());
                let list = list.ok_or_else(|| format!("{at} has to be a list of schemas"))?;
                for (place, schema) in list.iter().enumerate() {
                    walk(root, schema, &format!("{at}/{place}"), depth + 1)?;
                }
            }
            "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => {
                let named = value
                    .as_object()
                    .ok_or_else(|| format!("{at} has to be an object of schemas"))?;
                for (name, schema) in named {
                    if keyword == "patternProperties" {
                        pattern(name).map_err(|why| format!("{at}: {why}"))?;
                    }
                    walk(root, schema, &format!("{at}/{name}"), depth + 1)?;
                }
            }
            _ => assertion(root, keyword, value).map_err(|why| format!("{at} {why}"))?,
        }
    }
    Ok(())
}

fn assertion(root: &Value, keyword: &str, value: &Value) -> Result<(), String> {
    let fits = match keyword {
        "type" => {
            let known = |one: &Value| one.as_str().is_some_and(|name| TYPES.contains(&name));
            let fits = match value {
                Value::Array(list) => !list.is_empty() && list.iter().all(known),
                one => known(one),
            };
            return fits
                .then_some(())
                .ok_or_else(|| format!("has to be one of {}, or a list of them", TYPES.join(", ")));
        }
        "$ref" => {
            let found = value.as_str().is_some_and(|it| referred(root, it).is_some());
            return found
                .then_some(())
                .ok_or_else(|| "has to lead into the same schema, as #/$defs/name does".to_owned());
        }
        "pattern" => {
            let text = value.as_str().ok_or("has to be a text")?;
            return pattern(text).map(|_| ());
        }
        "enum" => value.is_array(),
        "required" => is_list_of_texts(value),
        "dependentRequired" => value.as_object().is_some_and(|all| all.values().all(is_list_of_texts)),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
        "multipleOf" => value.as_f64().is_some_and(|number| number > 0.0),
        "uniqueItems" => value.is_boolean(),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
        | "maxContains" => value.as_u64().is_some(),
        // `const` takes anything, and the others are annotations.
        _ => true,
    };
    if fits {
        Ok(())
    } else {
        Err("has a value that the keyword does not take".to_owned())
    }
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("{text:?} is no pattern that is known here: {error}"))
}
