//! What a host's start costs: a hundred thousand rules read, and the first instant of each.
//!
//! Ignored, as it judges a machine: `cargo test -p grepx-schedule --test speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use grepx_schedule::{Schedule, Spec};

const RULES: [(&str, &str); 10] = [
    ("0 9 * * 1-5", "America/New_York"),
    ("*/15 * * * *", "UTC"),
    ("30 15 * * mon-fri", "Asia/Kolkata"),
    ("0 0 1 * *", "Europe/London"),
    ("0 0 29 2 *", "UTC"),
    ("0 2 * * *", "America/Sao_Paulo"),
    ("0 0 13 * 5", "Pacific/Apia"),
    ("* * * * * */5", "Australia/Lord_Howe"),
    ("0 0 L * *", "Africa/Casablanca"),
    ("0 0 * * 5#2", "Europe/Berlin"),
];

fn each(n: u32, mut work: impl FnMut()) -> Duration {
    let clock = Instant::now();
    for _ in 0..n {
        work();
    }
    clock.elapsed() / n
}

#[test]
#[ignore = "judges the machine it runs on"]
fn reading_and_first_instants() {
    let now: DateTime<Utc> = "2026-03-05T10:20:30Z".parse().expect("a time");
    let spec = |(rule, zone): (&str, &str)| Spec {
        schedule_type: "cron".to_owned(),
        config: serde_json::json!({"cron": rule, "timezone": zone}),
    };
    for rule in RULES {
        let spec = spec(rule);
        let schedule = Schedule::parse(&spec, None).expect("a rule");
        let parse = each(2000, || drop(Schedule::parse(&spec, None)));
        let first = each(2000, || {
            std::hint::black_box(schedule.from(now).next());
        });
        let next = each(200, || {
            std::hint::black_box(schedule.from(now).take(101).count());
        }) / 101;
        println!(
            "{:32} read {parse:>9.1?}  first {first:>9.1?}  each of 100 {next:>9.1?}",
            format!("{rule:?}")
        );
    }
    let specs: Vec<Spec> = (0..100_000).map(|n| spec(RULES[n % RULES.len()])).collect();
    let clock = Instant::now();
    let schedules: Vec<Schedule> = specs
        .iter()
        .map(|spec| Schedule::parse(spec, None).expect("a rule"))
        .collect();
    let read = clock.elapsed();
    let found = schedules
        .iter()
        .filter(|schedule| schedule.after(now).is_some())
        .count();
    println!(
        "100,000 rules: read in {read:.1?}, with first instants {:.1?}",
        clock.elapsed()
    );
    println!("a rule in memory: {} bytes", size_of::<Schedule>());
    assert_eq!(found, 100_000);
}
