//! What the API says of itself is true: schemathesis makes requests of the document, good ones and
//! bad ones, and judges the answers of a serving host by it. Nothing may be answered with 5xx, or
//! otherwise than the document says.
//!
//! The seed is fixed, so that a change is judged by its own. By hand, longer and with other seeds:
//! `GREPX_SCHEMATHESIS_EXAMPLES=200 GREPX_SCHEMATHESIS_SEED=7 cargo xtask test openapi`.

use std::process::Command;

use grepx_tests::{Host, provided};
use serde_json::{Value, json};

const FLOWS: &str = "prefect_work_pools: [{name: pool, concurrency_limit: 5}]
prefect_flows:
  - name: flow
    tags: [data]
    parameters_schema: {properties: {n: {type: integer, minimum: 1}}, additionalProperties: false}
  - {name: waiting}
prefect_tasks:
  - {name: task, flow_name: flow, task_kind: transform, task_config: {program: '1'}}
  - {name: sign_off, flow_name: waiting, task_kind: approval}
prefect_deployments:
  - name: deployment
    flow_name: flow
    work_pool_name: pool
    schedule_type: cron
    schedule_config: {cron_string: '30 15 * * 1-5', timezone: Asia/Kolkata}
  - {name: waits, flow_name: waiting, work_pool_name: pool}
";
const HOOKS: &str = "hooks: {open: {deployment: flow/deployment, unsigned: true, condition: body is mapping}}";
/// Requests of each kind for each operation.
const EXAMPLES: &str = "8";
const SEED: &str = "20260101";

#[test]
fn every_answer_to_every_request_is_in_the_document() {
    let host = Host::with(FLOWS).api_apply().own_plugins("").config(HOOKS).start();
    let ran = host.run_to_end("flow/deployment", &json!({"n": 2}));
    assert_eq!(ran["state"]["type"], "COMPLETED");
    let waits = host.run("waiting/waits", &json!({}));
    let _ = host.wait_task(&waits, "sign_off", |task| task["state"]["type"] == "RUNNING");
    // Keys that are made on the way close the host, and are revoked on the way: not this one.
    let operator = std::fs::read_to_string(host.folder().join("state/operator.json")).expect("the operator's key");
    let operator: Value = serde_json::from_str(&operator).expect("JSON");
    let key = operator["key"].as_str().expect("a key");
    let authorization = format!("Authorization: Bearer {key}");
    // Closed from the start: an open host rightly answers whoever shows nothing.
    let closing = json!({"name": "closing", "scope": "read"});
    assert_eq!(host.ask_as(&format!("Bearer {key}"), "/keys", Some(&closing)).0, 201);
    let document: Value = host.ask_as(&format!("Bearer {key}"), "/openapi.json", None).1;
    assert_eq!(document["openapi"], "3.1.0");

    let set = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let examples = set("GREPX_SCHEMATHESIS_EXAMPLES", EXAMPLES);
    let seed = set("GREPX_SCHEMATHESIS_SEED", SEED);
    let output = Command::new(provided("GREPX_TEST_VENV").join("bin/schemathesis"))
        .current_dir(host.folder())
        .arg("--config-file")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", host.url()), "--no-color"])
        .args(["--header", &authorization])
        .args([
            "--max-examples",
            &examples,
            "--seed",
            &seed,
            "--generation-database",
            "none",
        ])
        .args(["--phases", "examples,fuzzing", "--continue-on-failure"])
        .args(["--warnings", "off"])
        .output()
        .expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    // An answer of 401 to everything would be in the document, too.
    let keys = host.ask_as(&format!("Bearer {key}"), "/keys", None);
    assert_eq!(keys.0, 200, "{}", keys.1);
    assert!(output.status.success(), "{said}\n{}", host.output());
}
