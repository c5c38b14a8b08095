//! The dialect of cron, against croniter itself: 700 random rules, right and wrong ones.
//!
//! `croniter.jsonl` was made by `croniter_cases.py 77 700` with croniter 6.0.0, without zones: the first four times of a rule
//! from a start on, or at which stage it failed. Left out at the making: rules with `R` or `H`
//! and with bounds of 0 where a field begins with 1, which are refused here; and lists of days
//! after which croniter steps over days of the next month (1 March for `*/5`), which fire here.

use chrono::{DateTime, Utc};
use grepx_schedule::{Schedule, Spec};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Sample {
    text: String,
    day_or: bool,
    start: DateTime<Utc>,
    error: Option<String>,
    #[serde(default)]
    walls: Vec<DateTime<Utc>>,
}

#[test]
fn random_rules_are_read_as_croniter_reads_them() {
    let samples: Vec<Sample> = include_str!("croniter.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert_eq!(samples.len(), 700);
    for sample in &samples {
        let config = serde_json::json!({"cron": sample.text, "day_or": sample.day_or});
        let ours = Schedule::parse(
            &Spec {
                schedule_type: "cron".to_owned(),
                config,
            },
            None,
        );
        match (sample.error.as_deref(), ours) {
            (Some(_), Err(_)) if sample.walls.is_empty() => {}
            (None | Some("generate"), Ok(schedule)) => {
                let ours: Vec<_> = schedule.from(sample.start).take(4).collect();
                assert_eq!(ours, sample.walls, "{sample:?}");
            }
            (_, ours) => panic!("{sample:?} / {ours:?}"),
        }
    }
}
