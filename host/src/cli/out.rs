//! The only place that prints: answers to stdout, everything else to stderr. A reader that goes
//! away (`| head`) ends the program quietly. Colours and cut columns are for terminals only: what
//! goes into a file or a pipe is whole and plain.
//!
//! Absent on purpose: log lines (`telemetry`), and what a table means (`table` knows widths only).

#![allow(clippy::disallowed_methods, reason = "a closed pipe ends the program")]

use std::io::{self, ErrorKind, IsTerminal as _};
use std::sync::OnceLock;

use clap::ValueEnum;
use serde_json::Value;

use super::exit::{Exit, Failure};

mod paint;
mod table;

pub(crate) use paint::Colour;
pub(crate) use table::{cut, width};

/// `--color`. `NO_COLOR` in the environment is the same as `never`, and weaker than the option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    Auto,
    Always,
    Never,
}

/// Once a process, before anything is printed.
static COLOURED: OnceLock<bool> = OnceLock::new();

/// What `--color` says holds from now on; the first word counts.
pub(crate) fn set_colour(when: Option<When>) {
    let _ = COLOURED.set(match when {
        Some(When::Always) => true,
        Some(When::Never) => false,
        Some(When::Auto) | None => is_terminal() && !no_colour(),
    });
}

fn coloured() -> bool {
    *COLOURED.get_or_init(|| is_terminal() && !no_colour())
}

/// <https://no-color.org>: an empty value does not count.
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Whether a person looks at standard output.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns and rows of the terminal; `None` where standard output is none.
pub(crate) fn terminal_size() -> Option<(usize, usize)> {
    // It fails where it is no terminal; one that does not know how large it is says 0.
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns > 0 && rows > 0).then_some((columns, rows))
}

pub(crate) fn line(text: impl AsRef<str>) {
    write(&mut io::stdout().lock(), text.as_ref(), true);
}

/// As it is, without an end of line.
pub(crate) fn raw(text: impl AsRef<str>) {
    write(&mut io::stdout().lock(), text.as_ref(), false);
}

/// A remark that is no part of the answer.
pub(crate) fn note(text: impl AsRef<str>) {
    write(&mut io::stderr().lock(), text.as_ref(), true);
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

/// As [`plain`], on one line.
pub(crate) fn one_line(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As [`one_line`], with the spaces that it has.
pub(crate) fn one_line_kept(text: &str) -> String {
    plain(text).replace(['\n', '\t'], " ")
}

/// Of a state type, for those who put a line together themselves.
pub(crate) fn colour_of_state(state_type: &str) -> Option<Colour> {
    paint::of_state(state_type)
}

/// Rows under a header, fitted to the terminal; `empty` when there are none.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, empty: &str) {
    if rows.is_empty() {
        return line(empty);
    }
    let columns = terminal_size().map(|(columns, _)| columns);
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| one_line(cell)))
        .collect();
    let paint = |column: usize, cell: &str, shown: &str| match paint::of_cell(header[column], cell) {
        Some(colour) => in_colour(colour, shown),
        None => shown.to_owned(),
    };
    let widths = table::fit(&header, &rows, columns);
    line(bold(&table::row(&widths, &header.map(str::to_owned), |_, _, shown| {
        shown.to_owned()
    })));
    for row in &rows {
        line(table::row(&widths, row, paint));
    }
}

/// Name and value, one pair a line.
pub(crate) fn pairs(rows: &[(&str, String)]) {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in rows {
        let value = plain(value);
        let value = match paint::of_cell(&name.to_uppercase(), value.split(' ').next().unwrap_or_default()) {
            Some(colour) => in_colour(colour, &value),
            None => value,
        };
        line(format!("{name:width$}  {value}"));
    }
}

/// `word` in the colour of its state type, where a person is looking.
pub(crate) fn state(state_type: &str, word: &str) -> String {
    match paint::of_state(state_type) {
        Some(colour) => in_colour(colour, word),
        None => word.to_owned(),
    }
}

/// `text` in a colour, where colours are wanted.
pub(crate) fn in_colour(colour: Colour, text: &str) -> String {
    match coloured() {
        true => format!("\u{1b}[{}m{text}\u{1b}[0m", colour.code()),
        false => text.to_owned(),
    }
}

fn bold(text: &str) -> String {
    in_colour(Colour::Bold, text)
}

/// Help and errors of the command line, styled where colours are wanted.
pub(crate) fn styled(text: &clap::builder::StyledStr) -> String {
    match coloured() {
        true => text.ansi().to_string(),
        false => text.to_string(),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "nobody reads any more: there is nothing to clean up"
)]
fn write(to: &mut impl io::Write, text: &str, end: bool) {
    let end = if end { "\n" } else { "" };
    match write!(to, "{text}{end}").and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(Exit::Ok as i32),
        // There is nowhere left to say so.
        _ => {}
    }
}

#[cfg(test)]
mod tests;
