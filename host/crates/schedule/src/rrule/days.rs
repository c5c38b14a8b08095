//! Which days of a year a rule means: the BY… parts that speak of days.
//!
//! A year of days is a set of bits, so that finding the next day, or seeing that a rule names a
//! day that never comes, costs a few instructions a year. Years of the same shape (leap or not,
//! weekday of 1 January, leap year before) have the same days, but for Easter.
//!
//! Rules: RFC 5545 3.3.10, and python-dateutil 2.9 where it goes its own way (each said below).

use chrono::{Datelike, NaiveDate};

/// Days of a year from 0, and a week more: weeks run over the end of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mask([u64; 6]);

/// How far a numbered weekday (`2MO`) counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Year,
    Month,
}

/// The BY… parts about days. `None`: not restricted.
#[derive(Debug, Clone, Default)]
pub(super) struct Days {
    /// Bit 1 is January.
    pub(super) months: Option<u16>,
    /// From 1, or from -1 backward; never 0.
    pub(super) monthdays: Option<Vec<i64>>,
    /// From 1, or from -1 backward.
    pub(super) yeardays: Option<Vec<i64>>,
    /// Bit 0 is Monday.
    pub(super) weekdays: Option<u8>,
    /// Numbered weekdays. dateutil: a day has to pass these and `weekdays`, not either.
    pub(super) nth: Option<(Within, Vec<(u8, i64)>)>,
    pub(super) weeks: Option<Vec<i64>>,
    /// Days from Easter Sunday, within its year.
    pub(super) easter: Option<Vec<i64>>,
    /// First day of the week, 0 is Monday.
    pub(super) wkst: u8,
    /// The rule's first day, if the rule goes by weeks.
    pub(super) weekly_from: Option<NaiveDate>,
}

/// What the days of a year depend on.
#[derive(Debug, Clone, Copy)]
struct Year {
    number: i32,
    length: i64,
    /// Weekday of 1 January, 0 is Monday.
    first: i64,
}

impl Mask {
    const EMPTY: Mask = Mask([0; 6]);

    fn range(from: i64, until: i64) -> Mask {
        let mut mask = Mask::EMPTY;
        (from..until).for_each(|day| mask.set(day));
        mask
    }

    fn set(&mut self, day: i64) {
        if let Some(word) = usize::try_from(day / 64)
            .ok()
            .filter(|_| day >= 0)
            .and_then(|at| self.0.get_mut(at))
        {
            *word |= 1 << (day % 64);
        }
    }

    fn and(&mut self, other: Mask) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    /// The first day of the set from `day` on.
    pub(super) fn next(&self, day: i64) -> Option<i64> {
        let start = usize::try_from(day).ok()?;
        let first = self.0.get(start / 64)? & (u64::MAX << (start % 64));
        let rest = self
            .0
            .iter()
            .enumerate()
            .skip(start / 64 + 1)
            .map(|(at, word)| (at, *word));
        std::iter::once((start / 64, first))
            .chain(rest)
            .find(|(_, word)| *word != 0)
            .and_then(|(at, word)| {
                i64::try_from(at * 64)
                    .ok()
                    .map(|base| base + i64::from(word.trailing_zeros()))
            })
    }

    pub(super) fn has(&self, day: i64) -> bool {
        usize::try_from(day)
            .ok()
            .and_then(|day| self.0.get(day / 64).map(|word| word >> (day % 64) & 1 == 1))
            == Some(true)
    }
}

impl Year {
    fn of(number: i32) -> Year {
        let first = NaiveDate::from_ymd_opt(number, 1, 1).unwrap_or_default();
        let length = if first.leap_year() { 366 } else { 365 };
        Year {
            number,
            length,
            first: i64::from(first.weekday().num_days_from_monday()),
        }
    }

    fn weekday(&self, day: i64) -> i64 {
        (self.first + day).rem_euclid(7)
    }

    /// First day and end of a month (1 to 12).
    fn month(&self, month: usize) -> (i64, i64) {
        const ENDS: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
        let leap = self.length - 365;
        let at = |month: usize| ENDS[month] + if month >= 2 { leap } else { 0 };
        (at(month - 1), at(month))
    }
}

impl Days {
    /// Whether every day passes.
    pub(super) fn unrestricted(&self) -> bool {
        self.months.is_none()
            && self.monthdays.is_none()
            && self.yeardays.is_none()
            && self.weekdays.is_none()
            && self.nth.is_none()
            && self.weeks.is_none()
            && self.easter.is_none()
    }

    /// A number below [`SHAPES`] that years with the same days share.
    pub(super) fn shape(&self, number: i32) -> Option<usize> {
        if self.easter.is_some()
            || self
                .weekly_from
                .is_some_and(|from| self.weeks.is_some() && from.year() == number)
        {
            return None;
        }
        let (year, before) = (Year::of(number), Year::of(number - 1));
        usize::try_from(year.first * 4 + (year.length - 365) * 2 + (before.length - 365)).ok()
    }

    /// The days of a year that pass, BYEASTER left out.
    pub(super) fn mask(&self, number: i32) -> Mask {
        let year = Year::of(number);
        let mut mask = Mask::range(0, year.length);
        if let Some(months) = self.months {
            let days = (1..=12)
                .filter(|month| months >> month & 1 == 1)
                .flat_map(|month| span(year.month(month)));
            mask.and(collect(days));
        }
        if let Some(wanted) = &self.monthdays {
            mask.and(collect((1..=12).flat_map(|month| monthdays(year.month(month), wanted))));
        }
        if let Some(wanted) = &self.yeardays {
            let (first, end) = (0, year.length);
            mask.and(collect(monthdays((first, end), wanted)));
        }
        if let Some(weekdays) = self.weekdays {
            mask.and(collect(
                (0..year.length).filter(|day| weekdays >> year.weekday(*day) & 1 == 1),
            ));
        }
        if let Some((within, nth)) = &self.nth {
            mask.and(self.numbered(&year, *within, nth));
        }
        if let Some(weeks) = &self.weeks {
            mask.and(self.numbered_weeks(&year, weeks));
        }
        mask
    }

