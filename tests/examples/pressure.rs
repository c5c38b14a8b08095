//! What waiting Celery tasks cost the host: `cargo xtask bench pressure`.
//!
//! Printed, not asserted. Tasks are published to a real Redis whose queue nobody reads: once 100,000
//! of them as the items of a few flow runs, once a tenth of that with a flow run each. Resident
//! memory is read when half of them wait and the host has come to rest, when all do, and again after
//! a restart: what the second half adds is what tasks cost, the first one also fills caches.

use std::io::Write as _;
use std::time::{Duration, Instant};

use grepx_tests::{Host, RedisServer, wait_at_most};
use redis::Commands as _;
use serde_json::json;

const TASKS: usize = 100_000;
const ITEMS: usize = 5_000;
const RUNS: usize = 10_000;
const CLIENTS: usize = 4;
/// For the first of many thousands, on a machine that does other things as well.
const LONG: Duration = Duration::from_secs(600);

fn main() {
    measure("items of flow runs", TASKS / ITEMS, ITEMS);
    measure("flow runs with one task", RUNS, 1);
}

fn measure(name: &str, runs: usize, items: usize) {
    let tasks = runs * items;
    let redis = RedisServer::start();
    let each = match items {
        1 => String::new(),
        items => format!("for_each: 'range({items}) | list', inputs: {{number: item}}, "),
    };
    let flows = format!(
        "prefect_work_pools: [{{name: pool, concurrency_limit: 20000}}]\nprefect_flows: [{{name: flow}}]\n\
         prefect_tasks: [{{name: task, flow_name: flow, {each}celery_task_name: nobody.serves, task_config: {{queue: nobody}}}}]\n\
         prefect_deployments: [{{name: flow, flow_name: flow, work_pool_name: pool}}]\n"
    );
    let mut host = Host::with(&flows).broker(&redis.url()).start();
    let before = resident(&host);
    let began = Instant::now();
    let (_, deployment) = host.get("/deployments/name/flow/flow");
    let path = format!(
        "/deployments/{}/create_flow_run",
        deployment["id"].as_str().expect("an id")
    );
    trigger(&host, &path, 0..runs / 2);
    wait_until_published(&redis, tasks / 2);
    let half = rest(&host);
    report(&format!("{name}: half of them wait"), before, half, tasks / 2);
    trigger(&host, &path, runs / 2..runs);
    wait_until_published(&redis, tasks);
    say(&format!(
        "{name}: {tasks} tasks published in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    let held = rest(&host);
    report(&format!("{name}: all wait"), before, held, tasks);
    report(&format!("{name}: the second half"), half, held, tasks / 2);
    host.kill();
    let began = Instant::now();
    host.serve();
    let _ = wait_at_most(Duration::from_secs(60), || (resident(&host) > before * 2).then_some(()));
    let held = rest(&host);
    let after = format!("{name}: after a restart ({:.1} s)", began.elapsed().as_secs_f64());
    report(&after, before, held, tasks);
}

fn trigger(host: &Host, path: &str, runs: std::ops::Range<usize>) {
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let runs = runs.clone();
            scope.spawn(move || {
                for run in runs.skip(client).step_by(CLIENTS) {
                    // A host that unfolds thousands of items may let a client wait for long.
                    let body = json!({"idempotency_key": run.to_string()});
                    let made = wait_at_most(LONG, || host.try_post(path, &body).filter(|(status, _)| *status < 300));
                    assert!(made.is_some(), "flow run {run} was never made");
                }
            });
        }
    });
}

fn wait_until_published(redis: &RedisServer, tasks: usize) {
    let mut published = 0;
    while published < tasks {
        let more = wait_at_most(LONG, || {
            let length: usize = redis.connect().llen("nobody").expect("a list");
            (length > published).then_some(length)
        });
        published = more.expect("more to be published");
    }
}

/// Resident memory once it has stayed the same for a while, KiB.
fn rest(host: &Host) -> u64 {
    let mut last = resident(host);
    loop {
        let _ = wait_at_most(Duration::from_secs(5), || None::<()>);
        let now = resident(host);
        if now.abs_diff(last) < last / 100 {
            return now;
        }
        last = now;
    }
}

fn report(what: &str, before: u64, held: u64, tasks: usize) {
    let each = (held - before) * 1_024 / tasks as u64;
    say(&format!(
        "{what}: {:.0} MiB resident, {:.0} MiB before, {each} bytes for each waiting task",
        held as f64 / 1_024.0,
        before as f64 / 1_024.0
    ));
}

fn resident(host: &Host) -> u64 {
    let id = host.process.as_ref().expect("it serves").id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.expect("a figure").trim().trim_end_matches(" kB").parse();
    kib.expect("a number")
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}
