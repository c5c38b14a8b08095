use super::*;
use crate::Schedule;
use serde_json::json;

fn read(kind: &str, config: Value) -> Result<(), String> {
    let spec = Spec {
        schedule_type: kind.to_owned(),
        config,
    };
    Config::read(&spec).map(drop).map_err(|refusal| refusal.to_string())
}

#[test]
fn both_spellings_and_defaults_are_read() {
    for config in [
        Value::Null,
        json!({}),
        json!({"cron": null, "timezone": null, "day_or": null}),
        json!({"cron_string": "0 0 * * *", "timezone": ""}),
        json!({"cron": "0 0 * * *", "day_or": true, "timezone": "UTC"}),
    ] {
        let spec = Spec {
            schedule_type: "cron".to_owned(),
            config,
        };
        let schedule = Schedule::parse(&spec, None).unwrap();
        assert_eq!(schedule.describe(), "At 00:00 every day (UTC)");
        assert_eq!(schedule.zone(), Tz::UTC);
    }
    let spec = Spec {
        schedule_type: "interval".to_owned(),
        config: json!({"interval": 1.5}),
    };
    assert!(matches!(
        Config::read(&spec).unwrap().rule,
        Wanted::Interval { seconds, anchor: None } if seconds.as_f64() == Some(1.5)
    ));
    let spec = Spec {
        schedule_type: "interval".to_owned(),
        config: json!({}),
    };
    assert!(matches!(
        Config::read(&spec).unwrap().rule,
        Wanted::Interval { seconds, .. } if seconds.as_u64() == Some(3600)
    ));
}

#[test]
fn refusals_name_the_key() {
    let cases = [
        ("hourly", json!({}), "schedule_type \"hourly\": there is no such kind"),
        ("cron", json!([]), "schedule_config \"[]\": it is not an object"),
        (
            "cron",
            json!({"crons": "* * * * *"}),
            "schedule_config \"crons\": there is no such key",
        ),
        (
            "cron",
            json!({"rrule": "FREQ=DAILY"}),
            "write one of cron_string, cron, day_or, timezone",
        ),
        (
            "cron",
            json!({"cron": 5}),
            "cron \"5\": it is not text; write it in quotes",
        ),
        (
            "cron",
            json!({"day_or": "true"}),
            "day_or \"\\\"true\\\"\": it is neither true nor false",
        ),
        (
            "cron",
            json!({"cron": "* * * * *", "cron_string": "* * * * *"}),
            "both say the same thing",
        ),
        (
            "interval",
            json!({"interval": "60"}),
            "interval \"\\\"60\\\"\": it is not a number; write a number of seconds",
        ),
        (
            "interval",
            json!({"anchor_date": null}),
            "anchor_date \"null\": null is no time to count from",
        ),
        (
            "interval",
            json!({"anchor_date": 1735689600}),
            "anchor_date \"1735689600\": it is not text",
        ),
        ("rrule", json!({"rrule": null}), "there is no rule"),
        (
            "rrule",
            json!({"rrule": "FREQ=DAILY", "timezone": ""}),
            "timezone \"\": there is no such time zone",
        ),
    ];
    for (kind, config, part) in cases {
        let refusal = read(kind, config.clone()).unwrap_err();
        assert!(refusal.contains(part), "{config}: {refusal}");
    }
}

#[test]
fn zones_are_those_of_tzdata_letter_for_letter() {
    for name in [
        "UTC",
        "Asia/Kolkata",
        "US/Eastern",
        "EST5EDT",
        "Etc/GMT+5",
        "GB",
        "W-SU",
        "Asia/Katmandu",
        "UCT",
    ] {
        assert_eq!(zone(name).unwrap().name(), name);
    }
    for name in [
        "utc",
        "Utc",
        "Z",
        "PST",
        "GMT+5",
        "+05:30",
        " UTC",
        "localtime",
        "Factory",
        "posixrules",
        "Foo/Bar",
    ] {
        assert!(zone(name).is_err(), "{name}");
    }
    let refusal = zone("america/new_york").unwrap_err().to_string();
    assert!(
        refusal.ends_with("write \"America/New_York\", with just these letters"),
        "{refusal}"
    );
    let refusal = zone(" UTC").unwrap_err().to_string();
    assert!(refusal.ends_with("write \"UTC\", with just these letters"), "{refusal}");
}
