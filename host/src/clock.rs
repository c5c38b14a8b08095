//! The only file that reads the wall clock, and the one place that turns instants into text.
//! Everything else takes time as an argument, so tests choose it.
//!
//! Absent on purpose: time zones other than UTC (schedules have their own), monotonic time.

use chrono::{DateTime, SecondsFormat, Utc};
use grepx_engine::Timestamp;

/// The wall clock, UTC, to the millisecond.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(simulated) = crate::failpoint::machine::now() {
        return simulated;
    }
    Timestamp(Utc::now().timestamp_millis())
}

/// The wall clock as the system has it.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn system() -> std::time::SystemTime {
    #[cfg(test)]
    if let Some(simulated) = crate::failpoint::machine::now() {
        return to_chrono(simulated).into();
    }
    std::time::SystemTime::now()
}

/// RFC 3339 in UTC with milliseconds: `2026-03-01T12:00:00.250Z`. An instant outside the years
/// that chrono knows is shown as the nearest one that it knows.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    to_chrono(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The same instant for calendar arithmetic.
#[must_use]
pub fn to_chrono(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.0).unwrap_or(if at.0 < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

#[must_use]
pub fn from_chrono<Tz: chrono::TimeZone>(at: &DateTime<Tz>) -> Timestamp {
    Timestamp(at.timestamp_millis())
}

/// Reads RFC 3339, any offset; digits below the millisecond are cut off.
///
/// # Errors
/// When `text` is not an RFC 3339 date and time.
pub fn parse_rfc3339(text: &str) -> Result<Timestamp, chrono::ParseError> {
    DateTime::parse_from_rfc3339(text).map(|at| from_chrono(&at))
}

#[cfg(test)]
mod tests;
