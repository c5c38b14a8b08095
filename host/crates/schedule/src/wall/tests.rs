use super::*;
use chrono::Timelike;
use chrono_tz::TZ_VARIANTS;

/// A rule that fires every `step` seconds of wall-clock time, counted from the epoch.
fn every(step: i64) -> impl Fn(NaiveDateTime) -> WallTimes<'static> {
    move |from: NaiveDateTime| {
        let seconds = from.and_utc().timestamp() + i64::from(from.nanosecond() > 0);
        let first = seconds.div_euclid(step) + i64::from(seconds.rem_euclid(step) > 0);
        Box::new((first..).map_while(move |n| DateTime::from_timestamp(n * step, 0).map(|at| at.naive_utc())))
    }
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn first(zone: Tz, gap: Gap, start: &str, step: i64, n: usize) -> Vec<String> {
    let instants = Localised::new(zone, utc(start), gap, every(step)).take(n);
    instants.map(|at| at.format("%m-%dT%H:%M").to_string()).collect()
}

/// What a zone's clock shows, found by letting it run: for each second step of wall-clock time
/// between two instants, the first instant at which it is shown; missing ones moved.
fn by_running_the_clock(zone: Tz, from: i64, until: i64, step: i64, gap: Gap) -> Vec<i64> {
    let shown = |at: i64| at + offset(zone, DateTime::from_timestamp(at, 0).unwrap().naive_utc()).num_seconds();
    let mut found = std::collections::BTreeSet::new();
    let mut reached = shown(from);
    let mut at = from;
    while at + step < until {
        at += step;
        let wall = shown(at);
        // Every step between the furthest time shown so far and this one is missing.
        let jump = wall - reached - step;
        let mut missing = reached + step;
        while missing < wall {
            let moved = at + (missing - reached - step);
            found.insert(if gap == Gap::Forward { moved } else { moved - jump });
            missing += step;
        }
        if wall > reached {
            found.insert(at);
            reached = wall;
        }
    }
    found.into_iter().collect()
}

#[test]
fn every_zone_agrees_with_its_own_clock() {
    // Offsets in whole quarters of an hour: since 1980 everywhere, near enough.
    let step = 900;
    let (from, until) = (
        utc("1985-01-02T00:00:00Z").timestamp(),
        utc("2030-01-01T00:00:00Z").timestamp(),
    );
    for zone in TZ_VARIANTS {
        let mut at = from;
        // Only stretches around changes of the offset are walked; the rest is dull.
        while at < until {
            let next = at + 3 * 86_400;
            let of = |at: i64| offset(zone, DateTime::from_timestamp(at, 0).unwrap().naive_utc());
            if of(at) != of(next) {
                for gap in [Gap::Forward, Gap::Backward] {
                    let (low, high) = (at - 2 * 86_400, next + 2 * 86_400);
                    let expected = by_running_the_clock(zone, low, high, step, gap);
                    let window = at - 86_400..next + 86_400;
                    let expected: Vec<i64> = expected.into_iter().filter(|at| window.contains(at)).collect();
                    let start = DateTime::from_timestamp(window.start, 0).unwrap();
                    let ours: Vec<i64> = Localised::new(zone, start, gap, every(step))
                        .map(|at| at.timestamp())
                        .take_while(|at| window.contains(at))
                        .collect();
                    assert_eq!(ours, expected, "{zone} {gap:?} around {start}");
                }
            }
            at = next;
        }
    }
}

#[test]
fn odd_changes_of_old_agree_to_the_second() {
    let zones = [
        Tz::Asia__Manila,
        Tz::America__Juneau,
        Tz::Africa__Monrovia,
        Tz::Europe__Amsterdam,
        Tz::Europe__Paris,
        Tz::Asia__Kathmandu,
        Tz::Pacific__Kwajalein,
        Tz::Pacific__Kanton,
        Tz::Pacific__Apia,
        Tz::America__Caracas,
        Tz::Europe__Dublin,
        Tz::Australia__Lord_Howe,
    ];
    let of = |zone: Tz, at: i64| offset(zone, DateTime::from_timestamp(at, 0).unwrap().naive_utc()).num_seconds();
    let (mut at, mut changes) = (utc("1840-01-01T00:00:00Z").timestamp(), 0);
    let end = utc("2012-06-01T00:00:00Z").timestamp();
    while at < end {
        let next = at + 4 * 86_400;
        for zone in zones {
            let (before, after) = (of(zone, at), of(zone, next));
            // Changes that are not of an hour; ordinary ones are in the test above.
            if before == after || (after - before).abs() == 3600 {
                continue;
            }
            changes += 1;
            let (mut old, mut new) = (at, next);
            while new - old > 1 {
                let middle = old + (new - old) / 2;
                if of(zone, middle) == before {
                    old = middle
                } else {
                    new = middle
                }
            }
            let shift = (after - before).abs();
            for gap in [Gap::Forward, Gap::Backward] {
                let window = new - shift - 60..new + shift + 60;
                let run = by_running_the_clock(zone, window.start - shift - 60, window.end + shift + 60, 1, gap);
                let expected: Vec<i64> = run.into_iter().filter(|at| window.contains(at)).collect();
                let start = DateTime::from_timestamp(window.start, 0).unwrap();
                let ours = Localised::new(zone, start, gap, every(1)).map(|at| at.timestamp());
                let ours: Vec<i64> = ours.take_while(|at| window.contains(at)).collect();
                assert!(ours == expected, "{zone} {gap:?} at {new}");
            }
        }
        at = next;
    }
    assert!(changes > 30, "{changes}");
}

