//! `prefect work-pool …` and `prefect work-queue …`: what is switched counts, and stays.

use serde_json::{Value, json};

use crate::host;
use crate::stock::{Stock, has, row};

#[test]
fn work_pools_are_shown_paused_and_limited() {
    let mut host = host();
    let stock = Stock::of(&host);
    row(&stock.says(&["work-pool", "ls"]), &["narrow", "process", "3"]);
    row(&stock.says(&["work-pool", "ls"]), &["default-process-pool", "10"]);
    let pool = stock.json(&["work-pool", "inspect", "narrow"]);
    assert_eq!(pool["description"], "A few at a time", "{pool}");
    assert_eq!(pool["status"], "READY", "{pool}");
    has(&stock.refuses(&["work-pool", "inspect", "nobody"]), &["not found"]);

    has(
        &stock.says(&["work-pool", "pause", "narrow"]),
        &["Paused work pool 'narrow'"],
    );
    assert_eq!(stock.json(&["work-pool", "inspect", "narrow"])["status"], "PAUSED");
    let waits = host.run("quick/quick_now", &json!({}));
    assert_eq!(host.flow_run(&waits)["reason"], "work pool narrow is paused");
    row(&stock.says(&["work-pool", "preview", "narrow"]), &[&waits]);
    has(&stock.says(&["work-pool", "slots", "narrow"]), &["Work Pool: narrow"]);

    has(
        &stock.says(&["work-pool", "set-concurrency-limit", "narrow", "5"]),
        &["Set concurrency limit for work pool 'narrow' to 5"],
    );
    host.stop();
    host.serve();
    let stock = Stock::of(&host);
    let pool = stock.json(&["work-pool", "inspect", "narrow"]);
    assert_eq!(pool["concurrency_limit"], 5, "a restart keeps what was set: {pool}");
    assert_eq!(pool["is_paused"], true, "{pool}");
    has(
        &stock.says(&["work-pool", "clear-concurrency-limit", "narrow"]),
        &["Cleared concurrency limit for work pool 'narrow'"],
    );
    assert_eq!(
        stock.json(&["work-pool", "inspect", "narrow"])["concurrency_limit"],
        Value::Null
    );
    has(
        &stock.says(&["work-pool", "resume", "narrow"]),
        &["Resumed work pool 'narrow'"],
    );
    assert_eq!(host.wait(&waits)["state"]["type"], "COMPLETED");
    has(&stock.says(&["work-pool", "preview", "narrow"]), &["No runs found"]);
}

#[test]
fn work_queues_are_shown_paused_and_limited() {
    let host = host();
    let stock = Stock::of(&host);
    let of = ["--pool", "narrow"];
    let with = |words: &[&'static str]| [words, of.as_slice()].concat();
    row(&stock.says(&["work-queue", "ls"]), &["default", "narrow"]);
    row(&stock.says(&with(&["work-queue", "ls"])), &["default"]);
    has(
        &stock.says(&with(&["work-queue", "inspect", "default"])),
        &["name='default'", "healthy=True"],
    );

    has(
        &stock.says(&with(&["work-queue", "pause", "default"])),
        &["Work queue 'default' in work pool 'narrow' paused"],
    );
    let queue = stock.json(&with(&["work-queue", "inspect", "default"]));
    assert_eq!(queue["is_paused"], true, "{queue}");
    assert_eq!(queue["status"], "PAUSED", "{queue}");
    let waits = host.run("quick/quick_now", &json!({}));
    assert_eq!(
        host.flow_run(&waits)["reason"],
        "work queue default of work pool narrow is paused"
    );
    has(
        &stock.says(&with(&["work-queue", "resume", "default"])),
        &["Work queue 'default' in work pool 'narrow' resumed"],
    );
    assert_eq!(host.wait(&waits)["state"]["type"], "COMPLETED");
    let said = stock.says(&with(&["work-queue", "set-concurrency-limit", "default", "3"]));
    has(&said, &["Concurrency limit of 3 set on work queue 'default'"]);
    assert_eq!(
        stock.json(&with(&["work-queue", "inspect", "default"]))["concurrency_limit"],
        3
    );
}
