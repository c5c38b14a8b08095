//! Dates inside of a rule: DTSTART, UNTIL, RDATE, EXDATE.
//!
//! python-dateutil guesses at any text. Read here is what has one meaning: RFC 5545 3.3.4 and
//! 3.3.5 (`20250101`, `20250101T090000Z`) and ISO 8601 with dashes and colons. The digits are
//! kept and every zone is thrown away, as Prefect does; only that there was one is remembered.

use chrono::{NaiveDate, NaiveDateTime};

/// A date in a rule, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The digits; a date alone is its midnight.
    pub(super) wall: NaiveDateTime,
    /// Whether `Z` or an offset followed.
    pub(super) zoned: bool,
}

/// Reads upper-case text; `None` for anything of another form or outside of the calendar.
pub(super) fn parse(text: &str) -> Option<Stamp> {
    if !text.is_ascii() {
        return None;
    }
    let (date, rest, dashed) = date(text)?;
    let Some(time) = rest
        .strip_prefix('T')
        .or_else(|| (!dashed && digits(rest) >= 4).then_some(rest))
    else {
        // A date alone has no zone.
        let wall = date.and_hms_opt(0, 0, 0)?;
        return rest.is_empty().then_some(Stamp { wall, zoned: false });
    };
    let (wall, rest) = clock(date, time)?;
    Some(Stamp {
        wall,
        zoned: zone(rest)?,
    })
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

fn date(text: &str) -> Option<(NaiveDate, &str, bool)> {
    let dashed = digits(text) == 4;
    let (year, month, day, rest) = if dashed {
        let (year, rest) = text.split_at(4);
        let rest = rest.strip_prefix('-')?;
        let month = rest.get(..2).filter(|month| digits(month) == 2)?;
        let rest = rest[2..].strip_prefix('-')?;
        let day = rest.get(..2).filter(|day| digits(day) == 2)?;
        (year, month, day, &rest[2..])
    } else if digits(text) >= 8 {
        (&text[..4], &text[4..6], &text[6..8], &text[8..])
    } else {
        return None;
    };
    let year = i32::try_from(number(year)?).ok().filter(|year| *year >= 1)?;
    Some((
        NaiveDate::from_ymd_opt(year, number(month)?, number(day)?)?,
        rest,
        dashed,
    ))
}

/// `09`, `0900`, `090000`, `09:00`, `09:00:00`, with a fraction of a second.
fn clock(date: NaiveDate, text: &str) -> Option<(NaiveDateTime, &str)> {
    let (hour, minute, second, rest) = if digits(text) == 2 {
        let (hour, rest) = text.split_at(2);
        match rest.strip_prefix(':') {
            None => (hour, "0", "0", rest),
            Some(rest) if digits(rest) == 2 => {
                let (minute, rest) = rest.split_at(2);
                match rest.strip_prefix(':') {
                    None => (hour, minute, "0", rest),
                    Some(rest) if digits(rest) == 2 => (hour, minute, &rest[..2], &rest[2..]),
                    Some(_) => return None,
                }
            }
            Some(_) => return None,
        }
    } else {
        match digits(text) {
            4 => (&text[..2], &text[2..4], "0", &text[4..]),
            6 => (&text[..2], &text[2..4], &text[4..6], &text[6..]),
            _ => return None,
        }
    };
    let (micros, rest) = match rest.strip_prefix('.') {
        Some(fraction) => {
            let length = digits(fraction);
            let micros = format!("{:0<6}", &fraction[..length.min(6)]);
            (Some(number(&micros)?).filter(|_| length > 0)?, &fraction[length..])
        }
        None => (0, rest),
    };
    let wall = date.and_hms_micro_opt(number(hour)?, number(minute)?, number(second)?, micros)?;
    Some((wall, rest))
}

/// Whether there is a zone; `None` when there is something else.
fn zone(text: &str) -> Option<bool> {
    if text.is_empty() {
        return Some(false);
    }
    if matches!(text, "Z" | "UTC") {
        return Some(true);
    }
    let offset = text.strip_prefix(['+', '-'])?;
    let (hours, minutes) = match (digits(offset), offset.len()) {
        (2, 2) => (offset, "0"),
        (4, 4) => offset.split_at(2),
        (2, 5) => (&offset[..2], offset[2..].strip_prefix(':')?),
        _ => return None,
    };
    (number(hours)? < 24 && number(minutes)? < 60).then_some(true)
}
