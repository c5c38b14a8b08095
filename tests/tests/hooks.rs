//! A webhook of another system, signed as GitHub signs, starts a flow run of a serving host, and
//! another one decides an approval that waits.

use grepx_tests::Host;
use ring::hmac;
use serde_json::{Value, json};

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}, {name: release}]
prefect_tasks:
  - {name: task, flow_name: flow, task_kind: transform, task_config: {program: '.branch'}, inputs: {branch: params.branch}}
  - {name: sign_off, flow_name: release, task_kind: approval}
prefect_deployments:
  - {name: deployment, flow_name: flow, work_pool_name: pool}
  - {name: release_it, flow_name: release, work_pool_name: pool}
";
const SECRET: &str = "a secret of more than sixteen bytes";

fn config(secret: &std::path::Path) -> String {
    format!(
        "secrets: {{shared: {{file: '{}'}}}}
hooks:
  push:
    deployment: flow/deployment
    secret: shared
    condition: headers['x-github-event'] == 'push'
    parameters: {{branch: body.ref}}
    idempotency_key: headers['x-github-delivery']
  decide:
    secret: shared
    signal: {{task_run: body.task, name: \"'approve' if body.ok else 'reject'\", payload: \"{{'by': body.by}}\"}}
",
        secret.display()
    )
}

/// As GitHub sends.
fn send_signed(host: &Host, hook: &str, secret: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let hex: String = hmac::sign(&key, body.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let signature = format!("sha256={hex}");
    let signed = [headers, &[("x-hub-signature-256", signature.as_str())]].concat();
    host.post_with(&format!("/hooks/{hook}"), &signed, body)
}

fn start(folder: &tempfile::TempDir) -> Host {
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
    Host::with(FLOWS).config(&config(&secret)).start()
}

#[test]
fn a_signed_push_starts_one_flow_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = start(&folder);
    let body = json!({"ref": "main"}).to_string();
    let headers = [("x-github-event", "push"), ("x-github-delivery", "d-1")];
    let (status, answer) = send_signed(&host, "push", SECRET, &headers, &body);
    assert_eq!((status, &answer["created"]), (202, &json!(true)), "{answer}");
    let run = answer["flow_run_id"].as_str().expect("an id").to_owned();
    assert_eq!(host.wait(&run)["state"]["type"], "COMPLETED");
    assert_eq!(host.result(&run, "task"), json!("main"));

    let (status, again) = send_signed(&host, "push", SECRET, &headers, &body);
    assert_eq!((status, &again["flow_run_id"]), (202, &answer["flow_run_id"]));
    let (status, _) = send_signed(&host, "push", "another secret, as long as it", &headers, &body);
    assert_eq!(status, 401);
    let (status, ping) = send_signed(&host, "push", SECRET, &[("x-github-event", "ping")], "{}");
    assert_eq!((status, ping), (200, json!({"ignored": true})));
    let (_, count) = host.post("/flow_runs/count", &json!({}));
    assert_eq!(count, json!(1));
}

#[test]
fn a_hook_decides_an_approval() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = start(&folder);
    let run = host.run("release/release_it", &json!({}));
    let task = host.wait_task(&run, "sign_off", |task| task["state"]["type"] == "RUNNING");
    let body = json!({"task": task["id"], "ok": true, "by": "ann"}).to_string();
    let (status, answer) = send_signed(&host, "decide", SECRET, &[], &body);
    assert_eq!((status, &answer["task_run_id"]), (202, &task["id"]), "{answer}");
    assert_eq!(host.wait(&run)["state"]["type"], "COMPLETED");
    let result: Value = host.result(&run, "sign_off");
    assert_eq!((&result["approved"], &result["by"]), (&json!(true), &json!("ann")));
}

#[test]
fn a_secret_that_is_missing_or_short_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("nowhere");
    let host = Host::with(FLOWS).config(&config(&missing)).prepare();
    let refused = host.cli(&["serve", "--port", "0"]);
    assert!(
        refused.code != 0 && refused.err.contains("secrets.shared"),
        "{refused:?}"
    );
    std::fs::write(&missing, "short").expect("written");
    let refused = host.cli(&["serve", "--port", "0"]);
    assert!(
        refused.code != 0 && refused.err.contains("less than 16 bytes"),
        "{refused:?}"
    );
}
