//! What goes wrong around a host: its disk, its files, its database, its broker and the workers. The
//! host says what it is, goes on with everything else, and heals by itself.

#![allow(clippy::disallowed_methods, reason = "the tests do to databases what others do")]

mod backup;
mod burst;
mod celery;
mod disk;
mod fsync;
mod master;
mod store;

use grepx_tests::{Host, wait_for};
use serde_json::{Value, json};

/// Lines of the host's log with this text.
fn told(host: &Host, text: &str) -> usize {
    let output = host.process.as_ref().expect("it serves").output();
    output.lines().filter(|line| line.contains(text)).count()
}

/// What `/api/ready` says while it is not ready.
fn not_ready(host: &Host) -> String {
    wait_for("a host that is not ready", || {
        let (status, answer) = host.get("/ready");
        (status == 503).then(|| answer["message"].as_str().unwrap_or_default().to_owned())
    })
}

fn ready(host: &Host) {
    wait_for("a host that is ready", || (host.get("/ready").0 == 200).then_some(()));
}

/// Flow runs of these state types.
fn count(host: &Host, states: &[&str]) -> u64 {
    let filter = match states {
        [] => json!({}),
        states => json!({"flow_runs": {"state": {"type": {"any_": states}}}}),
    };
    let (status, count) = host.post("/flow_runs/count", &filter);
    assert_eq!(status, 200, "{count}");
    count.as_u64().expect("a number")
}

fn deployment(host: &Host, name: &str) -> String {
    let (status, deployment) = host.get(&format!("/deployments/name/{name}"));
    assert_eq!(status, 200, "{deployment}");
    deployment["id"].as_str().expect("an id").to_owned()
}

fn create(host: &Host, deployment: &str) -> (u16, Value) {
    host.post(&format!("/deployments/{deployment}/create_flow_run"), &json!({}))
}
