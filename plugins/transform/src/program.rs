//! The jq interpreter behind the kind: which filters a program has, and how its errors read.

use grepx_plugin_sdk::prelude::*;
use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Exn, Vars, compile};
use jaq_json::{Val, read};
use serde_json::value::RawValue;

/// Filters whose answer depends on more than the input: the clock, the environment, the time
/// zone of the machine.
const UNSTABLE: [&str; 4] = ["now", "env", "localtime", "strflocaltime"];

/// In the order in which `run` gives their values.
const VARIABLES: [&str; 2] = ["$args", "$now"];

pub(crate) struct Program {
    filter: compile::Filter<jaq_core::Native<JustLut<Val>>>,
}

impl Program {
    pub(crate) fn compile(code: &str) -> Result<Self, Error> {
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code, path: () })
            .map_err(|errors| refused(errors.iter().flat_map(|(file, error)| load_problems(file.code, error))))?;
        let filter =
            Compiler::default()
                .with_funs(functions.filter(|(name, ..)| !UNSTABLE.contains(name)))
                .with_global_vars(VARIABLES)
                .compile(modules)
                .map_err(|errors| {
                    refused(errors.iter().flat_map(|(file, undefined)| {
                        undefined.iter().map(|found| undefined_problem(file.code, found))
                    }))
                })?;
        Ok(Self { filter })
    }

    /// All outputs, each as JSON text. `kwargs` and `args` are JSON text.
    pub(crate) fn run(&self, kwargs: &str, args: &str, now_ms: u64) -> Result<Vec<Box<RawValue>>, Error> {
        let input = read_value("kwargs", kwargs)?;
        let now = Val::from(now_ms as f64 / 1000.0);
        let variables = Vars::new([read_value("args", args)?, now]);
        let ctx = jaq_core::Ctx::<JustLut<Val>>::new(&self.filter.lut, variables);
        let outputs = self.filter.id.run((ctx, input));
        outputs
            .map(|output| output.map_err(failed).and_then(|value| write_value(&value)))
            .collect()
    }
}

fn read_value(part: &str, text: &str) -> Result<Val, Error> {
    read::parse_single(text.as_bytes())
        .map_err(|error| Error::invalid_input(format!("{part} cannot be read by jq: {error}")))
}

/// jq values are more than JSON: not-a-number, bytes, keys that are no text.
fn write_value(value: &Val) -> Result<Box<RawValue>, Error> {
    RawValue::from_string(value.to_string()).map_err(|_| {
        let shown = shorten(&value.to_string());
        Error::permanent(
            "transform-output",
            format!("the jq program gave {shown}, which JSON cannot hold"),
        )
    })
}

fn failed(exception: Exn<'_, Val>) -> Error {
    match exception.get_err() {
        Ok(error) => {
            let said = match error.into_val() {
                Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
                other => other.to_string(),
            };
            Error::permanent("transform-failed", format!("the jq program failed: {}", shorten(&said)))
        }
        Err(other) => Error::permanent(
            "transform-failed",
            match other.get_halt() {
                Ok(code) => format!("the jq program stopped with halt({code}) instead of an output"),
                Err(_) => "the jq program broke out of a label that is not there".to_owned(),
            },
        ),
    }
}

/// Error messages quote data; a whole dataset helps nobody.
fn shorten(text: &str) -> String {
    const MOST_CHARS: usize = 300;
    match text.char_indices().nth(MOST_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn refused(problems: impl Iterator<Item = String>) -> Error {
    let problems: Vec<String> = problems.collect();
    Error::invalid_input(format!("config.program: {}", problems.join("; ")))
}

fn load_problems(code: &str, error: &load::Error<&str>) -> Vec<String> {
    match error {
        load::Error::Io(errors) => errors
            .iter()
            .map(|(path, why)| format!("{path} cannot be included: {why}"))
            .collect(),
        load::Error::Lex(errors) => errors
            .iter()
            .map(|(wanted, at)| expected(code, wanted.as_str(), at))
            .collect(),
        load::Error::Parse(errors) => errors
            .iter()
            .map(|(wanted, at)| expected(code, wanted.as_str(), at))
            .collect(),
    }
}

fn expected(code: &str, wanted: &str, at: &str) -> String {
    // The rest of the program begins where the problem is; its first word is enough.
    let found = match at.split_whitespace().next() {
        Some(word) => format!("`{word}`"),
        None => "the end".to_owned(),
    };
    format!("{}: expected {wanted}, found {found}", place(code, at))
}

fn undefined_problem(code: &str, (name, what): &compile::Error<&str>) -> String {
    let arity = match what {
        compile::Undefined::Filter(arity) => format!("/{arity}"),
        _ => String::new(),
    };
    let hint = if *name == "now" {
        "; use $now, which stays the same when the task is tried again"
    } else if UNSTABLE.contains(name) {
        "; it is left out because its answer depends on the machine"
    } else {
        ""
    };
    format!("{}: undefined {} {name}{arity}{hint}", place(code, name), what.as_str())
}

/// Line and column, both from 1, of a part of the code.
fn place(code: &str, part: &str) -> String {
    let before = &code[..load::span(code, part).start.min(code.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&it| it != '\n').count() + 1;
    format!("line {line}, column {column}")
}
