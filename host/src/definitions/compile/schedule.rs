//! Schedules of a deployment. A wrong one costs itself: the deployment can be started by hand, and
//! its other schedules fire.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::deployment::parse_word;
use super::{Blame, Compiler};
use crate::definitions::row::Row;
use crate::definitions::{ScheduleSpec, ScheduleType, Severity};
use crate::yaml::{did_you_mean, excerpt};

const SCHEDULE_TYPES: &[&str] = &["cron", "interval", "rrule"];
/// Key of the schedule in the columns `schedule_type` and `schedule_config`.
const COLUMN_KEY: &str = "schedule";

/// A schedule as it is written, before its rule is judged.
struct Written {
    key: String,
    column: &'static str,
    schedule_type: ScheduleType,
    config: Map<String, Value>,
    parameters: Map<String, Value>,
    active: bool,
}

impl Compiler<'_> {
    /// The schedule of the two columns, then those of the list.
    pub(super) fn schedules(
        &mut self,
        blame: &mut Blame,
        row: &Row,
        deployment: Uuid,
        created_at: Option<DateTime<Utc>>,
    ) -> Vec<ScheduleSpec> {
        let mut written = Vec::new();
        written.extend(self.of_columns(blame, row));
        let listed = self.cell(blame, "schedules", row.list("schedules")).unwrap_or_default();
        for (place, item) in (1..).zip(listed) {
            match of_list(item, place) {
                Ok(one) if written.iter().any(|other: &Written| other.key == one.key) => {
                    let message = format!("two schedules are called {:?}", one.key);
                    self.schedule_error(blame, "schedules", message, "give each one its own slug");
                }
                Ok(one) => written.push(one),
                Err(fault) => {
                    let message = format!("item {place}: {fault}");
                    self.schedule_error(blame, "schedules", message, "correct the schedule");
                }
            }
        }
        written
            .into_iter()
            .map(|one| self.judge(blame, one, deployment, created_at))
            .collect()
    }

    fn of_columns(&mut self, blame: &mut Blame, row: &Row) -> Option<Written> {
        let config = self.cell(blame, "schedule_config", row.object("schedule_config"));
        let word = self.cell(blame, "schedule_type", row.text("schedule_type"))?;
        match parse_word(&word, SCHEDULE_TYPES) {
            Ok(schedule_type) => Some(Written {
                key: COLUMN_KEY.to_owned(),
                column: "schedule_config",
                schedule_type,
                config: config.unwrap_or_default(),
                parameters: Map::new(),
                active: true,
            }),
            Err(message) => {
                let help = "write cron, interval or rrule, or NULL for a deployment that is started by hand";
                self.schedule_error(blame, "schedule_type", message, help);
                None
            }
        }
    }

    fn judge(
        &mut self,
        blame: &Blame,
        written: Written,
        deployment: Uuid,
        created_at: Option<DateTime<Utc>>,
    ) -> ScheduleSpec {
        let timing = self.timings.get(written.schedule_type, &written.config, created_at);
        let place = match written.column {
            "schedules" => format!("{}: ", written.key),
            _ => String::new(),
        };
        match &timing {
            Err(refusal) => {
                let help = "until then the schedule does not fire; the deployment can be started by hand";
                self.schedule_error(blame, written.column, format!("{place}{refusal}"), help);
            }
            Ok(timing) if !timing.unknown_keys.is_empty() => {
                let keys = timing.unknown_keys.join(", ");
                let message = format!(
                    "{place}{keys}: no such key for a schedule of type {}",
                    written.schedule_type.as_str()
                );
                let help = format!(
                    "remove it; there are {}, start_at, end_at, jitter_seconds",
                    written.schedule_type.keys().join(", ")
                );
                self.warning(blame, written.column, message, help);
            }
            Ok(_) => {}
        }
        ScheduleSpec {
            id: Uuid::new_v5(&deployment, written.key.as_bytes()),
            key: written.key,
            schedule_type: written.schedule_type,
            config: written.config,
            parameters: written.parameters,
            active: written.active,
            timing,
        }
    }

    /// Costs the schedule, not the deployment.
    fn schedule_error(&mut self, blame: &Blame, column: &str, message: impl Into<String>, help: impl Into<String>) {
        self.note(Severity::Error, blame, column, message, help);
    }
}

/// An object with `schedule_type`, `schedule_config`, and perhaps `slug`, `parameters`, `active`.
fn of_list(item: Value, place: usize) -> Result<Written, String> {
    const KNOWN: [&str; 5] = ["slug", "schedule_type", "schedule_config", "parameters", "active"];
    let Value::Object(map) = item else {
        return Err(format!("expected an object, found {}", crate::yaml::describe(&item)));
    };
    let mut key = format!("{COLUMN_KEY}-{place}");
    let mut schedule_type = None;
    let (mut config, mut parameters, mut active) = (Map::new(), Map::new(), true);
    for (name, value) in map {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("slug", Value::String(slug)) if !slug.trim().is_empty() => key = slug,
            ("schedule_type", Value::String(word)) => schedule_type = Some(parse_word(&word, SCHEDULE_TYPES)?),
            ("schedule_config", Value::Object(map)) => config = map,
            ("parameters", Value::Object(map)) => parameters = map,
            ("active", Value::Bool(flag)) => active = flag,
            (known, value) if KNOWN.contains(&known) => {
                return Err(format!("{known} cannot be {}", crate::yaml::describe(&value)));
            }
            (other, _) => {
                let known = did_you_mean(other, KNOWN);
                return Err(format!("unknown key {:?}{known}", excerpt(other)));
            }
        }
    }
    Ok(Written {
        key,
        column: "schedules",
        schedule_type: schedule_type.ok_or("it has no schedule_type")?,
        config,
        parameters,
        active,
    })
}
