//! Recurrence rules in python-dateutil's dialect, as Prefect 3 reads them.
//!
//! Text is read into parts of our own ([`text`], [`part`], [`date`]), what DTSTART implies is
//! filled in ([`rule`]), and times are found by arithmetic from any time on ([`days`], [`walk`]):
//! nothing walks from DTSTART, so a rule that has run for years answers as fast as a new one.
//! Several lines make a set ([`set`]).
//!
//! All of it is wall-clock time without a zone. Zones inside of a rule are thrown away and their
//! digits kept, as Prefect does; DTSTART is 2020-01-01T00:00:00 where there is none.

mod date;
mod days;
mod describe;
mod part;
mod rule;
mod set;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

use self::part::Parts;
use self::rule::{DAY, Rule};
use self::set::{Merged, Tally};
use self::text::Text;
use crate::Refusal;
use crate::schedule::WallTimes;

/// The longest text, in characters, as Prefect has it.
const TEXT_MAX: usize = 6_500;

/// The most RRULE and EXRULE lines of one schedule.
const RULES_MAX: usize = 8;

/// A checked recurrence rule (or set of rules).
#[derive(Debug, Clone)]
pub(crate) struct Recurrence {
    rules: Vec<Rule>,
    exrules: Vec<Rule>,
    /// Increasing, without repetition.
    rdates: Vec<NaiveDateTime>,
    exdates: Vec<NaiveDateTime>,
    /// What `describe` and `notes` speak of.
    parts: Vec<Parts>,
    start: NaiveDateTime,
    explicit_start: bool,
    tzids: Vec<String>,
}

/// What is wrong with a rule, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    problem: String,
    instead: String,
}

impl Fault {
    fn new(problem: impl Into<String>, instead: impl Into<String>) -> Fault {
        Fault {
            problem: problem.into(),
            instead: instead.into(),
        }
    }
}

impl Recurrence {
    /// `text` is the rule as it was written; its zones, if any, are thrown away.
    ///
    /// # Errors
    ///
    /// What Prefect rejects or only finds out when it evaluates the rule; rules that never give a
    /// time; a COUNT that would take too long to count (see [`Tally`]).
    pub(crate) fn parse(text: &str) -> Result<Recurrence, Refusal> {
        read(text).map_err(|fault| Refusal::new("rrule", text, fault.problem, fault.instead))
    }

    /// The wall-clock times from `from` (inclusive), strictly increasing.
    pub(crate) fn walls(&self, from: NaiveDateTime) -> WallTimes<'_> {
        Box::new(Merged::new(self, from))
    }
}

fn read(text: &str) -> Result<Recurrence, Fault> {
    let Text {
        dtstart,
        rules: parts,
        exrules,
        mut rdates,
        mut exdates,
        tzids,
    } = text::parse(text)?;
    // Prefect: 2020-01-01 at midnight.
    let default = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap_or_default().into();
    let start = dtstart
        .map_or(default, |stamp| stamp.wall)
        .with_nanosecond(0)
        .unwrap_or(default);
    let zoned = dtstart.is_some_and(|stamp| stamp.zoned);
    let mut tally = Tally::default();
    let mut build = |parts: &Parts| {
        check_until(parts, dtstart.is_some(), zoned, start)?;
        let mut rule = Rule::new(parts, start)?;
        tally.resolve(&mut rule, parts.count)?;
        Ok(rule)
    };
    let rules = parts.iter().map(&mut build).collect::<Result<Vec<_>, Fault>>()?;
    let exrules = exrules.iter().map(&mut build).collect::<Result<Vec<_>, Fault>>()?;
    for dates in [&mut rdates, &mut exdates] {
        dates.sort_unstable_by_key(|stamp| stamp.wall);
        dates.dedup_by_key(|stamp| stamp.wall);
    }
    let walls = |dates: Vec<date::Stamp>| dates.into_iter().map(|stamp| stamp.wall).collect();
    let recurrence = Recurrence {
        rules,
        exrules,
        rdates: walls(rdates),
        exdates: walls(exdates),
        parts,
        start,
        explicit_start: dtstart.is_some(),
        tzids,
    };
    recurrence.check_satisfiable()?;
    Ok(recurrence)
}

/// RFC 5545 3.3.10, as dateutil checks it: UNTIL has a zone if, and only if, DTSTART has one.
fn check_until(parts: &Parts, explicit: bool, zoned: bool, start: NaiveDateTime) -> Result<(), Fault> {
    let Some(until) = parts.until else { return Ok(()) };
    if until.zoned && !zoned {
        let problem = if explicit {
            "UNTIL has a zone and DTSTART has none"
        } else {
            "UNTIL has a zone and there is no DTSTART"
        };
        return Err(Fault::new(
            problem,
            "leave out the Z of UNTIL: it is read on the clock of the schedule's timezone",
        ));
    }
    if zoned && !until.zoned {
        return Err(Fault::new(
            "DTSTART has a zone and UNTIL has none",
            "leave out the zone of DTSTART",
        ));
    }
    if until.wall < start {
        return Err(Fault::new(
            format!("UNTIL is before the start ({start})"),
            "write a later UNTIL, or a DTSTART before it",
        ));
    }
    Ok(())
}

impl Recurrence {
    fn check_satisfiable(&self) -> Result<(), Fault> {
        // dateutil takes EXDATE or EXRULE alone for an empty set; there is no rule to be wrong.
        if self.rules.is_empty() && self.rdates.is_empty() {
            return Ok(());
        }
        if self.walls(NaiveDateTime::MIN).next().is_some() {
            return Ok(());
        }
        let problem = if self.exrules.is_empty() && self.exdates.is_empty() {
            "never comes (or not in thousands of years): its BY… parts and its INTERVAL do not meet"
        } else {
            "never comes: what is excluded leaves nothing"
        };
        Err(Fault::new(
            problem,
            "loosen the BY… parts or INTERVAL, or take out the rule",
        ))
    }
}

/// Seconds from the beginning of day 0 (the day before 1 January of the year 1); fractions
/// are dropped.
fn seconds_of(wall: NaiveDateTime) -> i64 {
    i64::from(wall.num_days_from_ce()) * DAY + i64::from(wall.num_seconds_from_midnight())
}

fn wall_of(seconds: i64) -> Option<NaiveDateTime> {
    let day = i32::try_from(seconds.div_euclid(DAY)).ok()?;
    let second = u32::try_from(seconds.rem_euclid(DAY)).ok()?;
    let date = NaiveDate::from_num_days_from_ce_opt(day)?;
    date.and_time(chrono::NaiveTime::from_num_seconds_from_midnight_opt(second, 0)?)
        .into()
}
