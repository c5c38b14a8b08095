//! The times of one rule, from anywhere on.
//!
//! A search never looks at every second: it jumps from a day that does not pass to the next one
//! that does, likewise for hours, minutes and seconds, and each time to the next unit in phase
//! with DTSTART. What it takes is counted; a rule that stays silent for [`PROBES`] jumps has
//! ended. (Rules that people write need under a hundred. The limit is met by rules whose interval
//! never falls on the days that their BY… parts ask for.)

use chrono::{Datelike, NaiveDate};

use super::days::{Mask, SHAPES, year_start};
use super::part::Freq;
use super::rule::{DAY, Rule, positions};
use crate::wall::LAST_YEAR;

/// Jumps in search of one time.
pub(super) const PROBES: u32 = 8_000;

/// An enumeration of one rule, in seconds on the wall clock. Strictly increasing.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    rule: &'a Rule,
    known: [Option<Mask>; SHAPES],
    /// The year looked at last, with its first day.
    year: Option<(i32, i64, Mask)>,
    /// A day that passed last.
    open: i64,
    /// Nothing before this comes.
    floor: i64,
    /// The unit (days from 1 January of the year 1, or hours, … of them) to look at next.
    cursor: i64,
    /// Beginning of the unit whose offsets come now, and which is next.
    base: Option<i64>,
    at: usize,
    /// With BYSETPOS over several days: times of the period that come now, last one first.
    picked: Vec<i64>,
    probes: u32,
}

/// Number of the last day of the calendar.
fn last_day() -> i64 {
    year_start(LAST_YEAR + 1) - 1
}

