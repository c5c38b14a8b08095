use serde_json::{Value, json};
use uuid::Uuid;

use super::{Timing, Timings};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::definitions::ScheduleType;

fn timing(config: Value) -> Result<Timing, String> {
    let Value::Object(config) = config else {
        panic!("an object")
    };
    Timing::parse(ScheduleType::Interval, &config, None)
}

fn daily(more: Value) -> Result<Timing, String> {
    let mut config =
        json!({"interval_seconds": 86_400, "anchor_date": "2026-01-01T06:00:00Z", "timezone": "Asia/Kolkata"});
    let own = config.as_object_mut().expect("an object");
    own.extend(more.as_object().expect("an object").clone());
    timing(config)
}

fn after(timing: &Timing, from: &str) -> Vec<String> {
    let from = parse_rfc3339(from).expect("a time");
    timing.after(from).take(3).map(rfc3339).collect()
}

#[test]
fn both_ends_belong_to_the_schedule_and_are_read_in_its_zone() {
    let cut = daily(json!({"start_at": "2026-02-02 11:30", "end_at": "2026-02-03T06:00:00Z"})).expect("valid");
    assert_eq!(
        after(&cut, "2026-01-01T00:00:00Z"),
        ["2026-02-02T06:00:00.000Z", "2026-02-03T06:00:00.000Z"]
    );
    assert!(after(&cut, "2026-02-03T06:00:00Z").is_empty(), "after is exclusive");
    assert!(
        cut.describe().contains("from 2026-02-02 11:30:00"),
        "{}",
        cut.describe()
    );
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_write() {
    let faults = [
        (json!({"start_at": "tomorrow"}), "start_at \"tomorrow\" is no time"),
        (json!({"end_at": 7}), "end_at is 7"),
        (
            json!({"start_at": "2026-03-01", "end_at": "2026-02-01"}),
            "exchange them",
        ),
        (
            json!({"jitter_seconds": -1}),
            "jitter_seconds is no number from 0 to 86400",
        ),
        (json!({"jitter_seconds": "5"}), "jitter_seconds is no number"),
        (json!({"timezone": "PST"}), "PST"),
    ];
    for (config, expected) in faults {
        let found = daily(config).expect_err("refused");
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn jitter_is_stable_for_a_deployment_and_spreads_over_many() {
    let timing = daily(json!({"jitter_seconds": 60})).expect("valid");
    let all: Vec<u64> = (0..1_000_u128)
        .map(|n| timing.jitter_of(Uuid::new_v5(&Uuid::nil(), &n.to_be_bytes())))
        .collect();
    assert!(all.iter().all(|jitter| *jitter <= 60_000));
    assert_eq!(
        all[7],
        timing.jitter_of(Uuid::new_v5(&Uuid::nil(), &7_u128.to_be_bytes()))
    );
    let early = all.iter().filter(|jitter| **jitter < 30_000).count();
    assert!((400..600).contains(&early), "{early} of 1000 in the first half");
    assert_eq!(daily(json!({})).expect("valid").jitter_of(Uuid::max()), 0);
}

#[test]
fn a_rule_is_parsed_once_for_all_who_say_the_same() {
    let timings = Timings::default();
    let config = json!({"cron_string": "0 3 * * *", "max_scheduled_runs": 3});
    let config = config.as_object().expect("an object");
    let one = timings.get(ScheduleType::Cron, config, None).expect("valid");
    let two = timings.get(ScheduleType::Cron, config, Some(chrono::DateTime::UNIX_EPOCH));
    assert!(std::sync::Arc::ptr_eq(&one, &two.expect("valid")));
    assert_eq!(one.unknown_keys, ["max_scheduled_runs"]);
}
