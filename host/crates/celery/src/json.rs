//! Reads the JSON that Python writes, which is wider than the standard: `NaN`, `Infinity`, lone
//! surrogates, integers of any length. A strict reader refuses the whole document over one of
//! them, and the waiter would never see an answer that is there.
//!
//! The strict reader is tried where it may succeed; the tolerant one reads what it refused, and
//! documents holding numbers that it may have rounded. What has no JSON form is replaced and noted:
//!
//! | read | becomes |
//! | --- | --- |
//! | `NaN`, `Infinity`, `-Infinity`, a number beyond f64 | `null` |
//! | an integer beyond 64 bits | the nearest f64 |
//! | a lone surrogate | U+FFFD |
//!
//! Absent: repair of anything that Python would refuse too (a byte order mark, trailing commas,
//! raw control characters).

use std::fmt;

use serde_json::Value;

mod reader;
pub mod special;
#[cfg(test)]
mod tests;

/// Levels of lists and objects in one document, far below what exhausts a stack.
pub const MAX_DEPTH: usize = 100;
/// Notes kept per document; the rest is only counted.
pub const MAX_NOTES: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("not JSON: expected {expected} at byte {offset}")]
    Syntax { offset: usize, expected: &'static str },
    #[error("nested deeper than {MAX_DEPTH} levels at byte {offset}")]
    TooDeep { offset: usize },
    #[error("not UTF-8 at byte {offset}")]
    Utf8 { offset: usize },
}

/// Why a value could not be kept as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    NotANumber,
    Infinite,
    IntegerRounded,
    LoneSurrogate,
}

/// One place of a document that was replaced. `path` is a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub path: String,
    pub lost: Lost,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.lost {
            Lost::NotANumber => "NaN became null",
            Lost::Infinite => "a number beyond the range of JSON became null",
            Lost::IntegerRounded => "an integer beyond 64 bits was rounded",
            Lost::LoneSurrogate => "half of a surrogate pair became U+FFFD",
        };
        write!(f, "{}: {what}", self.path)
    }
}

/// Everything that was replaced in one document, at most [`MAX_NOTES`] of it by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    pub shown: Vec<Note>,
    pub total: usize,
}

impl Notes {
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Lines for a log or an answer, ending with how many were left out.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.shown.iter().map(Note::to_string).collect();
        if self.total > self.shown.len() {
            lines.push(format!("and {} more", self.total - self.shown.len()));
        }
        lines
    }

    fn add(&mut self, lost: Lost, path: impl FnOnce() -> String) {
        self.total += 1;
        if self.shown.len() < MAX_NOTES {
            self.shown.push(Note { path: path(), lost });
        }
    }
}

/// Reads one document.
pub fn read(bytes: &[u8]) -> Result<(Value, Notes), JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::Utf8 {
        offset: error.valid_up_to(),
    })?;
    // A search is far cheaper than a strict attempt that fails at the end of a large document.
    if !text.contains("NaN")
        && !text.contains("Infinity")
        && let Ok(value) = serde_json::from_str::<Value>(text)
        && faithful(&value, 0)
    {
        return Ok((value, Notes::default()));
    }
    reader::read(text)
}

/// Whether the strict reader's value can stand: within the depth limit, and without a float that
/// may have been written as a long integer.
fn faithful(value: &Value, depth: usize) -> bool {
    const EXACT: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Array(items) => depth < MAX_DEPTH && items.iter().all(|v| faithful(v, depth + 1)),
        Value::Object(map) => depth < MAX_DEPTH && map.values().all(|v| faithful(v, depth + 1)),
        Value::Number(n) => !n.is_f64() || n.as_f64().is_some_and(|f| f.abs() < EXACT),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}
