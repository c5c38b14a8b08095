//! Figures of the release binary on this machine: `cargo xtask bench runs`.
//!
//! Printed, not asserted: they depend on the machine. Flows of no-op tasks, the run database with
//! full durability, over the real HTTP API.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use grepx_tests::{Host, provided};
use serde_json::{Value, json};

const ONE: usize = 300;
const CHAIN: usize = 100;
const FAN: usize = 1_000;
const WIDE: usize = 10_000;
const AT_ONCE: usize = 50;

fn main() {
    let mut out = std::io::stdout();
    let mut say = |line: String| writeln!(out, "{line}").expect("standard output");
    let binary = provided("GREPX_TEST_BIN");
    let size = std::fs::metadata(&binary).expect("the binary").len();
    say(format!(
        "binary                        {:.1} MiB",
        size as f64 / 1_048_576.0
    ));

    let mut host = Host::with(&flows()).prepare();
    host.serve();
    host.stop();
    let started = Instant::now();
    host.serve();
    say(format!("start to serving (warm cache) {:.0} ms", ms(started.elapsed())));
    say(format!("resident memory, idle         {:.1} MiB", resident(&host)));

    let mut times: Vec<f64> = (0..ONE)
        .map(|_| run_time(&host.run_to_end("one/one", &json!({}))))
        .collect();
    times.sort_by(f64::total_cmp);
    say(format!(
        "1 no-op task, trigger → end    median {:.1} ms, p99 {:.1} ms",
        times[ONE / 2],
        times[ONE * 99 / 100]
    ));
    for (name, tasks) in [("chain/chain", CHAIN), ("fan/fan", FAN), ("wide/wide", WIDE)] {
        let times: Vec<f64> = (0..5).map(|_| run_time(&host.run_to_end(name, &json!({})))).collect();
        let best = times.iter().copied().fold(f64::INFINITY, f64::min);
        say(format!(
            "{name:<14} {tasks:>6} tasks    best of 5 {best:.0} ms, {:.0} task runs/s",
            tasks as f64 / best * 1_000.0
        ));
    }
    let started = Instant::now();
    let ids: Vec<String> = (0..AT_ONCE).map(|_| host.run("one/one", &json!({}))).collect();
    for id in &ids {
        let run = host.wait(id);
        assert_eq!(run["state"]["type"], "COMPLETED", "{run}");
    }
    say(format!(
        "{AT_ONCE} flow runs, one after another over HTTP, all ended after {:.0} ms",
        ms(started.elapsed())
    ));
    say(format!("resident memory, afterwards   {:.1} MiB", resident(&host)));
}

fn flows() -> String {
    let mut text = String::from(
        "prefect_work_pools: [{name: pool}]\nprefect_flows: [{name: one}, {name: chain}, {name: fan}, {name: wide}]\nprefect_tasks:\n  - {name: one, flow_name: one, task_kind: noop}\n",
    );
    for place in 0..CHAIN {
        let above = if place > 0 {
            format!(", depends_on: [c{}]", place - 1)
        } else {
            String::new()
        };
        let _ = writeln!(text, "  - {{name: c{place}, flow_name: chain, task_kind: noop{above}}}");
    }
    for place in 0..FAN {
        let _ = writeln!(text, "  - {{name: f{place}, flow_name: fan, task_kind: noop}}");
    }
    let _ = writeln!(
        text,
        "  - {{name: w, flow_name: wide, task_kind: noop, for_each: range({WIDE}) | list, inputs: {{x: item}}}}"
    );
    text.push_str("prefect_deployments:\n");
    for name in ["one", "chain", "fan", "wide"] {
        let _ = writeln!(text, "  - {{name: {name}, flow_name: {name}, work_pool_name: pool}}");
    }
    text
}

/// From the request to the terminal state, by the host's own clock.
fn run_time(run: &Value) -> f64 {
    assert_eq!(run["state"]["type"], "COMPLETED", "{run}");
    instant(&run["end_time"]) - instant(&run["created"])
}

/// Milliseconds in the day of an ISO 8601 instant.
fn instant(at: &Value) -> f64 {
    let text = at.as_str().expect("an instant");
    let clock = text.split('T').nth(1).expect("a time").trim_end_matches('Z');
    let clock = clock.split('+').next().expect("a time");
    clock
        .split(':')
        .zip([3_600_000.0, 60_000.0, 1_000.0])
        .map(|(part, unit)| part.parse::<f64>().expect("a number") * unit)
        .sum()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Resident memory of the host, MiB.
fn resident(host: &Host) -> f64 {
    let id = host.process.as_ref().expect("it serves").id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
    let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let kib: f64 = fields["VmRSS"]
        .trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .expect("a number");
    kib / 1_024.0
}
