//! YAML as a tree in which every value and key knows its line and column, so that all mistakes of
//! a file can be named at once and at their place. Shared by the configuration and the definition
//! files.
//!
//! Scalars keep the text that was written: whether `010`, `no` or `1.0` is a number, a flag or a
//! text is decided by the key that it stands under, so nothing is lost on the way.
//!
//! Absent on purpose: tags other than `!!str`, several documents in a file, keys that are no
//! scalars, and the flags and numbers of YAML 1.1 (`yes`, `on`, `0700`, `1_000`, `12:30` stay text).

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value};

mod compose;

pub(crate) use compose::parse;

/// A place in a file, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub line: u32,
    pub column: u32,
}

/// Something that a person has to correct in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    pub file: PathBuf,
    pub spot: Option<Spot>,
    pub message: String,
}

impl Mistake {
    pub(crate) fn new(file: &Path, spot: impl Into<Option<Spot>>, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            spot: spot.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(spot) = self.spot {
            write!(f, ":{}:{}", spot.line, spot.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Mistakes in the order of their places, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, mistake) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) spot: Spot,
    pub(crate) yaml: Yaml,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Yaml {
    /// `plain` without quotes, so that it may mean a number, a flag or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) spot: Spot,
    pub(crate) text: String,
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.yaml, Yaml::Scalar { text, plain: true } if is_null(text))
    }

    /// What stands here, in the words of a message.
    pub(crate) fn describe(&self) -> String {
        match &self.yaml {
            Yaml::List(_) => "a list".to_owned(),
            Yaml::Map(_) => "a mapping".to_owned(),
            Yaml::Scalar { text, plain: true } => match plain_value(text) {
                Value::Null => "nothing".to_owned(),
                Value::Bool(_) => format!("the flag {text}"),
                Value::Number(_) => format!("the number {text}"),
                _ => format!("the text {:?}", excerpt(text)),
            },
            Yaml::Scalar { text, .. } => format!("the text {:?}", excerpt(text)),
        }
    }

    /// The value as JSON, by the core schema without what is listed as absent above. `text` maps
    /// every text that is no key; what it changed stays a text.
    pub(crate) fn to_json<E>(&self, text: &mut impl FnMut(Spot, &str) -> Result<String, E>) -> Result<Value, E> {
        Ok(match &self.yaml {
            Yaml::Scalar { text: raw, plain } => match plain_value(raw) {
                found if *plain && !found.is_string() => found,
                _ => Value::String(text(self.spot, raw)?),
            },
            Yaml::List(items) => Value::Array(items.iter().map(|item| item.to_json(text)).collect::<Result<_, _>>()?),
            Yaml::Map(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, value) in entries {
                    map.insert(key.text.clone(), value.to_json(text)?);
                }
                Value::Object(map)
            }
        })
    }

    pub(crate) fn json(&self) -> Value {
        let mut same = |_: Spot, text: &str| Ok::<_, std::convert::Infallible>(text.to_owned());
        match self.to_json(&mut same) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }
}

/// At most 80 characters of `text`, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// `; did you mean …?` when one of `known` is near to `word`.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

/// What to write instead of `word`, as the end of a message: the nearest of `known`, and all of them.
pub(crate) fn known_are<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let all = known.join(", ");
    match nearest(word, known) {
        Some(near) => format!("; did you mean {near:?}? Known are {all}"),
        None => format!("; known are {all}"),
    }
}

/// The known word that `word` most likely stands for.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.82)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// What a scalar without quotes means.
pub(crate) fn plain_value(text: &str) -> Value {
    match text {
        _ if is_null(text) => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

/// Decimal numbers without leading zeros, as in JSON, with `+`, `.5` and `5.` besides.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
    let shaped = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && digits.bytes().any(|b| b.is_ascii_digit())
        && (digits.starts_with('.') || digits.starts_with(|c: char| c.is_ascii_digit()))
        && !(whole.len() > 1 && whole.starts_with('0'));
    if !shaped {
        return None;
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Ok(integer) = unsigned.parse::<i64>() {
        return Some(integer.into());
    }
    if let Ok(integer) = unsigned.parse::<u64>() {
        return Some(integer.into());
    }
    unsigned.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests;
