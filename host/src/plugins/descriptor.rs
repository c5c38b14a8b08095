//! What a component says of itself, checked: nothing in it is taken on trust.

use std::path::Path;
use std::sync::OnceLock;

use grepx_engine::Json;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::bindings::types::Descriptor;
use super::capability::Capability;
use super::failure::Problem;
use super::settings::{KIB, MIB};
use super::types::Role;

pub(super) const KINDS_MAX: usize = 256;
const KIND_CHARS_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 4 * KIB;
const SCHEMA_BYTES_MAX: usize = MIB;
/// A pattern of a schema compiles to at most this much.
const PATTERN_BYTES_MAX: usize = MIB;
/// Problems of one input that are told; one wrong list could have millions.
const MESSAGES_MAX: usize = 20;
const MESSAGE_BYTES_MAX: usize = 500;

const TELL_AUTHOR: &str = "report it to the plugin's author";

/// A checked descriptor.
pub(super) struct Described {
    pub(super) kind: String,
    pub(super) version: String,
    pub(super) summary: String,
    pub(super) input_schema: Json,
    pub(super) output_schema: Json,
    pub(super) input: Judge,
    pub(super) capabilities: Vec<Capability>,
    pub(super) state_versions: Option<(u32, u32)>,
    pub(super) meta: grepx_engine::Meta,
}

/// Where a descriptor comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The component has just said it.
    Component,
    /// This host has kept it after it was found to be in order.
    Kept,
}

/// Judges inputs by a schema. A start makes none for what it has kept: a fifth of it went into that.
pub(super) struct Judge {
    schema: Json,
    validator: OnceLock<Result<Validator, String>>,
}

impl Judge {
    /// One line for each fault, with a JSON pointer.
    pub(super) fn judge(&self, input: &Value) -> Result<(), Vec<String>> {
        let made = self.validator.get_or_init(|| validator(&self.schema.to_value()));
        match made {
            Ok(validator) => validate(validator, input),
            Err(reason) => Err(vec![format!("the kind's input-schema {reason}")]),
        }
    }
}

pub(super) fn check_all(
    file: &Path,
    role: Role,
    found: Vec<Descriptor>,
    origin: Origin,
) -> Result<Vec<Described>, Problem> {
    let problem = |reason: String| Problem::new(file, reason, TELL_AUTHOR);
    match found.len() {
        0 => return Err(problem("describes no kind".to_owned())),
        1 => {}
        n if role == Role::Policy => {
            return Err(problem(format!(
                "is a policy and describes {n} kinds: a policy has one, because its calls name none"
            )));
        }
        n if n > KINDS_MAX => return Err(problem(format!("describes {n} kinds, the limit is {KINDS_MAX}"))),
        _ => {}
    }
    let mut checked: Vec<Described> = Vec::with_capacity(found.len());
    for descriptor in found {
        let described = check(file, role, descriptor, origin)?;
        if checked.iter().any(|other| other.kind == described.kind) {
            return Err(problem(format!("describes the kind `{}` twice", described.kind)));
        }
        checked.push(described);
    }
    Ok(checked)
}

fn check(file: &Path, role: Role, descriptor: Descriptor, origin: Origin) -> Result<Described, Problem> {
    let kind = descriptor.kind;
    let problem = |reason: String| Problem::new(file, format!("kind `{}`: {reason}", shorten(&kind)), TELL_AUTHOR);
    if !is_kind(&kind) {
        return Err(problem(format!(
            "a kind is a letter or digit followed by letters, digits and `_-.:`, up to {KIND_CHARS_MAX}"
        )));
    }
    for (name, text) in [("version", &descriptor.version), ("summary", &descriptor.summary)] {
        if text.len() > TEXT_BYTES_MAX {
            return Err(problem(format!(
                "its {name} has {} bytes, the limit is {TEXT_BYTES_MAX}",
                text.len()
            )));
        }
    }
    let input = schema(descriptor.input_schema, origin).map_err(|e| problem(format!("input-schema {e}")))?;
    let output = schema(descriptor.output_schema, origin).map_err(|e| problem(format!("output-schema {e}")))?;
    let capabilities = descriptor.capabilities.iter().map(|text| text.parse());
    let capabilities = capabilities.collect::<Result<Vec<Capability>, _>>().map_err(|e| {
        Problem::new(
            file,
            format!("kind `{kind}`: asks for {e}"),
            "install a newer host that can grant it, or an older build of the plugin",
        )
    })?;
    match (role, descriptor.state_versions) {
        (Role::Durable, None) => return Err(problem("is durable and names no state-versions".to_owned())),
        (_, Some((oldest, newest))) if oldest > newest => {
            return Err(problem(format!(
                "its state-versions end ({newest}) before they begin ({oldest})"
            )));
        }
        _ => {}
    }
    Ok(Described {
        version: descriptor.version,
        summary: descriptor.summary,
        input_schema: input.schema.clone(),
        output_schema: output.schema,
        input,
        capabilities,
        state_versions: descriptor.state_versions,
        meta: descriptor.meta.into_iter().collect(),
        kind,
    })
}

fn is_kind(text: &str) -> bool {
    text.len() <= KIND_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c))
}

fn schema(bytes: Vec<u8>, origin: Origin) -> Result<Judge, String> {
    if bytes.len() > SCHEMA_BYTES_MAX {
        return Err(format!("has {} bytes, the limit is {SCHEMA_BYTES_MAX}", bytes.len()));
    }
    let text = String::from_utf8(bytes).map_err(|e| format!("is not JSON: {e}"))?;
    let schema = Json::parse(text).map_err(|e| format!("is not JSON: {e}"))?;
    let validator = match origin {
        Origin::Component => OnceLock::from(Ok(validator(&schema.to_value())?)),
        Origin::Kept => OnceLock::new(),
    };
    Ok(Judge { schema, validator })
}

fn validator(schema: &Value) -> Result<Validator, String> {
    // Linear-time patterns: a backtracking one from a plugin could hold the host for hours.
    let options = jsonschema::options()
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(PATTERN_BYTES_MAX)
                .dfa_size_limit(PATTERN_BYTES_MAX),
        )
        .should_validate_formats(true);
    options
        .build(schema)
        .map_err(|e| format!("is not a JSON Schema: {}", shorten(&e.to_string())))
}

fn validate(validator: &Validator, input: &Value) -> Result<(), Vec<String>> {
    let mut errors = validator.iter_errors(input);
    let mut messages: Vec<String> = errors
        .by_ref()
        .take(MESSAGES_MAX)
        .map(|error| {
            let pointer = error.instance_path().to_string();
            let place = if pointer.is_empty() { "the input" } else { &pointer };
            format!("{place}: {}", shorten(&error.to_string()))
        })
        .collect();
    if messages.is_empty() {
        return Ok(());
    }
    if errors.next().is_some() {
        messages.push(format!("and more: only the first {MESSAGES_MAX} are shown"));
    }
    Err(messages)
}

fn shorten(text: &str) -> String {
    match (0..=MESSAGE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)) {
        Some(end) if text.len() > MESSAGE_BYTES_MAX => format!("{} …", &text[..end]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
