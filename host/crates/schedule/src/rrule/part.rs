//! The parts of one rule line: `FREQ=WEEKLY;BYDAY=MO,WE;INTERVAL=2`.
//!
//! Read as python-dateutil 2.9 reads them (RFC 5545 3.3.10 with BYEASTER and BYWEEKDAY added).
//! Refused here beyond it: a part given twice, numbers that dateutil takes and then never stops
//! over (INTERVAL=0) or answers with an exception (BYHOUR=24).

use super::Fault;
use super::date::{self, Stamp};

/// How often a rule repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Freq {
    Yearly,
    Monthly,
    Weekly,
    Daily,
    Hourly,
    Minutely,
    Secondly,
}

/// Larger numbers are as good as this one: no calendar is that long, in seconds.
const HUGE: i64 = 1_000_000_000_000;

/// A day of the week (0 is Monday), with the `2` of `2MO`.
pub(super) type Weekday = (u8, Option<i64>);

/// What stands in a rule line; nothing is filled in yet.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) freq: Freq,
    /// At least 1.
    pub(super) interval: i64,
    /// At least 1.
    pub(super) count: Option<i64>,
    pub(super) until: Option<Stamp>,
    /// First day of the week, 0 is Monday.
    pub(super) wkst: u8,
    pub(super) setpos: Option<Vec<i64>>,
    pub(super) month: Option<Vec<i64>>,
    pub(super) monthday: Option<Vec<i64>>,
    pub(super) yearday: Option<Vec<i64>>,
    pub(super) weekno: Option<Vec<i64>>,
    pub(super) easter: Option<Vec<i64>>,
    pub(super) weekday: Option<Vec<Weekday>>,
    pub(super) hour: Option<Vec<i64>>,
    pub(super) minute: Option<Vec<i64>>,
    pub(super) second: Option<Vec<i64>>,
}

/// The two-letter days, Monday first.
pub(super) const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// Reads the value of a rule line, already in upper case.
pub(super) fn parse(line: &str) -> Result<Parts, Fault> {
    let mut parts = Parts::empty();
    let mut seen = Vec::new();
    for pair in line.split(';') {
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) if !value.contains('=') => (name, value),
            _ if pair.is_empty() => {
                return Err(Fault::new(
                    "has an empty part",
                    "leave out the semicolon at its beginning or end",
                ));
            }
            _ => {
                return Err(Fault::new(
                    format!("{pair:?} is not NAME=value"),
                    "write parts such as FREQ=DAILY",
                ));
            }
        };
        let name = if name == "BYWEEKDAY" { "BYDAY" } else { name };
        if seen.contains(&name) {
            return Err(Fault::new(format!("{name} is given twice"), format!("keep one {name}")));
        }
        seen.push(name);
        parts.read(name, value)?;
    }
    if !seen.contains(&"FREQ") {
        return Err(Fault::new(
            "has no FREQ",
            "begin it with FREQ=DAILY, FREQ=WEEKLY or the like",
        ));
    }
    Ok(parts)
}

impl Parts {
    fn empty() -> Parts {
        Parts {
            freq: Freq::Daily,
            interval: 1,
            count: None,
            until: None,
            wkst: 0,
            setpos: None,
            month: None,
            monthday: None,
            yearday: None,
            weekno: None,
            easter: None,
            weekday: None,
            hour: None,
            minute: None,
            second: None,
        }
    }

    fn read(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        match name {
            "FREQ" => self.freq = freq(value)?,
            "INTERVAL" => self.interval = positive(name, value)?,
            "COUNT" => self.count = Some(positive(name, value)?),
            "UNTIL" => self.until = Some(until(value)?),
            "WKST" => {
                let day = weekday_index(value);
                self.wkst = day.ok_or_else(|| Fault::new(format!("WKST={value} is no day"), "write WKST=MO"))?;
            }
            "BYSETPOS" => self.setpos = Some(list(name, value, -366..=366, true)?),
            "BYMONTH" => self.month = Some(numbers(name, value)?),
            "BYMONTHDAY" => self.monthday = Some(numbers(name, value)?),
            "BYYEARDAY" => self.yearday = Some(numbers(name, value)?),
            "BYWEEKNO" => self.weekno = Some(numbers(name, value)?),
            // Further from Easter is another year, which dateutil answers with wrong days.
            "BYEASTER" => self.easter = Some(list(name, value, -80..=250, false)?),
            "BYHOUR" => self.hour = Some(list(name, value, 0..=23, false)?),
            "BYMINUTE" => self.minute = Some(list(name, value, 0..=59, false)?),
            "BYSECOND" => self.second = Some(list(name, value, 0..=59, false)?),
            "BYDAY" => self.weekday = Some(weekdays(value)?),
            "DTSTART" => {
                return Err(Fault::new(
                    "has DTSTART as a part of the rule",
                    "write it on a line of its own: DTSTART:20250101T090000",
                ));
            }
            _ => {
                return Err(Fault::new(
                    format!("{name:?} is not a part of a rule"),
                    "use FREQ, INTERVAL, COUNT, UNTIL, WKST and the BY… parts of RFC 5545",
                ));
            }
        }
        Ok(())
    }
}

