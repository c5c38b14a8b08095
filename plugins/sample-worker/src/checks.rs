//! Tasks to try the way with: one that answers, one that fails, one that does nothing.

use grepx_plugin_sdk::prelude::*;
use serde::Deserialize;
use serde_json::Number;

use crate::call::{self, raised, value_error};

#[derive(Debug)]
pub struct Add;

#[derive(Debug, Deserialize)]
struct Summands {
    x: Number,
    y: Number,
}

impl Activity for Add {
    const KIND: &'static str = "tests.add";
    const SUMMARY: &'static str = "x + y";
    type Input = TaskInput;
    type Output = Number;

    fn input_schema() -> Value {
        call::schema(
            json!({ "x": { "type": "number" }, "y": { "type": "number" } }),
            &["x", "y"],
        )
    }

    fn output_schema() -> Value {
        json!({ "type": "number" })
    }

    fn run(_ctx: &Ctx, input: TaskInput) -> Result<Number, Error> {
        let Summands { x, y } = call::bind(input, &["x", "y"])?;
        let whole = x.as_i64().zip(y.as_i64()).and_then(|(x, y)| x.checked_add(y));
        if let Some(sum) = whole {
            return Ok(sum.into());
        }
        let sum = x.as_f64().zip(y.as_f64()).map(|(x, y)| x + y);
        sum.and_then(Number::from_f64)
            .ok_or_else(|| value_error(format!("{x} + {y} is too large")))
    }
}

#[derive(Debug)]
pub struct Fail;

#[derive(Debug, Deserialize)]
struct Failure {
    message: Option<String>,
    exc_type: Option<String>,
}

impl Activity for Fail {
    const KIND: &'static str = "tests.fail";
    const SUMMARY: &'static str = "Fails with a message";
    type Input = TaskInput;
    type Output = ();

    fn input_schema() -> Value {
        let text = json!({ "type": ["string", "null"] });
        call::schema(json!({ "message": text, "exc_type": text }), &["message", "exc_type"])
    }

    fn run(_ctx: &Ctx, input: TaskInput) -> Result<(), Error> {
        let Failure { message, exc_type } = call::bind(input, &["message", "exc_type"])?;
        Err(raised(
            exc_type.as_deref().unwrap_or("RuntimeError"),
            message.as_deref().unwrap_or("tests.fail was called"),
        ))
    }
}

#[derive(Debug)]
pub struct Noop;

impl Activity for Noop {
    const KIND: &'static str = "tests.noop";
    const SUMMARY: &'static str = "Does nothing with any arguments";
    type Input = TaskInput;
    type Output = ();

    fn input_schema() -> Value {
        schema::task(json!({}), &[], json!({}))
    }

    fn output_schema() -> Value {
        json!({ "type": "null" })
    }

    fn run(_ctx: &Ctx, _input: TaskInput) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
