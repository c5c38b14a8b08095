//! Intervals: steps from an anchor, whole days on the wall clock, the rest elapsed.
//!
//! What Prefect's documentation promises ("a daily 9am schedule keeps firing at 9am") and its code
//! keeps only within one call: there, the answer depends on where one starts to ask. Here it does
//! not:
//!
//! - Less than a day: elapsed time from the anchor, through every change of the clocks.
//! - Whole days: the anchor's wall-clock time, every so many days. On a day that does not have it,
//!   it is moved forward by the gap, on that day only; where it comes twice, it is the first.
//! - Days and a rest (90,000 seconds are a day and an hour): from one instant to the next, days on
//!   the wall clock, then the rest elapsed. Before the anchor: all of it on the wall clock.

mod anchor;
mod describe;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::Number;

use crate::Refusal;
use crate::wall::{self, Gap, LAST_YEAR};

/// Microseconds in a second and a day.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Python's `timedelta.max`, in days.
const DAYS_MAX: i64 = 999_999_999;

/// Years in which some zone changes its clocks are between these: local mean time everywhere
/// before, and what tzdata knows is written down up to 2100.
const QUIET_BEFORE: i32 = 1840;
const QUIET_FROM: i32 = 2101;

/// A checked interval with its anchor.
#[derive(Debug, Clone)]
pub(crate) struct Interval {
    /// Whole days of the interval.
    days: i64,
    /// What is left of it, in microseconds, below a day.
    rest: i64,
    /// On the clock of the zone. May be a time that a gap leaves out.
    wall: NaiveDateTime,
    anchor: DateTime<Utc>,
    /// Whether the row says the anchor.
    explicit: bool,
}

impl Interval {
    /// `seconds` as the row has it; `anchor` is `anchor_date` as it was written, if it was;
    /// `default` the anchor otherwise (`None`: 2020-01-01T00:00 in the zone).
    ///
    /// # Errors
    ///
    /// An interval that is not above 0 when rounded to microseconds, or longer than Python can
    /// hold; an anchor that is not ISO 8601 with dashes and colons.
    pub(crate) fn parse(
        seconds: &Number,
        anchor: Option<&str>,
        default: Option<DateTime<Utc>>,
        zone: Tz,
    ) -> Result<Interval, Refusal> {
        let (days, rest) = length(seconds)?;
        let (wall, anchor, explicit) = match (anchor, default) {
            (Some(text), _) => {
                let (wall, anchor) = anchor::read(text, zone)?;
                (wall, anchor, true)
            }
            (None, Some(anchor)) => (local(zone, anchor), anchor, false),
            (None, None) => {
                let wall = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap_or_default().into();
                (wall, wall::resolve(zone, wall, Gap::Forward).unwrap_or_default(), false)
            }
        };
        Ok(Interval {
            days,
            rest,
            wall,
            anchor,
            explicit,
        })
    }

    /// The instants at or after `start`, strictly increasing.
    pub(crate) fn instants(&self, zone: Tz, start: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + Send + '_ {
        // Room for the offset of any zone and the longest gap.
        let first = NaiveDate::from_ymd_opt(1, 1, 3)
            .unwrap_or_default()
            .and_time(chrono::NaiveTime::MIN)
            .and_utc();
        let start = start.max(first);
        let mut steps = self.steps(zone, start);
        let mut last = None;
        std::iter::from_fn(move || {
            loop {
                let instant = steps.next(self, zone).filter(|instant| instant.year() <= LAST_YEAR)?;
                if instant >= start && last.is_none_or(|last| last < instant) {
                    last = Some(instant);
                    return last;
                }
            }
        })
    }

    /// Steps that begin before the first instant at or after `start`, or with it.
    fn steps(&self, zone: Tz, start: DateTime<Utc>) -> Steps {
        if start.year() > LAST_YEAR {
            return Steps::Ended;
        }
        if self.days == 0 || zone == Tz::UTC {
            return Steps::Elapsed(steps_between(self.anchor, start, self.total()));
        }
        // What a gap or an overlap moves is less than two days.
        let k = steps_between(self.wall.and_utc(), local(zone, start).and_utc(), self.total());
        let spare = 3 + i128::from(2 * DAY) / self.total();
        if self.rest == 0 || k < -spare {
            return Steps::Wall(k - spare);
        }
        if start <= self.anchor {
            return Steps::Wall(-spare);
        }
        let skipped = self.skip(zone, self.anchor, start);
        Steps::Mixed(Some(skipped))
    }

    /// The interval in microseconds.
    fn total(&self) -> i128 {
        i128::from(self.days) * i128::from(DAY) + i128::from(self.rest)
    }