    /// Takes from a mask the days that BYEASTER does not mean in this year.
    pub(super) fn at_easter(&self, number: i32, mask: &mut Mask) {
        if let Some(offsets) = &self.easter {
            let sunday = easter(number) - year_start(number);
            mask.and(collect(offsets.iter().map(|offset| sunday + offset)));
        }
    }

    fn numbered(&self, year: &Year, within: Within, nth: &[(u8, i64)]) -> Mask {
        let spans: Vec<(i64, i64)> = match (within, self.months) {
            (Within::Year, None) => vec![(0, year.length)],
            (Within::Year, Some(months)) => (1..=12)
                .filter(|month| months >> month & 1 == 1)
                .map(|month| year.month(month))
                .collect(),
            (Within::Month, _) => (1..=12).map(|month| year.month(month)).collect(),
        };
        let mut mask = Mask::EMPTY;
        for (first, end) in spans {
            for (weekday, n) in nth {
                let weekday = i64::from(*weekday);
                let day = if *n > 0 {
                    first + (weekday - year.weekday(first)).rem_euclid(7) + (n - 1) * 7
                } else {
                    end - 1 - (year.weekday(end - 1) - weekday).rem_euclid(7) + (n + 1) * 7
                };
                if (first..end).contains(&day) {
                    mask.set(day);
                }
            }
        }
        mask
    }

    /// Days of numbered weeks. A weekly rule takes a week that began last year by the numbers
    /// of last year, but for the first week of the rule.
    fn numbered_weeks(&self, year: &Year, weeks: &[i64]) -> Mask {
        let own = week_mask(year, weeks, i64::from(self.wkst));
        let Some(from) = self.weekly_from else { return own };
        let before = Year::of(year.number - 1);
        let last = week_mask(&before, weeks, i64::from(self.wkst));
        let first_week = (i64::from(self.wkst) - year.first).rem_euclid(7);
        let begun = if from.year() == year.number {
            i64::from(from.ordinal0())
        } else {
            first_week
        };
        collect((0..year.length).filter(|day| {
            if *day < first_week.min(begun) {
                last.has(before.length + day)
            } else {
                own.has(*day)
            }
        }))
    }
}

/// Number of different [`Days::shape`]s.
pub(super) const SHAPES: usize = 28;

fn collect(days: impl Iterator<Item = i64>) -> Mask {
    let mut mask = Mask::EMPTY;
    days.for_each(|day| mask.set(day));
    mask
}

fn span((first, end): (i64, i64)) -> std::ops::Range<i64> {
    first..end
}

/// Days counted from 1 at the beginning, from -1 at the end.
fn monthdays((first, end): (i64, i64), wanted: &[i64]) -> impl Iterator<Item = i64> {
    wanted
        .iter()
        .map(move |day| if *day > 0 { first + day - 1 } else { end + day })
        .filter(move |day| (first..end).contains(day))
}

/// Days of the weeks with these numbers, as python-dateutil has them, its two slips included:
/// the last week of the year before is counted with this year's length, and a negative number
/// does not reach the days that belong to a week of another year.
fn week_mask(year: &Year, weeks: &[i64], wkst: i64) -> Mask {
    let to_wkst = (wkst - year.first).rem_euclid(7);
    // Week 1 has at least four days of the year; it may begin before it.
    let one = if to_wkst >= 4 { to_wkst - 7 } else { to_wkst };
    let count = (year.length - one) / 7 + (year.length - one) % 7 / 4;
    let mut mask = Mask::EMPTY;
    for week in weeks {
        let week = if *week < 0 { week + count + 1 } else { *week };
        if (1..=count).contains(&week) {
            (one + (week - 1) * 7..one + week * 7).for_each(|day| mask.set(day));
        }
    }
    let next_one = one + count * 7;
    if weeks.contains(&1) && next_one < year.length {
        (next_one..next_one + 7).for_each(|day| mask.set(day));
    }
    if one > 0 {
        let before = Year::of(year.number - 1);
        let to_wkst = (wkst - before.first).rem_euclid(7);
        let last = if weeks.contains(&-1) {
            -1
        } else if to_wkst >= 4 {
            weeks_in(before.length + 7 - to_wkst)
        } else {
            weeks_in(year.length - one)
        };
        if weeks.contains(&last) {
            (0..one).for_each(|day| mask.set(day));
        }
    }
    mask
}

/// Number of the last week, of 52 or 53.
fn weeks_in(days: i64) -> i64 {
    52 + (days % 7) / 4
}

/// Day number (1 January of the year 1 is 1) of 1 January.
pub(super) fn year_start(year: i32) -> i64 {
    NaiveDate::from_ymd_opt(year, 1, 1).map_or(i64::MAX / 2, |date| i64::from(date.num_days_from_ce()))
}

/// Day number of Easter Sunday in the Gregorian calendar (the anonymous computus of 1876).
fn easter(year: i32) -> i64 {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let m = (a + 11 * h) / 319;
    let l = (2 * e + 2 * (c / 4) - c % 4 - h + m + 32) % 7;
    let month = (h - m + l + 90) / 25;
    let day = (h - m + l + month + 19) % 32;
    let date = u32::try_from(month).ok().zip(u32::try_from(day).ok());
    date.and_then(|(month, day)| NaiveDate::from_ymd_opt(year, month, day))
        .map_or(0, |date| i64::from(date.num_days_from_ce()))
}
