//! A cron rule in words: what to know about it, and why it never fires. Its sentence is in `sentence`.

use super::Kind;
use super::calendar::WeekDays;
use super::fields::{Field, Values};
use super::plain::{Days, has};
use super::sentence;
use crate::Refusal;

/// What is worth a note, kept small: a host keeps every rule in memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Notes(u8);

const SECONDS: u8 = 1;
const NUMERIC: u8 = 1 << 1;
const UNION: u8 = 1 << 2;
const DAY_IGNORED: u8 = 1 << 3;
const PLAIN_IGNORED: u8 = 1 << 4;
const CIRCLE: u8 = 1 << 5;
const PREFECT_SKIPS: u8 = 1 << 6;

impl Notes {
    /// `fields`: how many there are. `either`: days and weekdays are both given, one is enough.
    /// `plain_too`: there are plain weekdays beside nth ones.
    pub(super) fn new(fields: usize, values: &[Values; 7], either: bool, plain_too: bool) -> Notes {
        let (day, weekday) = (&values[Field::Day as usize], &values[Field::Weekday as usize]);
        let nth = weekday.nth != [0; 7];
        let flags = [
            (SECONDS, fields > 5),
            (NUMERIC, weekday.numeric),
            (UNION, either && !nth),
            (DAY_IGNORED, either && nth),
            (PLAIN_IGNORED, nth && plain_too),
            (CIRCLE, values.iter().any(|field| field.circle)),
            (PREFECT_SKIPS, !day.star && skipped_by_prefect(day)),
        ];
        Notes(
            flags
                .into_iter()
                .filter(|(_, on)| *on)
                .fold(0, |all, (flag, _)| all | flag),
        )
    }

    pub(super) fn sentences(self, rule: &Kind) -> Vec<String> {
        let on = |flag: u8| self.0 & flag != 0;
        let mut notes = Vec::new();
        let mut say = |flag: u8, note: &str| {
            if on(flag) {
                notes.push(note.to_owned());
            }
        };
        say(
            SECONDS,
            "The sixth field is the second, not the first: minutes still come first.",
        );
        if on(NUMERIC)
            && let Some(weekdays) = weekdays(rule)
        {
            say(
                NUMERIC,
                &format!("Days of the week count from 0, which is Sunday: this rule means {weekdays}."),
            );
        }
        say(
            UNION,
            "A day that matches the day of the month or the day of the week is enough; set day_or to false to ask for both.",
        );
        say(
            DAY_IGNORED,
            "The day of the month has no effect beside an nth weekday, as in Prefect; set day_or to false to ask for both.",
        );
        say(
            PLAIN_IGNORED,
            "Plain weekdays have no effect beside nth ones, as in Prefect.",
        );
        say(
            CIRCLE,
            "A range from a value to itself, such as 5-5, is the whole field.",
        );
        say(
            PREFECT_SKIPS,
            "Runs on every day that it names; Prefect leaves out some that follow a day too late for a short month, such as 1 March.",
        );
        notes
    }
}

/// Whether croniter steps over days of this rule: in a month that is too short for the next
/// day of the list, it goes on by that many days, past the end of the month.
fn skipped_by_prefect(day: &Values) -> bool {
    let days = day.mask(Field::Day);
    [28, 29, 30].into_iter().any(|length| {
        let Some(late) = (length + 1..=31).find(|late| has(days, *late)) else {
            return false;
        };
        let reached = (1..=length).rev().find(|early| has(days, *early)).unwrap_or(0);
        let landing = late - length;
        reached < length && (day.last || (1..landing).any(|early| has(days, early)))
    })
}

fn weekdays(rule: &Kind) -> Option<String> {
    match rule {
        Kind::Plain(plain) => match plain.days {
            Days::OfWeek(bits) | Days::Either(_, bits) | Days::Both(_, bits) => Some(sentence::weekdays(bits)),
            Days::Every | Days::OfMonth(_) => None,
        },
        Kind::Calendar(calendar) => match calendar.weekdays? {
            WeekDays::Plain(bits) => Some(sentence::weekdays(bits)),
            WeekDays::Nth(nth) => Some(sentence::nth_weekdays(&nth)),
        },
    }
}

/// The refusal of a rule that no day matches.
pub(super) fn impossible(text: &str, values: &[Values; 7]) -> Refusal {
    let of = |field: Field| &values[field as usize];
    let (day, weekday) = (of(Field::Day), of(Field::Weekday));
    if weekday.nth != [0; 7] && !day.star {
        return Refusal::new(
            "cron",
            text,
            "no such weekday of a month ever falls on such a day of the month",
            "write * for the day of the month, or for the day of the week",
        );
    }
    let longest = |month: u32| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let months = if of(Field::Month).star {
        0b1_1111_1111_1110
    } else {
        of(Field::Month).mask(Field::Month)
    };
    let days = day.mask(Field::Day);
    let there = (1..=12)
        .filter(|month| has(months, *month))
        .any(|month| (1..=longest(month)).any(|number| day.last || day.star || has(days, number)));
    if there {
        return Refusal::new(
            "cron",
            text,
            "such a day does not come in the years that it names",
            "write more years, or leave the year out",
        );
    }
    Refusal::new(
        "cron",
        text,
        sentence::never(days, months),
        "write L for the last day of the month, or a day that one of the months has",
    )
}
