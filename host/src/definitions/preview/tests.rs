use serde_json::{Value, json};

use super::preview;
use crate::definitions::{ScheduleType, Timing};

fn shown(config: &Value, from: &str, most: usize) -> Value {
    let timing = Timing::parse(ScheduleType::Cron, config.as_object().expect("an object"), None).expect("a rule");
    preview(&timing, from.parse().expect("a time"), most)
}

#[test]
fn shows_both_clocks_and_where_summer_time_begins_and_ends() {
    let daily = json!({"cron_string": "30 2 * * *", "timezone": "America/New_York"});
    let spring = shown(&daily, "2026-03-07T00:00:00Z", 3);
    let column = |name: &str| -> Vec<Value> {
        let all = spring["instants"].as_array().expect("a list");
        all.iter().map(|one| one[name].clone()).collect()
    };
    assert_eq!(
        column("utc"),
        ["2026-03-07T07:30:00Z", "2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"]
    );
    assert_eq!(
        column("local"),
        [
            "2026-03-07T02:30:00-05:00",
            "2026-03-08T03:30:00-04:00",
            "2026-03-09T02:30:00-04:00"
        ]
    );
    assert_eq!(column("weekday"), ["Sat", "Sun", "Mon"]);
    assert_eq!(column("offset"), ["-05:00", "-04:00", "-04:00"]);
    assert_eq!(column("dst"), [false, true, true]);
    assert_eq!(column("clock_change"), [Value::Null, json!("forward 1 h"), Value::Null]);
    assert_eq!(spring["timezone"], "America/New_York");

    let island = json!({"cron_string": "0 12 * * *", "timezone": "Australia/Lord_Howe"});
    let autumn = shown(&island, "2026-04-03T13:00:00Z", 2);
    assert_eq!(autumn["instants"][1]["clock_change"], "back 30 min");
}

#[test]
fn a_shifted_week_is_told_in_words() {
    let numbers = shown(&json!({"cron_string": "0 9 * * 1-5"}), "2026-03-07T00:00:00Z", 1);
    let told = format!("{} {}", numbers["description"], numbers["notes"]);
    assert!(told.contains("Monday") && told.contains("Friday"), "{told}");
}
