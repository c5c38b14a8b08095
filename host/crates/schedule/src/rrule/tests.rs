//! Rules against python-dateutil, and against text that nobody would write.

use std::time::Instant;

use chrono::{NaiveDate, NaiveDateTime};
use proptest::prelude::*;
use serde_json::Value;

use super::Recurrence;
use super::date::Stamp;

/// Made by `tests/dateutil_cases.py`. Another file of the kind is named by an environment
/// variable.
fn cases() -> Vec<Value> {
    let text = match std::env::var("GREPX_DATEUTIL_CASES") {
        Ok(path) => std::fs::read_to_string(path).unwrap(),
        Err(_) => include_str!("../../tests/dateutil.jsonl").to_owned(),
    };
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn wall(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

/// The first eight times before 2400, as in the file.
fn times(rule: &Recurrence, from: NaiveDateTime) -> Vec<NaiveDateTime> {
    let end = NaiveDate::from_ymd_opt(2400, 1, 1).unwrap().into();
    rule.walls(from).take_while(|time| *time < end).take(8).collect()
}

#[test]
fn rules_give_what_dateutil_gives() {
    let (mut compared, mut instants, mut wrong) = (0, 0, Vec::new());
    for case in cases() {
        let (text, from) = (case["rule"].as_str().unwrap(), wall(case["from"].as_str().unwrap()));
        let expected: Vec<NaiveDateTime> = case["expected"]
            .as_array()
            .unwrap()
            .iter()
            .map(|time| wall(time.as_str().unwrap()))
            .collect();
        let failed = !case["error"].is_null();
        compared += 1;
        match Recurrence::parse(text) {
            Ok(rule) => {
                let times = times(&rule, from);
                instants += times.len();
                if times != expected {
                    wrong.push(format!(
                        "{text:?} from {from}: {times:?}, dateutil {expected:?} {}",
                        case["error"]
                    ));
                }
            }
            // What never comes is refused; dateutil looks through all years and says nothing.
            Err(refusal) if expected.is_empty() && (failed || refusal.problem.starts_with("never comes")) => {}
            Err(refusal) => wrong.push(format!("{text:?}: {refusal}, dateutil {expected:?} {}", case["error"])),
        }
    }
    println!("{compared} rules, {instants} times, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= 500 && instants >= 1500);
}

/// Parses, and asks for three times from each of some dates.
fn exercise(text: &str) -> Result<(), String> {
    let begin = Instant::now();
    let rule = Recurrence::parse(text);
    let mut slowest = begin.elapsed();
    if let Ok(rule) = &rule {
        for from in [
            "1970-01-01T00:00:00",
            "2026-11-24T03:04:05.5",
            "2199-12-31T23:59:59",
            "9999-12-31T23:00:00",
        ] {
            let begin = Instant::now();
            let times: Vec<_> = rule.walls(wall(from)).take(3).collect();
            slowest = slowest.max(begin.elapsed());
            let ordered =
                times.windows(2).all(|pair| pair[0] < pair[1]) && times.iter().all(|time| *time >= wall(from));
            if !ordered {
                return Err(format!("{text:?} from {from}: {times:?}"));
            }
        }
        let _ = (rule.describe(), rule.notes());
    }
    if slowest.as_millis() >= LIMIT_MS {
        Err(format!("{text:?} took {slowest:?}"))
    } else {
        Ok(())
    }
}

/// Ten milliseconds are promised of an idle machine; tests share theirs.
const LIMIT_MS: u128 = 100;

#[test]
fn text_meant_to_hang_does_not() {
    let many = |rule: &str| [rule; 8].join("\n");
    let numbers = |from: i32, until: i32| (from..until).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let texts = [
        "FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY;BYDAY=SA,SU".to_owned(),
        "FREQ=MONTHLY\nEXRULE:FREQ=DAILY".to_owned(),
        "FREQ=MONTHLY\nEXRULE:FREQ=HOURLY".to_owned(),
        "FREQ=WEEKLY\nEXRULE:FREQ=MINUTELY".to_owned(),
        "FREQ=MONTHLY;COUNT=86351235".to_owned(),
        "FREQ=SECONDLY;BYMONTH=1".to_owned(),
        "FREQ=SECONDLY;INTERVAL=100003;BYHOUR=3;BYMINUTE=5;BYSECOND=9".to_owned(),
        "FREQ=MINUTELY;COUNT=1000000000".to_owned(),
        "FREQ=MINUTELY;BYDAY=MO;COUNT=1000000000".to_owned(),
        "FREQ=SECONDLY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;BYHOUR=3;BYMINUTE=5;BYSECOND=9".to_owned(),
        "FREQ=YEARLY;INTERVAL=9999".to_owned(),
        "FREQ=DAILY;INTERVAL=999999999999999999999999999999".to_owned(),
        "DTSTART:00010101T000000\nFREQ=SECONDLY;INTERVAL=999999999999999999999999999999".to_owned(),
        "DTSTART:99991231T235959\nFREQ=SECONDLY".to_owned(),
        many("FREQ=DAILY;INTERVAL=7;BYDAY=MO,TU,TH,FR,SA,SU"),
        many("FREQ=YEARLY;BYEASTER=-80;BYMONTH=12"),
        many("FREQ=YEARLY;BYSETPOS=366;BYDAY=MO,TU"),
        many("FREQ=YEARLY;BYSETPOS=300;BYMONTH=1,2,3,4,5,6,7,8,9;BYMONTHDAY=-1,1"),
        many("FREQ=WEEKLY;INTERVAL=13;BYWEEKNO=53;BYYEARDAY=1"),
        many("FREQ=MONTHLY;BYSETPOS=366;COUNT=999999"),
        format!(
            "FREQ=SECONDLY\n{}",
            many("EXRULE:FREQ=SECONDLY")
                .replacen('\n', " ", 1)
                .trim_end_matches("EXRULE:FREQ=SECONDLY")
        ),
        "FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY;BYMONTH=1,2,3,4,5,6,7,8,9,10,11".to_owned(),
        format!(
            "FREQ=DAILY;BYSETPOS={};BYHOUR={};BYMINUTE={};BYSECOND={}",
            numbers(1, 367),
            numbers(0, 24),
            numbers(0, 60),
            numbers(0, 60)
        ),
        many(&format!(
            "FREQ=DAILY;BYHOUR={};BYMINUTE={};BYSECOND={}",
            numbers(0, 24),
            numbers(0, 60),
            numbers(0, 60)
        )),
        format!("FREQ=YEARLY;BYEASTER={}", numbers(-80, 251)),
        format!(
            "FREQ=YEARLY;BYYEARDAY={};BYSETPOS={}",
            numbers(-366, 366),
            numbers(1, 367)
        ),
        format!("RDATE:{}", ["20250101T000000"; 400].join(",")),
    ];
    for text in texts {
        exercise(&text).unwrap();
    }
}

#[test]
fn an_old_start_costs_nothing() {
    for text in [
        "FREQ=MINUTELY",
        "FREQ=SECONDLY;INTERVAL=7",
        "FREQ=MINUTELY;BYDAY=MO;BYHOUR=3",
        "FREQ=DAILY;COUNT=5000",
    ] {
        let begin = Instant::now();
        let rounds = 100;
        for _ in 0..rounds {
            let rule = Recurrence::parse(text).unwrap();
            assert_eq!(rule.walls(wall("2026-11-24T03:04:05")).take(3).count(), 3);
        }
        let each = begin.elapsed() / rounds;
        println!("{text}: {each:?} to parse it and give three times");
        assert!(each.as_micros() < 5_000, "{text}: {each:?}");
    }
}

const NAMES: &[&str] = &[
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "WKST",
    "BYSETPOS",
    "BYMONTH",
    "BYMONTHDAY",
    "BYYEARDAY",
    "BYWEEKNO",
    "BYDAY",
    "BYEASTER",
    "BYHOUR",
    "BYMINUTE",
    "BYSECOND",
    "DTSTART",
    "BYWEEKDAY",
];
const FREQS: &[&str] = &["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"];

fn value() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        4 => (-60_i64..61).prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => "[0-9]{1,40}",
    ];
    prop_oneof![
        6 => prop::collection::vec(number, 1..12).prop_map(|numbers| numbers.join(",")),
        2 => prop::sample::subsequence(super::part::DAYS.to_vec(), 1..7).prop_map(|days| days.join(",")),
        1 => "[+-]?[0-9]{0,2}(MO|TU|WE|TH|FR|SA|SU)(\\([+-]?[0-9]\\))?",
        1 => "[0-9]{4}[01][0-9][0-3][0-9](T[0-2][0-9][0-5][0-9][0-5][0-9]Z?)?",
        1 => "\\PC{0,10}",
    ]
}

fn rule_text() -> impl Strategy<Value = String> {
    let part = (prop::sample::select(NAMES), value()).prop_map(|(name, value)| format!("{name}={value}"));
    let freq = prop::sample::select(FREQS);
    (freq, prop::collection::vec(part, 0..6)).prop_map(|(freq, parts)| {
        std::iter::once(format!("FREQ={freq}"))
            .chain(parts)
            .collect::<Vec<_>>()
            .join(";")
    })
}

fn whole_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => rule_text(),
        2 => rule_text().prop_map(|rule| format!("RRULE:{rule}")),
        1 => rule_text().prop_map(|rule| format!("EXRULE:{rule}")),
        2 => "DTSTART:[0-9]{4}(0[1-9]|1[0-2])[0-2][1-9]T[01][0-9][0-5][0-9][0-5][0-9]",
        1 => "(RDATE|EXDATE):202[0-9](0[1-9]|1[0-2])[0-2][1-9]T[01][0-9][0-5][0-9][0-5][0-9]",
        1 => "(RDATE|EXDATE|DTSTART);(VALUE|TZID)=[A-Za-z/-]{0,12}:[0-9TZ:-]{0,20}",
        1 => "\\PC{0,30}",
    ];
    prop::collection::vec(line, 1..5).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn any_text_is_a_rule_or_a_refusal(text in whole_text()) {
        exercise(&text).unwrap();
    }

    #[test]
    fn any_characters_are_a_rule_or_a_refusal(text in "\\PC{0,80}") {
        exercise(&text).unwrap();
    }

    /// A valid rule with one character replaced, taken out or put in.
    #[test]
    fn a_slip_of_the_pen_is_a_rule_or_a_refusal(text in whole_text(), at in any::<prop::sample::Index>(), put in "[A-Z0-9;:=,+-]?") {
        let mut text: Vec<char> = text.chars().collect();
        let at = at.index(text.len().max(1));
        if at < text.len() {
            text.remove(at);
        }
        let text: String = text[..at].iter().chain(put.chars().collect::<Vec<_>>().iter()).chain(&text[at..]).collect();
        exercise(&text).unwrap();
    }
}

