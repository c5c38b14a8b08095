//! When a flow run is to start: `--start-in` and `--start-at`.

use grepx_engine::Timestamp;

use crate::cli::arguments::Run;
use crate::clock;

/// Longest delay: ten years.
const DELAY_S_MAX: u64 = 10 * 366 * 86_400;

pub(crate) fn start_at(arguments: &Run) -> Result<Option<Timestamp>, String> {
    if let Some(text) = &arguments.start_in {
        let seconds = seconds("--start-in", text)?;
        return Ok(Some(clock::now().plus_ms(seconds * 1_000)));
    }
    let Some(text) = &arguments.start_at else {
        return Ok(None);
    };
    let wrong = |_| format!("--start-at {text:?} is no time: write one such as 2026-03-01T12:00:00Z");
    clock::parse_rfc3339(text).map(Some).map_err(wrong)
}

/// `30s`, `10 minutes`, `2h`, `1 day`. `what` is named when it is none of these.
pub(crate) fn seconds(what: &str, text: &str) -> Result<u64, String> {
    let wrong = || format!("{what} {text:?} is no duration: write one such as 30s, 10 minutes, 2h or 1 day");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match text[digits..].trim() {
        "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.saturating_mul(unit);
    if seconds > DELAY_S_MAX {
        return Err(format!("{what} {text:?} is too far away: at most ten years"));
    }
    Ok(seconds)
}
