//! Just enough calendar for daily prices: dates, backwards over weekdays. Holidays of exchanges
//! are deliberately absent; the prices are synthetic anyway.

use std::fmt;

/// A date of the Gregorian calendar, 1970 to 2199.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Reads `2025-12-31`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if (year.len(), month.len(), day.len()) != (4, 2, 2) {
            return None;
        }
        let date = Self {
            year: year.parse().ok()?,
            month: month.parse().ok()?,
            day: day.parse().ok()?,
        };
        let in_range = (1970..2200).contains(&date.year)
            && (1..=12).contains(&date.month)
            && (1..=days_in(date.year, date.month)).contains(&date.day);
        in_range.then_some(date)
    }

    /// `None` before 1970.
    pub(crate) fn yesterday(self) -> Option<Self> {
        let Self { year, month, day } = self;
        match (month, day) {
            (1, 1) if year == 1970 => None,
            (1, 1) => Some(Self {
                year: year - 1,
                month: 12,
                day: 31,
            }),
            (_, 1) => Some(Self {
                year,
                month: month - 1,
                day: days_in(year, month - 1),
            }),
            _ => Some(Self {
                year,
                month,
                day: day - 1,
            }),
        }
    }

    pub(crate) fn is_weekend(self) -> bool {
        // 1 January 1970 was a Thursday, which counts 3 here; Saturday and Sunday are 5 and 6.
        (self.days_since_1970() + 3) % 7 >= 5
    }

    fn days_since_1970(self) -> u32 {
        let years: u32 = (1970..self.year)
            .map(|year| if is_leap(year) { 366 } else { 365 })
            .sum();
        let months: u32 = (1..self.month).map(|month| u32::from(days_in(self.year, month))).sum();
        years + months + u32::from(self.day) - 1
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests;
