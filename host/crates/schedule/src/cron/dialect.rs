//! The dialect: from the text of a field to its values, as croniter reads it.
//!
//! Stricter than croniter where it reads something by accident: a bound below its field
//! (`0-0` as a day), digits other than 0 to 9, and `R`, which draws new times at every reading.

use super::fields::{Field, LAST, Values};
use crate::Refusal;

/// What is wrong with a field, and what to write.
#[derive(Debug)]
pub(super) struct Fault {
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

    pub(super) fn of(self, text: &str) -> Refusal {
        Refusal::new("cron", text, self.problem, self.instead)
    }
}

/// Reads one field; `fields` is how many the rule has (7 is Sunday among five only).
pub(super) fn read(field: Field, text: &str, fields: usize) -> Result<Values, Fault> {
    let mut values = Values::default();
    if text == "?" && matches!(field, Field::Day | Field::Weekday) {
        values.star = true;
        return Ok(values);
    }
    let reader = Reader { field, fields };
    for item in text.split(',') {
        reader
            .item(item, &mut values)
            .map_err(|fault| reader.explain(item, fault))?;
    }
    Ok(values)
}

/// Why an item is no good.
enum Wrong {
    /// It is not of any form that there is.
    Form,
    /// A number or a name is not one of the field's.
    Value,
    /// A step of zero.
    Step,
    /// An nth weekday that no month has.
    Nth,
}

struct Reader {
    field: Field,
    fields: usize,
}

impl Reader {
    fn item(&self, item: &str, values: &mut Values) -> Result<(), Wrong> {
        if self.field == Field::Weekday {
            if let Some((days, nth)) = item.rsplit_once('#') {
                return self.nth(days, nth, values);
            }
            if let Some(day) = strip_l(item).filter(|day| is_number(day)) {
                let day = self.value(day)?;
                values.numeric = true;
                values.set(self.field, day);
                values.nth[day as usize] |= LAST;
                return Ok(());
            }
        }
        if item == "*" {
            values.star = true;
            return Ok(());
        }
        if self.field == Field::Day && item.eq_ignore_ascii_case("l") {
            values.last = true;
            return Ok(());
        }
        let (bounds, step) = match item.rsplit_once('/') {
            Some((bounds, step)) => (bounds, Some(step)),
            None => (item, None),
        };
        let every = match step {
            None => 1,
            Some(step) if is_number(step) => match number(step) {
                0 => return Err(Wrong::Step),
                every => every,
            },
            Some(_) => return Err(Wrong::Form),
        };
        let last = *self.field.range().end();
        if bounds == "*" {
            self.range(*self.field.range().start(), last, every, |value| {
                values.set(self.field, value)
            });
        } else if let Some((low, high)) = bounds.split_once('-') {
            // 0-7 is a whole week and says so; 7-7 is one, too, and looks like a day.
            let whole_week = self.field == Field::Weekday && low != high;
            let low = self.bound(low, values)?;
            let high = match self.field {
                Field::Day if high.eq_ignore_ascii_case("l") => last,
                _ => self.bound(high, values)?,
            };
            values.circle |= low == high && !whole_week;
            self.range(low, high, every, |value| values.set(self.field, value));
        } else if step.is_some() {
            let low = self.bound(bounds, values)?;
            values.circle |= low == last;
            self.range(low, last, every, |value| values.set(self.field, value));
        } else {
            let value = self.bound(bounds, values)?;
            values.set(self.field, value);
        }
        Ok(())
    }

    /// `5#3`, `fri#2`, `mon-fri#1`; a range of numbers is not taken.
    fn nth(&self, days: &str, nth: &str, values: &mut Values) -> Result<(), Wrong> {
        if !is_number(nth) {
            return Err(Wrong::Form);
        }
        let nth = number(nth);
        if !(1..=5).contains(&nth) {
            return Err(Wrong::Nth);
        }
        let (low, high) = match days.split_once('-') {
            None => {
                let day = self.bound(days, values)?;
                values.set(self.field, day);
                values.nth[day as usize] |= 1 << nth;
                return Ok(());
            }
            Some((low, high)) => (
                self.named(low).ok_or(Wrong::Form)?,
                self.named(high).ok_or(Wrong::Form)?,
            ),
        };
        values.circle |= low == high;
        self.range(low, high, 1, |day| {
            values.set(self.field, day);
            values.nth[day as usize] |= 1 << nth;
        });
        Ok(())
    }

