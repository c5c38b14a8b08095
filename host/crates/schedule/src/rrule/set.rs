//! Several lines as one: rules and dates added up, others taken away.

use chrono::{NaiveDateTime, Timelike};

use super::rule::Rule;
use super::walk::Walk;
use super::{Fault, Recurrence, seconds_of, wall_of};

/// Times looked up in EXRULEs before the next one is found. With this many and none left the set
/// has ended. Runs that an EXRULE swallows whole are jumped over and do not count.
const EXCLUDED_MAX: u32 = 20_000;

/// Counts COUNTs: a rule's COUNT becomes the time at which it ends.
///
/// Every rule of a text shares one allowance of [`Tally::MAX`] units (days, hours, minutes or
/// seconds that have a time). A rule with nothing but FREQ, INTERVAL and COUNT is computed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    used: i64,
}

impl Tally {
    /// Units that are walked for the COUNTs of one text; about two milliseconds.
    const MAX: i64 = 50_000;

    /// Puts the end of `count` times into the rule's `until`.
    pub(super) fn resolve(&mut self, rule: &mut Rule, count: Option<i64>) -> Result<(), Fault> {
        let Some(count) = count else { return Ok(()) };
        let last = if rule.setpos.is_empty() {
            self.by_units(rule, count)?
        } else {
            self.one_by_one(rule, count)?
        };
        rule.until = match (rule.until, last) {
            (Some(until), Some(last)) => Some(until.min(last)),
            (until, last) => until.or(last),
        };
        Ok(())
    }

    fn spend(&mut self) -> Result<(), Fault> {
        self.used += 1;
        if self.used <= Tally::MAX {
            return Ok(());
        }
        Err(Fault::new(
            format!("COUNT takes more than {} steps to count", Tally::MAX),
            "write UNTIL with the last date instead of COUNT",
        ))
    }

    fn one_by_one(&mut self, rule: &Rule, count: i64) -> Result<Option<i64>, Fault> {
        let mut last = None;
        for time in Walk::new(rule, rule.start).take(usize::try_from(count).unwrap_or(usize::MAX)) {
            self.spend()?;
            last = Some(time);
        }
        Ok(last)
    }

    fn by_units(&mut self, rule: &Rule, count: i64) -> Result<Option<i64>, Fault> {
        let per_unit = i64::try_from(rule.offsets.len()).unwrap_or(i64::MAX);
        if per_unit == 0 {
            return Ok(None);
        }
        let unit = rule.unit();
        let first = rule.start.div_euclid(unit) * unit;
        // Times of the first unit that are before the start do not count.
        let early = |base: i64| rule.offsets.partition_point(|at| base + i64::from(*at) < rule.start);
        let at = |base: i64, index: i64| {
            let index = usize::try_from(index).ok()?;
            rule.offsets.get(index).map(|at| base.saturating_add(i64::from(*at)))
        };
        if rule.steady() {
            let index = count - 1 + i64::try_from(early(first)).unwrap_or(0);
            let steps = (index / per_unit).saturating_mul(rule.interval).saturating_mul(unit);
            return Ok(at(first.saturating_add(steps), index % per_unit));
        }
        let mut walk = Walk::new(rule, rule.start);
        let mut left = count;
        while let Some(base) = walk.next_unit() {
            self.spend()?;
            let skipped = i64::try_from(early(base)).unwrap_or(0);
            let here = per_unit - skipped;
            if left <= here {
                return Ok(at(base, skipped + left - 1));
            }
            left -= here;
            if rule.until.is_some_and(|until| base > until) {
                break;
            }
        }
        Ok(None)
    }
}

/// The times of a recurrence from a time on.
pub(super) struct Merged<'a> {
    set: &'a Recurrence,
    rules: Vec<Head<'a>>,
    exrules: Vec<Head<'a>>,
    /// Index of the next RDATE.
    rdate: usize,
}

/// A rule with the time that it has come to.
struct Head<'a> {
    rule: &'a Rule,
    walk: Walk<'a>,
    time: Option<i64>,
}

impl<'a> Head<'a> {
    fn new(rule: &'a Rule, from: i64) -> Head<'a> {
        let mut walk = Walk::new(rule, from);
        let time = walk.next();
        Head { rule, walk, time }
    }

    fn advance(&mut self) {
        self.time = self.walk.next();
    }

    fn seek(&mut self, from: i64) {
        self.walk.seek(from);
        self.advance();
    }

    fn before(&self, time: i64) -> bool {
        self.time.is_some_and(|own| own < time)
    }
}

impl<'a> Merged<'a> {
    pub(super) fn new(set: &'a Recurrence, from: NaiveDateTime) -> Merged<'a> {
        // A fraction of a second is past the second.
        let seconds = seconds_of(from) + i64::from(from.nanosecond() > 0);
        let heads = |rules: &'a [Rule]| rules.iter().map(|rule| Head::new(rule, seconds)).collect();
        Merged {
            set,
            rules: heads(&set.rules),
            exrules: heads(&set.exrules),
            rdate: set.rdates.partition_point(|date| *date < from),
        }
    }

    /// The next time that is added, whether or not it is taken away.
    fn next_added(&mut self) -> Option<NaiveDateTime> {
        let time = self.rules.iter().filter_map(|head| head.time).min();
        let date = self.set.rdates.get(self.rdate).copied();
        let wall = time.and_then(wall_of);
        let next = match (wall, date) {
            (Some(wall), Some(date)) => wall.min(date),
            (wall, date) => wall.or(date)?,
        };
        if date == Some(next) {
            self.rdate += 1;
        }
        if wall == Some(next) {
            self.rules
                .iter_mut()
                .filter(|head| head.time == time)
                .for_each(Head::advance);
        }
        Some(next)
    }

    fn excluded(&mut self, wall: NaiveDateTime) -> bool {
        if self.set.exdates.binary_search(&wall).is_ok() {
            return true;
        }
        if wall.nanosecond() > 0 {
            return false;
        }
        let time = seconds_of(wall);
        for exrule in &mut self.exrules {
            if exrule.before(time) {
                exrule.advance();
            }
            if exrule.before(time) {
                exrule.seek(time);
            }
            if exrule.time != Some(time) {
                continue;
            }
            let swallowed = |head: &&mut Head<'_>| head.time.is_some() && exrule.rule.swallows(head.rule);
            let mut heads = self.rules.iter_mut().filter(swallowed).peekable();
            if heads.peek().is_some() {
                let end = exrule.walk.solid_until(time);
                heads.filter(|head| head.before(end)).for_each(|head| head.seek(end));
                exrule.seek(time);
            }
            return true;
        }
        false
    }
}

impl Iterator for Merged<'_> {
    type Item = NaiveDateTime;

    fn next(&mut self) -> Option<NaiveDateTime> {
        let cost = u32::try_from(self.exrules.len()).unwrap_or(u32::MAX).max(1);
        for _ in 0..EXCLUDED_MAX / cost {
            let next = self.next_added()?;
            if !self.excluded(next) {
                return Some(next);
            }
        }
        None
    }
}
