//! Reading a deployment's `schedule_config`: which keys there are, of which type, by default what.
//!
//! Both spellings of a key are taken: that of Prefect's API (`cron`, `interval`) and that of
//! its YAML and columns (`cron_string`, `interval_seconds`). A null means the default, except for
//! an anchor.
//!
//! Not in here: what a rule means. Text goes on as it was written.

use chrono_tz::Tz;
use serde_json::{Map, Number, Value};

use crate::{Refusal, Spec};

/// A configuration with its defaults filled in.
#[derive(Debug)]
pub(crate) struct Config<'a> {
    pub(crate) rule: Wanted<'a>,
    pub(crate) zone: Tz,
}

/// The rule as it was written.
#[derive(Debug)]
pub(crate) enum Wanted<'a> {
    Cron { text: &'a str, day_or: bool },
    Interval { seconds: Number, anchor: Option<&'a str> },
    Recurrence { text: &'a str },
}

const DEFAULT_CRON: &str = "0 0 * * *";
const DEFAULT_INTERVAL_SECONDS: u64 = 3600;

impl<'a> Config<'a> {
    pub(crate) fn read(spec: &'a Spec) -> Result<Config<'a>, Refusal> {
        let keys: &[&str] = match spec.schedule_type.as_str() {
            "cron" => &["cron_string", "cron", "day_or", "timezone"],
            "interval" => &["interval_seconds", "interval", "anchor_date", "timezone"],
            "rrule" => &["rrule", "timezone"],
            other => {
                return Err(Refusal::new(
                    "schedule_type",
                    other,
                    "there is no such kind of schedule",
                    "write \"cron\", \"interval\" or \"rrule\"",
                ));
            }
        };
        let fields = match &spec.config {
            Value::Object(fields) => Fields { fields, keys },
            Value::Null => return Config::build(&spec.schedule_type, None),
            other => {
                return Err(Refusal::new(
                    "schedule_config",
                    &other.to_string(),
                    "it is not an object",
                    format!("write an object with {}", listed(keys)),
                ));
            }
        };
        fields.refuse_unknown()?;
        Config::build(&spec.schedule_type, Some(&fields))
    }

    fn build(kind: &str, fields: Option<&Fields<'a>>) -> Result<Config<'a>, Refusal> {
        let text = |key| fields.map_or(Ok(None), |fields| fields.text(key));
        let zone = match text("timezone")? {
            None => Tz::UTC,
            // Prefect takes an empty name for UTC in a cron schedule only.
            Some("") if kind == "cron" => Tz::UTC,
            Some(name) => zone(name)?,
        };
        let rule = match kind {
            "cron" => Wanted::Cron {
                text: either("cron_string", text("cron_string")?, "cron", text("cron")?)?.unwrap_or(DEFAULT_CRON),
                day_or: fields.map_or(Ok(None), |fields| fields.flag("day_or"))?.unwrap_or(true),
            },
            "interval" => {
                let number = |key| fields.map_or(Ok(None), |fields| fields.number(key));
                if let Some(fields) = fields {
                    fields.refuse_null("anchor_date")?;
                }
                let short = number("interval")?;
                let seconds = either("interval_seconds", number("interval_seconds")?, "interval", short)?;
                Wanted::Interval {
                    seconds: seconds.unwrap_or_else(|| Number::from(DEFAULT_INTERVAL_SECONDS)),
                    anchor: text("anchor_date")?,
                }
            }
            _ => Wanted::Recurrence {
                text: text("rrule")?.ok_or_else(|| {
                    Refusal::new(
                        "rrule",
                        "",
                        "there is no rule",
                        "write \"rrule\": \"FREQ=DAILY\" or another rule",
                    )
                })?,
            },
        };
        Ok(Config { rule, zone })
    }
}

/// The zone of a name, as tzdata spells it.
pub(crate) fn zone(name: &str) -> Result<Tz, Refusal> {
    if let Ok(zone) = name.parse::<Tz>() {
        return Ok(zone);
    }
    let wish = name.trim();
    let close = chrono_tz::TZ_VARIANTS
        .iter()
        .find(|zone| zone.name().eq_ignore_ascii_case(wish));
    let instead = match close {
        Some(zone) => format!("write {:?}, with just these letters", zone.name()),
        None => "write a name of the IANA time zone database, such as \"UTC\" or \"America/New_York\"".to_owned(),
    };
    Err(Refusal::new("timezone", name, "there is no such time zone", instead))
}

/// The value of a key that has two spellings.
fn either<T>(name: &str, value: Option<T>, other: &str, second: Option<T>) -> Result<Option<T>, Refusal> {
    match (value, second) {
        (Some(_), Some(_)) => Err(Refusal::new(
            "schedule_config",
            &format!("{name}, {other}"),
            "both say the same thing",
            format!("write {name} only"),
        )),
        (value, second) => Ok(value.or(second)),
    }
}

fn listed(keys: &[&str]) -> String {
    keys.join(", ")
}

/// The keys of a configuration, and those that it may have.
struct Fields<'a> {
    fields: &'a Map<String, Value>,
    keys: &'static [&'static str],
}

impl<'a> Fields<'a> {
    fn refuse_unknown(&self) -> Result<(), Refusal> {
        match self.fields.keys().find(|key| !self.keys.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(Refusal::new(
                "schedule_config",
                key,
                "there is no such key for this kind of schedule",
                format!("write one of {}", listed(self.keys)),
            )),
        }
    }

    /// Prefect rejects a null anchor: it has a default only where the key is left out.
    fn refuse_null(&self, key: &str) -> Result<(), Refusal> {
        match self.fields.get(key) {
            Some(Value::Null) => Err(Refusal::new(
                key,
                "null",
                "null is no time to count from",
                "write a time such as \"2025-01-01T09:00:00Z\", or leave the key out",
            )),
            _ => Ok(()),
        }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, Refusal> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Refusal::new(
                key,
                &other.to_string(),
                "it is not text",
                "write it in quotes",
            )),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(Refusal::new(
                key,
                &other.to_string(),
                "it is neither true nor false",
                "write true or false, without quotes",
            )),
        }
    }

    fn number(&self, key: &str) -> Result<Option<Number>, Refusal> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.clone())),
            Some(other) => Err(Refusal::new(
                key,
                &other.to_string(),
                "it is not a number",
                "write a number of seconds, without quotes",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
