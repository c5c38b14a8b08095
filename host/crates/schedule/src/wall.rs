//! From wall-clock times to instants: the one place that knows gaps and overlaps.
//!
//! A rule names wall-clock times; a zone does not have all of them, and has some twice.
//! An overlap gives its first pass. A time inside a gap is moved by the gap's length, to the
//! side that the kind of rule asks for ([`Gap`]). Whatever falls on the same instant is one.
//!
//! The offsets are those of the time zone database in the program (`chrono-tz`, 2025b), whose
//! summer times end with the year 2100.
//!
//! Not in here: what the wall-clock times are. Steps of an interval use [`resolve`] only.

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use crate::schedule::WallTimes;

/// Where a wall-clock time goes that the clocks jump over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// 02:30 becomes 03:30: cron and intervals, as Prefect on Python 3.13.
    Forward,
    /// 02:30 becomes 01:30: rrule, as Prefect on every Python.
    Backward,
}

/// The first and the last year of any schedule, as in Python's calendar.
pub(crate) const FIRST_YEAR: i32 = 1;
pub(crate) const LAST_YEAR: i32 = 9999;

/// The longest jump of a clock that any zone ever made: a day (Apia, Kwajalein, Kanton).
const LONGEST: Duration = Duration::hours(24);

/// A stretch of wall-clock time that a zone leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hole {
    /// The first time that is missing.
    from: NaiveDateTime,
    /// The first time that is there again.
    until: NaiveDateTime,
    /// The instant between the two.
    at: NaiveDateTime,
}

impl Hole {
    fn length(&self) -> Duration {
        self.until - self.from
    }

    fn holds(&self, wall: NaiveDateTime) -> bool {
        self.from <= wall && wall < self.until
    }

    fn instant(&self, wall: NaiveDateTime, gap: Gap) -> NaiveDateTime {
        let moved = self.at + (wall - self.from);
        match gap {
            Gap::Forward => moved,
            Gap::Backward => moved - self.length(),
        }
    }
}

/// What a wall-clock time is in a zone.
enum Place {
    There(NaiveDateTime),
    Missing(Hole),
}

/// The instant of one wall-clock time; `None` outside of what the calendar can hold.
pub(crate) fn resolve(zone: Tz, wall: NaiveDateTime, gap: Gap) -> Option<DateTime<Utc>> {
    match place(zone, wall)? {
        Place::There(instant) => Some(instant.and_utc()),
        Place::Missing(hole) => Some(hole.instant(wall, gap).and_utc()),
    }
}

/// The wall-clock time that an enumeration has to begin with, so that no instant from `start`
/// on is missed: `start` on the zone's clock or, in the time after a gap that moved times can
/// fall into, on the clock before the gap. Some of what it gives may still be before `start`.
pub(crate) fn begin(zone: Tz, start: DateTime<Utc>) -> NaiveDateTime {
    let first = NaiveDate::from_ymd_opt(FIRST_YEAR, 1, 3).unwrap_or_default();
    let start = start.naive_utc().max(first.and_time(NaiveTime::MIN));
    let now = offset(zone, start);
    let before = offset(zone, start - LONGEST);
    if before < now && offset(zone, start - (now - before)) < now {
        start.checked_add_signed(before).unwrap_or(NaiveDateTime::MAX)
    } else {
        start.checked_add_signed(now).unwrap_or(NaiveDateTime::MAX)
    }
}

/// Instants of a rule from `start` on: strictly increasing, equal ones merged, lazy.
pub(crate) struct Localised<'a> {
    rule: Box<dyn Fn(NaiveDateTime) -> WallTimes<'a> + Send + 'a>,
    zone: Tz,
    gap: Gap,
    start: NaiveDateTime,
    /// The rule's times, without those of a hole that `side` has.
    main: WallTimes<'a>,
    /// The next time of `main`, and its instant.
    ahead: Option<(NaiveDateTime, NaiveDateTime)>,
    /// The times inside of a hole; its moved instants mingle with those of `main`.
    side: Option<Side<'a>>,
    /// The hole that `side` is for, or was for.
    hole: Option<Hole>,
    /// Up to this instant no further gap begins (looked up when times move backward).
    quiet_until: NaiveDateTime,
    last: Option<NaiveDateTime>,
}

struct Side<'a> {
    hole: Hole,
    walls: WallTimes<'a>,
    ahead: Option<NaiveDateTime>,
}

