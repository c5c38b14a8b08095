//! A recurrence in words.
//!
//! Common rules read like speech; of a rarer part its values are named, so that nothing of a rule
//! is left out.

#[cfg(test)]
mod tests;

use chrono::{Datelike, NaiveDateTime, NaiveTime, Timelike};

use super::part::{DAYS, Freq, Parts, Weekday};
use super::rule::{DAY, Rule};
use super::{Recurrence, wall_of};
use crate::describe::joined;

const DAY_NAMES: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Times of day that a sentence lists one by one.
const TIMES_SHOWN: usize = 6;

impl Recurrence {
    /// One sentence: `Every weekday at 00:00`.
    pub(crate) fn describe(&self) -> String {
        let mut pieces: Vec<String> = self
            .parts
            .iter()
            .zip(&self.rules)
            .map(|(parts, rule)| self.describe_rule(parts, rule))
            .collect();
        match self.rdates.as_slice() {
            [] => {}
            [one] => pieces.push(format!("on {}", date_time(*one))),
            [first, .., last] => {
                pieces.push(format!(
                    "on {} dates from {} to {}",
                    self.rdates.len(),
                    date(*first),
                    date(*last)
                ));
            }
        }
        if pieces.is_empty() {
            return "Never: there is nothing but exclusions".to_owned();
        }
        let mut sentence = pieces.join("; and ");
        match (self.exrules.len(), self.exdates.len()) {
            (0, 0) => {}
            (0, dates) => sentence.push_str(&format!(", but for {}", counted(dates, "excluded date"))),
            (rules, 0) => sentence.push_str(&format!(", but for {}", counted(rules, "excluding rule"))),
            (rules, dates) => {
                let (rules, dates) = (counted(rules, "excluding rule"), counted(dates, "excluded date"));
                sentence.push_str(&format!(", but for {rules} and {dates}"));
            }
        }
        capital(&sentence)
    }

    fn describe_rule(&self, parts: &Parts, rule: &Rule) -> String {
        let mut text = every(parts);
        let days = days(parts, rule, self.start);
        if let (Freq::Weekly | Freq::Daily, 1, Some(plain)) = (parts.freq, parts.interval, plain_week(parts, rule)) {
            text = plain;
        } else if !days.is_empty() {
            text.push_str(&format!(" {}", days.join(", ")));
        }
        text.push_str(&times(parts, rule));
        if let Some(setpos) = &parts.setpos {
            text.push_str(&format!(
                ", only number {} of each {}",
                numbers(setpos),
                unit(parts.freq)
            ));
        }
        if parts.interval > 1 {
            text.push_str(&format!(", counted from {}", date_time(self.start)));
        } else if self.explicit_start {
            text.push_str(&format!(", from {}", date(self.start)));
        }
        if let Some(count) = parts.count {
            let end = rule
                .until
                .and_then(wall_of)
                .map(|end| format!(" (the last on {})", date_time(end)));
            text.push_str(&format!(", {}{}", counted_times(count), end.unwrap_or_default()));
        } else if let Some(until) = parts.until {
            text.push_str(&format!(", until {}", date_time(until.wall)));
        }
        text
    }

    /// What a person should know about the rule before trusting it.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.parts.is_empty() && self.rdates.is_empty() {
            notes.push("There are only exclusions: it never fires".to_owned());
        } else if !self.explicit_start && !self.parts.is_empty() {
            notes.push(default_start(&self.parts));
        }
        for name in &self.tzids {
            notes.push(format!(
                "TZID={name} is not used: times are read on the clock of the schedule's timezone"
            ));
        }
        if self
            .parts
            .iter()
            .any(|parts| parts.until.is_some_and(|until| until.zoned))
        {
            notes.push("The Z of UNTIL is not used: it is read on the clock of the schedule's timezone".to_owned());
        }
        for (parts, rule) in self.parts.iter().zip(&self.rules) {
            rule_notes(parts, rule, self.start, &mut notes);
        }
        notes
    }
}

