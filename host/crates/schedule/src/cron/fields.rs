//! The fields of a rule: what their values are, and what may be said of them.

use std::ops::RangeInclusive;

/// A field, in the order in which croniter has them: seconds come after the weekdays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
    Second,
    Year,
}

pub(super) const FIELDS: [Field; 7] = [
    Field::Minute,
    Field::Hour,
    Field::Day,
    Field::Month,
    Field::Weekday,
    Field::Second,
    Field::Year,
];

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The bit that stands for "the last one of the month" beside the bits of the first to fifth.
pub(super) const LAST: u8 = 1 << 6;

impl Field {
    pub(super) fn range(self) -> RangeInclusive<u32> {
        match self {
            Field::Minute | Field::Second => 0..=59,
            Field::Hour => 0..=23,
            Field::Day => 1..=31,
            Field::Month => 1..=12,
            Field::Weekday => 0..=6,
            Field::Year => 1970..=2099,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Field::Minute => "minute",
            Field::Hour => "hour",
            Field::Day => "day of the month",
            Field::Month => "month",
            Field::Weekday => "day of the week",
            Field::Second => "second",
            Field::Year => "year",
        }
    }

    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Field::Month => &MONTHS,
            Field::Weekday => &WEEKDAYS,
            _ => &[],
        }
    }
}

/// What one field says. Bit 0 is the first value of the field's range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Values {
    /// The values; years need all three words.
    bits: [u64; 3],
    /// There is a `*` or `?`.
    pub(super) star: bool,
    /// There is an `L` (days of the month).
    pub(super) last: bool,
    /// By weekday from Sunday: the bits 1 to 5 for `#1` to `#5`, [`LAST`] for `L5`.
    pub(super) nth: [u8; 7],
    /// A weekday was written as a number.
    pub(super) numeric: bool,
    /// There is a range from a value to itself, which means the whole field.
    pub(super) circle: bool,
}

impl Values {
    /// The values as bits of their own number (for every field but years).
    pub(super) fn mask(&self, field: Field) -> u64 {
        self.bits[0] << field.range().start()
    }

    pub(super) fn years(&self) -> [u64; 3] {
        self.bits
    }

    pub(super) fn count(&self) -> u32 {
        self.bits.iter().map(|word| word.count_ones()).sum()
    }

    pub(super) fn set(&mut self, field: Field, value: u32) {
        let bit = (value - field.range().start()) as usize;
        self.bits[bit / 64] |= 1 << (bit % 64);
    }

    /// Whether croniter replaces the values by a `*` when they are all there are.
    pub(super) fn is_all(&self, field: Field) -> bool {
        let own = self.count() + u32::from(self.last) + u32::from(self.star);
        own == field.range().end() - field.range().start() + 1
    }
}
