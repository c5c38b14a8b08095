//! The lines of a recurrence: DTSTART, RRULE, EXRULE, RDATE, EXDATE.
//!
//! As in python-dateutil, any white space ends a line, case does not matter, and a line without
//! a colon is a rule.

use super::date::{self, Stamp};
use super::part::{self, Parts};
use super::{Fault, RULES_MAX, TEXT_MAX};

/// A recurrence as written, each line read for itself.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) dtstart: Option<Stamp>,
    pub(super) rules: Vec<Parts>,
    pub(super) exrules: Vec<Parts>,
    pub(super) rdates: Vec<Stamp>,
    pub(super) exdates: Vec<Stamp>,
    /// Zones that were named and are not used, as written.
    pub(super) tzids: Vec<String>,
}

/// Reads a whole recurrence.
pub(super) fn parse(text: &str) -> Result<Text, Fault> {
    if text.chars().count() > TEXT_MAX {
        return Err(Fault::new(
            format!("is longer than {TEXT_MAX} characters"),
            "split it into several schedules",
        ));
    }
    if !text.is_ascii() {
        return Err(Fault::new(
            "has characters other than ASCII",
            "use the letters, digits and signs of RFC 5545",
        ));
    }
    let mut read = Text::default();
    for line in text.split_ascii_whitespace() {
        read.line(line)?;
    }
    if read.rules.is_empty() && read.rdates.is_empty() && read.exrules.is_empty() && read.exdates.is_empty() {
        let problem = if read.dtstart.is_some() {
            "has a DTSTART and no rule"
        } else {
            "is empty"
        };
        return Err(Fault::new(problem, "write a rule such as FREQ=DAILY"));
    }
    if read.rules.len() + read.exrules.len() > RULES_MAX {
        return Err(Fault::new(
            format!("has more than {RULES_MAX} rules"),
            "split it into several schedules",
        ));
    }
    Ok(read)
}

impl Text {
    fn line(&mut self, line: &str) -> Result<(), Fault> {
        let upper = line.to_ascii_uppercase();
        let (head, value) = upper.split_once(':').unwrap_or(("RRULE", &upper));
        let (name, parameters) = match head.split_once(';') {
            Some((name, parameters)) => (name, Some(parameters)),
            None => (head, None),
        };
        match name {
            "RRULE" | "EXRULE" => {
                if let Some(parameters) = parameters {
                    return Err(Fault::new(
                        format!("{name} has parameters ({parameters})"),
                        format!("write {name}:FREQ=…"),
                    ));
                }
                let parts = part::parse(value)?;
                if name == "RRULE" {
                    self.rules.push(parts)
                } else {
                    self.exrules.push(parts)
                }
            }
            "RDATE" => {
                if let Some(other) = parameters.filter(|p| p.split(';').any(|one| one != "VALUE=DATE-TIME")) {
                    return Err(Fault::new(format!("RDATE has {other}"), "write RDATE:20250101T090000"));
                }
                self.rdates.extend(dates(name, value)?);
            }
            "EXDATE" => {
                self.parameters(name, parameters, line, value)?;
                self.exdates.extend(dates(name, value)?);
            }
            "DTSTART" => {
                let zone = self.parameters(name, parameters, line, value)?;
                let stamp = match dates(name, value)?.as_slice() {
                    [stamp] if self.dtstart.is_none() => Stamp {
                        zoned: stamp.zoned || zone,
                        ..*stamp
                    },
                    _ => return Err(Fault::new("has more than one DTSTART", "keep one DTSTART")),
                };
                self.dtstart = Some(stamp);
            }
            _ => {
                return Err(Fault::new(
                    format!("{name:?} is not a line of a recurrence"),
                    "use DTSTART, RRULE, EXRULE, RDATE and EXDATE lines",
                ));
            }
        }
        Ok(())
    }

    /// Checks the parameters of a date line; whether they name a zone that exists.
    fn parameters(&mut self, name: &str, parameters: Option<&str>, line: &str, value: &str) -> Result<bool, Fault> {
        let mut zone = false;
        let mut values = 0;
        for parameter in parameters.iter().flat_map(|p| p.split(';')) {
            if parameter.starts_with("TZID=") {
                // A zone's name has capital and small letters: take it from the line as written.
                let written = line
                    .find("TZID=")
                    .and_then(|at| line[at + 5..].split(':').next())
                    .unwrap_or_default();
                zone |= written.parse::<chrono_tz::Tz>().is_ok();
                let shown = parameter.trim_start_matches("TZID=");
                self.tzids
                    .push(if written.is_empty() { shown } else { written }.to_string());
            } else if matches!(parameter, "VALUE=DATE" | "VALUE=DATE-TIME") {
                values += 1;
            } else {
                return Err(Fault::new(
                    format!("{name} has {parameter}"),
                    format!("write {name}:20250101T090000"),
                ));
            }
        }
        if values > 1 {
            return Err(Fault::new(format!("{name} has VALUE twice"), "keep one VALUE"));
        }
        if zone && dates(name, value)?.iter().any(|stamp| stamp.zoned) {
            return Err(Fault::new(
                format!("{name} has a TZID and an offset"),
                "leave out both: the schedule's timezone counts",
            ));
        }
        Ok(zone)
    }
}

fn dates(name: &str, value: &str) -> Result<Vec<Stamp>, Fault> {
    value
        .split(',')
        .map(|text| {
            date::parse(text).ok_or_else(|| {
                Fault::new(
                    format!("{name} has {text:?}, which is no date"),
                    "write 20250101T090000",
                )
            })
        })
        .collect()
}