/// What the default DTSTART decides for the rules.
fn default_start(parts: &[Parts]) -> String {
    let mut note = "There is no DTSTART: the rule starts on Wednesday, 2020-01-01 at 00:00".to_owned();
    if parts.iter().any(|parts| parts.count.is_some()) {
        note.push_str(", and COUNT is counted from there");
    } else if parts.iter().any(|parts| parts.interval > 1) {
        note.push_str(", and INTERVAL is counted from there");
    }
    note
}

fn rule_notes(parts: &Parts, rule: &Rule, start: NaiveDateTime, notes: &mut Vec<String>) {
    if parts.freq == Freq::Weekly && rule.days.weekdays.is_some() && parts.weekday.is_none() && !restricted(parts) {
        let day = DAY_NAMES[start.weekday().num_days_from_monday() as usize];
        notes.push(format!("There is no BYDAY: the day of the week is DTSTART's, a {day}"));
    }
    if rule.days.weekdays.is_some() && rule.days.nth.is_some() {
        notes.push("BYDAY mixes plain and numbered days: a day has to be both".to_owned());
    }
    let long = |days: &i64| *days > 28 || *days < -28;
    if parts.freq <= Freq::Monthly && rule.days.monthdays.iter().flatten().any(long) {
        notes.push("Months without that day are left out, not moved to their last day (BYMONTHDAY=-1)".to_owned());
    }
    if parts.until.is_some_and(|until| until.wall.time() == NaiveTime::MIN)
        && parts.until.is_some_and(|u| u.wall > start)
    {
        notes.push("UNTIL is the beginning of that day: later times of the day are past it".to_owned());
    }
    if rule.unit() < DAY {
        notes.push("In the hour that the clocks are put back, only the first pass fires".to_owned());
    }
}

fn restricted(parts: &Parts) -> bool {
    parts.monthday.is_some() || parts.yearday.is_some() || parts.weekno.is_some() || parts.easter.is_some()
}

fn unit(freq: Freq) -> &'static str {
    match freq {
        Freq::Yearly => "year",
        Freq::Monthly => "month",
        Freq::Weekly => "week",
        Freq::Daily => "day",
        Freq::Hourly => "hour",
        Freq::Minutely => "minute",
        Freq::Secondly => "second",
    }
}

fn every(parts: &Parts) -> String {
    match parts.interval {
        1 => format!("every {}", unit(parts.freq)),
        interval => format!("every {interval} {}s", unit(parts.freq)),
    }
}

/// `every weekday`, `every Monday and Wednesday`, if weekdays are all that there is.
fn plain_week(parts: &Parts, rule: &Rule) -> Option<String> {
    if restricted(parts) || parts.month.is_some() || rule.days.nth.is_some() {
        return None;
    }
    Some(match rule.days.weekdays? {
        0b111_1111 => "every day".to_owned(),
        0b001_1111 => "every weekday".to_owned(),
        0b110_0000 => "every Saturday and Sunday".to_owned(),
        bits => format!("every {}", weekday_names(bits)),
    })
}

fn weekday_names(bits: u8) -> String {
    let names = DAY_NAMES.iter().enumerate().filter(|(day, _)| bits >> day & 1 == 1);
    joined(&names.map(|(_, name)| (*name).to_owned()).collect::<Vec<_>>())
}