/// Wherever one begins, the same times come.
#[test]
fn times_do_not_depend_on_where_one_begins() {
    for case in cases() {
        let Ok(rule) = Recurrence::parse(case["rule"].as_str().unwrap()) else {
            continue;
        };
        let all: Vec<_> = rule.walls(wall(case["from"].as_str().unwrap())).take(40).collect();
        for (at, time) in all.iter().enumerate() {
            assert_eq!(
                rule.walls(*time).take(all.len() - at).collect::<Vec<_>>(),
                all[at..],
                "{}",
                case["rule"]
            );
        }
    }
}

#[test]
fn what_is_taken_away_in_one_piece_is_jumped_over() {
    let first = |text: &str, from: &str| Recurrence::parse(text).unwrap().walls(wall(from)).next();
    let seconds = "FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY;BYDAY=SA,SU";
    assert_eq!(first(seconds, "2026-11-27T23:59:59"), Some(wall("2026-11-27T23:59:59")));
    assert_eq!(first(seconds, "2026-11-28T00:00:00"), Some(wall("2026-11-30T00:00:00")));
    let nights = "FREQ=SECONDLY\nEXRULE:FREQ=MINUTELY;BYHOUR=0,1,2,3,22,23\nEXRULE:FREQ=SECONDLY;BYHOUR=0,1,2,3,22,23";
    assert_eq!(first(nights, "2026-11-28T22:00:00"), Some(wall("2026-11-29T04:00:00")));
    let months = "FREQ=MINUTELY\nEXRULE:FREQ=MINUTELY;BYMONTH=1,2,3,4,5,6,7,8,9,10,11;UNTIL=20261115T115900";
    assert_eq!(first(months, "2026-01-01T00:00:00"), Some(wall("2026-11-15T12:00:00")));
    let started = "DTSTART:20261120T103000\nFREQ=MINUTELY\nEXRULE:FREQ=HOURLY\nEXRULE:FREQ=MINUTELY;BYHOUR=10,11";
    assert_eq!(first(started, "2026-11-20T00:00:00"), Some(wall("2026-11-20T12:00:00")));
    assert!(Recurrence::parse("FREQ=MONTHLY\nEXRULE:FREQ=DAILY").is_err());
}

