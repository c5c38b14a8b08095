//! Reshapes the inputs of a task with a jq program. `.` is the keyword arguments, `$args` the
//! positional ones, `$now` the time of the call in seconds since 1970.
//!
//! The same input gives the same output, also when the call is repeated: there is no clock, no
//! environment and no local time zone inside a program. Time and memory of a program, and the
//! size of its output, are limited by the host.

mod program;

use grepx_plugin_sdk::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use program::Program;

#[derive(Debug)]
pub struct Transform;

/// Not `TaskInput`: the arguments stay text, jq reads them itself and keeps its numbers exact.
#[derive(Debug, Deserialize)]
pub struct Input {
    args: Option<Box<RawValue>>,
    kwargs: Option<Box<RawValue>>,
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    program: String,
    /// Collects any number of outputs in a list.
    #[serde(default)]
    many: bool,
}

/// Characters of a program.
const MOST_CHARS: usize = 65_536;

impl Activity for Transform {
    const KIND: &'static str = "transform";
    const SUMMARY: &'static str = "Runs a jq program over the inputs";
    type Input = Input;
    type Output = Box<RawValue>;

    fn input_schema() -> Value {
        let config = json!({
            "program": {
                "type": "string", "minLength": 1, "maxLength": MOST_CHARS, "description": "A jq program",
            },
            "many": {
                "type": "boolean", "default": false,
                "description": "Collect any number of outputs in a list, instead of exactly one",
            },
        });
        schema::task_with_config(config, &["program"])
    }

    fn run(ctx: &Ctx, input: Input) -> Result<Box<RawValue>, Error> {
        let text = |part: &Option<Box<RawValue>>, empty: &str| {
            part.as_ref().map_or(empty.to_owned(), |raw| raw.get().to_owned())
        };
        if input.config.program.chars().nth(MOST_CHARS).is_some() {
            return Err(Error::invalid_input(format!(
                "config.program has more than {MOST_CHARS} characters"
            )));
        }
        let program = Program::compile(&input.config.program)?;
        let mut outputs = program.run(&text(&input.kwargs, "{}"), &text(&input.args, "[]"), ctx.now_ms)?;
        if input.config.many {
            return serde_json::value::to_raw_value(&outputs).or_permanent("transform-output");
        }
        match (outputs.pop(), outputs.len()) {
            (Some(only), 0) => Ok(only),
            (last, before) => Err(Error::permanent(
                "transform-outputs",
                format!(
                    "the jq program gave {} outputs instead of one; set config.many to collect them in a list",
                    before + usize::from(last.is_some())
                ),
            )),
        }
    }
}

grepx_plugin_sdk::export_activity!(Transform);

#[cfg(test)]
mod tests;
