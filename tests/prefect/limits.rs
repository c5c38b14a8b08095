//! `prefect global-concurrency-limit …` and `prefect concurrency-limit …`, and what keeps to them.

use grepx_tests::wait_for;
use serde_json::json;

use crate::host;
use crate::stock::{Stock, has, row};

#[test]
fn global_limits_are_kept_by_the_host() {
    let mut host = host();
    let stock = Stock::of(&host);
    has(
        &stock.says(&["global-concurrency-limit", "ls"]),
        &["No global concurrency limits found."],
    );
    let create = ["global-concurrency-limit", "create", "database", "--limit", "2"];
    has(&stock.says(&create), &["Created global concurrency limit"]);
    has(&stock.refuses(&create), &["already exists"]);
    row(
        &stock.says(&["global-concurrency-limit", "ls"]),
        &["database", "True", "2"],
    );
    has(
        &stock.says(&["global-concurrency-limit", "update", "database", "--limit", "3"]),
        &["Updated"],
    );
    host.stop();
    host.serve();
    let stock = Stock::of(&host);
    let limit = stock.json(&["global-concurrency-limit", "inspect", "database"]);
    assert_eq!(
        (&limit["limit"], &limit["active_slots"]),
        (&json!(3), &json!(0)),
        "{limit}"
    );
    has(
        &stock.refuses(&["global-concurrency-limit", "inspect", "nobody"]),
        &["not found"],
    );
    let held = stock.python(include_str!("concurrency.py"));
    assert_eq!(held, json!({"inside": 3, "refused": true, "after": 0}));
    has(
        &stock.says(&["global-concurrency-limit", "delete", "database"]),
        &["Deleted"],
    );
}

/// Over all flow runs, also after a crash, and told as the reason of whoever waits.
#[test]
fn a_limited_tag_lets_so_many_task_runs_on() {
    let mut host = host();
    let stock = Stock::of(&host);
    has(
        &stock.says(&["concurrency-limit", "create", "desk", "1"]),
        &["Created concurrency limit"],
    );
    let first = host.run("asks/asks_now", &json!({}));
    let asked = host.wait_task(&first, "ask", |task| task["state"]["type"] == "RUNNING");
    let second = host.run("asks/asks_now", &json!({}));
    let waits = host.wait_task(&second, "ask", |task| task["reason"].is_string());
    assert_eq!(waits["reason"], "tag desk: 1 of 1 task runs are under way");
    let limit = stock.json(&["concurrency-limit", "inspect", "desk"]);
    assert_eq!(limit["active_slots"], json!([asked["id"]]), "{limit}");

    host.kill();
    host.serve();
    let stock = Stock::of(&host);
    let (_, limit) = host.get("/concurrency_limits/tag/desk");
    assert_eq!(limit["active_slots"], json!([asked["id"]]), "{limit}");
    let third = host.run("asks/asks_now", &json!({}));
    let waits = host.wait_task(&third, "ask", |task| task["reason"].is_string());
    assert_eq!(waits["reason"], "tag desk: 1 of 1 task runs are under way");
    host.cancel(&third);
    assert_eq!(host.wait(&third)["state"]["type"], "CANCELLED");
    assert_eq!(host.task_runs(&second)["ask"]["state"]["type"], "PENDING");

    let id = asked["id"].as_str().expect("an id");
    assert_eq!(host.post(&format!("/task_runs/{id}/signal/approve"), &json!({})).0, 200);
    let _ = host.wait_task(&second, "ask", |task| task["state"]["type"] == "RUNNING");
    let third = host.run("asks/asks_now", &json!({}));
    let _ = host.wait_task(&third, "ask", |task| task["reason"].is_string());
    has(
        &stock.says(&["concurrency-limit", "delete", "desk"]),
        &["Deleted concurrency limit"],
    );
    let _ = host.wait_task(&third, "ask", |task| task["state"]["type"] == "RUNNING");
    wait_for("the end of the first", || {
        (host.flow_run(&first)["state"]["type"] == "COMPLETED").then_some(())
    });
}