#[test]
fn refused_as_prefect_refuses_or_should() {
    for text in [
        "",
        " \n",
        "BYDAY=MO",
        "INTERVAL=2",
        "DTSTART:20250101T090000",
        "FREQ=DAILY;",
        ";FREQ=DAILY",
        "FREQ=DAILY;COUNT=abc",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=FORTNIGHTLY",
        "FREQ=DAILY;BYDAY=MO TU",
        "FREQ=DAILY;BYDAY=",
        "FREQ=DAILY;BYDAY=0MO",
        "FREQ=WEEKLY;BYDAY=1MO",
        "FREQ=MONTHLY;BYDAY=6MO",
        "FREQ=MONTHLY;BYDAY=MO,1TU",
        "FREQ=MONTHLY;BYSETPOS=0;BYDAY=MO",
        "FREQ=MONTHLY;BYSETPOS=400;BYDAY=MO",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=HOURLY;BYMINUTE=60",
        "FREQ=YEARLY;BYMONTH=13",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYWEEKNO=54",
        "FREQ=YEARLY;BYYEARDAY=367",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=HOURLY;INTERVAL=2;BYHOUR=9",
        "FREQ=DAILY;UNTIL=20191231",
        "FREQ=DAILY;UNTIL=20250310T000000Z",
        "DTSTART:20250101T090000Z\nRRULE:FREQ=DAILY;UNTIL=20250630T085959",
        "DTSTART;TZID=America/New_York:20250101T090000\nRRULE:FREQ=DAILY;UNTIL=20250630T085959",
        "DTSTART;TZID=America/New_York:20250101T090000Z\nRRULE:FREQ=DAILY",
        "DTSTART:20250101T090000\nDTSTART:20250101T100000\nRRULE:FREQ=DAILY",
        "DTSTART:20250101T090000,20250102T090000\nRRULE:FREQ=DAILY",
        "DTSTART;VALUE=DATE;VALUE=DATE:20250101\nRRULE:FREQ=DAILY",
        "DTSTART=20250101T090000;FREQ=DAILY",
        "FREQ=DAILY\nRDATE;VALUE=DATE:20250309",
        "FREQ=DAILY\nRDATE:20250309T090000/PT1H",
        "RRULE:RRULE:FREQ=DAILY",
        "RRULE;X=1:FREQ=DAILY",
        "VEVENT:foo\nRRULE:FREQ=DAILY",
    ] {
        let refusal = Recurrence::parse(text).expect_err(text);
        assert!(!refusal.problem.is_empty() && !refusal.instead.is_empty());
    }
    assert!(Recurrence::parse(&format!("FREQ=DAILY{}", " ".repeat(6_491))).is_err());
    assert!(Recurrence::parse(&"FREQ=DAILY\n".repeat(9)).is_err());
}

