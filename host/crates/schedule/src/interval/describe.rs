//! An interval in words.

use super::{DAY, Interval, SECOND};
use crate::describe::joined;

impl Interval {
    /// `Every 15 minutes, counted from 2025-01-01 09:00`; times are on the zone's clock.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{}, counted from {}",
            self.every(),
            self.wall.format(self.clock("%Y-%m-%d "))
        )
    }

    fn every(&self) -> String {
        let minute = 60 * SECOND;
        let units = [
            (self.days, "day"),
            (self.rest / (60 * minute), "hour"),
            (self.rest / minute % 60, "minute"),
            (self.rest / SECOND % 60, "second"),
            (self.rest % SECOND, "microsecond"),
        ];
        let parts: Vec<(i64, &str)> = units.into_iter().filter(|(count, _)| *count > 0).collect();
        if let [(1, unit)] = parts.as_slice() {
            return format!("Every {unit}");
        }
        let words = |(count, unit): &(i64, &str)| format!("{count} {unit}{}", if *count == 1 { "" } else { "s" });
        format!("Every {}", joined(&parts.iter().map(words).collect::<Vec<_>>()))
    }

    /// A format of time that leaves out nothing that is not zero.
    fn clock(&self, date: &str) -> &'static str {
        use chrono::Timelike;
        match (date.is_empty(), self.wall.nanosecond() > 0, self.wall.second() > 0) {
            (false, true, _) => "%Y-%m-%d %H:%M:%S%.6f",
            (false, false, true) => "%Y-%m-%d %H:%M:%S",
            (false, false, false) => "%Y-%m-%d %H:%M",
            (true, true, _) => "%H:%M:%S%.6f",
            (true, false, true) => "%H:%M:%S",
            (true, false, false) => "%H:%M",
        }
    }

    /// What a person should know about the interval before trusting it.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.explicit {
            notes.push(
                "There is no anchor_date: write one, so that the steps are counted from a time you know".to_owned(),
            );
        }
        if self.days > 0 && self.rest == 0 {
            let time = self.wall.format(self.clock(""));
            notes.push(format!(
                "Days are counted on the wall clock: it stays {time} when the clocks change"
            ));
        } else if self.days > 0 {
            notes.push(
                "Days are counted on the wall clock and the rest as elapsed time: a change of the clocks moves it"
                    .to_owned(),
            );
        } else if i128::from(DAY) % self.total() != 0 {
            notes.push("The interval does not divide a day: the times of day differ from day to day".to_owned());
        } else if self.total() > i128::from(3600 * SECOND) {
            notes.push("Elapsed time is counted: the times of day move when the clocks change".to_owned());
        }
        notes
    }
}