#[test]
fn instants_do_not_depend_on_where_one_begins() {
    for (zone, around) in [
        (Tz::America__New_York, "2025-03-09T07:00:00Z"),
        (Tz::America__New_York, "2025-11-02T06:00:00Z"),
        (Tz::Pacific__Apia, "2011-12-30T10:00:00Z"),
        (Tz::Australia__Lord_Howe, "2025-10-04T15:30:00Z"),
        (Tz::Europe__Dublin, "2025-03-30T01:00:00Z"),
        (Tz::Africa__Casablanca, "2025-04-06T02:00:00Z"),
    ] {
        for gap in [Gap::Forward, Gap::Backward] {
            for step in [420, 600, 3600, 5400, 86_400 / 7] {
                let middle = utc(around);
                let (low, high) = (middle - Duration::hours(50), middle + Duration::hours(50));
                let all: Vec<_> = Localised::new(zone, low, gap, every(step))
                    .take_while(|at| *at < high)
                    .collect();
                assert!(all.windows(2).all(|two| two[0] < two[1]));
                for minutes in (0..100 * 60).step_by(7) {
                    let start = low + Duration::minutes(minutes);
                    let ours = Localised::new(zone, start, gap, every(step)).next();
                    assert_eq!(
                        ours,
                        all.iter().copied().find(|at| *at >= start).or(ours),
                        "{zone} {gap:?} {start}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_gap_moves_times_to_the_side_asked_for() {
    let zone = Tz::America__New_York;
    let (day, at) = (86_400, utc("2025-03-09T02:30:00Z").naive_utc());
    assert_eq!(resolve(zone, at, Gap::Forward), Some(utc("2025-03-09T07:30:00Z")));
    assert_eq!(resolve(zone, at, Gap::Backward), Some(utc("2025-03-09T06:30:00Z")));
    // A whole day that Apia left out.
    let noon = utc("2011-12-30T12:00:00Z").naive_utc();
    assert_eq!(
        resolve(Tz::Pacific__Apia, noon, Gap::Forward),
        Some(utc("2011-12-30T22:00:00Z"))
    );
    assert_eq!(
        resolve(Tz::Pacific__Apia, noon, Gap::Backward),
        Some(utc("2011-12-29T22:00:00Z"))
    );
    assert_eq!(
        first(Tz::Pacific__Apia, Gap::Forward, "2011-12-29T00:00:00Z", day, 3),
        ["12-29T10:00", "12-30T10:00", "12-31T10:00"]
    );
}

#[test]
fn an_overlap_gives_its_first_pass() {
    let instants = first(Tz::America__New_York, Gap::Forward, "2025-11-02T04:30:00Z", 1800, 4);
    assert_eq!(instants, ["11-02T04:30", "11-02T05:00", "11-02T05:30", "11-02T07:00"]);
    let inside_second_pass = first(Tz::America__New_York, Gap::Forward, "2025-11-02T06:15:00Z", 1800, 1);
    assert_eq!(inside_second_pass, ["11-02T07:00"]);
}

#[test]
fn dates_at_the_ends_of_the_calendar_end_the_instants() {
    for zone in [Tz::UTC, Tz::Pacific__Apia, Tz::America__New_York] {
        for gap in [Gap::Forward, Gap::Backward] {
            let take = |start| Localised::new(zone, start, gap, every(3600)).take(3).count();
            assert_eq!(take(DateTime::<Utc>::MAX_UTC), 0);
            assert_eq!(take(DateTime::<Utc>::MIN_UTC), 3);
            assert!(take(utc("9999-12-31T12:00:00Z")) < 3);
            assert!(resolve(zone, NaiveDateTime::MAX, gap).is_none_or(|at| at > utc("9999-01-01T00:00:00Z")));
            let _ = resolve(zone, NaiveDateTime::MIN, gap);
        }
    }
}
