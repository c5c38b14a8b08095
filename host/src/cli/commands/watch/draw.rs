//! The picture of a flow run, fitted to the terminal, and how one picture takes the place of the one
//! before.

use grepx_engine::Timestamp;
use serde_json::Value;

use super::board::{Board, Count, Entry, is_over};
use crate::cli::out::{self, Colour, cut, width};
use crate::cli::show::{text, why};
use crate::clock;

/// Cells of a bar.
const BAR: usize = 20;
/// Longest name that gets a column of its own.
const NAME_MAX: usize = 32;
/// Tasks that have ended and stay in sight above those that have not.
const SEEN_BEFORE: usize = 2;
/// Lines beside the tasks: the run, its reason, what is above, what is below, the prompt.
const FRAME_ROWS: usize = 5;
const UPSTREAMS_SHOWN: usize = 3;

/// Text with colours, of known width.
#[derive(Debug, Default)]
struct Line(Vec<(Option<Colour>, String)>);

impl Line {
    fn add(&mut self, colour: Option<Colour>, text: impl Into<String>) {
        self.0.push((colour, text.into()));
    }

    /// Within `columns` terminal columns.
    fn fitted(self, columns: usize) -> String {
        let mut left = columns;
        let mut shown = String::new();
        for (colour, text) in self.0 {
            let part = cut(&out::one_line_kept(&text), left);
            left -= width(&part).min(left);
            shown.push_str(&match colour {
                Some(colour) => out::in_colour(colour, &part),
                None => part,
            });
        }
        shown
    }
}

/// At most `rows` lines of at most `columns` columns.
pub(super) fn picture(board: &Board, now: Timestamp, columns: usize, rows: usize) -> Vec<String> {
    let mut lines = vec![head(board, now)];
    let reason = why(&board.run);
    if !reason.is_empty() {
        let mut line = Line::default();
        line.add(Some(Colour::Dim), format!("  {reason}"));
        lines.push(line);
    }
    let names = board.entries.iter().map(|entry| width(&entry.name));
    let name_width = names.max().unwrap_or(0).min(NAME_MAX).min(columns / 3);
    let room = rows.saturating_sub(FRAME_ROWS).max(1);
    let (from, to) = window(board, room);
    if from > 0 {
        lines.push(dim(format!("  … {from} tasks above have ended")));
    }
    for entry in &board.entries[from..to] {
        lines.push(of_entry(board, entry, now, name_width));
    }
    if to < board.entries.len() {
        lines.push(dim(format!("  … {} more tasks", board.entries.len() - to)));
    }
    lines.into_iter().map(|line| line.fitted(columns)).collect()
}

fn dim(text: String) -> Line {
    Line(vec![(Some(Colour::Dim), text)])
}

/// Which entries are shown: all, or those around the first that has not ended.
fn window(board: &Board, room: usize) -> (usize, usize) {
    let all = board.entries.len();
    if all <= room {
        return (0, all);
    }
    let open = board.entries.iter().position(|entry| !entry.is_over()).unwrap_or(all);
    let from = open.saturating_sub(SEEN_BEFORE).min(all - room);
    (from, from + room)
}

fn head(board: &Board, now: Timestamp) -> Line {
    let run = &board.run;
    let state = &run["state"];
    let mut line = Line::default();
    line.add(
        Some(Colour::Bold),
        format!("{} {}", text(run, "flow_name"), text(run, "name")),
    );
    line.add(None, "  ");
    line.add(colour(&text(state, "type")), text(state, "name"));
    if let Some(took) = took(run, now) {
        line.add(None, format!("  {took}"));
    }
    let (done, all) = board.progress();
    if all > 0 {
        line.add(None, format!("  {} {done}/{all} tasks", bar(done, all)));
    }
    line
}

