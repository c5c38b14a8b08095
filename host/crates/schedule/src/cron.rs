//! Cron rules, in the dialect of croniter, which Prefect reads them with.
//!
//! `minute hour day-of-month month day-of-week [second [year]]`. A rule is checked into sets
//! (`dialect`, `fields`); a search finds the wall-clock times of the sets, `plain` for most of the rules
//! and croner (`calendar`) for those with `L` and nth weekdays.
//!
//! Kept from croniter, though odd: a range from a value to itself is the whole field (`5-5`);
//! an nth weekday beside a day of the month lets only the nth weekday count, unless both are
//! asked for; a rule whose days of the month never come is refused even if its weekdays would.
//! Not kept: croniter leaves out 1 March (and 2 March) for rules such as `0 0 */5 * *`, as it
//! steps from February over the days that February does not have.
//!
//! Not in here: time zones (`wall`).

mod calendar;
mod dialect;
mod fields;
mod plain;
mod sentence;
#[cfg(test)]
mod tests;
mod words;

use chrono::{Datelike, NaiveDateTime, SubsecRound, TimeDelta};

use crate::Refusal;
use crate::schedule::WallTimes;
use crate::wall::LAST_YEAR;
use calendar::{Calendar, MonthDays, WeekDays};
use fields::{FIELDS, Field, Values};
use plain::{Days, Plain};

/// How far apart two times of a rule may be: croniter looks no further, and so the times end.
pub(crate) const LOOK_AHEAD_YEARS: i32 = 50;

/// The longest text of a rule, in bytes.
const TEXT_MAX: usize = 1000;

/// A checked cron rule.
#[derive(Debug, Clone)]
pub(crate) struct Cron {
    rule: Kind,
    notes: words::Notes,
}

#[derive(Debug, Clone)]
enum Kind {
    Plain(Plain),
    Calendar(Box<Calendar>),
}

impl Cron {
    /// `day_or`: whether a day of the month *or* a day of the week is enough where both are
    /// given (cron's rule, and the default), or both must match.
    pub(crate) fn parse(text: &str, day_or: bool) -> Result<Cron, Refusal> {
        if text.len() > TEXT_MAX {
            return Err(Refusal::new(
                "cron",
                text,
                format!("it is longer than {TEXT_MAX} bytes"),
                "write ranges and steps instead of lists, or several schedules",
            ));
        }
        let parts = split(text)?;
        let mut values = [Values::default(); 7];
        for (field, part) in FIELDS.into_iter().zip(&parts) {
            values[field as usize] = dialect::read(field, part, parts.len()).map_err(|fault| fault.of(text))?;
        }
        if parts.len() < 6 {
            values[Field::Second as usize] = dialect::read(Field::Second, "0", 6).map_err(|fault| fault.of(text))?;
        }
        if parts.len() < 7 {
            values[Field::Year as usize].star = true;
        }
        match Cron::build(text, &parts, &values, day_or)? {
            (cron, true) => Ok(cron),
            (_, false) => Err(words::impossible(text, &values)),
        }
    }