impl<'a> Localised<'a> {
    /// `rule` gives wall-clock times from a time on (inclusive), strictly increasing.
    pub(crate) fn new(
        zone: Tz,
        start: DateTime<Utc>,
        gap: Gap,
        rule: impl Fn(NaiveDateTime) -> WallTimes<'a> + Send + 'a,
    ) -> Localised<'a> {
        Localised {
            main: rule(begin(zone, start)),
            rule: Box::new(rule),
            zone,
            gap,
            start: start.naive_utc(),
            ahead: None,
            side: None,
            hole: None,
            quiet_until: NaiveDateTime::MIN,
            last: None,
        }
    }

    /// Makes `ahead` the next time of `main`; times in a hole go to `side`.
    fn look_ahead(&mut self) {
        while self.ahead.is_none() {
            let Some(wall) = self.main.next().filter(|wall| in_range(*wall)) else {
                return;
            };
            match place(self.zone, wall) {
                None => return,
                Some(Place::There(instant)) => {
                    self.ahead = Some((wall, instant));
                    if self.gap == Gap::Backward {
                        self.meet_next_hole(instant);
                    }
                }
                Some(Place::Missing(hole)) => {
                    let rest = std::mem::replace(&mut self.main, (self.rule)(hole.until));
                    if self.hole != Some(hole) {
                        self.hole = Some(hole);
                        let walls = Box::new(std::iter::once(wall).chain(rest));
                        self.side = Some(Side::new(hole, walls, self.gap));
                    }
                }
            }
        }
    }

    /// Times of the next hole are moved to before it: they are needed from there on.
    fn meet_next_hole(&mut self, instant: NaiveDateTime) {
        if instant < self.quiet_until {
            return;
        }
        match next_hole(self.zone, instant) {
            None => self.quiet_until = later(instant, LONGEST),
            Some(hole) if instant < hole.at - hole.length() => self.quiet_until = hole.at - hole.length(),
            Some(hole) => {
                self.quiet_until = hole.at;
                self.hole = Some(hole);
                self.side = Some(Side::new(hole, (self.rule)(hole.from), self.gap));
            }
        }
    }

    fn take(&mut self) -> Option<NaiveDateTime> {
        self.look_ahead();
        let main = self.ahead.map(|(_, instant)| instant);
        let side = self.side.as_ref().and_then(|side| side.ahead);
        match (main, side) {
            (Some(main), Some(side)) if side <= main => self.take_side(),
            (None, Some(_)) => self.take_side(),
            _ => {
                self.ahead = None;
                main
            }
        }
    }

    fn take_side(&mut self) -> Option<NaiveDateTime> {
        let side = self.side.as_mut()?;
        let instant = side.ahead;
        side.advance(self.gap);
        if side.ahead.is_none() {
            self.side = None;
        }
        instant
    }
}

impl Iterator for Localised<'_> {
    type Item = DateTime<Utc>;

    fn next(&mut self) -> Option<DateTime<Utc>> {
        loop {
            let instant = self.take()?;
            if instant >= self.start && self.last.is_none_or(|last| last < instant) {
                self.last = Some(instant);
                return Some(instant.and_utc());
            }
        }
    }
}

impl<'a> Side<'a> {
    fn new(hole: Hole, walls: WallTimes<'a>, gap: Gap) -> Side<'a> {
        let mut side = Side {
            hole,
            walls,
            ahead: None,
        };
        side.advance(gap);
        side
    }

    fn advance(&mut self, gap: Gap) {
        let wall = self.walls.next().filter(|wall| self.hole.holds(*wall));
        self.ahead = wall.map(|wall| self.hole.instant(wall, gap));
    }
}

/// The calendar's years; what is outside ends an enumeration.
fn in_range(wall: NaiveDateTime) -> bool {
    wall.date() <= NaiveDate::from_ymd_opt(LAST_YEAR, 12, 30).unwrap_or_default()
}

fn offset(zone: Tz, instant: NaiveDateTime) -> Duration {
    Duration::seconds(i64::from(
        zone.offset_from_utc_datetime(&instant).fix().local_minus_utc(),
    ))
}

fn place(zone: Tz, wall: NaiveDateTime) -> Option<Place> {
    match zone.offset_from_local_datetime(&wall).earliest() {
        Some(there) => {
            let offset = Duration::seconds(i64::from(there.fix().local_minus_utc()));
            wall.checked_sub_signed(offset).map(Place::There)
        }
        None => hole(zone, wall).map(Place::Missing),
    }
}

fn hole(zone: Tz, wall: NaiveDateTime) -> Option<Hole> {
    let gap = GapInfo::new(&wall, &zone)?;
    let (from, before) = gap.begin?;
    let until = gap.end?.naive_local();
    let before = Duration::seconds(i64::from(before.fix().local_minus_utc()));
    Some(Hole {
        from,
        until,
        at: from.checked_sub_signed(before)?,
    })
}

fn later(instant: NaiveDateTime, by: Duration) -> NaiveDateTime {
    instant.checked_add_signed(by).unwrap_or(NaiveDateTime::MAX)
}

/// The gap that begins within two days after `instant`: as long before it as its times can be
/// moved, and as long as the answer "none" is to hold.
fn next_hole(zone: Tz, instant: NaiveDateTime) -> Option<Hole> {
    let now = offset(zone, instant);
    let end = instant.checked_add_signed(LONGEST * 2)?;
    if offset(zone, end) <= now {
        return None;
    }
    let (mut old, mut new) = (instant.and_utc().timestamp(), end.and_utc().timestamp() + 1);
    while new - old > 1 {
        let middle = old + (new - old) / 2;
        let at = DateTime::from_timestamp(middle, 0)?.naive_utc();
        if offset(zone, at) == now {
            old = middle
        } else {
            new = middle
        }
    }
    let at = DateTime::from_timestamp(new, 0)?.naive_utc();
    Some(Hole {
        from: at + now,
        until: at + offset(zone, at),
        at,
    })
}

#[cfg(test)]
mod tests;
