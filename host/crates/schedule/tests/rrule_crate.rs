//! Recurrence rules against the `rrule` crate, an enumeration of another make.
//!
//! It agrees on days, weeks, months and years wherever it takes a rule. Left out is what it does
//! otherwise than python-dateutil: rules finer than a day (it loses the phase of INTERVAL, and
//! times, where a BY… part skips a day), and what it refuses (BYEASTER, BYWEEKNO outside of years,
//! BYYEARDAY and BYMONTHDAY in weeks, BYSETPOS beyond its limits).

use chrono::{DateTime, TimeZone, Utc};
use grepx_schedule::{Schedule, Spec};
use rrule::RRuleSet;
use serde_json::{Value, json};

/// Times that the crate is walked over in search of a start.
const STEPS: usize = 20_000;

/// The rule as the crate reads it: with a DTSTART, and zones on both dates.
fn for_crate(rule: &str) -> Option<String> {
    let mut start = "20200101T000000";
    let mut body = None;
    for line in rule.split_whitespace() {
        match line.split_once(':') {
            Some(("DTSTART", date)) => start = date,
            Some(("RRULE", value)) if body.is_none() => body = Some(value),
            None if body.is_none() => body = Some(line),
            _ => return None,
        }
    }
    let zoned = |part: &str| {
        if part.starts_with("UNTIL=") {
            format!("{part}Z")
        } else {
            part.to_owned()
        }
    };
    let body: Vec<String> = body?.split(';').map(zoned).collect();
    Some(format!("DTSTART:{start}Z\nRRULE:{}", body.join(";")))
}

#[test]
fn rules_of_days_give_what_the_crate_gives() {
    let (mut compared, mut instants) = (0, 0);
    for line in include_str!("dateutil.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let rule = case["rule"].as_str().unwrap();
        if ["HOURLY", "MINUTELY", "SECONDLY"]
            .iter()
            .any(|freq| rule.contains(freq))
        {
            continue;
        }
        let spec = Spec {
            schedule_type: "rrule".to_owned(),
            config: json!({ "rrule": rule }),
        };
        let (Ok(ours), Some(text)) = (Schedule::parse(&spec, None), for_crate(rule)) else {
            continue;
        };
        let Ok(theirs) = text.parse::<RRuleSet>() else { continue };
        let end = Utc.with_ymd_and_hms(2200, 1, 1, 0, 0, 0).unwrap();
        let theirs: Vec<DateTime<Utc>> = theirs
            .limit()
            .into_iter()
            .take(STEPS)
            .map(|time| time.with_timezone(&Utc))
            .take_while(|time| *time < end)
            .collect();
        compared += 1;
        for (at, time) in theirs.iter().enumerate().step_by((theirs.len() / 20).max(1)) {
            let there: Vec<_> = theirs[at..].iter().take(10).copied().collect();
            let here: Vec<_> = ours.from(*time).take(there.len()).collect();
            assert_eq!(here, there, "{rule:?} from {time}");
            instants += here.len();
        }
    }
    println!("{compared} rules, {instants} times");
    assert!(compared >= 100 && instants >= 10_000);
}
