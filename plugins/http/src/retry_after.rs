//! `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.

use std::time::{Duration, UNIX_EPOCH};

/// Longer wishes are cut: nobody waits for longer than a day because a server says so.
const MOST: Duration = Duration::from_secs(24 * 3600);

/// Milliseconds from now; `None` for what is neither.
pub(crate) fn ms(value: &str, now_ms: u64) -> Option<u64> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        value.parse().map_or(MOST, Duration::from_secs)
    } else {
        let at = httpdate::parse_http_date(value).ok()?;
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        at.saturating_sub(Duration::from_millis(now_ms))
    };
    u64::try_from(wait.min(MOST).as_millis()).ok()
}

#[cfg(test)]
mod tests;
