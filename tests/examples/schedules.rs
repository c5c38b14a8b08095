//! What schedules cost the release binary on this machine: `cargo xtask bench schedules`.
//!
//! One of them alone: `waiting`, `punctual` or `at-once` as an argument of the example. Printed, not
//! asserted: 100,000 deployments that wait, 10,000 that are due in the same second,
//! and how late the runs of a quiet host start. Full durability.

#![allow(
    clippy::disallowed_methods,
    reason = "the definitions are written as a user's program would"
)]

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use grepx_tests::{Host, provided, wait_for};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

const WAITING: usize = 100_000;
const AT_ONCE: usize = 10_000;
const PUNCTUAL: usize = 20;
/// How long the waiting host is watched.
const WATCHED: Duration = Duration::from_secs(30);

fn main() {
    assert!(provided("GREPX_TEST_BIN").is_file(), "the binary");
    let part = std::env::args().nth(1);
    for (name, measure) in [
        ("waiting", waiting as fn()),
        ("punctual", punctual),
        ("at-once", at_once),
    ] {
        if part.as_ref().is_none_or(|part| part == name) {
            measure();
        }
    }
}

fn say(line: String) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

fn host(task: &str) -> Host {
    let flows = format!(
        "prefect_work_pools: [{{name: pool, concurrency_limit: 1000000}}]\nprefect_flows: [{{name: flow}}]\n\
         prefect_tasks: [{{name: task, flow_name: flow, {task}}}]\n"
    );
    Host::with(&flows).prepare()
}

/// Deployments with these schedules.
fn deployments(database: &Path, schedules: impl Iterator<Item = Value>) {
    let mut database = Connection::open(database).expect("the database");
    let all = database.transaction().expect("begun");
    for (place, config) in schedules.enumerate() {
        all.execute(
            "INSERT INTO prefect_deployments (name, flow_id, work_pool_name, schedule_type, schedule_config) \
             VALUES (?, (SELECT id FROM prefect_flows), 'pool', ?, ?)",
            params![
                format!("d{place}"),
                if config["rrule"].is_string() {
                    "rrule"
                } else if config["interval_seconds"].is_u64() {
                    "interval"
                } else {
                    "cron"
                },
                config.to_string()
            ],
        )
        .expect("inserted");
    }
    all.commit().expect("committed");
}

/// Different rules in different zones, none due before an hour from now.
fn waiting() {
    let mut host = host("task_kind: noop");
    let zones = [
        "UTC",
        "Asia/Kolkata",
        "America/New_York",
        "Europe/Berlin",
        "Australia/Sydney",
    ];
    let far = Utc::now() + TimeDelta::hours(7);
    let rules = (0..WAITING).map(|n| {
        let (day, zone) = (1 + n % 28, zones[n % zones.len()]);
        match n % 10 {
            0 => json!({"interval_seconds": 86_400 + n, "anchor_date": far.to_rfc3339(), "timezone": zone}),
            1 => json!({"rrule": format!("DTSTART:20300101T{:02}{:02}00\nRRULE:FREQ=WEEKLY;BYDAY=MO", n % 24, n / 10 % 60), "timezone": zone}),
            _ => json!({"cron_string": format!("{} {} {day} {} *", n % 60, n / 60 % 24, 1 + n % 12), "timezone": zone, "start_at": far.to_rfc3339()}),
        }
    });
    deployments(&host.database(), rules);
    host.serve();
    let first = in_force(&mut host);
    say(format!("{WAITING} deployments, first start: {}", first));
    wait_for_planning(&host);
    host.stop();
    let started = Instant::now();
    host.serve();
    let serving = started.elapsed();
    let again = in_force(&mut host);
    say(format!(
        "{WAITING} deployments, later starts: {}; process to serving {} ms",
        again,
        serving.as_millis()
    ));
    let before = cpu(&host);
    #[allow(clippy::disallowed_methods, reason = "idle is what is measured")]
    std::thread::sleep(WATCHED);
    let used = cpu(&host) - before;
    say(format!(
        "{WAITING} deployments, waiting: {:.2} % of a core over {} s, {:.0} MiB resident",
        used / WATCHED.as_secs_f64() * 100.0,
        WATCHED.as_secs(),
        resident(&host)
    ));
}

/// What the host says of its start.
fn in_force(host: &mut Host) -> String {
    let process = host.process.as_mut().expect("it serves");
    let mut line = |text| -> Value { serde_json::from_str(&process.wait_for_line(text)).expect("JSON") };
    let (read, force) = (line("\"definitions loaded\""), line("\"schedules in force\""));
    format!(
        "definitions read in {} ms, {} schedules in force {} ms later",
        read["milliseconds"], force["schedules"], force["milliseconds"]
    )
}