    /// A value of the field, by number or name.
    fn bound(&self, text: &str, values: &mut Values) -> Result<u32, Wrong> {
        if is_number(text) {
            values.numeric |= self.field == Field::Weekday;
            return self.value(text);
        }
        if text.is_empty() {
            return Err(Wrong::Form);
        }
        self.named(text).ok_or(Wrong::Value)
    }

    fn value(&self, digits: &str) -> Result<u32, Wrong> {
        let value = match number(digits) {
            7 if self.field == Field::Weekday && self.fields == 5 => 0,
            value => value,
        };
        if self.field.range().contains(&value) {
            Ok(value)
        } else {
            Err(Wrong::Value)
        }
    }

    fn named(&self, text: &str) -> Option<u32> {
        let names = self.field.names();
        let at = names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
        u32::try_from(at).ok().map(|at| at + self.field.range().start())
    }

    /// `low` to `high` by steps, around the end of the field where `high` comes first; a range
    /// from a value to itself is the whole field, from its first value.
    fn range(&self, low: u32, high: u32, step: u32, mut set: impl FnMut(u32)) {
        let (first, last) = (*self.field.range().start(), *self.field.range().end());
        let mut run = |from: u32, to: u32| {
            let mut reached = from;
            for value in (from..=to).step_by(step as usize) {
                set(value);
                reached = value;
            }
            reached
        };
        if low < high {
            run(low, high);
        } else if low == high {
            run(first, last);
        } else {
            let reached = run(low, last);
            // How croniter carries a step around the end: one more than the rest of the step.
            let left = last - reached;
            let skip = if reached - first + step > last - first + 1 && left < step {
                step - left
            } else {
                0
            };
            run(first.saturating_add(skip), high);
        }
    }

    fn explain(&self, item: &str, wrong: Wrong) -> Fault {
        let (name, range) = (self.field.name(), self.field.range());
        let (first, last) = (range.start(), range.end());
        let allowed = match self.field {
            Field::Month => format!("{first} to {last} or jan to dec"),
            Field::Day => format!("{first} to {last}, or L for the last one"),
            Field::Weekday if self.fields == 5 => {
                "0 to 7 or sun to sat (0 and 7 are Sunday), or fri#2 or L5".to_owned()
            }
            Field::Weekday => "0 to 6 or sun to sat (0 is Sunday), or fri#2 or L5".to_owned(),
            _ => format!("{first} to {last}"),
        };
        let shown: String = item.chars().take(20).collect();
        if matches!(item.chars().next(), Some('r' | 'R' | 'h' | 'H')) && self.field.names().is_empty() {
            return Fault::new(
                format!("{shown:?} stands for a time drawn at random, which would be another one at every reading"),
                format!("write a fixed {name}, {allowed}"),
            );
        }
        match wrong {
            Wrong::Step => Fault::new(
                format!("{shown:?} steps by zero in the field {name}"),
                "write a step of 1 or more, such as */5",
            ),
            Wrong::Nth => Fault::new(
                format!("{shown:?} is a weekday that no month has"),
                "write a number from 1 to 5 after the #, such as 5#3 for the third Friday",
            ),
            Wrong::Value => Fault::new(
                format!("{shown:?} is no value of the field {name}"),
                format!("write {allowed}"),
            ),
            Wrong::Form if item.is_empty() => Fault::new(
                format!("the field {name} has an empty place in its list"),
                "write one comma between two values",
            ),
            Wrong::Form => Fault::new(
                format!("{shown:?} is no form of the field {name}"),
                format!("write {allowed}, a range a-b, a step */n, or a list of these"),
            ),
        }
    }
}

fn strip_l(item: &str) -> Option<&str> {
    item.strip_prefix(['l', 'L'])
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number of some digits; one that is too large for any field stays that.
fn number(digits: &str) -> u32 {
    digits.parse().unwrap_or(u32::MAX / 4)
}
