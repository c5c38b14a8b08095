//! Components that were built when a version of the contract came out still load and run.
//!
//! The files in `tests/fixtures/contract-*` are never built again: they stand for what people
//! have in their plugin folders.

use std::path::{Path, PathBuf};

use grepx_tests::{Host, host_with};
use serde_json::{Value, json};

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: told}, {name: tried}, {name: given_up}, {name: waited}]
prefect_tasks:
  - {name: echo, flow_name: told, task_kind: fixture-echo, timeout_seconds: 60, task_config: {free: [1, null]}, inputs: {n: params.n}}
  - {name: echo_late, flow_name: tried, task_kind: fixture-echo, inputs: {fail_before: '3'}, retry_config: {max_retries: 2}}
  - {name: echo_never, flow_name: given_up, task_kind: fixture-echo, inputs: {fail_before: '9'}, retry_config: {max_retries: 1}}
  - {name: wait, flow_name: waited, task_kind: fixture-wait}
prefect_deployments:
  - {name: told_now, flow_name: told, work_pool_name: pool, parameters: {n: 1.5}}
  - {name: tried_now, flow_name: tried, work_pool_name: pool}
  - {name: given_up_now, flow_name: given_up, work_pool_name: pool}
  - {name: waited_now, flow_name: waited, work_pool_name: pool}
";

/// A folder of `tests/fixtures`.
fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(format!("contract-{version}"))
}

/// A host whose plugin folder is the fixture, and nothing else.
fn host(version: &str) -> Host {
    let files: Vec<PathBuf> = ["echo.wasm", "wait.wasm", "retry.wasm"]
        .iter()
        .map(|file| fixture(version).join(file))
        .collect();
    host_with(&files, "  settings: {fixture-echo: {colour: red}}\n", FLOWS)
}

fn run(host: &Host, name: &str) -> (Value, String) {
    let run = host.run_to_end(name, &json!({}));
    let id = run["id"].as_str().expect("an id").to_owned();
    (run, id)
}

#[test]
fn components_of_contract_1_0_0_load_and_run() {
    let host = host("1.0.0");
    let listed = host.cli(&["plugin", "ls", "--json"]).success().json();
    let mut kinds: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|kind| kind["kind"].as_str())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["fixture-echo", "fixture-wait", "retry"]);

    let (told, id) = run(&host, "told/told_now");
    assert_eq!(told["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(
        host.result(&id, "echo"),
        json!({
            "args": [], "kwargs": {"n": 1.5}, "config": {"free": [1, null]},
            "task": "echo", "flow": "told", "attempt": 1,
            "ids": true, "time": true, "deadline": true, "work_pool": "pool",
            "settings": {"colour": "red"},
        })
    );
    assert!(host.logs(&id).contains("attempt 1 of echo"), "{}", host.logs(&id));

    let (waited, id) = run(&host, "waited/waited_now");
    assert_eq!(waited["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    let woken = host.result(&id, "wait");
    let mut woken: Vec<&str> = woken
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    woken.sort_unstable();
    assert!(
        woken.contains(&"soon") && woken.contains(&"left") && woken.contains(&"right"),
        "{woken:?}"
    );
}

#[test]
fn a_policy_of_contract_1_0_0_decides() {
    let host = host("1.0.0");
    let (tried, id) = run(&host, "tried/tried_now");
    assert_eq!(tried["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(host.result(&id, "echo_late")["attempt"], 3);

    let (given_up, id) = run(&host, "given_up/given_up_now");
    assert_eq!(given_up["state"]["type"], "FAILED", "{given_up}");
    let logs = host.logs(&id);
    assert!(logs.contains("fixture-policy: fixture-early 2 times"), "{logs}");
}
