//! Intervals against the rules in the module's head.

use chrono::{DateTime, Datelike, Duration, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use serde_json::Number;

use super::{Interval, QUIET_BEFORE, QUIET_FROM, start_of};

const ZONES: &[Tz] = &[
    Tz::UTC,
    Tz::America__New_York,
    Tz::Europe__London,
    Tz::Europe__Dublin,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
    Tz::Africa__Casablanca,
    Tz::America__Sao_Paulo,
    Tz::Asia__Kathmandu,
    Tz::America__Havana,
];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn interval(seconds: f64, anchor: &str, zone: Tz) -> Interval {
    Interval::parse(&Number::from_f64(seconds).unwrap(), Some(anchor), None, zone).unwrap()
}

fn first(interval: &Interval, zone: Tz, start: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
    interval.instants(zone, start).take(count).collect()
}

#[test]
fn a_gap_moves_one_day_only() {
    let zone = Tz::America__New_York;
    let daily = interval(86_400.0, "2025-02-17T02:30:00", zone);
    let expected = ["2025-03-08T07:30:00Z", "2025-03-09T07:30:00Z", "2025-03-10T06:30:00Z"].map(at);
    assert_eq!(first(&daily, zone, at("2025-03-08T01:00:00Z"), 3), expected);
    assert_eq!(first(&daily, zone, at("2025-03-09T07:30:00Z"), 2), expected[1..]);
    // An anchor that the gap leaves out keeps its time on other days.
    let missing = interval(86_400.0, "2025-03-09T02:30:00", zone);
    assert_eq!(first(&missing, zone, at("2025-03-08T01:00:00Z"), 3), expected);
}

#[test]
fn an_anchor_in_a_second_pass_stays_there() {
    let zone = Tz::America__New_York;
    let daily = interval(86_400.0, "2025-11-02T01:30:00-05:00", zone);
    let expected = ["2025-11-01T05:30:00Z", "2025-11-02T06:30:00Z", "2025-11-03T06:30:00Z"].map(at);
    assert_eq!(first(&daily, zone, at("2025-11-01T00:00:00Z"), 3), expected);
}

#[test]
fn numbers_of_seconds() {
    let parse = |text: &str| {
        Interval::parse(
            &serde_json::from_str(text).unwrap(),
            Some("2025-01-01T00:00:00"),
            None,
            Tz::UTC,
        )
    };
    for text in [
        "0",
        "-1",
        "-0.5",
        "1e-7",
        "0.0000005",
        "86400000000000",
        "1e300",
        "18446744073709551615",
        "-1e300",
    ] {
        parse(text).expect_err(text);
    }
    for (text, days, rest) in [
        ("1e-6", 0, 1),
        ("0.0000015", 0, 2),
        ("90000", 1, 3_600_000_000),
        ("86399.9999999", 1, 0),
        ("3600.5", 0, 3_600_500_000),
        ("86399999999999", 999_999_999, 86_399_000_000),
    ] {
        let interval = parse(text).unwrap();
        assert_eq!((interval.days, interval.rest), (days, rest), "{text}");
    }
}

#[test]
fn anchors_as_text() {
    let parse = |text: &str| Interval::parse(&Number::from(3600), Some(text), None, Tz::America__New_York);
    for text in [
        "",
        "now",
        "2025-01-01T00:00:00+25:00",
        "20250101T000000Z",
        "1735689600",
        "2025-02-30",
        "2025-01-01T24:00",
        "2025-01-01T09:00:00 ",
        "2025-01-01T09:00:00EST",
        "2025-01-01T9:00",
        "0000-01-01",
        "2025-01-01T09:00:00+5",
        "２025-01-01",
        "2025-01-01T09:00:00+05:3",
        "2025-01-01T09:00:00.",
        "2025-1-1",
    ] {
        parse(text).expect_err(text);
    }
    for (text, anchor) in [
        ("2025-01-01", "2025-01-01T05:00:00Z"),
        ("2025-01-01 09:00", "2025-01-01T14:00:00Z"),
        ("2025-01-01t09:00:00z", "2025-01-01T09:00:00Z"),
        ("2025-01-01T09:00:00.25+0530", "2025-01-01T03:30:00.25Z"),
        ("2025-01-01T09:00:00-05:00", "2025-01-01T14:00:00Z"),
        ("2025-01-01T09:00:00.123456789Z", "2025-01-01T09:00:00.123456Z"),
    ] {
        assert_eq!(parse(text).unwrap().anchor, at(anchor), "{text}");
    }
}

#[test]
fn without_an_anchor() {
    let zone = Tz::Asia__Kathmandu;
    let parse = |default| Interval::parse(&Number::from(86_400), None, default, zone).unwrap();
    assert_eq!(parse(None).anchor, at("2019-12-31T18:15:00Z"));
    let default = at("2025-05-05T05:05:05Z");
    assert_eq!(parse(Some(default)).anchor, default);
    assert!(parse(None).notes()[0].contains("no anchor_date"));
}

#[test]
fn sentences() {
    let describe = |seconds, anchor| interval(seconds, anchor, Tz::UTC).describe();
    assert_eq!(
        describe(900.0, "2025-01-01T09:00:00Z"),
        "Every 15 minutes, counted from 2025-01-01 09:00"
    );
    assert_eq!(
        describe(86_400.0, "2025-01-01T09:00:05Z"),
        "Every day, counted from 2025-01-01 09:00:05"
    );
    assert_eq!(
        describe(90_000.5, "2025-01-01"),
        "Every 1 day, 1 hour and 500000 microseconds, counted from 2025-01-01 00:00"
    );
    let zone = Tz::Europe__London;
    assert!(interval(86_400.0, "2025-01-01T09:00:00Z", zone).notes()[0].contains("stays 09:00"));
    assert!(interval(7.0, "2025-01-01T09:00:00Z", zone).notes()[0].contains("does not divide a day"));
}

/// The years that are skipped in one go have no change of the clocks.
#[test]
fn quiet_years_are_quiet() {
    for zone in chrono_tz::TZ_VARIANTS {
        let offset = |instant: DateTime<Utc>| {
            zone.offset_from_utc_datetime(&instant.naive_utc())
                .fix()
                .local_minus_utc()
        };
        for (from, until) in [(1, QUIET_BEFORE), (QUIET_FROM, QUIET_FROM + 150)] {
            let mut instant = start_of(from);
            let steady = offset(instant);
            while instant < start_of(until) {
                instant += Duration::days(27);
                assert_eq!(offset(instant), steady, "{zone} {instant}");
            }
        }
    }
}

#[test]
fn the_ends_of_the_calendar() {
    for zone in ZONES {
        for seconds in [1e-6, 3600.0, 86_400.0, 90_000.0, 86_399_999_999_999.0] {
            for anchor in ["0001-01-01T00:00:00", "2025-01-01T00:00:00", "9999-12-31T23:59:59"] {
                let interval = interval(seconds, anchor, *zone);
                for start in [
                    DateTime::<Utc>::MIN_UTC,
                    at("0001-01-01T00:00:00Z"),
                    at("9999-12-31T23:00:00Z"),
                    DateTime::<Utc>::MAX_UTC,
                ] {
                    let begin = std::time::Instant::now();
                    let found = first(&interval, *zone, start, 3);
                    assert!(begin.elapsed().as_millis() < 200, "{interval:?} {start}");
                    assert!(found.iter().all(|instant| *instant >= start && instant.year() <= 9999));
                }
            }
        }
    }
}

fn seconds() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::sample::select(vec![
            60.0, 900.0, 3600.0, 43_200.0, 86_400.0, 90_000.0, 129_600.0, 172_800.0, 604_800.0
        ]),
        (1_u32..2_000_000).prop_map(f64::from),
        (0.5_f64..200_000.0),
    ]
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    // 1990 to 2040.
    (631_152_000_i64..2_208_988_800).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
}

