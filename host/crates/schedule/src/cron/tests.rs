use super::*;
use crate::{Schedule, Spec};

fn cron(text: &str) -> Schedule {
    try_cron(text, true).unwrap()
}

fn try_cron(text: &str, day_or: bool) -> Result<Schedule, Refusal> {
    let config = serde_json::json!({"cron": text, "day_or": day_or, "timezone": "Asia/Kolkata"});
    Schedule::parse(
        &Spec {
            schedule_type: "cron".to_owned(),
            config,
        },
        None,
    )
}

#[test]
fn rules_read_as_sentences() {
    let sentences = [
        ("30 15 * * 1-5", "At 15:30, Monday to Friday"),
        ("0 0 * * *", "At 00:00 every day"),
        ("@weekly", "At 00:00, Sunday"),
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        (
            "*/10 9-17 * * 1-5",
            "Every 10 minutes, from 09:00 to 17:59, Monday to Friday",
        ),
        ("0 */2 * * *", "At minute 0 of every second hour"),
        ("5,10 * * * *", "At minutes 5 and 10 of every hour"),
        (
            "0 9,12,18 * * sat,sun",
            "At 09:00, 12:00 and 18:00, Saturday and Sunday",
        ),
        ("0 9 * * fri-mon", "At 09:00, Monday and Friday to Sunday"),
        ("0 0 1,15 * *", "At 00:00, on days 1 and 15 of the month"),
        (
            "0 0 L 6,12 *",
            "At 00:00, on the last day of the month, in June and December",
        ),
        ("0 0 15,L * *", "At 00:00, on day 15 and the last day of the month"),
        ("0 0 13 * 5", "At 00:00, on day 13 of the month and on Friday"),
        (
            "0 0 * * 5#2,L1",
            "At 00:00, the last Monday and the second Friday of the month",
        ),
        ("0 9 * * * 15", "At 09:00:15 every day"),
        ("* * * * * */15", "Every 15 seconds"),
        ("*/20 * * * * 5", "At second 5 of every minute, every 20 minutes"),
        (
            "0 0 1 1 * 0 2026-2028",
            "At 00:00, on day 1 of the month, in January, in 2026 to 2028",
        ),
    ];
    for (text, sentence) in sentences {
        assert_eq!(cron(text).describe(), format!("{sentence} (Asia/Kolkata)"), "{text}");
    }
    let both = try_cron("0 0 13 * 5,6", false).unwrap();
    assert_eq!(
        both.describe(),
        "At 00:00, on day 13 of the month if it is Friday or Saturday (Asia/Kolkata)"
    );
}

#[test]
fn what_surprises_is_noted() {
    let notes = |text: &str| cron(text).notes().join(" ");
    assert!(
        notes("0 9 * * 2").contains("this rule means Tuesday."),
        "{}",
        notes("0 9 * * 2")
    );
    assert!(notes("0 9 * * 7").contains("this rule means Sunday."));
    assert!(notes("0 9 * * 5#2").contains("this rule means the second Friday of the month."));
    assert!(notes("0 9 13 * fri").contains("set day_or to false"));
    assert!(notes("0 9 13 * fri#2").contains("no effect beside an nth weekday"));
    assert!(notes("0 9 * * * 30").contains("sixth field is the second"));
    assert!(notes("5-5 * * * *").contains("whole field") && notes("0 0 * * 7-7").contains("whole field"));
    assert!(notes("0 0 */5 * *").contains("1 March"));
    for quiet in [
        "0 9 * * mon",
        "0 0 1 * *",
        "*/5 * * * *",
        "0 0 */2 * *",
        "0 0 L * *",
        "0 0 * * 0-7",
    ] {
        assert_eq!(cron(quiet).notes(), Vec::<String>::new(), "{quiet}");
    }
}

