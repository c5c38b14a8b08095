//! The only place that prints: answers to stdout, everything else to stderr. A reader that goes
//! away (`| head`) ends the program quietly.
//!
//! Absent on purpose: log lines (`telemetry`) and progress bars.

#![allow(clippy::disallowed_methods, reason = "a closed pipe ends the program")]

use std::io::{self, ErrorKind, IsTerminal as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::exit::{Exit, Failure};

/// Columns where stdout is no terminal: wide enough that no name is folded.
const PLAIN_WIDTH: u16 = 1000;

pub(crate) fn line(text: impl AsRef<str>) {
    write(&mut io::stdout().lock(), text.as_ref());
}

/// A remark that is no part of the answer.
pub(crate) fn note(text: impl AsRef<str>) {
    write(&mut io::stderr().lock(), text.as_ref());
}

pub(crate) fn json(value: &Value) {
    line(format!("{value:#}"));
}

/// The message, then each of its causes.
pub(crate) fn failure(failure: &Failure) {
    let mut text = format!("error: {}", failure.error);
    for cause in failure.error.chain().skip(1) {
        text.push_str(&format!("\n  because: {cause}"));
    }
    note(text);
}

/// Without characters that steer a terminal: what is shown may come from a task or a database.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => plain.push(character),
            _ if character.is_control() => plain.extend(character.escape_default()),
            _ => plain.push(character),
        }
    }
    plain
}

/// Rows under a header, fitted to the terminal; `empty` when there are none.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, empty: &str) {
    if rows.is_empty() {
        return line(empty);
    }
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if io::stdout().is_terminal() {
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    } else {
        table.load_style(presets::NOTHING).set_width(PLAIN_WIDTH);
    }
    let rows = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell)));
    table.set_header(header).add_rows(rows);
    line(table.trim_fmt());
}

/// Name and value, one pair a line.
pub(crate) fn pairs(rows: &[(&str, String)]) {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in rows {
        line(format!("{name:width$}  {}", plain(value)));
    }
}

/// `word` in the colour of its state type, where a person is looking.
pub(crate) fn state(state_type: &str, word: &str) -> String {
    if !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some() {
        return word.to_owned();
    }
    let colour = match state_type {
        "COMPLETED" => 32,
        "FAILED" | "CRASHED" => 31,
        "CANCELLED" | "CANCELLING" | "PAUSED" => 33,
        "RUNNING" => 34,
        _ => return word.to_owned(),
    };
    format!("\u{1b}[{colour}m{word}\u{1b}[0m")
}

#[allow(
    clippy::disallowed_methods,
    reason = "nobody reads any more: there is nothing to clean up"
)]
fn write(to: &mut impl io::Write, text: &str) {
    match writeln!(to, "{text}").and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(Exit::Ok as i32),
        // There is nowhere left to say so.
        _ => {}
    }
}

#[cfg(test)]
mod tests;
