//! One rule with everything filled in: what DTSTART implies made explicit, values checked.
//!
//! From here on a rule is: *units* (days, hours, minutes or seconds) at a fixed distance from
//! each other, some of which pass the BY… parts, and *offsets* in seconds within a unit. What
//! DTSTART says about the time of day or the day of the month has gone into these, so an
//! enumeration can begin anywhere in phase, not only at DTSTART.

use std::sync::Arc;

use chrono::{Datelike, NaiveDateTime, Timelike};

use super::days::{Days, Within};
use super::part::{Freq, Parts};
use super::{Fault, seconds_of};

pub(super) const DAY: i64 = 86_400;

/// A checked rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) freq: Freq,
    /// In units of `freq`.
    pub(super) interval: i64,
    /// DTSTART, in seconds on the wall clock (see [`seconds_of`]).
    pub(super) start: i64,
    /// The last time that may come, inclusive: UNTIL, or where COUNT ends.
    pub(super) until: Option<i64>,
    pub(super) wkst: u8,
    pub(super) days: Days,
    /// Bit per hour, minute, second that passes.
    pub(super) hours: u64,
    pub(super) minutes: u64,
    pub(super) seconds: u64,
    /// Seconds from the beginning of a unit, increasing.
    pub(super) offsets: Arc<[u32]>,
    /// BYSETPOS where it picks among several days; elsewhere it has gone into `offsets`.
    pub(super) setpos: Vec<i64>,
}

impl Rule {
    /// Fills in what `start` implies. COUNT is not looked at.
    pub(super) fn new(parts: &Parts, start: NaiveDateTime) -> Result<Rule, Fault> {
        let (freq, time) = (parts.freq, start.time());
        let hours = bits(parts.hour.as_deref(), time.hour(), freq < Freq::Hourly);
        let minutes = bits(parts.minute.as_deref(), time.minute(), freq < Freq::Minutely);
        let seconds = bits(parts.second.as_deref(), time.second(), freq < Freq::Secondly);
        let mut offsets = match freq {
            Freq::Secondly => vec![0],
            Freq::Minutely => offsets(1, 1, seconds),
            Freq::Hourly => offsets(1, minutes, seconds),
            _ => offsets(hours, minutes, seconds),
        };
        let mut setpos = parts.setpos.clone().unwrap_or_default();
        if freq >= Freq::Daily && !setpos.is_empty() {
            offsets = positions(&setpos, offsets.len())
                .filter_map(|at| offsets.get(at).copied())
                .collect();
            setpos.clear();
        }
        let rule = Rule {
            freq,
            interval: parts.interval,
            start: seconds_of(start),
            until: parts.until.map(|until| seconds_of(until.wall)),
            wkst: parts.wkst,
            days: days(parts, start)?,
            hours,
            minutes,
            seconds,
            offsets: offsets.into(),
            setpos,
        };
        if rule.meets() {
            return Ok(rule);
        }
        Err(Fault::new(
            "its INTERVAL, counted from DTSTART, never meets BYHOUR, BYMINUTE or BYSECOND",
            "loosen them, or take another INTERVAL or DTSTART",
        ))
    }

    /// Whether this rule, taken away from `other`, leaves nothing of it where it is solid
    /// ([`super::walk::Walk::solid_until`]).
    pub(super) fn swallows(&self, other: &Rule) -> bool {
        let (unit, full) = (self.unit(), |bits: u64| bits == u64::MAX);
        self.interval == 1
            && self.freq >= Freq::Daily
            && other.unit() >= unit
            && (unit >= 3600 || full(self.minutes))
            && (unit >= 60 || full(self.seconds))
            && other
                .offsets
                .iter()
                .all(|at| u32::try_from(i64::from(*at) % unit).is_ok_and(|at| self.offsets.binary_search(&at).is_ok()))
    }

    /// Whether any time of day is in phase and passes: dateutil raises an error otherwise.
    ///
    /// Units in phase come around every `gcd(interval, units of a day)` of a day.
    fn meets(&self) -> bool {
        let unit = self.unit();
        if unit == DAY {
            return true;
        }
        let step = gcd(self.interval, DAY / unit) * unit;
        let first = (self.start.div_euclid(unit) * unit).rem_euclid(step);
        let mut second = first;
        while second < DAY {
            match self.blocked(second) {
                None => return true,
                Some(next) => second = next + (first - next).rem_euclid(step),
            }
        }
        false
    }

    /// `None` if the hour, minute or second at this second of the day passes, otherwise the
    /// next second of the day (or the end of the day) that may.
    pub(super) fn blocked(&self, second: i64) -> Option<i64> {
        let (unit, hour, minute) = (self.unit(), second / 3600, second / 60 % 60);
        if self.hours >> hour & 1 == 0 {
            return Some(next_bit(self.hours, hour, 24) * 3600);
        }
        if unit < 3600 && self.minutes >> minute & 1 == 0 {
            return Some(hour * 3600 + next_bit(self.minutes, minute, 60) * 60);
        }
        if unit < 60 && self.seconds >> (second % 60) & 1 == 0 {
            return Some(second - second % 60 + next_bit(self.seconds, second % 60, 60));
        }
        None
    }

    /// Whether every unit in phase passes, so that the n-th is a multiplication away.
    pub(super) fn steady(&self) -> bool {
        let daily = self.freq >= Freq::Daily && self.days.unrestricted() && self.setpos.is_empty();
        daily
            && (self.freq < Freq::Hourly || self.hours == u64::MAX)
            && (self.freq < Freq::Minutely || self.minutes == u64::MAX)
            && (self.freq < Freq::Secondly || self.seconds == u64::MAX)
    }