#[test]
fn written_in_many_ways() {
    let first = |text: &str| {
        Recurrence::parse(text)
            .unwrap()
            .walls(wall("2025-03-07T12:00:00"))
            .next()
    };
    let nine = Some(wall("2025-03-08T09:00:00"));
    for text in [
        "DTSTART:20250101T090000 RRULE:FREQ=DAILY",
        "dtstart:20250101t090000\r\nfreq=daily",
        "DTSTART;TZID=Foo/Bar:20250101T090000\nRRULE:FREQ=DAILY",
        "DTSTART;TZID=America/Los_Angeles:20250101T090000\nRRULE:FREQ=DAILY",
        "DTSTART;VALUE=DATE-TIME:20250101T090000Z\nRRULE:FREQ=DAILY",
        "DTSTART:20250101T090000+0500\nRRULE:FREQ=DAILY",
        "DTSTART:2025-01-01T09:00:00\nRRULE:FREQ=DAILY;INTERVAL=+1",
        "DTSTART:20250101T0900\nRRULE:FREQ=DAILY",
        "RRULE:FREQ=DAILY\nDTSTART:20250101T090000.75",
        "DTSTART:20250101\nRRULE:FREQ=DAILY;BYHOUR=9",
        "DTSTART:20250101T090000Z\nRRULE:FREQ=DAILY;UNTIL=20250630T085959Z",
        "RDATE:20250308T090000",
    ] {
        assert_eq!(first(text), nine, "{text}");
    }
    // An empty set, as in dateutil.
    assert_eq!(first("EXDATE:20250309T090000"), None);
    assert_eq!(first("FREQ=DAILY;COUNT=5"), None);
}