impl<'a> Walk<'a> {
    /// Times at or after `from`.
    pub(super) fn new(rule: &'a Rule, from: i64) -> Walk<'a> {
        let mut walk = Walk {
            rule,
            known: [None; SHAPES],
            year: None,
            open: 0,
            floor: 0,
            cursor: 0,
            base: None,
            at: 0,
            picked: Vec::new(),
            probes: 0,
        };
        walk.seek(from);
        walk
    }

    /// Goes on at `from`, wherever it was.
    pub(super) fn seek(&mut self, from: i64) {
        self.floor = from.max(self.rule.start);
        self.cursor = self.floor.div_euclid(self.rule.unit());
        self.base = None;
        self.picked.clear();
        if !self.rule.setpos.is_empty() {
            self.cursor = self.period(self.cursor).0;
        }
    }

    /// Counts a jump; `None` when it was the last.
    fn probe(&mut self) -> Option<()> {
        self.probes += 1;
        (self.probes < PROBES).then_some(())
    }

    /// Beginning of the next unit that passes, with everything that is left of it ahead.
    /// Moves on to it; [`Iterator::next`] does the same and then takes its times.
    pub(super) fn next_unit(&mut self) -> Option<i64> {
        self.probes = 0;
        let unit = match self.rule.unit() {
            DAY => self.next_day(self.cursor)?,
            unit => self.next_within_days(self.cursor, unit)?,
        };
        self.cursor = unit + 1;
        Some(unit * self.rule.unit())
    }

    /// The mask of the year of `day`, and the day number of its 1 January.
    fn year_of(&mut self, day: i64) -> (i32, i64, Mask) {
        if let Some((year, first, mask)) = self.year
            && (0..365).contains(&(day - first))
        {
            return (year, first, mask);
        }
        let number = number_of(day);
        let days = &self.rule.days;
        let mut mask = match days.shape(number) {
            None => days.mask(number),
            Some(shape) => *self.known[shape].get_or_insert_with(|| days.mask(number)),
        };
        if days.easter.is_some() {
            // No shape to look it up by: such a year costs as much as some others.
            self.probes = self.probes.saturating_add(3);
            days.at_easter(number, &mut mask);
        }
        let entry = (number, year_start(number), mask);
        self.year = Some(entry);
        entry
    }

    /// The first day from `day` on that passes and is in phase.
    fn next_day(&mut self, mut day: i64) -> Option<i64> {
        let (rule, last) = (self.rule, last_day());
        let start = rule.start.div_euclid(DAY);
        loop {
            self.probe()?;
            if day > last {
                return None;
            }
            let (year, first, mask) = self.year_of(day);
            if rule.freq == Freq::Yearly {
                let late = (i64::from(year) - i64::from(number_of(start))) % rule.interval;
                if late != 0 {
                    day = year_start_capped(i64::from(year) + rule.interval - late);
                    continue;
                }
            }
            let Some(found) = mask.next(day - first).map(|at| first + at) else {
                day = match rule.freq {
                    Freq::Yearly => year_start_capped(i64::from(year) + rule.interval),
                    _ => year_start(year + 1),
                };
                continue;
            };
            match self.phase(found, start) {
                None => return Some(found),
                Some(next) => day = next,
            }
        }
    }

    /// `None` if a day is in phase, otherwise where to go on.
    fn phase(&self, day: i64, start: i64) -> Option<i64> {
        let interval = self.rule.interval;
        match self.rule.freq {
            Freq::Daily => {
                let late = (day - start) % interval;
                (late != 0).then(|| day + interval - late)
            }
            Freq::Weekly => {
                let first = self.week_start(start);
                let week = (day - first).div_euclid(7);
                let late = week % interval;
                (late != 0).then(|| first + (week - late + interval) * 7)
            }
            Freq::Monthly => {
                let month = month_of(day);
                let late = (month - month_of(start)) % interval;
                (late != 0).then(|| month_start(month - late + interval))
            }
            _ => None,
        }
    }

    fn week_start(&self, day: i64) -> i64 {
        day - (day - 1 - i64::from(self.rule.wkst)).rem_euclid(7)
    }

    /// The first hour, minute or second from `unit` on that passes and is in phase.
    fn next_within_days(&mut self, unit: i64, length: i64) -> Option<i64> {
        let rule = self.rule;
        let start = rule.start.div_euclid(length);
        let align = |unit: i64| {
            let late = (unit - start).rem_euclid(rule.interval);
            if late == 0 { unit } else { unit + rule.interval - late }
        };
        let (every_day, last) = (rule.days.unrestricted(), last_day());
        let mut unit = align(unit);
        loop {
            self.probe()?;
            let begin = unit * length;
            let (day, second) = (begin.div_euclid(DAY), begin.rem_euclid(DAY));
            if day > last {
                return None;
            }
            if !every_day && day != self.open {
                self.open = self.next_day(day)?;
            }
            let blocked = if !every_day && day != self.open {
                Some(self.open * DAY)
            } else {
                rule.blocked(second).map(|next| day * DAY + next)
            };
            match blocked {
                None => return Some(unit),
                // Beginnings of hours and minutes are beginnings of smaller units.
                Some(next) => unit = align(next.div_euclid(length)),
            }
        }
    }

    /// Given that the rule, which repeats at every unit, has a time at `time`: up to when (not
    /// included) every unit of it has its times. Looks some two years ahead at most.
    pub(super) fn solid_until(&mut self, time: i64) -> i64 {
        let (rule, day) = (self.rule, time.div_euclid(DAY));
        let all_day = rule.unit() == DAY || rule.hours == u64::MAX;
        let end = if !all_day {
            let hour = time.rem_euclid(DAY) / 3600;
            day * DAY + (hour..24).find(|hour| rule.hours >> hour & 1 == 0).unwrap_or(24) * 3600
        } else if rule.days.unrestricted() {
            i64::MAX / 2
        } else {
            let day = (day + 1..day + 800).find(|day| {
                let (_, first, mask) = self.year_of((*day).min(last_day()));
                *day > last_day() || !mask.has(day - first)
            });
            day.unwrap_or(time.div_euclid(DAY) + 800) * DAY
        };
        rule.until.map_or(end, |until| end.min(until + 1))
    }

    /// First day and end of the period that BYSETPOS picks from.
    fn period(&self, day: i64) -> (i64, i64) {
        match self.rule.freq {
            Freq::Yearly => {
                let year = number_of(day);
                (year_start(year), year_start(year + 1))
            }
            Freq::Monthly => {
                let month = month_of(day);
                (month_start(month), month_start(month + 1))
            }
            _ => {
                let first = self.week_start(day);
                // dateutil begins the first week with DTSTART.
                (first.max(self.rule.start.div_euclid(DAY)), first + 7)
            }
        }
    }

    /// Fills `picked` with the next period that has something.
    fn pick(&mut self) -> Option<()> {
        let offsets = &self.rule.offsets;
        while self.picked.is_empty() {
            self.probe()?;
            let day = self.next_day(self.cursor)?;
            let (first, end) = self.period(day);
            self.cursor = end;
            let mut days = Vec::new();
            for day in first.max(1)..end {
                let (_, year, mask) = self.year_of(day);
                if mask.has(day - year) {
                    days.push(day);
                }
            }
            self.probes = self
                .probes
                .saturating_add(u32::try_from((end - first) / 4).unwrap_or(0));
            let floor = self.floor;
            let times = positions(&self.rule.setpos, days.len() * offsets.len())
                .filter_map(|at| {
                    Some(days.get(at / offsets.len())? * DAY + i64::from(*offsets.get(at % offsets.len())?))
                })
                .filter(|time| *time >= floor);
            self.picked = times.collect();
            self.picked.reverse();
        }
        Some(())
    }

    fn advance(&mut self) -> Option<i64> {
        if self.rule.offsets.is_empty() {
            return None;
        }
        if !self.rule.setpos.is_empty() {
            self.probes = 0;
            self.pick()?;
            return self.picked.pop();
        }
        loop {
            if let Some(base) = self.base
                && let Some(offset) = self.rule.offsets.get(self.at)
            {
                self.at += 1;
                return Some(base + i64::from(*offset));
            }
            let base = self.next_unit()?;
            let floor = self.floor - base;
            self.at = if floor <= 0 {
                0
            } else {
                self.rule.offsets.partition_point(|at| i64::from(*at) < floor)
            };
            self.base = Some(base);
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        self.advance()
            .filter(|time| self.rule.until.is_none_or(|until| *time <= until))
    }
}

fn date_of(day: i64) -> NaiveDate {
    i32::try_from(day)
        .ok()
        .and_then(NaiveDate::from_num_days_from_ce_opt)
        .unwrap_or(NaiveDate::MAX)
}

fn number_of(day: i64) -> i32 {
    date_of(day).year()
}

/// Months from January of the year 0.
fn month_of(day: i64) -> i64 {
    let date = date_of(day);
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

fn month_start(month: i64) -> i64 {
    let (year, month0) = (month.div_euclid(12), month.rem_euclid(12));
    let date = i32::try_from(year)
        .ok()
        .zip(u32::try_from(month0 + 1).ok())
        .and_then(|(year, month)| NaiveDate::from_ymd_opt(year, month, 1));
    date.map_or(i64::MAX / DAY / 2, |date| i64::from(date.num_days_from_ce()))
}

fn year_start_capped(year: i64) -> i64 {
    i32::try_from(year).map_or(i64::MAX / DAY / 2, |year| year_start(year.min(LAST_YEAR + 1)))
}
