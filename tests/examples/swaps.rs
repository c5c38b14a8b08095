//! Swaps between two builds of one kind under a steady load: `cargo xtask bench plugins`.
//!
//! Every task run has to show exactly one build for each step, and none may fail: that is asserted.
//! How many there were and how long a swap took is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::{Duration, Instant};

use grepx_tests::{Host, shipped, variant};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SWAPS: usize = 200;
/// Task runs per flow run, and flow runs per second.
const TASKS: usize = 50;
const RATE: u32 = 10;

fn main() {
    let swaps = std::env::var("GREPX_BENCH_SWAPS")
        .ok()
        .and_then(|text| text.parse().ok());
    let swaps = swaps.unwrap_or(SWAPS);
    let mut out = std::io::stdout();
    let flows = json!({
        "prefect_work_pools": [{"name": "pool", "concurrency_limit": 1000}],
        "prefect_flows": [{"name": "flow"}],
        "prefect_tasks": [{"name": "task", "flow_name": "flow", "task_kind": "noop", "for_each": format!("range({TASKS})")}],
        "prefect_deployments": [{"name": "deployment", "flow_name": "flow", "work_pool_name": "pool"}],
    });
    let host = Host::with(&flows.to_string())
        .own_plugins("settle_ms: 50\nrescan_ms: 100")
        .start();
    let base = shipped("noop");
    let versions = [variant(&base, "left"), variant(&base, "right")];
    let digests = [digest(&versions[0]), digest(&versions[1])];
    let (mut runs, mut times) = (Vec::new(), Vec::new());
    let began = Instant::now();
    for swap in 0..swaps {
        let beside = host.folder().join("beside.wasm");
        std::fs::write(&beside, &versions[swap % 2]).expect("written");
        std::fs::rename(&beside, host.plugins().join("noop.wasm")).expect("renamed");
        let started = Instant::now();
        while host.build("noop").as_ref() != Some(&digests[swap % 2]) {
            load(&host, &mut runs, began);
        }
        times.push(started.elapsed());
        load(&host, &mut runs, began);
    }
    let offered = runs.len() * TASKS;
    let took = began.elapsed();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for run in &runs {
        let ended = host.wait(run);
        assert_eq!(ended["state"]["type"], "COMPLETED", "{}", host.logs(run));
        let steps = steps(&host, run);
        assert_eq!(steps.len(), TASKS, "each task run has one step");
        for builds in steps.values() {
            assert_eq!(builds.len(), 1, "one build for each step: {steps:?}");
            for build in builds {
                *seen.entry(build[..12].to_owned()).or_default() += 1;
            }
        }
    }
    times.sort_unstable();
    let line = format!(
        "{swaps} swaps under {:.0} task runs/s: {offered} task runs, none failed, one build each {seen:?}; \
         a swap took {} ms in the median, {} ms at most",
        offered as f64 / took.as_secs_f64(),
        times[times.len() / 2].as_millis(),
        times[times.len() - 1].as_millis(),
    );
    writeln!(out, "{line}").expect("standard output");
}

/// As many runs as the rate wants by now.
fn load(host: &Host, runs: &mut Vec<String>, began: Instant) {
    let wanted = began.elapsed().as_millis() * u128::from(RATE) / 1_000;
    while (runs.len() as u128) < wanted {
        runs.push(host.run("flow/deployment", &json!({})));
    }
    pause(Duration::from_millis(5));
}

#[allow(clippy::disallowed_methods, reason = "the load is steady")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The builds that answered for each node of a run.
fn steps(host: &Host, run: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut steps: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let facts = host.facts(run);
    for fact in facts
        .iter()
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::values)
    {
        if let Some(build) = fact["build"].as_str() {
            let node = fact["node"].to_string();
            steps.entry(node).or_default().insert(build.to_owned());
        }
    }
    steps
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
