//! Gives the keyword arguments back as they came: the cheapest task there is, to measure the
//! host with and to join branches of a flow. Their text is not parsed further than its ends.

use grepx_plugin_sdk::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Debug)]
pub struct Noop;

/// Not `TaskInput`: the arguments stay text.
#[derive(Debug, Deserialize)]
pub struct Input {
    kwargs: Option<Box<RawValue>>,
}

impl Activity for Noop {
    const KIND: &'static str = "noop";
    const SUMMARY: &'static str = "Gives its keyword arguments back";
    type Input = Input;
    type Output = Box<RawValue>;

    fn input_schema() -> Value {
        schema::task(json!({}), &[], json!({}))
    }

    fn output_schema() -> Value {
        json!({ "type": "object" })
    }

    fn run(_ctx: &Ctx, input: Input) -> Result<Box<RawValue>, Error> {
        input
            .kwargs
            .map_or_else(|| RawValue::from_string("{}".into()).or_permanent("noop"), Ok)
    }
}

grepx_plugin_sdk::export_activity!(Noop);

#[cfg(test)]
mod tests;
