//! What lists and counts take in a large store: `cargo xtask bench store`.
//!
//! Printed, not asserted. The store is filled once, with 1,000,000 flow runs and 5,000,000 task runs
//! (`GREPX_BENCH_FLOW_RUNS` says another number), by rows of the host's own schema; it is kept beside
//! the binary and used again as long as the schema is the same. Then every list and count that the
//! clients ask for goes over the HTTP API, several times each.

#![allow(clippy::disallowed_methods, reason = "the store is filled behind the host's back")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use grepx_tests::{Host, provided};
use rusqlite::Connection;
use serde_json::Value;

#[path = "store/fill.rs"]
mod fill;
#[path = "store/queries.rs"]
mod queries;

/// Each query, so often.
const TIMES: usize = 15;

fn main() {
    let flow_runs = std::env::var("GREPX_BENCH_FLOW_RUNS").map_or(1_000_000, |n| n.parse().expect("a number"));
    let mut host = Host::with(&flows()).prepare();
    host.serve();
    host.stop();
    let kept = kept(&host, flow_runs);
    let state = host.folder().join("state");
    std::fs::remove_dir_all(&state).expect("removed");
    std::os::unix::fs::symlink(&kept, &state).expect("linked");
    let began = Instant::now();
    host.serve();
    say(&format!("serving after {} ms", began.elapsed().as_millis()));
    for (name, path, body) in queries::all(flow_runs) {
        let mut taken: Vec<f64> = Vec::new();
        let mut answer = (0, Value::Null);
        for _ in 0..TIMES {
            let began = Instant::now();
            answer = match &body {
                Some(body) => host.post(&path, body),
                None => host.get(&path),
            };
            taken.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        taken.sort_by(f64::total_cmp);
        let found = match answer {
            (200, Value::Array(rows)) => format!("{} rows", rows.len()),
            (200, Value::Number(count)) => count.to_string(),
            (200, _) => "one".to_owned(),
            (status, _) => format!("HTTP {status}"),
        };
        let worst = taken[TIMES - 1];
        let mark = if worst > 50.0 { "!" } else { " " };
        say(&format!(
            "{mark} {:>7.1} ms {worst:>7.1} ms  {found:>12}  {name}",
            taken[TIMES / 2]
        ));
    }
    host.stop();
}

/// The state directory with the filled store.
fn kept(host: &Host, flow_runs: i64) -> PathBuf {
    let binary = provided("GREPX_TEST_BIN");
    let target = binary.parent().and_then(Path::parent).expect("the target folder");
    let kept = target.join(format!("bench-store-{flow_runs}"));
    let fresh = host.folder().join("state/grepx-host.db");
    let schema = schema(&fresh);
    let stamp = kept.join("schema.sql");
    if std::fs::read_to_string(&stamp).is_ok_and(|filled| filled == schema) {
        say(&format!("the store in {} is used again", kept.display()));
        return kept;
    }
    let _ = std::fs::remove_dir_all(&kept);
    std::fs::create_dir_all(&kept).expect("a folder");
    let path = kept.join("grepx-host.db");
    std::fs::copy(&fresh, &path).expect("copied");
    let began = Instant::now();
    fill::fill(&path, flow_runs);
    std::fs::write(&stamp, schema).expect("written");
    let size = std::fs::metadata(&path).expect("the store").len() as f64 / 1e9;
    say(&format!(
        "filled in {:.0} s, {size:.1} GB",
        began.elapsed().as_secs_f64()
    ));
    kept
}

fn schema(path: &Path) -> String {
    let store = Connection::open(path).expect("the store");
    let mut select = store
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .expect("a query");
    let all = select.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    let all: Vec<String> = all.map(|sql| sql.expect("a text")).collect();
    all.join(";\n")
}

fn flows() -> String {
    let mut text = String::from("prefect_work_pools:\n");
    for pool in 0..fill::POOLS {
        text.push_str(&format!("  - {{name: pool-{pool}}}\n"));
    }
    text.push_str("prefect_flows:\n");
    for flow in 0..fill::FLOWS {
        text.push_str(&format!("  - {{name: flow-{flow}}}\n"));
    }
    text.push_str("prefect_tasks:\n");
    for flow in 0..fill::FLOWS {
        text.push_str(&format!(
            "  - {{name: task-{flow}, flow_name: flow-{flow}, task_kind: noop}}\n"
        ));
    }
    text.push_str("prefect_deployments:\n");
    for place in 0..fill::DEPLOYMENTS {
        let (flow, pool) = (place % fill::FLOWS, place % fill::POOLS);
        text.push_str(&format!(
            "  - {{name: deployment-{place}, flow_name: flow-{flow}, work_pool_name: pool-{pool}}}\n"
        ));
    }
    text
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}