    /// An instant of a mixed interval at or before `start`, if `from` is before it: years without
    /// a change of the clocks are skipped, the others walked through (a few milliseconds for
    /// two centuries of days).
    fn skip(&self, zone: Tz, from: DateTime<Utc>, start: DateTime<Utc>) -> DateTime<Utc> {
        let mut instant = from;
        loop {
            let quiet_end = if instant.year() < QUIET_BEFORE {
                start_of(QUIET_BEFORE).min(start)
            } else if instant.year() >= QUIET_FROM {
                start
            } else {
                instant
            };
            let steps = steps_between(instant, quiet_end, self.total()) - 1;
            if steps > 0 {
                instant = add(instant, steps, self.total()).unwrap_or(instant);
            }
            match self.step(zone, instant) {
                Some(next) if next <= start => instant = next,
                _ => return instant,
            }
        }
    }

    /// From one instant of a mixed interval to the next.
    fn step(&self, zone: Tz, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wall = local(zone, instant).checked_add_signed(Duration::try_days(self.days)?)?;
        let day = within(wall).and_then(|wall| wall::resolve(zone, wall, Gap::Forward))?;
        day.checked_add_signed(Duration::microseconds(self.rest))
    }
}

/// Where an enumeration is.
enum Steps {
    /// The next is so many intervals after the anchor, elapsed.
    Elapsed(i128),
    /// The same on the wall clock. A mixed interval goes on by instants from its anchor.
    Wall(i128),
    /// The next instant of a mixed interval, from the anchor on.
    Mixed(Option<DateTime<Utc>>),
    Ended,
}

impl Steps {
    fn next(&mut self, interval: &Interval, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            Steps::Ended => None,
            Steps::Elapsed(k) => {
                *k += 1;
                add(interval.anchor, *k - 1, interval.total())
            }
            Steps::Wall(0) => {
                // The anchor is an instant: it may be in the second pass of an overlap.
                *self = if interval.rest == 0 {
                    Steps::Wall(1)
                } else {
                    Steps::Mixed(interval.step(zone, interval.anchor))
                };
                Some(interval.anchor)
            }
            Steps::Wall(k) => {
                let wall = add(interval.wall.and_utc(), *k, interval.total());
                *k += 1;
                match wall.map(|wall| wall.naive_utc()) {
                    Some(wall) => within(wall).and_then(|wall| wall::resolve(zone, wall, Gap::Forward)),
                    None => None,
                }
            }
            Steps::Mixed(next) => {
                let instant = (*next)?;
                *next = interval.step(zone, instant);
                Some(instant)
            }
        }
    }
}

/// `instant` and `count` times `total` microseconds; `None` outside of the calendar.
fn add(instant: DateTime<Utc>, count: i128, total: i128) -> Option<DateTime<Utc>> {
    let micros = i128::from(instant.timestamp_micros()).checked_add(count.checked_mul(total)?)?;
    DateTime::from_timestamp_micros(i64::try_from(micros).ok()?)
}

/// The smallest number of intervals from `from` that does not end before `until`.
fn steps_between(from: DateTime<Utc>, until: DateTime<Utc>, total: i128) -> i128 {
    let apart = until.signed_duration_since(from);
    let micros = i128::from(apart.num_seconds()) * i128::from(SECOND) + i128::from(apart.subsec_nanos()) / 1000;
    micros.div_euclid(total) + i128::from(micros.rem_euclid(total) != 0 || apart.subsec_nanos() % 1000 > 0)
}

fn local(zone: Tz, instant: DateTime<Utc>) -> NaiveDateTime {
    zone.from_utc_datetime(&instant.naive_utc()).naive_local()
}

fn start_of(year: i32) -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(year, 1, 1)
        .unwrap_or_default()
        .and_time(chrono::NaiveTime::MIN)
        .and_utc()
}

/// The calendar that every zone can tell the time in.
fn within(wall: NaiveDateTime) -> Option<NaiveDateTime> {
    ((0..=LAST_YEAR + 1).contains(&wall.year())).then_some(wall)
}

/// Days and microseconds, rounded as Python does it (half to even).
fn length(seconds: &Number) -> Result<(i64, i64), Refusal> {
    let refuse = |problem: &str| {
        Refusal::new(
            "interval",
            &seconds.to_string(),
            problem,
            "write a number of seconds above 0, such as 3600",
        )
    };
    let (whole, micros) = if let Some(whole) = seconds.as_i64() {
        (whole, 0)
    } else {
        let value = seconds.as_f64().unwrap_or(f64::MAX);
        if value.abs() > 1e15 {
            return Err(refuse(if value > 0.0 {
                "it is longer than any calendar"
            } else {
                "it is not above 0"
            }));
        }
        #[allow(
            clippy::cast_possible_truncation,
            reason = "within 1e15, so whole numbers that i64 holds"
        )]
        let parts = (value.trunc() as i64, (value.fract() * 1e6).round_ties_even() as i64);
        parts
    };
    let (whole, micros) = (whole + micros.div_euclid(SECOND), micros.rem_euclid(SECOND));
    if whole < 0 || (whole == 0 && micros == 0) {
        return Err(refuse("it is not above 0 (in whole microseconds)"));
    }
    let days = whole / 86_400;
    if days > DAYS_MAX {
        return Err(refuse("it is longer than any calendar"));
    }
    Ok((days, whole % 86_400 * SECOND + micros))
}
