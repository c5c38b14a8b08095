//! The search for rules whose days follow from a number or a weekday alone.
//!
//! Nearly every rule is one, and a host reads a hundred thousand of them at its start: bits are
//! looked through here, where croner would build five kilobytes for each. A test holds the two
//! against each other. What depends on the length of a month is left to croner (`calendar`).

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

use super::LOOK_AHEAD_YEARS;

/// Sets of a rule, as bits of the numbers in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) months: u64,
    /// `None`: every year. Bit 0 is 1970.
    pub(super) years: Option<Box<[u64; 3]>>,
    pub(super) days: Days,
}

/// The days of a month that match. Weekdays are bits from Sunday on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Days {
    Every,
    OfMonth(u64),
    OfWeek(u64),
    Either(u64, u64),
    Both(u64, u64),
}

impl Plain {
    /// The first match at or after a time that has no fraction of a second.
    pub(super) fn at_or_after(&self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = at.date();
        if self.year(date.year()) && has(self.months, date.month()) && has(self.days(date), date.day()) {
            let time = self.time(at.hour(), at.minute(), at.second());
            if let Some((hour, minute, second)) = time {
                return date.and_hms_opt(hour, minute, second);
            }
        }
        let (hour, minute, second) = self.time(0, 0, 0)?;
        self.day_after(date)?.and_hms_opt(hour, minute, second)
    }

    pub(super) fn year(&self, year: i32) -> bool {
        match &self.years {
            None => true,
            Some(words) => usize::try_from(year - 1970)
                .is_ok_and(|bit| words.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)),
        }
    }

    fn day_after(&self, date: NaiveDate) -> Option<NaiveDate> {
        let (mut year, mut month, mut day) = (date.year(), date.month(), date.day());
        let last = date.year().saturating_add(LOOK_AHEAD_YEARS);
        while year <= last {
            if self.year(year) && has(self.months, month) {
                let days = self.days(NaiveDate::from_ymd_opt(year, month, 1)?);
                if let Some(day) = first_from(days, day + 1) {
                    return NaiveDate::from_ymd_opt(year, month, day);
                }
            }
            day = 0;
            month = if self.year(year) {
                first_from(self.months, month + 1).unwrap_or(13)
            } else {
                13
            };
            if month > 12 {
                (year, month) = (year.checked_add(1)?, 1);
            }
        }
        None
    }

    /// The matching days of the month that a date is in, as bits of their numbers.
    fn days(&self, date: NaiveDate) -> u64 {
        let real = (1 << (u32::from(date.num_days_in_month()) + 1)) - 2;
        let of_week = |weekdays: u64| {
            // Seven bits again and again, so that the bit of a day is that of its weekday.
            let weeks = weekdays * 0x0000_0408_1020_4081;
            let first = (date.weekday().num_days_from_sunday() + 35 - date.day0()) % 7;
            weeks >> first << 1
        };
        real & match self.days {
            Days::Every => u64::MAX,
            Days::OfMonth(days) => days,
            Days::OfWeek(weekdays) => of_week(weekdays),
            Days::Either(days, weekdays) => days | of_week(weekdays),
            Days::Both(days, weekdays) => days & of_week(weekdays),
        }
    }

    /// The first matching time of a day, from a time of that day on.
    fn time(&self, hour: u32, minute: u32, second: u32) -> Option<(u32, u32, u32)> {
        let (first_minute, first_second) = (self.minutes.trailing_zeros(), self.seconds.trailing_zeros());
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = first_from(self.seconds, second)
            {
                return Some((hour, minute, second));
            }
            if let Some(minute) = first_from(self.minutes, minute + 1) {
                return Some((hour, minute, first_second));
            }
        }
        first_from(self.hours, hour + 1).map(|hour| (hour, first_minute, first_second))
    }

    /// Whether the rule ever gives a time, within the years that rules can name.
    pub(super) fn is_possible(&self) -> bool {
        let years = || (1970..=2099).filter(|year| self.year(*year));
        match self.days {
            Days::Every | Days::OfWeek(_) => true,
            // Each month has all its lengths and first weekdays soon enough.
            Days::OfMonth(_) | Days::Either(..) | Days::Both(..) => {
                let days = match self.days {
                    // As croniter, which looks for both of two and fails with the first.
                    Days::Either(days, _) => Days::OfMonth(days),
                    days => days,
                };
                let days = Plain { days, ..self.clone() };
                years().any(|year| {
                    (1..=12)
                        .filter(|month| has(self.months, *month))
                        .any(|month| NaiveDate::from_ymd_opt(year, month, 1).is_some_and(|first| days.days(first) != 0))
                })
            }
        }
    }
}

pub(super) fn has(bits: u64, number: u32) -> bool {
    bits.checked_shr(number).unwrap_or(0) & 1 == 1
}

fn first_from(bits: u64, number: u32) -> Option<u32> {
    let rest = bits.checked_shr(number).unwrap_or(0);
    (rest != 0).then(|| rest.trailing_zeros() + number)
}
