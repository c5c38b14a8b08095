//! The example plugins of other languages, run by the real host.
//!
//! Their components come from PyPI and npm tools, so they are not part of every run:
//! `cargo xtask build-plugins --examples`, then
//! `cargo nextest run -p grepx-tests --test examples --run-ignored all`.

use std::path::Path;

use grepx_tests::{Host, host_with, provided};
use serde_json::{Value, json};

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}, {name: wrong}]
prefect_tasks:
  - {name: task, flow_name: flow, task_kind: KIND, inputs: {INPUT: params.given}, task_config: CONFIG}
  - {name: wrong_task, flow_name: wrong, task_kind: KIND, inputs: {INPUT: params.given}, task_config: CONFIG}
prefect_deployments:
  - {name: now, flow_name: flow, work_pool_name: pool, parameters: {given: []}}
  - {name: wrong_now, flow_name: wrong, work_pool_name: pool, parameters: {given: []}}
";

fn host(component: &str, kind: &str, input: &str, config: &str) -> Host {
    let file = provided("GREPX_TEST_PLUGINS").join("examples").join(component);
    let flows = FLOWS
        .replace("KIND", kind)
        .replace("INPUT", input)
        .replace("CONFIG", config);
    // Without a policy no task starts.
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/contract-1.0.0/retry.wasm");
    host_with(&[file, policy], "", &flows)
}

fn run(host: &Host, name: &str, given: &Value) -> (String, Value) {
    let run = host.run_to_end(name, &json!({ "given": given }));
    let id = run["id"].as_str().expect("an id").to_owned();
    (id, run)
}

fn asks_for_nothing(host: &Host, kind: &str) {
    let shown = host.cli(&["plugin", "inspect", kind, "--json"]).success().json();
    assert_eq!(shown["capabilities"], json!([]), "nothing is granted: {shown}");
}

#[test]
#[ignore = "needs the components that `cargo xtask build-plugins --examples` makes with tools from PyPI"]
fn python_runs() {
    let host = host("python/summarise.wasm", "summarise", "values", "{quantiles: 2}");
    asks_for_nothing(&host, "summarise");
    let (id, end) = run(&host, "flow/now", &json!([1, 2, 3, 10]));
    assert_eq!(end["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    let result = host.result(&id, "task");
    assert_eq!(result["mean"], json!(4.0));
    assert_eq!(result["cut_points"], json!([2.5]));
    assert!(host.logs(&id).contains("4 values in attempt 1"), "{}", host.logs(&id));

    let (id, end) = run(&host, "wrong/wrong_now", &json!([1]));
    assert_eq!(end["state"]["type"], "FAILED", "{end}");
    assert!(
        host.logs(&id).contains("config.quantiles needs two values"),
        "{}",
        host.logs(&id)
    );
}

fn javascript(component: &str) {
    let host = host(component, "tabulate", "rows", "{by: city, sum: n}");
    asks_for_nothing(&host, "tabulate");
    let rows = json!([{"city": "Ulm", "n": 1}, {"city": "Bonn", "n": 2}, {"city": "Ulm", "n": 4}]);
    let (id, end) = run(&host, "flow/now", &rows);
    assert_eq!(end["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    let table = json!([{"group": "Ulm", "count": 2, "sum": 5}, {"group": "Bonn", "count": 1, "sum": 2}]);
    assert_eq!(host.result(&id, "task"), table);
    assert!(host.logs(&id).contains("3 rows in attempt 1"), "{}", host.logs(&id));

    let (id, end) = run(&host, "wrong/wrong_now", &json!([{"town": "Ulm"}]));
    assert_eq!(end["state"]["type"], "FAILED", "{end}");
    assert!(host.logs(&id).contains("has no column \"city\""), "{}", host.logs(&id));
}

#[test]
#[ignore = "needs the components that `cargo xtask build-plugins --examples` makes with tools from npm"]
fn javascript_runs() {
    javascript("javascript/tabulate.wasm");
}

#[test]
#[ignore = "needs the components that `cargo xtask build-plugins --examples` makes with tools from npm"]
fn javascript_runs_on_the_small_engine() {
    javascript("javascript/tabulate-quickjs.wasm");
}