    /// Seconds in a unit.
    pub(super) fn unit(&self) -> i64 {
        match self.freq {
            Freq::Secondly => 1,
            Freq::Minutely => 60,
            Freq::Hourly => 3600,
            _ => DAY,
        }
    }
}

/// Indices that BYSETPOS picks out of `length` candidates: increasing, each once.
pub(super) fn positions(setpos: &[i64], length: usize) -> impl Iterator<Item = usize> + use<> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let mut picked: Vec<usize> = setpos
        .iter()
        .map(|pos| if *pos > 0 { pos - 1 } else { length + pos })
        .filter(|at| *at < length)
        .filter_map(|at| usize::try_from(at).ok())
        .collect();
    picked.sort_unstable();
    picked.dedup();
    picked.into_iter()
}

/// The values given or, without any, the start's own if the frequency is coarser than the part.
fn bits(given: Option<&[i64]>, start: u32, from_start: bool) -> u64 {
    match given {
        Some(values) => values.iter().fold(0, |bits, value| bits | 1 << value),
        None if from_start => 1 << start,
        None => u64::MAX,
    }
}

fn offsets(hours: u64, minutes: u64, seconds: u64) -> Vec<u32> {
    let set = |bits: u64, length: u32| (0..length).filter(move |at| bits >> at & 1 == 1);
    set(hours, 24)
        .flat_map(|hour| set(minutes, 60).map(move |minute| hour * 60 + minute))
        .flat_map(|minute| set(seconds, 60).map(move |second| minute * 60 + second))
        .collect()
}

fn days(parts: &Parts, start: NaiveDateTime) -> Result<Days, Fault> {
    let freq = parts.freq;
    let mut days = Days {
        months: parts.month.as_ref().map(|months| {
            months
                .iter()
                .filter(|m| (1..=12).contains(*m))
                .fold(0, |b, m| b | 1 << m)
        }),
        monthdays: parts.monthday.clone().map(known(31)),
        yeardays: parts.yearday.clone().map(known(366)),
        weeks: parts.weekno.clone().map(known(53)),
        easter: parts.easter.clone(),
        wkst: parts.wkst,
        weekly_from: (freq == Freq::Weekly).then(|| start.date()),
        ..Days::default()
    };
    // dateutil forgets a zero, and with nothing left takes every day.
    if parts
        .monthday
        .as_ref()
        .is_some_and(|monthdays| monthdays.iter().all(|day| *day == 0))
    {
        return Err(Fault::new(
            "BYMONTHDAY=0 is no day",
            "count from 1, or from -1 for the last day of the month",
        ));
    }
    let restricted = parts.weekno.is_some()
        || parts.yearday.is_some()
        || parts.monthday.is_some()
        || parts.weekday.is_some()
        || parts.easter.is_some();
    match freq {
        _ if restricted => {}
        Freq::Yearly => {
            days.months = days.months.or(Some(1 << start.month()));
            days.monthdays = Some(vec![i64::from(start.day())]);
        }
        Freq::Monthly => days.monthdays = Some(vec![i64::from(start.day())]),
        Freq::Weekly => days.weekdays = Some(1 << start.weekday().num_days_from_monday()),
        _ => {}
    }
    if let Some(weekdays) = &parts.weekday {
        numbered(&mut days, weekdays, freq)?;
    }
    Ok(days)
}

/// Day of a leap year, from 0, on which a month (1 to 12) begins.
const LATEST_FIRST: [i64; 13] = [0, 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335];

fn numbered(days: &mut Days, weekdays: &[super::part::Weekday], freq: Freq) -> Result<(), Fault> {
    let plain = weekdays
        .iter()
        .filter(|(_, n)| n.is_none())
        .fold(0, |bits, (day, _)| bits | 1 << day);
    let nth: Vec<(u8, i64)> = weekdays.iter().filter_map(|(day, n)| n.map(|n| (*day, n))).collect();
    let parts_months = days.months.unwrap_or(0);
    days.weekdays = (plain != 0).then_some(plain);
    if nth.is_empty() {
        return Ok(());
    }
    // A number that no month has never comes; one that leads dateutil out of its year is an error.
    let latest = match freq {
        Freq::Yearly if parts_months == 0 => 0,
        Freq::Yearly => LATEST_FIRST[(15 - parts_months.leading_zeros() as usize).min(12)],
        _ => LATEST_FIRST[12],
    };
    if nth.iter().any(|(_, n)| latest + (n - 1) * 7 >= 379) {
        return Err(Fault::new(
            "BYDAY counts beyond a month",
            "a month has a weekday five times at most",
        ));
    }
    days.nth = match freq {
        Freq::Yearly => Some((Within::Year, nth)),
        Freq::Monthly => Some((Within::Month, nth)),
        _ => {
            return Err(Fault::new(
                "BYDAY counts weekdays (as in 1MO), which only a month or a year has",
                "write FREQ=MONTHLY or FREQ=YEARLY, or BYDAY without numbers",
            ));
        }
    };
    Ok(())
}

/// Drops what no calendar has; 0 counts no day.
fn known(most: i64) -> impl Fn(Vec<i64>) -> Vec<i64> {
    move |values| {
        values
            .into_iter()
            .filter(|value| *value != 0 && value.abs() <= most)
            .collect()
    }
}

/// The next set bit after `at`, or `end`.
fn next_bit(bits: u64, at: i64, end: i64) -> i64 {
    let rest = bits & u64::MAX.checked_shl(u32::try_from(at + 1).unwrap_or(64)).unwrap_or(0);
    if rest == 0 {
        end
    } else {
        i64::from(rest.trailing_zeros()).min(end)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