#[test]
fn refusals_say_what_to_write() {
    let cases = [
        (
            "0 0 30 2 *",
            "cron \"0 0 30 2 *\": day 30 of February never comes; write L",
        ),
        (
            "0 0 31 2,4,6,9,11 *",
            "day 31 of February, April, June, September and November never comes",
        ),
        ("0 0 30 2 1", "day 30 of February never comes"),
        ("0 0 L * 5#1", "no such weekday of a month ever falls on such a day"),
        ("0 0 29 2 * 0 2025-2027", "does not come in the years"),
        ("61 * * * *", "\"61\" is no value of the field minute; write 0 to 59"),
        ("* * * * MONDAY", "0 to 7 or sun to sat"),
        ("* * * * 7 0", "0 to 6 or sun to sat"),
        ("R/10 * * * *", "drawn at random"),
        ("h * * * *", "drawn at random"),
        ("*/0 * * * *", "steps by zero"),
        ("0 0 * * 5#6", "a weekday that no month has"),
        ("0 0 * * 1,5#3", "write two schedules"),
        ("1,,2 * * * *", "empty place"),
        ("@every 5m", "there is no such alias"),
        ("@reboot", "there is no such alias"),
        ("* * * *", "it has 4 fields"),
        ("", "it has 0 fields"),
        ("0 0 0-0 * *", "\"0-0\" is no value of the field day of the month"),
        ("* 99999999999999999999 * * *", "write 0 to 23"),
        ("٣ * * * *", "write 0 to 59"),
    ];
    for (text, part) in cases {
        let refusal = try_cron(text, true).unwrap_err().to_string();
        assert!(refusal.contains(part), "{text}: {refusal}");
    }
    assert!(
        try_cron(&"0,".repeat(600), true)
            .unwrap_err()
            .to_string()
            .contains("longer than 1000 bytes")
    );
}

#[test]
fn times_more_than_fifty_years_apart_are_not_looked_for() {
    let rule = cron("0 0 1 1 * 0 2096");
    let from = |text: &str| rule.from(text.parse().unwrap()).next().map(|at| at.to_rfc3339());
    assert_eq!(from("2025-01-01T00:00:00Z"), None);
    assert_eq!(
        from("2046-06-01T00:00:00Z").as_deref(),
        Some("2095-12-31T18:30:00+00:00")
    );
}

#[test]
fn plain_rules_are_searched_as_croner_would() {
    // Sets by a small generator; every kind of days.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut set = move |size: u32, few: bool| {
        let all = (1 << size) - 1;
        let mut bits = random() & all;
        for _ in 0..if few { 3 } else { 0 } {
            bits &= random();
        }
        if bits == 0 {
            1 << (random() % u64::from(size))
        } else {
            bits
        }
    };
    for round in 0..400 {
        let few = round % 2 == 0;
        let (days, weekdays) = (set(31, few) << 1, set(7, few));
        let kinds = [
            Days::Every,
            Days::OfMonth(days),
            Days::OfWeek(weekdays),
            Days::Either(days, weekdays),
            Days::Both(days, weekdays),
        ];
        for kind in kinds {
            let years = (round % 3 == 0).then(|| Box::new([set(63, true) << 1, set(63, few), 0]));
            let plain = Plain {
                seconds: set(60, true),
                minutes: set(60, few),
                hours: set(24, few),
                months: set(12, few) << 1,
                years,
                days: kind,
            };
            let (days, weekdays, both) = match kind {
                Days::Every => (None, None, false),
                Days::OfMonth(days) => (Some(days), None, false),
                Days::OfWeek(weekdays) => (None, Some(weekdays), false),
                Days::Either(days, weekdays) => (Some(days), Some(weekdays), false),
                Days::Both(days, weekdays) => (Some(days), Some(weekdays), true),
            };
            let calendar = Calendar {
                plain: plain.clone(),
                days: days.map(|days| MonthDays { days, last: false }),
                weekdays: weekdays.map(WeekDays::Plain),
                both,
            };
            let mut croner = calendar.search();
            let start = chrono::NaiveDate::from_ymd_opt(1971 + round % 80, 2, 27).unwrap();
            let mut at = start.and_hms_opt(22, 10, 50).unwrap();
            for _ in 0..12 {
                let ours = plain.at_or_after(at);
                assert_eq!(ours, croner.at_or_after(at), "{plain:?} at {at}");
                let Some(found) = ours else { break };
                at = found + TimeDelta::seconds(1);
            }
        }
    }
}