/// Every schedule has its planned runs.
fn wait_for_planning(host: &Host) {
    let mut last = 0;
    let mut calm = Instant::now();
    let started = Instant::now();
    wait_long("the planned runs", || {
        let (_, count) = host.post("/flow_runs/count", &json!({}));
        let count = count.as_u64().unwrap_or(0);
        if count != last {
            (last, calm) = (count, Instant::now());
        }
        (count > 0 && calm.elapsed() > Duration::from_secs(2)).then_some(())
    });
    say(format!(
        "{last} runs planned ahead in the background, within {:.1} s",
        started.elapsed().as_secs_f64() - 2.0
    ));
}

fn wait_long<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..10 {
        if let Ok(found) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_for(what, &mut ask))) {
            return found;
        }
    }
    panic!("waited in vain for {what}");
}

/// One deployment every second, and the start of each run.
fn punctual() {
    let mut host = host("task_kind: noop");
    deployments(
        &host.database(),
        (0..1).map(|_| json!({"interval_seconds": 1, "anchor_date": "2026-01-01T00:00:00Z"})),
    );
    host.serve();
    let runs = wait_for("runs", || {
        let ended = ended(&host);
        (ended.len() >= PUNCTUAL).then_some(ended)
    });
    say(format!(
        "a schedule of a second, lateness of its starts: {}",
        lateness(&runs)
    ));
}

/// Thousands in one second, each a run with a task that goes on.
fn at_once() {
    let mut host = host("task_kind: sleep, task_config: {seconds: 120}");
    let due = Utc::now() + TimeDelta::seconds(60);
    let due = DateTime::from_timestamp(due.timestamp(), 0).expect("a time");
    let rules = (0..AT_ONCE).map(|_| json!({"interval_seconds": 86_400, "anchor_date": due.to_rfc3339()}));
    deployments(&host.database(), rules);
    host.serve();
    wait_for_planning(&host);
    assert!(
        Utc::now() < due,
        "the machine is too slow for this: planning took longer than a minute"
    );
    let running = json!({"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}});
    // Not asked while they start: counting thousands of runs over and over is work as well.
    let calm = due + TimeDelta::milliseconds(2_500) - Utc::now();
    #[allow(clippy::disallowed_methods, reason = "what is measured is the host's own clock")]
    std::thread::sleep(calm.to_std().unwrap_or_default());
    wait_long("all of them running", || {
        let (_, count) = host.post("/flow_runs/count", &running);
        (count.as_u64() == Some(AT_ONCE as u64)).then_some(())
    });
    say(format!(
        "{AT_ONCE} deployments due in the same second, lateness of their starts: {}",
        lateness(&starts(&host))
    ));
}

fn ended(host: &Host) -> Vec<Value> {
    let body = json!({"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 200});
    host.post("/flow_runs/filter", &body)
        .1
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn starts(host: &Host) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let body = json!({"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}, "sort": "ID_DESC", "limit": 200, "offset": all.len()});
        let found = host
            .post("/flow_runs/filter", &body)
            .1
            .as_array()
            .cloned()
            .unwrap_or_default();
        if found.is_empty() {
            return all;
        }
        all.extend(found);
    }
}

/// From the planned time to the start, by the host's own clock.
fn lateness(runs: &[Value]) -> String {
    let at = |value: &Value| -> DateTime<Utc> { value.as_str().expect("a time").parse().expect("RFC 3339") };
    let mut late: Vec<i64> = runs
        .iter()
        .map(|run| (at(&run["start_time"]) - at(&run["expected_start_time"])).num_milliseconds())
        .collect();
    late.sort_unstable();
    let part = |percent: usize| late[(late.len() - 1) * percent / 100];
    format!(
        "median {} ms, p99 {} ms, worst {} ms of {} runs",
        part(50),
        part(99),
        part(100),
        late.len()
    )
}

/// Processor time of the host so far, seconds.
fn cpu(host: &Host) -> f64 {
    let id = host.process.as_ref().expect("it serves").id();
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: f64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<f64>().expect("a number"))
        .sum();
    ticks / 100.0
}

/// Resident memory of the host, MiB.
fn resident(host: &Host) -> f64 {
    let id = host.process.as_ref().expect("it serves").id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a size");
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .expect("a size")
        .parse()
        .expect("a number");
    kib / 1_024.0
}
