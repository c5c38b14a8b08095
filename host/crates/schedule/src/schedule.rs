//! A checked rule in its zone, and the instants that it gives.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;

use crate::config::{Config, Wanted};
use crate::wall::{Gap, Localised};
use crate::{Refusal, Spec};
use crate::{cron::Cron, interval::Interval, rrule::Recurrence};

/// A rule that can be honoured: parsed, satisfiable, in a known time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    rule: Rule,
    zone: Tz,
}

#[derive(Debug, Clone)]
enum Rule {
    Cron(Cron),
    Interval(Interval),
    Recurrence(Recurrence),
}

/// The wall-clock times that a rule names, strictly increasing.
pub(crate) type WallTimes<'a> = Box<dyn Iterator<Item = NaiveDateTime> + Send + 'a>;

/// Instants in strictly increasing order; ends where the rule does, at the latest with the
/// year 9999.
pub struct Instants<'a>(Box<dyn Iterator<Item = DateTime<Utc>> + Send + 'a>);

impl Schedule {
    /// Checks a row's schedule.
    ///
    /// `default_anchor` is where the steps of an interval without `anchor_date` start from.
    /// Prefect takes the time at which the object is built; a caller gives the row's creation.
    /// `None` is 2020-01-01T00:00 in the zone.
    ///
    /// # Errors
    ///
    /// A rule that Prefect rejects, that can never give an instant, or that Prefect takes by
    /// accident and that means nothing sensible. A rule that has ended is none of these.
    pub fn parse(spec: &Spec, default_anchor: Option<DateTime<Utc>>) -> Result<Schedule, Refusal> {
        let Config { rule, zone } = Config::read(spec)?;
        let rule = match rule {
            Wanted::Cron { text, day_or } => Rule::Cron(Cron::parse(text, day_or)?),
            Wanted::Interval { seconds, anchor } => {
                Rule::Interval(Interval::parse(&seconds, anchor, default_anchor, zone)?)
            }
            Wanted::Recurrence { text } => Rule::Recurrence(Recurrence::parse(text)?),
        };
        Ok(Schedule { rule, zone })
    }

    /// The zone whose clock the rule is read on.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The instants at or after `start`, found one by one as they are asked for.
    pub fn from(&self, start: DateTime<Utc>) -> Instants<'_> {
        let zone = self.zone;
        Instants(match &self.rule {
            Rule::Cron(cron) => Box::new(Localised::new(zone, start, Gap::Forward, |from| cron.walls(from))),
            Rule::Interval(interval) => Box::new(interval.instants(zone, start)),
            Rule::Recurrence(rule) => Box::new(Localised::new(zone, start, Gap::Backward, |from| rule.walls(from))),
        })
    }

    /// The first instant after `t`.
    pub fn after(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.from(t).find(|instant| *instant > t)
    }

    /// One sentence in English, with the zone: `At 15:30, Monday to Friday (Asia/Kolkata)`.
    pub fn describe(&self) -> String {
        let sentence = match &self.rule {
            Rule::Cron(cron) => cron.describe(),
            Rule::Interval(interval) => interval.describe(),
            Rule::Recurrence(rule) => rule.describe(),
        };
        format!("{sentence} ({})", self.zone.name())
    }

    /// What a person should know about the rule before trusting it; a sentence each.
    pub fn notes(&self) -> Vec<String> {
        match &self.rule {
            Rule::Cron(cron) => cron.notes(),
            Rule::Interval(interval) => interval.notes(),
            Rule::Recurrence(rule) => rule.notes(),
        }
    }
}

impl Iterator for Instants<'_> {
    type Item = DateTime<Utc>;

    fn next(&mut self) -> Option<DateTime<Utc>> {
        self.0.next()
    }
}

impl fmt::Debug for Instants<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instants").finish_non_exhaustive()
    }
}
