//! The search for rules with `L` or nth weekdays: croner does it.
//!
//! croner's patterns hold a byte for each of 5,000 years, and a `*` there is set one by one. So
//! none is kept: one is built for some years when times are asked for.

use chrono::{Datelike, NaiveDate, NaiveDateTime};
use croner::Cron as Croner;
use croner::parser::{CronParser, Seconds, Year};

use super::LOOK_AHEAD_YEARS;
use super::fields::LAST;
use super::plain::{Plain, has};

/// The days of a rule, in parts that the length of a month decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calendar {
    /// Everything but the days.
    pub(super) plain: Plain,
    /// Days of the month, with `last` the last one; `None` is `*`.
    pub(super) days: Option<MonthDays>,
    /// Weekdays; `None` is `*`.
    pub(super) weekdays: Option<WeekDays>,
    /// Both must match, where both are given; otherwise either.
    pub(super) both: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MonthDays {
    pub(super) days: u64,
    pub(super) last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WeekDays {
    /// Bits from Sunday on.
    Plain(u64),
    /// By weekday from Sunday: which of the month.
    Nth([u8; 7]),
}

/// croner knows no later year.
const CRONER_LAST_YEAR: i32 = 4999;

/// How many years a pattern is built for, and how many of them are used before the next one.
const WINDOW_YEARS: i32 = LOOK_AHEAD_YEARS + USED_YEARS;
const USED_YEARS: i32 = 14;

impl Calendar {
    pub(super) fn search(&self) -> Search<'_> {
        Search {
            rule: self,
            pattern: None,
        }
    }

    /// Whether the rule ever gives a time, within the years that rules can name.
    ///
    /// Looked up by months: croner would walk day by day through thousands of years.
    pub(super) fn is_possible(&self) -> bool {
        let months = || (1..=12).filter(|month| has(self.plain.months, *month));
        let years = (1970..=2099).filter(|year| self.plain.year(*year));
        years
            .flat_map(|year| months().map(move |month| NaiveDate::from_ymd_opt(year, month, 1)))
            .flatten()
            .any(|first| self.is_in_month(first))
    }

    fn is_in_month(&self, first: NaiveDate) -> bool {
        let length = u32::from(first.num_days_in_month());
        (1..=length).any(|day| {
            let weekday = (first.weekday().num_days_from_sunday() + day - 1) % 7;
            let of_month = self.days.map(|days| has(days.days, day) || days.last && day == length);
            let of_week = self.weekdays.map(|weekdays| match weekdays {
                WeekDays::Plain(bits) => has(bits, weekday),
                WeekDays::Nth(nth) => {
                    let nth = nth[weekday as usize];
                    nth >> (day.div_ceil(7)) & 1 == 1 || nth & LAST != 0 && day + 7 > length
                }
            });
            match (of_month, of_week) {
                (Some(of_month), Some(of_week)) if !self.both => of_month || of_week,
                (of_month, of_week) => of_month.unwrap_or(true) && of_week.unwrap_or(true),
            }
        })
    }

    /// croner's pattern for the years from `first` to `last`: seconds first, years last.
    fn pattern(&self, first: i32, last: i32) -> Option<Croner> {
        let years = list((first..=last).filter(|year| self.plain.year(*year)));
        if years.is_empty() {
            return None;
        }
        let bits = |bits: u64| list((0..64).filter(move |number| has(bits, *number)));
        let days = self.days.map_or_else(
            || "*".to_owned(),
            |days| match (days.days, days.last) {
                (0, _) => "L".to_owned(),
                (set, false) => bits(set),
                (set, true) => format!("{},L", bits(set)),
            },
        );
        let weekdays = match self.weekdays {
            None => "*".to_owned(),
            Some(WeekDays::Plain(weekdays)) => bits(weekdays),
            Some(WeekDays::Nth(nth)) => nth_list(&nth),
        };
        let plain = &self.plain;
        let (seconds, minutes, hours) = (bits(plain.seconds), bits(plain.minutes), bits(plain.hours));
        let text = format!(
            "{seconds} {minutes} {hours} {days} {} {weekdays} {years}",
            bits(plain.months)
        );
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Required)
            .dom_and_dow(self.both);
        parser.build().parse(&text).ok()
    }
}

/// A walk through the times of a rule.
#[derive(Debug)]
pub(super) struct Search<'a> {
    rule: &'a Calendar,
    /// The pattern in use, and the last year to begin a search in with it.
    pattern: Option<(Croner, i32)>,
}

impl Search<'_> {
    /// The first match at or after a time that has no fraction of a second.
    pub(super) fn at_or_after(&mut self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        if at.year() >= CRONER_LAST_YEAR {
            return None;
        }
        let pattern = match &mut self.pattern {
            Some((pattern, used)) if at.year() <= *used => pattern,
            other => {
                let last = (at.year() + WINDOW_YEARS).min(CRONER_LAST_YEAR);
                &mut other
                    .insert((self.rule.pattern(at.year(), last)?, at.year() + USED_YEARS))
                    .0
            }
        };
        let found = pattern.find_next_occurrence(&at, true).ok()?;
        (found.year() - at.year() <= LOOK_AHEAD_YEARS).then_some(found)
    }
}

/// Numbers with commas, runs as ranges.
fn list<N: Into<i64>>(numbers: impl Iterator<Item = N>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for number in numbers.map(Into::into) {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => runs.push((number, number)),
        }
    }
    let runs = runs.into_iter().map(|(from, to)| {
        if from == to {
            from.to_string()
        } else {
            format!("{from}-{to}")
        }
    });
    runs.collect::<Vec<_>>().join(",")
}

fn nth_list(nth: &[u8; 7]) -> String {
    let mut parts = Vec::new();
    for (weekday, bits) in nth.iter().enumerate() {
        parts.extend((1..=5).filter(|n| bits >> n & 1 == 1).map(|n| format!("{weekday}#{n}")));
        if bits & LAST != 0 {
            parts.push(format!("{weekday}#L"));
        }
    }
    parts.join(",")
}