/// What the rules say, step by step from the anchor, without any closed form.
fn walked(interval: &Interval, zone: Tz, start: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
    let resolve = |wall: NaiveDateTime| crate::wall::resolve(zone, wall, crate::wall::Gap::Forward).unwrap();
    let local = |instant: DateTime<Utc>| instant.with_timezone(&zone).naive_local();
    let (days, rest) = (Duration::days(interval.days), Duration::microseconds(interval.rest));
    let wall = |k: i32| interval.wall + (days + rest) * k;
    let mut all = Vec::new();
    let mut k = 0;
    while all
        .first()
        .is_none_or(|first| *first >= start - Duration::days(3) - days * 3)
    {
        k -= 1;
        all.insert(
            0,
            if interval.days == 0 {
                interval.anchor + rest * k
            } else {
                resolve(wall(k))
            },
        );
    }
    let (mut instant, mut k) = (interval.anchor, 0);
    while all.iter().filter(|instant| **instant >= start).count() < count + 5 {
        all.push(instant);
        k += 1;
        instant = match (interval.days, interval.rest) {
            (0, _) => interval.anchor + rest * k,
            (_, 0) => resolve(wall(k)),
            _ => resolve(local(instant) + days) + rest,
        };
    }
    all.sort_unstable();
    all.dedup();
    all.into_iter()
        .filter(|instant| *instant >= start)
        .take(count)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn equal_to_walking(seconds in seconds(), anchor in instant(), apart in -400_i64..400, zone in prop::sample::select(ZONES)) {
        let interval = interval(seconds.max(20_000.0), &anchor.to_rfc3339(), zone);
        let start = anchor + Duration::hours(apart * 24 + apart % 24);
        prop_assert_eq!(first(&interval, zone, start, 20), walked(&interval, zone, start, 20));
    }

    #[test]
    fn wherever_one_begins(seconds in seconds(), anchor in instant(), start in instant(), zone in prop::sample::select(ZONES)) {
        let interval = interval(seconds, &anchor.to_rfc3339(), zone);
        let all = first(&interval, zone, start, 30);
        prop_assert_eq!(all.len(), 30);
        prop_assert!(all[0] >= start && all.windows(2).all(|pair| pair[0] < pair[1]));
        for (at, instant) in all.iter().enumerate() {
            let again = first(&interval, zone, *instant, 3.min(all.len() - at));
            prop_assert_eq!(&again[..], &all[at..at + again.len()]);
            prop_assert_eq!(first(&interval, zone, *instant - Duration::microseconds(1), 1)[0], *instant);
        }
    }
}
