//! Rows → a definition file that, applied to the same database, changes nothing, and applied to an
//! empty one makes the same definitions. What YAML or the format cannot say (text that is no JSON,
//! a task without a flow) is left out, with a comment in its place.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::plan::stored;
use super::row::{Row, Rows};
use super::schema::{Column, Table};
use crate::yaml::plain_value;

/// All rows, inactive ones too.
#[must_use]
pub fn export(rows: &Rows) -> String {
    let mut out = String::new();
    for table in Table::ALL {
        let mut seen = BTreeSet::new();
        let mut list = String::new();
        for row in rows.table(table) {
            item(&mut list, table, row, rows, &mut seen);
        }
        if !list.is_empty() {
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = write!(out, "{gap}{table}:\n{list}");
        }
    }
    out
}

fn item(out: &mut String, table: Table, row: &Row, rows: &Rows, seen: &mut BTreeSet<String>) {
    let id = row.id().map_or_else(|| "?".to_owned(), |id| id.to_string());
    let left_out = |out: &mut String, why: &str| {
        let _ = writeln!(out, "  # {table} id={id} is left out: {why}");
    };
    let Some(name) = row.name().filter(|name| !name.is_empty()) else {
        return left_out(out, "it has no name");
    };
    if row.id().is_none() {
        return left_out(out, "its id is no number");
    }
    let twice = rows
        .table(table)
        .iter()
        .filter(|other| other.name() == Some(name))
        .count()
        > 1;
    if twice || !seen.insert(name.to_owned()) {
        return left_out(out, "several rows have its name");
    }
    let mut body = String::new();
    for column in table.columns() {
        let Some(word) = column.word() else { continue };
        let found = stored(column, row, rows);
        let unusable = found.is_err() || found.as_ref().is_ok_and(Value::is_null);
        let celery_name = column.name == "celery_task_name" && row.text("task_kind").ok().flatten().is_none();
        if unusable && (column.required || celery_name) {
            return left_out(out, &format!("its {} cannot be written", column.name));
        }
        match found {
            Ok(value) if value.is_null() && !is_needed(table, column, rows) => {}
            Ok(value) => {
                let _ = write!(body, "    {word}:");
                write_value(&mut body, &value, 6);
            }
            Err(_) => {
                let _ = writeln!(body, "    # {word} cannot be written in YAML and is left out");
            }
        }
    }
    // The first line carries the dash of the list.
    let Some(first) = body.strip_prefix("    ") else { return };
    let _ = write!(out, "  - {first}");
}

/// Whether silence would mean another thing than NULL. A missing Celery name is an empty one.
fn is_needed(table: Table, column: &Column, rows: &Rows) -> bool {
    rows.has_column(table, column.name) && column.name != "celery_task_name" && column.default != "NULL"
}

/// A value after `key:` or `-`, with the line's end. Collections open lines at `indent`.
fn write_value(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            for (key, value) in map {
                let _ = write!(out, "{:indent$}{}:", "", scalar(key));
                write_value(out, value, indent + 2);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{:indent$}-", "");
                write_value(out, item, indent + 2);
            }
        }
        Value::String(text) => {
            let _ = writeln!(out, " {}", scalar(text));
        }
        other => {
            let _ = writeln!(out, " {other}");
        }
    }
}

/// `text` without quotes where it cannot mean anything else.
fn scalar(text: &str) -> String {
    let simple = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off"
        )
        && plain_value(text).is_string();
    let words = text.contains(' ')
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.split(' ').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-./,()".contains(&b))
        });
    if simple || words {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        let _ = match c {
            '"' => write!(quoted, "\\\""),
            '\\' => write!(quoted, "\\\\"),
            '\n' => write!(quoted, "\\n"),
            '\t' => write!(quoted, "\\t"),
            '\r' => write!(quoted, "\\r"),
            _ if is_printable(c) => write!(quoted, "{c}"),
            _ => write!(quoted, "\\U{:08x}", u32::from(c)),
        };
    }
    quoted.push('"');
    quoted
}

/// What YAML lets stand as it is, without line breaks and marks that editors swallow.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
        | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests;
