use std::time::Duration;

use grepx_engine::Timestamp;
use serde_json::json;

use super::{Backlog, Policy, backlog};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::definitions::{CatchUp, ScheduleType, Timing};

fn every(seconds: u64) -> Timing {
    let config = json!({"interval_seconds": seconds, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"});
    Timing::parse(ScheduleType::Interval, config.as_object().expect("an object"), None).expect("a rule")
}

const fn policy(catch_up: CatchUp) -> Policy {
    Policy {
        catch_up,
        window: None,
        jitter_ms: 0,
    }
}

fn at(text: &str) -> Timestamp {
    parse_rfc3339(&format!("2026-03-01T{text}Z")).expect("a time")
}

fn runs(found: &Backlog) -> Vec<String> {
    let text = |at: &Timestamp| rfc3339(*at)[11..19].to_owned();
    found.runs.iter().map(text).collect()
}

#[test]
fn a_host_that_was_only_busy_misses_nothing_whatever_the_policy() {
    for catch_up in [CatchUp::Latest, CatchUp::All, CatchUp::None] {
        let found = backlog(&every(5), policy(catch_up), at("02:00:00"), at("02:00:14"));
        assert_eq!(runs(&found), ["02:00:00", "02:00:05", "02:00:10"], "{catch_up:?}");
        assert_eq!(found.passed_over, 0);
        assert_eq!(found.progress.handled_until, at("02:00:10"));
        assert_eq!(found.progress.next_at, Some(at("02:00:15")));
    }
}

#[test]
fn missed_times_are_made_up_for_as_the_deployment_says() {
    let hourly = every(3_600);
    let cases = [
        (CatchUp::Latest, vec!["05:00:00"], 3),
        (CatchUp::All, vec!["02:00:00", "03:00:00", "04:00:00", "05:00:00"], 0),
        (CatchUp::None, vec![], 4),
    ];
    for (catch_up, expected, passed_over) in cases {
        let found = backlog(&hourly, policy(catch_up), at("02:00:00"), at("05:30:00"));
        assert_eq!(runs(&found), expected, "{catch_up:?}");
        assert_eq!(found.passed_over, passed_over, "{catch_up:?}");
        assert_eq!(found.progress.handled_until, at("05:00:00"));
        assert_eq!(found.progress.next_at, Some(at("06:00:00")));
    }
}

#[test]
fn the_latest_one_stands_for_all_even_when_the_last_has_just_come() {
    let found = backlog(&every(10), policy(CatchUp::Latest), at("02:00:00"), at("02:10:01"));
    assert_eq!(runs(&found), ["02:10:00"]);
    assert_eq!(found.passed_over, 60);
    let none = backlog(&every(10), policy(CatchUp::None), at("02:00:00"), at("02:10:01"));
    assert_eq!(
        runs(&none),
        ["02:09:50", "02:10:00"],
        "what has just come was not missed"
    );
}

#[test]
fn nothing_older_than_the_window_is_made_up_for() {
    let within = |catch_up| Policy {
        window: Some(Duration::from_secs(7_200)),
        ..policy(catch_up)
    };
    let all = backlog(&every(3_600), within(CatchUp::All), at("02:00:00"), at("12:30:00"));
    assert_eq!(runs(&all), ["11:00:00", "12:00:00"]);
    assert_eq!(all.passed_over, 9);
    let short = Policy {
        window: Some(Duration::from_secs(60)),
        ..policy(CatchUp::Latest)
    };
    let latest = backlog(&every(3_600), short, at("02:00:00"), at("12:30:00"));
    assert!(latest.runs.is_empty());
    assert_eq!(latest.passed_over, 11);
    assert_eq!(latest.progress.next_at, Some(at("13:00:00")));
}

#[test]
fn jitter_moves_what_is_due() {
    let later = Policy {
        jitter_ms: 90_000,
        ..policy(CatchUp::Latest)
    };
    let found = backlog(&every(60), later, at("02:00:00"), at("02:01:35"));
    assert_eq!(runs(&found), ["02:00:00"], "02:01:00 starts at 02:02:30");
}

#[test]
fn a_week_of_seconds_is_judged_at_once_and_bounded() {
    let week = at("02:00:00").plus_ms(7 * 86_400_000);
    let all = backlog(&every(1), policy(CatchUp::All), at("02:00:00"), week);
    assert_eq!(all.runs.len(), super::RUNS_MAX);
    assert_eq!(all.runs.last(), Some(&week));
    assert_eq!(all.passed_over, super::COUNTED_MAX);
    let latest = backlog(&every(1), policy(CatchUp::Latest), at("02:00:00"), week);
    assert_eq!(latest.runs, [week]);
}

#[test]
fn a_rule_that_has_ended_is_due_no_more() {
    let config =
        json!({"interval_seconds": 60, "anchor_date": "2026-01-01T00:00:00Z", "end_at": "2026-03-01T02:01:00Z"});
    let timing = Timing::parse(ScheduleType::Interval, config.as_object().expect("an object"), None).expect("a rule");
    let found = backlog(&timing, policy(CatchUp::All), at("02:00:00"), at("02:01:10"));
    assert_eq!(runs(&found), ["02:00:00", "02:01:00"]);
    assert_eq!(found.progress.next_at, None);
}
