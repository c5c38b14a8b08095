//! Schedules: refused by a sentence, or firing at rising instants from any start.
//!
//! An input is `schedule_config` as JSON, or lines: the rule, the time zone, the anchor, the second
//! since 1970 from which it is asked.

use chrono::{DateTime, Utc};
use grepx_schedule::{Schedule, Spec};
use serde_json::{Value, json};

use crate::definitions::line;

const INSTANTS: usize = 5;
/// 1970 to 2200, in seconds.
const SECONDS: i64 = 7_258_118_400;

pub(crate) fn cron(input: &[u8]) {
    read("cron", "cron_string", input);
}

pub(crate) fn interval(input: &[u8]) {
    read("interval", "interval_seconds", input);
}

pub(crate) fn rrule(input: &[u8]) {
    read("rrule", "rrule", input);
}

fn read(schedule_type: &str, key: &str, input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (config, start) = match serde_json::from_str::<Value>(text) {
        Ok(config @ Value::Object(_)) => (config, 0),
        _ => of_lines(key, text),
    };
    let spec = Spec {
        schedule_type: schedule_type.to_owned(),
        config,
    };
    let start = DateTime::<Utc>::from_timestamp(start, 1).expect("in range");
    match Schedule::parse(&spec, None) {
        Err(refusal) => line(&refusal.to_string()),
        Ok(schedule) => {
            let first: Vec<_> = schedule.from(start).take(INSTANTS).collect();
            assert!(first.windows(2).all(|two| two[0] < two[1]), "{spec:?} {first:?}");
            assert!(first.iter().all(|at| *at >= start), "{spec:?} {start} {first:?}");
            line(&schedule.describe());
            for note in schedule.notes() {
                line(&note);
            }
        }
    }
}

fn of_lines(key: &str, text: &str) -> (Value, i64) {
    // Rules of the kind rrule have lines of their own, which a file has as `\n`.
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default().trim_end_matches('\r');
    let rule = next().replace("\\n", "\n");
    let rule = rule.parse::<f64>().map_or_else(|_| json!(rule), |number| json!(number));
    let mut config = json!({ key: rule });
    for name in ["timezone", "anchor_date"] {
        match next() {
            "" => {}
            value => config[name] = json!(value),
        }
    }
    let start: i64 = next().parse().unwrap_or(1_767_225_600);
    (config, start.rem_euclid(SECONDS))
}
