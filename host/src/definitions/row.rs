//! Rows as they stand in the database: nothing is interpreted before it is asked for, so a wrong
//! cell is one problem of its row and no failure of the reading.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::schema::Table;

/// Bytes of one cell that are taken: a definition goes along with each of its runs.
pub(crate) const CELL_BYTES_MAX: usize = 4 << 20;

/// The rows of the four tables.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    pub(crate) rows: BTreeMap<Table, Vec<Row>>,
    /// Columns that the database has; a table that it lacks is absent.
    pub(crate) columns: BTreeMap<Table, BTreeSet<String>>,
}

/// One row, by lower-case column name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    pub(crate) cells: BTreeMap<String, Cell>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    /// Also text that is no UTF-8.
    Blob(Vec<u8>),
    /// More than [`CELL_BYTES_MAX`]; how many.
    TooLong(usize),
}

impl Rows {
    pub(crate) fn table(&self, table: Table) -> &[Row] {
        self.rows.get(&table).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has_table(&self, table: Table) -> bool {
        self.columns.contains_key(&table)
    }

    pub(crate) fn has_column(&self, table: Table, column: &str) -> bool {
        self.columns.get(&table).is_some_and(|columns| columns.contains(column))
    }
}

impl Row {
    pub(crate) fn cell(&self, column: &str) -> &Cell {
        self.cells.get(column).unwrap_or(&Cell::Null)
    }

    pub(crate) fn id(&self) -> Option<i64> {
        match self.cell("id") {
            Cell::Integer(id) => Some(*id),
            _ => None,
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match self.cell("name") {
            Cell::Text(name) => Some(name),
            _ => None,
        }
    }

    /// `is_active`; NULL counts as active, a wrong cell too (it is reported elsewhere).
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.flag("is_active"), Ok(Some(false)))
    }

    /// A text; NULL and an empty one are `None`.
    pub(crate) fn text(&self, column: &str) -> Result<Option<String>, String> {
        match self.cell(column) {
            Cell::Null => Ok(None),
            Cell::Text(text) if text.trim().is_empty() => Ok(None),
            Cell::Text(text) => Ok(Some(text.clone())),
            Cell::Integer(number) => Ok(Some(number.to_string())),
            Cell::Real(number) => Ok(Some(number.to_string())),
            Cell::TooLong(bytes) => Err(too_long(*bytes)),
            Cell::Blob(bytes) => Err(format!(
                "expected a text, found {} bytes that are no UTF-8",
                bytes.len()
            )),
        }
    }

    /// A whole number, also one written as text.
    pub(crate) fn integer(&self, column: &str) -> Result<Option<i64>, String> {
        let wrong = |found: String| Err(format!("expected a whole number, found {found}"));
        match self.cell(column) {
            Cell::Null => Ok(None),
            Cell::Integer(number) => Ok(Some(*number)),
            #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^53")]
            Cell::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => Ok(Some(*number as i64)),
            Cell::Real(number) => wrong(number.to_string()),
            Cell::Text(text) if matches!(text.trim(), "" | "null") => Ok(None),
            Cell::Text(text) => text
                .trim()
                .parse()
                .map_or_else(|_| wrong(format!("{text:?}")), |n| Ok(Some(n))),
            Cell::Blob(bytes) => wrong(format!("{} bytes", bytes.len())),
            Cell::TooLong(bytes) => wrong(format!("{bytes} bytes")),
        }
    }

    /// A whole number from 0.
    pub(crate) fn count(&self, column: &str) -> Result<Option<u64>, String> {
        match self.integer(column)? {
            None => Ok(None),
            Some(number) => u64::try_from(number)
                .map(Some)
                .map_err(|_| format!("must not be negative, found {number}")),
        }
    }

    pub(crate) fn flag(&self, column: &str) -> Result<Option<bool>, String> {
        match self.cell(column) {
            Cell::Null => Ok(None),
            Cell::Integer(0) => Ok(Some(false)),
            Cell::Integer(1) => Ok(Some(true)),
            Cell::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "" | "null" => Ok(None),
                "true" | "1" | "t" => Ok(Some(true)),
                "false" | "0" | "f" => Ok(Some(false)),
                _ => Err(format!("expected 0 or 1, found {text:?}")),
            },
            Cell::Integer(number) => Err(format!("expected 0 or 1, found {number}")),
            Cell::Real(number) => Err(format!("expected 0 or 1, found {number}")),
            Cell::Blob(bytes) => Err(format!("expected 0 or 1, found {} bytes", bytes.len())),
            Cell::TooLong(bytes) => Err(format!("expected 0 or 1, found {bytes} bytes")),
        }
    }

    /// JSON; NULL, `null` and an empty text are `None`.
    pub(crate) fn json(&self, column: &str) -> Result<Option<Value>, String> {
        match self.cell(column) {
            Cell::Null => Ok(None),
            Cell::Integer(number) => Ok(Some(Value::from(*number))),
            Cell::Real(number) => Ok(Some(Value::from(*number))),
            Cell::Text(text) if text.trim().is_empty() => Ok(None),
            Cell::Text(text) => parse(text.as_bytes()),
            Cell::Blob(bytes) => parse(bytes),
            Cell::TooLong(bytes) => Err(too_long(*bytes)),
        }
    }

    pub(crate) fn list(&self, column: &str) -> Result<Option<Vec<Value>>, String> {
        match self.json(column)? {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(format!("expected a JSON list, found {}", crate::yaml::describe(&other))),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, column: &str) -> Result<Vec<String>, String> {
        let items = self.list(column)?.unwrap_or_default();
        items
            .into_iter()
            .enumerate()
            .map(|(place, item)| match item {
                Value::String(text) => Ok(text),
                other => Err(format!(
                    "item {} has to be a text, found {}",
                    place + 1,
                    crate::yaml::describe(&other)
                )),
            })
            .collect()
    }

    pub(crate) fn object(&self, column: &str) -> Result<Option<Map<String, Value>>, String> {
        match self.json(column)? {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(format!(
                "expected a JSON object, found {}",
                crate::yaml::describe(&other)
            )),
        }
    }
}

fn too_long(bytes: usize) -> String {
    format!("has {bytes} bytes, and at most {CELL_BYTES_MAX} are read")
}

fn parse(bytes: &[u8]) -> Result<Option<Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Null) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let text = crate::yaml::excerpt(&String::from_utf8_lossy(bytes));
            Err(format!("is no JSON: {error}: {text:?}"))
        }
    }
}
