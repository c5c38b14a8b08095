//! What a schedule will do, for people: instants on its own clock and in UTC, with what the clock
//! changes in between. One shape for the command line and the API.

use chrono::{DateTime, Datelike as _, Offset as _, SecondsFormat, Utc};
use chrono_tz::OffsetComponents as _;
use serde_json::{Value, json};

use super::Timing;

/// Instants of one preview.
pub const INSTANTS_MAX: usize = 1_000;

/// `{"description", "notes", "timezone", "instants": [{"utc", "local", "offset", "weekday", "dst",
/// "clock_change"}]}`, from `from` on, which belongs to it.
///
/// `dst` says whether summer time is in force, `clock_change` by how much the clock was moved since
/// the instant before (null when it was not).
#[must_use]
pub fn preview(timing: &Timing, from: DateTime<Utc>, most: usize) -> Value {
    let zone = timing.rule().zone();
    let mut offset_before = None;
    let instants: Vec<Value> = timing
        .from(from)
        .take(most.min(INSTANTS_MAX))
        .map(|at| {
            let local = at.with_timezone(&zone);
            let offset = local.offset().fix().local_minus_utc();
            let change = offset_before.map_or(0, |before| offset - before);
            offset_before = Some(offset);
            json!({
                "utc": utc(at),
                "local": local.to_rfc3339_opts(digits(at), false),
                "offset": local.format("%:z").to_string(),
                "weekday": local.weekday().to_string(),
                "dst": local.offset().dst_offset() != chrono::TimeDelta::zero(),
                "clock_change": (change != 0).then(|| moved(change)),
            })
        })
        .collect();
    json!({
        "description": timing.describe(),
        "notes": timing.rule().notes(),
        "timezone": zone.name(),
        "instants": instants,
    })
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(digits(at), true)
}

/// Fractions of a second are shown where there are any.
fn digits(at: DateTime<Utc>) -> SecondsFormat {
    match at.timestamp_subsec_micros() {
        0 => SecondsFormat::Secs,
        _ => SecondsFormat::Micros,
    }
}

/// `forward 1 h`, `back 30 min`
fn moved(seconds: i32) -> String {
    let way = if seconds > 0 { "forward" } else { "back" };
    let minutes = seconds.abs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{way} {minutes} min"),
        (hours, 0) => format!("{way} {hours} h"),
        (hours, minutes) => format!("{way} {hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests;