fn freq(value: &str) -> Result<Freq, Fault> {
    Ok(match value {
        "YEARLY" => Freq::Yearly,
        "MONTHLY" => Freq::Monthly,
        "WEEKLY" => Freq::Weekly,
        "DAILY" => Freq::Daily,
        "HOURLY" => Freq::Hourly,
        "MINUTELY" => Freq::Minutely,
        "SECONDLY" => Freq::Secondly,
        _ => {
            return Err(Fault::new(
                format!("FREQ={value} is not a frequency"),
                "write YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, MINUTELY or SECONDLY",
            ));
        }
    })
}

fn until(value: &str) -> Result<Stamp, Fault> {
    date::parse(value).ok_or_else(|| {
        Fault::new(
            format!("UNTIL={value} is no date"),
            "write UNTIL=20251231T235959, without Z unless DTSTART has it",
        )
    })
}

/// A whole number as Python's `int` reads it: a sign and underscores between digits are fine.
fn int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut value: i64 = 0;
    let mut after_digit = false;
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                value = (value * 10 + i64::from(byte - b'0')).min(HUGE);
                after_digit = true;
            }
            b'_' if after_digit => after_digit = false,
            _ => return None,
        }
    }
    after_digit.then_some(if negative { -value } else { value })
}

fn number(name: &str, text: &str) -> Result<i64, Fault> {
    int(text).ok_or_else(|| Fault::new(format!("{name} has {text:?}, which is no whole number"), "write digits"))
}

fn positive(name: &str, value: &str) -> Result<i64, Fault> {
    match number(name, value)? {
        count if count >= 1 => Ok(count),
        _ if name == "COUNT" => Err(Fault::new(
            "COUNT is below 1, so it never comes",
            "leave COUNT out, or write 1 or more",
        )),
        _ => Err(Fault::new(
            "INTERVAL is below 1, so it would never get on",
            "write INTERVAL=1 or more, or leave it out",
        )),
    }
}

fn numbers(name: &str, value: &str) -> Result<Vec<i64>, Fault> {
    value.split(',').map(|item| number(name, item)).collect()
}

fn list(name: &str, value: &str, range: std::ops::RangeInclusive<i64>, no_zero: bool) -> Result<Vec<i64>, Fault> {
    let numbers = numbers(name, value)?;
    match numbers
        .iter()
        .find(|number| !range.contains(number) || (no_zero && **number == 0))
    {
        None => Ok(numbers),
        Some(wrong) => Err(Fault::new(
            format!("{name} has {wrong}"),
            format!(
                "use {} to {}{}",
                range.start(),
                range.end(),
                if no_zero { ", not 0" } else { "" }
            ),
        )),
    }
}

fn weekday_index(text: &str) -> Option<u8> {
    DAYS.iter()
        .position(|day| *day == text)
        .and_then(|index| u8::try_from(index).ok())
}

fn weekdays(value: &str) -> Result<Vec<Weekday>, Fault> {
    value.split(',').map(weekday).collect()
}

/// `MO`, `+1MO`, `-1MO` or dateutil's `MO(+1)`.
fn weekday(item: &str) -> Result<Weekday, Fault> {
    let wrong = || {
        Fault::new(
            format!("BYDAY has {item:?}"),
            "write days as MO,TU,WE,TH,FR,SA,SU, with a number as in -1FR",
        )
    };
    let (day, nth) = match item.split_once('(') {
        Some((day, nth)) => (day, Some(nth.strip_suffix(')').ok_or_else(wrong)?)),
        None => {
            let split = item
                .find(|c: char| !matches!(c, '+' | '-' | '0'..='9'))
                .ok_or_else(wrong)?;
            (&item[split..], Some(&item[..split]).filter(|nth| !nth.is_empty()))
        }
    };
    let day = weekday_index(day).ok_or_else(wrong)?;
    match nth {
        None => Ok((day, None)),
        Some(nth) => match int(nth) {
            Some(nth) if nth != 0 && nth.abs() <= 53 => Ok((day, Some(nth))),
            _ => Err(wrong()),
        },
    }
}