#[test]
fn dates_as_dateutil_reads_them() {
    for text in [
        "",
        "2025",
        "202503",
        "250309",
        "20250230",
        "20251301",
        "202503091",
        "2025030909",
        "20250309T9",
        "20250309T093",
        "20250309T24",
        "20250309T093060",
        "20250309Z",
        "2025-03-09+05",
        "2025-3-9",
        "20250309T0930EST",
        "20250309T093015.",
        "20250309T093015+5",
        "20250309T093015+25",
        "00000101",
        "20250309T09:3",
        "2025-03",
        "20250309T093015Z1",
    ] {
        assert_eq!(super::date::parse(text), None, "{text}");
    }
    for (text, expected, zoned) in [
        ("20250309", "2025-03-09T00:00:00", false),
        ("2025-03-09", "2025-03-09T00:00:00", false),
        ("20250309T09", "2025-03-09T09:00:00", false),
        ("20250309T0930Z", "2025-03-09T09:30:00", true),
        ("20250309T093015-0530", "2025-03-09T09:30:15", true),
        ("2025-03-09T09:30", "2025-03-09T09:30:00", false),
        ("2025-03-09T09:30:15+05:30", "2025-03-09T09:30:15", true),
        ("202503090930", "2025-03-09T09:30:00", false),
        ("20250309093015UTC", "2025-03-09T09:30:15", true),
        ("20250309T093015.25", "2025-03-09T09:30:15.25", false),
        ("00010101T000000", "0001-01-01T00:00:00", false),
    ] {
        assert_eq!(
            super::date::parse(text),
            Some(Stamp {
                wall: wall(expected),
                zoned
            }),
            "{text}"
        );
    }
}
