//! The anchor of an interval, as text.
//!
//! ISO 8601 with dashes and colons, as Prefect's API takes it. Without an offset it is a time on
//! the clock of the schedule's zone (Prefect from Python 3.13 on, and its documentation). Prefect
//! also takes numbers for seconds since 1970, written as text too; that is refused.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::Tz;

use super::local;
use crate::Refusal;
use crate::wall::{self, Gap};

/// The anchor on the zone's clock, and its instant.
pub(super) fn read(text: &str, zone: Tz) -> Result<(NaiveDateTime, DateTime<Utc>), Refusal> {
    let refuse = || {
        Refusal::new(
            "anchor_date",
            text,
            "this is no date and time",
            "write it as in \"2025-01-01T09:00:00\" (in the schedule's timezone) or \"2025-01-01T09:00:00Z\"",
        )
    };
    let (wall, offset) = parts(text)
        .filter(|(wall, _)| (1..=9999).contains(&wall.year()))
        .ok_or_else(refuse)?;
    match offset {
        Some(offset) => {
            let instant = wall.checked_sub_signed(offset).ok_or_else(refuse)?.and_utc();
            Ok((local(zone, instant), instant))
        }
        None => Ok((wall, wall::resolve(zone, wall, Gap::Forward).ok_or_else(refuse)?)),
    }
}

fn parts(text: &str) -> Option<(NaiveDateTime, Option<Duration>)> {
    if !text.is_ascii() {
        return None;
    }
    let date = text.get(..10)?;
    let date = NaiveDate::from_ymd_opt(
        number(date.get(..4)?)?.cast_signed(),
        number(date[4..].strip_prefix('-')?.get(..2)?)?,
        number(date[7..].strip_prefix('-')?)?,
    )?;
    let rest = &text[10..];
    if rest.is_empty() {
        return Some((date.and_hms_opt(0, 0, 0)?, None));
    }
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let (hour, minute) = (number(time.get(..2)?)?, number(time[2..].strip_prefix(':')?.get(..2)?)?);
    let rest = &time[5..];
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => (number(rest.get(..2)?)?, &rest[2..]),
        None => (0, rest),
    };
    let (micros, rest) = match rest.strip_prefix('.') {
        Some(fraction) => {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=9).contains(&length) {
                return None;
            }
            let digits = format!("{:0<6}", &fraction[..length]);
            (number(&digits[..6])?, &fraction[length..])
        }
        None => (0, rest),
    };
    Some((date.and_hms_micro_opt(hour, minute, second, micros)?, offset(rest)?))
}

/// The offset from UTC; `None` twice over when there is something else.
#[allow(clippy::option_option, reason = "no offset is an answer, no sense in it another")]
fn offset(text: &str) -> Option<Option<Duration>> {
    match text {
        "" => return Some(None),
        "Z" | "z" => return Some(Some(Duration::zero())),
        _ => {}
    }
    let (sign, digits) = match text.as_bytes()[0] {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let hours = number(digits.get(..2)?)?;
    let minutes = number(digits[2..].strip_prefix(':').unwrap_or(&digits[2..]))?;
    (hours < 24 && minutes < 60).then(|| Some(Duration::minutes(sign * i64::from(hours * 60 + minutes))))
}

/// Digits only, at least two.
fn number(text: &str) -> Option<u32> {
    (text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}
