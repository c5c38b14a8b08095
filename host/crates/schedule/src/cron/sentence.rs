//! A cron rule as one English sentence: times of the day first, then days, months and years.

use super::calendar::WeekDays;
use super::fields::LAST;
use super::plain::{Days, Plain, has};
use super::{Calendar, Kind};
use crate::describe::joined;

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 13] = [
    "",
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

/// How many times of the day are named one by one.
const TIMES_NAMED: usize = 6;

/// `At 15:30, Monday to Friday`.
pub(super) fn sentence(rule: &Kind) -> String {
    let (plain, days) = match rule {
        Kind::Plain(plain) => (plain, plain_days(plain.days)),
        Kind::Calendar(calendar) => (&calendar.plain, calendar_days(calendar)),
    };
    let (times, named) = times(plain);
    let mut text = times;
    match days {
        Some(days) => text.push_str(&format!(", {days}")),
        None if named => text.push_str(" every day"),
        None => {}
    }
    if plain.months.count_ones() < 12 {
        text.push_str(&format!(", in {}", months(plain.months)));
    }
    if plain.years.is_some() {
        let years = (1970..=2099)
            .filter(|year| plain.year(*year))
            .map(|year| (year.unsigned_abs(), year.to_string()));
        text.push_str(&format!(", in {}", runs(years, " to ")));
    }
    text
}

/// The times of a day, and whether they are named one by one.
fn times(plain: &Plain) -> (String, bool) {
    let of = |bits: u64| (0..60).filter(move |number| has(bits, *number));
    let count = |bits: u64| bits.count_ones() as usize;
    if count(plain.hours) * count(plain.minutes) * count(plain.seconds) <= TIMES_NAMED {
        let mut named = Vec::new();
        for hour in of(plain.hours) {
            for minute in of(plain.minutes) {
                named.extend(of(plain.seconds).map(|second| match plain.seconds {
                    1 => format!("{hour:02}:{minute:02}"),
                    _ => format!("{hour:02}:{minute:02}:{second:02}"),
                }));
            }
        }
        return (format!("At {}", joined(&named)), true);
    }
    let minutes = unit(plain.minutes, "minute", "hour");
    let mut text = match plain.seconds {
        1 => minutes,
        seconds if plain.minutes.count_ones() == 60 => unit(seconds, "second", "minute"),
        seconds => format!("{}, {}", unit(seconds, "second", "minute"), lower(&minutes)),
    };
    if plain.hours.count_ones() < 24 {
        let hours = hours(plain.hours);
        if hours.starts_with(" of") && text.ends_with(" of every hour") {
            text.truncate(text.len() - " of every hour".len());
        }
        text.push_str(&hours);
    }
    (text, false)
}

/// `Every 15 minutes`, `At minute 5 of every hour`.
fn unit(bits: u64, one: &str, whole: &str) -> String {
    match step(bits, 60) {
        Some(1) => format!("Every {one}"),
        Some(step) if step < 60 => format!("Every {step} {one}s"),
        _ => {
            let numbers = (0..60)
                .filter(|number| has(bits, *number))
                .map(|number| (number, number.to_string()));
            let plural = if bits.count_ones() == 1 { "" } else { "s" };
            format!("At {one}{plural} {} of every {whole}", runs(numbers, " to "))
        }
    }
}

fn hours(bits: u64) -> String {
    let (first, last) = (bits.trailing_zeros(), 63 - bits.leading_zeros());
    match step(bits, 24) {
        Some(step) if step < 24 => format!(" of every {} hour", ordinal(step)),
        _ if last - first + 1 == bits.count_ones() => format!(", from {first:02}:00 to {last:02}:59"),
        _ => {
            let numbers = (0..24)
                .filter(|hour| has(bits, *hour))
                .map(|hour| (hour, hour.to_string()));
            format!(", in the hours {}", runs(numbers, " to "))
        }
    }
}

/// The step of a set that begins with 0 and goes on evenly up to `size` and around it.
fn step(bits: u64, size: u32) -> Option<u32> {
    let step = size.checked_div(bits.count_ones())?;
    (size.is_multiple_of(bits.count_ones()) && (0..size).all(|n| has(bits, n) == n.is_multiple_of(step)))
        .then_some(step)
}

fn plain_days(days: Days) -> Option<String> {
    match days {
        Days::Every => None,
        Days::OfMonth(days) => Some(month_days(days, false)),
        Days::OfWeek(bits) => Some(weekdays(bits)),
        Days::Either(days, bits) => Some(format!("{} and on {}", month_days(days, false), weekdays(bits))),
        Days::Both(days, bits) => Some(format!("{} if it is {}", month_days(days, false), or(&weekdays(bits)))),
    }
}

fn calendar_days(calendar: &Calendar) -> Option<String> {
    let days = calendar.days.map(|days| month_days(days.days, days.last));
    let weekdays = calendar.weekdays.map(|weekdays| match weekdays {
        WeekDays::Plain(bits) => self::weekdays(bits),
        WeekDays::Nth(nth) => nth_weekdays(&nth),
    });
    match (days, weekdays) {
        (Some(days), Some(weekdays)) if calendar.both => Some(format!("{days} if it is {}", or(&weekdays))),
        (Some(days), Some(weekdays)) => Some(format!("{days} and on {weekdays}")),
        (days, weekdays) => days.or(weekdays),
    }
}

/// `Monday to Friday`, `Monday, Wednesday and Friday`.
pub(super) fn weekdays(bits: u64) -> String {
    if bits.count_ones() == 7 {
        return "every day of the week".to_owned();
    }
    // A week is told from Monday on.
    let monday_first = (1..=7).filter(|day| has(bits, *day % 7));
    runs(
        monday_first.map(|day| (day, WEEKDAYS[(day % 7) as usize].to_owned())),
        " to ",
    )
}

/// `the second Friday of the month`.
pub(super) fn nth_weekdays(nth: &[u8; 7]) -> String {
    let mut parts = Vec::new();
    for (weekday, bits) in WEEKDAYS.iter().zip(nth) {
        parts.extend(
            (1..=5)
                .filter(|n| bits >> n & 1 == 1)
                .map(|n| format!("the {} {weekday}", ordinal(n))),
        );
        if bits & LAST != 0 {
            parts.push(format!("the last {weekday}"));
        }
    }
    format!("{} of the month", joined(&parts))
}

fn month_days(days: u64, last: bool) -> String {
    let numbers = runs(
        (1..=31).filter(|day| has(days, *day)).map(|day| (day, day.to_string())),
        " to ",
    );
    let plural = if days.count_ones() == 1 { "" } else { "s" };
    match (days, last) {
        (0, _) => "on the last day of the month".to_owned(),
        (_, true) => format!("on day{plural} {numbers} and the last day of the month"),
        (_, false) => format!("on day{plural} {numbers} of the month"),
    }
}

fn months(bits: u64) -> String {
    runs(
        (1..=12)
            .filter(|month| has(bits, *month))
            .map(|month| (month, MONTHS[month as usize].to_owned())),
        " to ",
    )
}

/// `day 30 of February never comes`.
pub(super) fn never(days: u64, bits: u64) -> String {
    let numbers = runs(
        (1..=31).filter(|day| has(days, *day)).map(|day| (day, day.to_string())),
        " to ",
    );
    match days.count_ones() {
        1 => format!("day {numbers} of {} never comes", months(bits)),
        _ => format!("days {numbers} of {} never come", months(bits)),
    }
}

/// A list in which three or more in a row are told by their ends.
fn runs(numbers: impl Iterator<Item = (u32, String)>, to: &str) -> String {
    let mut rows: Vec<Vec<(u32, String)>> = Vec::new();
    for (number, name) in numbers {
        match rows.last_mut() {
            Some(row) if row.last().is_some_and(|(last, _)| last + 1 == number) => row.push((number, name)),
            _ => rows.push(vec![(number, name)]),
        }
    }
    let mut parts = Vec::new();
    for row in rows {
        match row.as_slice() {
            [(_, first), _, .., (_, last)] => parts.push(format!("{first}{to}{last}")),
            few => parts.extend(few.iter().map(|(_, name)| name.clone())),
        }
    }
    joined(&parts)
}

fn ordinal(number: u32) -> String {
    match number {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        4 => "fourth".to_owned(),
        5 => "fifth".to_owned(),
        // A step that divides a day.
        _ => format!("{number}th"),
    }
}

fn or(list: &str) -> String {
    list.replace(" and ", " or ")
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
