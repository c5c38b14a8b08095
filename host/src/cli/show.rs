//! How values of the API look to a person.

use std::time::Duration;

use chrono::{DateTime, Local};
use serde_json::Value;

use crate::clock;

/// An age at most.
const AGE_SECONDS_MAX: u64 = 100 * 366 * 86_400;
/// Characters of a result's short form.
const SHORT_CHARS: usize = 160;

/// The text at `key`; empty for null and for what is missing.
pub(crate) fn text(object: &Value, key: &str) -> String {
    match &object[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A list of texts, separated by commas.
pub(crate) fn list(object: &Value, key: &str) -> String {
    let items = object[key].as_array().into_iter().flatten();
    let texts: Vec<&str> = items.filter_map(Value::as_str).collect();
    texts.join(", ")
}

/// Date and time in the time zone of this machine; empty for null.
pub(crate) fn date_time(object: &Value, key: &str) -> String {
    local(object, key, "%Y-%m-%d %H:%M:%S")
}

/// Time of day in the time zone of this machine, to the millisecond.
pub(crate) fn time_of_day(object: &Value, key: &str) -> String {
    local(object, key, "%H:%M:%S%.3f")
}

fn local(object: &Value, key: &str, form: &str) -> String {
    let Some(text) = object[key].as_str() else {
        return String::new();
    };
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.with_timezone(&Local).format(form).to_string(),
        Err(_) => text.to_owned(),
    }
}

/// Seconds as `0.25 s`, `3 min 20 s` or `2 h 5 min`; empty for null.
pub(crate) fn duration(object: &Value, key: &str) -> String {
    let Some(seconds) = object[key].as_f64() else {
        return String::new();
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a negative duration shows as 0"
    )]
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.2} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// The first of a JSON text, with its size when that is not all.
pub(crate) fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHORT_CHARS) {
        None => text,
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}

/// An age such as `90s`, `30m`, `12h` or `7d`.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no age: write a number and s, m, h or d, such as 7d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = number
        .checked_mul(seconds)
        .filter(|seconds| *seconds <= AGE_SECONDS_MAX);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("{text} is longer than 100 years"))
}

/// Log level as a word.
pub(crate) fn level(object: &Value) -> &'static str {
    match object["level"].as_u64().unwrap_or(0) {
        0..20 => "DEBUG",
        20..30 => "INFO",
        30..40 => "WARNING",
        40..50 => "ERROR",
        _ => "CRITICAL",
    }
}

/// Why it is in its state: the message, else what it waits for.
pub(crate) fn why(run: &Value) -> String {
    let message = text(&run["state"], "message");
    let reason = text(run, "reason");
    match (message.is_empty(), reason.is_empty() || reason == message) {
        (_, true) => message,
        (true, false) => reason,
        (false, false) => format!("{message} ({reason})"),
    }
}

/// How long ago, or in how long, in one unit: `3 min ago`, `in 2 h`; empty for null.
pub(crate) fn ago(object: &Value, key: &str) -> String {
    let Some(at) = object[key].as_str().and_then(|text| clock::parse_rfc3339(text).ok()) else {
        return text(object, key);
    };
    let now = clock::now();
    match at <= now {
        true => format!("{} ago", rough(now.since_ms(at) / 1_000)),
        false => format!("in {}", rough(at.since_ms(now) / 1_000)),
    }
}

/// Seconds in their largest unit.
pub(crate) fn rough(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Bytes as `512 kB` or `1.5 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..10_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}