    /// The rule of some fields, and whether it ever gives a time.
    fn build(text: &str, parts: &[&str], values: &[Values; 7], day_or: bool) -> Result<(Cron, bool), Refusal> {
        let of = |field: Field| &values[field as usize];
        let mask = |field: Field| {
            let all = field.range().fold(0, |bits, value| bits | 1 << value);
            if of(field).star { all } else { of(field).mask(field) }
        };
        let (day, weekday, year) = (of(Field::Day), of(Field::Weekday), of(Field::Year));
        // croniter makes a `*` of all days, if the other field has one in its text.
        let starred = |own: &Values, field: Field, other: usize| {
            own.star || own.is_all(field) && parts.get(other).is_some_and(|text| text.contains('*'))
        };
        let every_day = starred(day, Field::Day, Field::Weekday as usize);
        let every_weekday = starred(weekday, Field::Weekday, Field::Day as usize);
        let nth = weekday.nth != [0; 7];
        let plain_too = (0..7).any(|day| weekday.nth[day] == 0 && weekday.mask(Field::Weekday) >> day & 1 == 1);
        if nth && plain_too && weekday.count() + u32::from(weekday.star) != 7 {
            return Err(Refusal::new(
                "cron",
                text,
                "the day of the week mixes plain days and nth days",
                "write two schedules, one with the plain days and one with the nth days",
            ));
        }
        let mut plain = Plain {
            seconds: mask(Field::Second),
            minutes: mask(Field::Minute),
            hours: mask(Field::Hour),
            months: mask(Field::Month),
            years: (!year.star && !year.is_all(Field::Year)).then(|| Box::new(year.years())),
            days: Days::Every,
        };
        let either = day_or && !every_day && !every_weekday;
        let notes = words::Notes::new(parts.len(), values, either, plain_too);
        let (days, weekdays) = (day.mask(Field::Day), weekday.mask(Field::Weekday));
        if !nth && (!day.last || every_day) {
            plain.days = match (every_day, every_weekday) {
                (true, true) => Days::Every,
                (true, false) => Days::OfWeek(weekdays),
                (false, true) => Days::OfMonth(days),
                (false, false) if day_or => Days::Either(days, weekdays),
                (false, false) => Days::Both(days, weekdays),
            };
            let possible = plain.is_possible();
            return Ok((
                Cron {
                    rule: Kind::Plain(plain),
                    notes,
                },
                possible,
            ));
        }
        let mut calendar = Calendar {
            plain,
            days: (!every_day).then_some(MonthDays { days, last: day.last }),
            weekdays: match (nth, every_weekday) {
                (true, _) => Some(WeekDays::Nth(weekday.nth)),
                (false, true) => None,
                (false, false) => Some(WeekDays::Plain(weekdays)),
            },
            both: nth || !day_or,
        };
        let possible = calendar.is_possible();
        if nth && day_or && !every_weekday {
            calendar.days = None;
        }
        Ok((
            Cron {
                rule: Kind::Calendar(Box::new(calendar)),
                notes,
            },
            possible,
        ))
    }

    /// `At 15:30, Monday to Friday`.
    pub(crate) fn describe(&self) -> String {
        sentence::sentence(&self.rule)
    }

    /// What a person should know about the rule; a sentence each.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.sentences(&self.rule)
    }

    /// The wall-clock times from `from` (inclusive), strictly increasing, in whole seconds.
    pub(crate) fn walls(&self, from: NaiveDateTime) -> WallTimes<'_> {
        let mut at = whole(from);
        let mut search = match &self.rule {
            Kind::Plain(_) => None,
            Kind::Calendar(calendar) => Some(calendar.search()),
        };
        Box::new(std::iter::from_fn(move || {
            let now = at.take()?;
            let found = match (&self.rule, &mut search) {
                (Kind::Plain(plain), _) => plain.at_or_after(now),
                (_, Some(search)) => search.at_or_after(now),
                _ => None,
            };
            let found = found.filter(|found| found.year() <= LAST_YEAR)?;
            at = found.checked_add_signed(TimeDelta::seconds(1));
            Some(found)
        }))
    }
}

/// The fields of a rule, or of the rule that an alias stands for.
fn split(text: &str) -> Result<Vec<&str>, Refusal> {
    const ALIASES: [(&str, &str); 7] = [
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ];
    let alias = ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let text = alias.map_or(text, |(_, rule)| rule);
    // Python takes the four separators of ASCII for blanks, too.
    let blank = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    let parts: Vec<&str> = text.split(blank).filter(|part| !part.is_empty()).collect();
    if (5..=7).contains(&parts.len()) {
        return Ok(parts);
    }
    let known = "@hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually";
    Err(if text.trim_start().starts_with('@') {
        Refusal::new(
            "cron",
            text,
            "there is no such alias",
            format!("write {known}, or five fields"),
        )
    } else {
        Refusal::new(
            "cron",
            text,
            format!("it has {} fields", parts.len()),
            "write minute, hour, day of the month, month and day of the week, \
             then, if needed, second and year",
        )
    })
}

/// A time without a fraction of a second: the next whole second.
fn whole(time: NaiveDateTime) -> Option<NaiveDateTime> {
    let whole = time.trunc_subsecs(0);
    if whole == time {
        Some(time)
    } else {
        whole.checked_add_signed(TimeDelta::seconds(1))
    }
}