fn of_entry(board: &Board, entry: &Entry, now: Timestamp, name_width: usize) -> Line {
    let mut line = Line::default();
    let count = entry.count();
    let shown = entry
        .own
        .as_ref()
        .or_else(|| entry.telling())
        .or_else(|| entry.items.values().next_back());
    let state_type = shown.map(|run| text(&run["state"], "type")).unwrap_or_default();
    let state_name = shown.map(|run| text(&run["state"], "name")).unwrap_or_default();
    let paint = colour(&state_type);
    line.add(paint, format!("  {} ", sign(&state_type, &state_name)));
    let name = cut(&entry.name, name_width);
    line.add(None, format!("{name}{:1$}  ", "", name_width - width(&name)));
    let Some(run) = shown else {
        let waits: Vec<&str> = board.waits_for(entry).collect();
        line.add(Some(Colour::Dim), waiting(&waits));
        return line;
    };
    if count.all > 0 {
        line.add(None, of_items(count));
        line.add(None, "  ");
    }
    line.add(paint, state_name.clone());
    if let Some(attempt) = run["attempt"].as_u64().filter(|attempt| *attempt > 1) {
        line.add(None, format!(" (attempt {attempt})"));
    }
    if let Some(took) = took(run, now) {
        line.add(None, format!("  {took}"));
    }
    if let Some(again) = again(run, now) {
        line.add(Some(Colour::Yellow), format!("  {again}"));
    }
    let mut notes = vec![why(run)];
    if !is_over(run) {
        notes.push(text(run, "status"));
    }
    notes.retain(|note| !note.is_empty());
    notes.dedup();
    if !notes.is_empty() {
        line.add(Some(Colour::Dim), format!("  {}", notes.join("; ")));
    }
    line
}

fn waiting(upstreams: &[&str]) -> String {
    let shown = upstreams
        .iter()
        .take(UPSTREAMS_SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match upstreams.len().saturating_sub(UPSTREAMS_SHOWN) {
        _ if upstreams.is_empty() => "not started".to_owned(),
        0 => format!("after {shown}"),
        more => format!("after {shown} and {more} more"),
    }
}

fn of_items(count: Count) -> String {
    let failed = match count.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let running = match count.running {
        0 => String::new(),
        running => format!(", {running} running"),
    };
    format!(
        "{} {}/{}{running}{failed}",
        bar(count.done, count.all),
        count.done,
        count.all
    )
}

fn bar(done: usize, all: usize) -> String {
    let full = (done * BAR).checked_div(all).unwrap_or(0);
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

/// When it is tried again.
fn again(run: &Value, now: Timestamp) -> Option<String> {
    if run["state"]["name"] != "AwaitingRetry" {
        return None;
    }
    let at = clock::parse_rfc3339(run["expected_start_time"].as_str()?).ok()?;
    let seconds = at.since_ms(now).div_ceil(1_000);
    Some(match at > now {
        true => format!("again in {seconds} s"),
        false => "again now".to_owned(),
    })
}

/// How long it has run.
fn took(run: &Value, now: Timestamp) -> Option<String> {
    let at = |key: &str| run[key].as_str().and_then(|text| clock::parse_rfc3339(text).ok());
    let start = at("start_time")?;
    let end = match is_over(run) {
        true => at("end_time").unwrap_or(now),
        false => now,
    };
    let ms = if end > start { end.since_ms(start) } else { 0 };
    Some(match ms {
        0..10_000 => format!("{}.{} s", ms / 1_000, ms / 100 % 10),
        10_000..60_000 => format!("{} s", ms / 1_000),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    })
}

/// The state as one character, for those who see no colours.
fn sign(state_type: &str, state_name: &str) -> char {
    match (state_type, state_name) {
        (_, "AwaitingRetry") => '↻',
        (_, "Skipped") => '↷',
        ("COMPLETED", _) => '✓',
        ("FAILED" | "CRASHED", _) => '✗',
        ("CANCELLED" | "CANCELLING", _) => '⊘',
        ("RUNNING", _) => '▶',
        ("PAUSED", _) => '‖',
        ("", _) => '·',
        _ => '○',
    }
}

fn colour(state_type: &str) -> Option<Colour> {
    out::colour_of_state(state_type)
}

/// The lower part of a terminal, which is drawn anew with each picture.
#[derive(Debug)]
pub(super) struct Screen {
    /// Lines of the last picture.
    drawn: usize,
}

impl Screen {
    pub(super) fn open() -> Self {
        // Without the cursor nothing flickers.
        out::raw("\u{1b}[?25l");
        Self { drawn: 0 }
    }

    /// `above` stays above the picture, for good.
    pub(super) fn show(&mut self, above: &[String], picture: impl FnOnce(usize, usize) -> Vec<String>) {
        let Some((columns, rows)) = out::terminal_size() else {
            return;
        };
        // The last column stays free: a terminal that is about to wrap would lose its character.
        let picture = picture(columns.saturating_sub(1), rows);
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\u{1b}[{}A", self.drawn));
        }
        text.push('\r');
        for line in above.iter().chain(&picture) {
            text.push_str(line);
            // What the last picture had there.
            text.push_str("\u{1b}[K\n");
        }
        text.push_str("\u{1b}[J");
        self.drawn = picture.len();
        out::raw(text);
    }

    pub(super) fn close(self) {
        drop(self);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        out::raw("\u{1b}[?25h");
    }
}

#[cfg(test)]
mod tests;