/// What restricts the days, DTSTART's own day included.
fn days(parts: &Parts, rule: &Rule, start: NaiveDateTime) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(bits) = rule.days.weekdays {
        words.push(format!("on {}", weekday_names(bits)));
    }
    if let Some(weekdays) = parts.weekday.as_ref().filter(|_| rule.days.nth.is_some()) {
        let numbered: Vec<String> = weekdays.iter().filter(|(_, n)| n.is_some()).map(numbered).collect();
        words.push(format!("on the {}", joined(&numbered)));
    }
    if let Some(monthdays) = &rule.days.monthdays {
        let yearly = parts.freq == Freq::Yearly && parts.month.is_none() && !restricted(parts);
        match monthdays.as_slice() {
            [day] if yearly => words.push(format!("on {} {day}", MONTHS[start.month0() as usize])),
            days => words.push(format!("on day {} of the month", numbers(days))),
        }
    }
    if let Some(days) = &parts.yearday {
        words.push(format!("on day {} of the year", numbers(days)));
    }
    if let Some(weeks) = &parts.weekno {
        words.push(format!("in week {}", numbers(weeks)));
    }
    if let Some(days) = &parts.easter {
        words.push(match days.as_slice() {
            [0] => "on Easter Sunday".to_owned(),
            days => format!("at {} days from Easter Sunday", numbers(days)),
        });
    }
    if let Some(months) = &parts.month {
        let known = (1..=12).filter(|month| months.contains(month));
        let names: Vec<String> = known
            .filter_map(|month| {
                MONTHS
                    .get(usize::try_from(month - 1).ok()?)
                    .map(|name| (*name).to_owned())
            })
            .collect();
        words.push(format!("in {}", joined(&names)));
    }
    words
}

/// ` at 09:00 and 17:00`, ` at minute 0 and 30`; nothing where every unit's beginning is meant.
fn times(parts: &Parts, rule: &Rule) -> String {
    if parts.freq < Freq::Hourly {
        let shown: Vec<String> = rule.offsets.iter().take(TIMES_SHOWN).map(|at| time(*at)).collect();
        let more = rule.offsets.len() - shown.len();
        return match more {
            0 => format!(" at {}", joined(&shown)),
            more => format!(" at {} and {more} more times of the day", shown.join(", ")),
        };
    }
    let mut words = Vec::new();
    if let Some(hours) = &parts.hour {
        words.push(format!("in hour {}", numbers(hours)));
    }
    let second = rule.seconds.trailing_zeros();
    match parts.freq {
        Freq::Hourly => match (&parts.minute, rule.minutes.trailing_zeros()) {
            (Some(minutes), _) => words.push(format!("at minute {}", numbers(minutes))),
            (None, minute) => words.push(format!("at minute {minute}")),
        },
        _ => words.extend(
            parts
                .minute
                .as_ref()
                .map(|minutes| format!("in minute {}", numbers(minutes))),
        ),
    }
    match &parts.second {
        Some(seconds) => words.push(format!("at second {}", numbers(seconds))),
        None if parts.freq < Freq::Secondly && second > 0 => words.push(format!("at second {second}")),
        None => {}
    }
    words.iter().map(|words| format!(" {words}")).collect()
}

fn time(offset: u32) -> String {
    let time = NaiveTime::from_num_seconds_from_midnight_opt(offset, 0).unwrap_or_default();
    time.format(if time.second() > 0 { "%H:%M:%S" } else { "%H:%M" })
        .to_string()
}

fn date(wall: NaiveDateTime) -> String {
    wall.format("%Y-%m-%d").to_string()
}

fn date_time(wall: NaiveDateTime) -> String {
    format!("{} {}", date(wall), time(wall.num_seconds_from_midnight()))
}

/// `2nd Monday`, `last Friday`, `3rd last Sunday`.
fn numbered((day, n): &Weekday) -> String {
    let name = DAY_NAMES.get(usize::from(*day)).unwrap_or(&DAYS[0]);
    match n.unwrap_or(1) {
        -1 => format!("last {name}"),
        n if n < 0 => format!("{} last {name}", ordinal(-n)),
        n => format!("{} {name}", ordinal(n)),
    }
}

fn ordinal(n: i64) -> String {
    let end = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

fn numbers(values: &[i64]) -> String {
    joined(&values.iter().map(i64::to_string).collect::<Vec<_>>())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn counted_times(count: i64) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}

fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
