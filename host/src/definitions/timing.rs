//! When a schedule of a deployment fires: its rule, cut to `start_at` and `end_at`, and moved by
//! its jitter.
//!
//! Absent on purpose: a clock. Rules are parsed once and shared by all deployments that say the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use grepx_engine::Timestamp;
use grepx_schedule::{Schedule, Spec};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::ScheduleType;

/// Keys of `schedule_config` that are the host's own, beside those of the rule.
const HOST_KEYS: [&str; 3] = ["start_at", "end_at", "jitter_seconds"];
/// A day: more would move a run past the next one of most schedules.
const JITTER_SECONDS_MAX: u64 = 86_400;

/// A checked schedule.
#[derive(Debug)]
pub struct Timing {
    rule: Schedule,
    /// The first and the last moment, both included.
    start_at: Option<DateTime<Utc>>,
    end_at: Option<DateTime<Utc>>,
    jitter: TimeDelta,
    /// Keys that mean nothing here; likely a slip.
    pub unknown_keys: Vec<String>,
}

impl Timing {
    /// Reads `schedule_config`. `created_at`: what an interval without `anchor_date` counts from.
    ///
    /// # Errors
    /// What is wrong with the schedule, and what to write instead, as one sentence.
    pub fn parse(
        schedule_type: ScheduleType,
        config: &Map<String, Value>,
        created_at: Option<DateTime<Utc>>,
    ) -> Result<Self, String> {
        let known = schedule_type.keys();
        let (own, other): (Vec<_>, Vec<_>) = config
            .iter()
            .filter(|(key, _)| !HOST_KEYS.contains(&key.as_str()))
            .partition(|(key, _)| known.contains(&key.as_str()));
        let spec = Spec {
            schedule_type: schedule_type.as_str().to_owned(),
            config: Value::Object(
                own.into_iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            ),
        };
        let rule = Schedule::parse(&spec, created_at).map_err(|refusal| refusal.to_string())?;
        let start_at = moment(config, "start_at", &rule)?;
        let end_at = moment(config, "end_at", &rule)?;
        if let (Some(start), Some(end)) = (start_at, end_at)
            && end < start
        {
            return Err("end_at lies before start_at: the schedule would never fire; exchange them".to_owned());
        }
        Ok(Self {
            rule,
            start_at,
            end_at,
            jitter: jitter(config)?,
            unknown_keys: other.into_iter().map(|(key, _)| key.clone()).collect(),
        })
    }

    /// Instants at or after `from`, strictly increasing.
    pub fn from(&self, from: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + use<'_> {
        let from = self.start_at.map_or(from, |start| start.max(from));
        let end = self.end_at;
        self.rule
            .from(from)
            .take_while(move |at| end.is_none_or(|end| *at <= end))
    }

    /// Instants after `after`, strictly increasing, to the millisecond.
    pub fn after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + use<'_> {
        // Rules count in microseconds: the rest of that millisecond has had its instant.
        let next = crate::clock::to_chrono(after.plus_ms(1));
        self.from(next).map(|at| crate::clock::from_chrono(&at))
    }

    /// How much later than its instants the deployment starts its runs: the same for every run, so
    /// that many deployments with one rule spread out and each keeps its rhythm.
    #[must_use]
    pub fn jitter_of(&self, deployment: Uuid) -> u64 {
        let most = u64::try_from(self.jitter.num_milliseconds()).unwrap_or(0);
        let (high, low) = deployment.as_u64_pair();
        (high ^ low) % (most + 1)
    }

    #[must_use]
    pub fn rule(&self) -> &Schedule {
        &self.rule
    }

    /// A sentence for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = self.rule.describe();
        let local = |at: DateTime<Utc>| at.with_timezone(&self.rule.zone()).format("%Y-%m-%d %H:%M:%S");
        if let Some(start) = self.start_at {
            text.push_str(&format!(", from {}", local(start)));
        }
        if let Some(end) = self.end_at {
            text.push_str(&format!(", until {}", local(end)));
        }
        if !self.jitter.is_zero() {
            text.push_str(&format!(", up to {} s later", self.jitter.as_seconds_f64()));
        }
        text
    }
}

/// RFC 3339, or a wall-clock time of the schedule's zone.
fn moment(config: &Map<String, Value>, key: &str, rule: &Schedule) -> Result<Option<DateTime<Utc>>, String> {
    let text = match config.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim(),
        Some(other) => {
            return Err(format!(
                "{key} is {other}; write a time such as \"2026-03-01T09:00:00\""
            ));
        }
    };
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Some(at.to_utc()));
    }
    [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ]
    .iter()
    .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    .or_else(|| text.parse::<chrono::NaiveDate>().ok()?.and_hms_opt(0, 0, 0))
    .and_then(|wall| rule.zone().from_local_datetime(&wall).earliest())
    .map(|at| Some(at.to_utc()))
    .ok_or_else(|| format!("{key} {text:?} is no time; write it as \"2026-03-01T09:00:00\", in the schedule's zone"))
}

fn jitter(config: &Map<String, Value>) -> Result<TimeDelta, String> {
    let seconds = match config.get("jitter_seconds") {
        None | Some(Value::Null) => return Ok(TimeDelta::zero()),
        Some(value) => value.as_f64().filter(|seconds| {
            #[allow(clippy::cast_precision_loss, reason = "a small constant")]
            let most = JITTER_SECONDS_MAX as f64;
            (0.0..=most).contains(seconds)
        }),
    };
    #[allow(clippy::cast_possible_truncation, reason = "bounded above")]
    seconds
        .map(|seconds| TimeDelta::milliseconds((seconds * 1_000.0) as i64))
        .ok_or_else(|| format!("jitter_seconds is no number from 0 to {JITTER_SECONDS_MAX}; write for example 30"))
}

type Known = HashMap<String, Result<Arc<Timing>, String>>;

/// Parsed schedules by what they say. Cheap to clone; all clones share.
#[derive(Debug, Clone, Default)]
pub struct Timings(Arc<Mutex<Known>>);

impl Timings {
    /// See [`Timing::parse`].
    pub(super) fn get(
        &self,
        schedule_type: ScheduleType,
        config: &Map<String, Value>,
        created_at: Option<DateTime<Utc>>,
    ) -> Result<Arc<Timing>, String> {
        let anchored = schedule_type != ScheduleType::Interval || config.contains_key("anchor_date");
        let created_at = created_at.filter(|_| !anchored);
        let text = serde_json::to_string(config).unwrap_or_default();
        let key = format!(
            "{} {text} {}",
            schedule_type.as_str(),
            created_at.map_or(0, |at| at.timestamp_micros())
        );
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(key)
            .or_insert_with(|| Timing::parse(schedule_type, config, created_at).map(Arc::new))
            .clone()
    }

    /// Forgets what no catalog uses.
    pub(super) fn tidy(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, timing| timing.as_ref().is_ok_and(|timing| Arc::strong_count(timing) > 1));
    }
}

#[cfg(test)]
mod tests;
