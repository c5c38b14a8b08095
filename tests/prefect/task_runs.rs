//! `prefect task-run …`.

use serde_json::json;

use crate::host;
use crate::stock::{Stock, has, row};

#[test]
fn task_runs_are_listed_inspected_and_read() {
    let host = host();
    let stock = Stock::of(&host);
    has(&stock.says(&["task-run", "ls"]), &["No task runs found."]);
    let run = host.run_to_end("stock_data_pipeline/stock_data_pipeline_daily", &json!({}));
    let failed = host.run_to_end("fails/fails_now", &json!({}));
    let tasks = host.task_runs(run["id"].as_str().expect("an id"));
    let task = tasks["download_stock_data_task"]["id"].as_str().expect("an id");
    row(
        &stock.says(&["task-run", "ls"]),
        &[task, "download_stock_data_task", "COMPLETED"],
    );
    let found = stock.json(&["task-run", "ls", "--state-type", "FAILED"]);
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found[0]["flow_run_id"], failed["id"], "{found}");
    let found = stock.json(&[
        "task-run",
        "ls",
        "--task-run-name",
        "calculate_indicators_task",
        "--state",
        "Completed",
    ]);
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");

    let inspected = stock.json(&["task-run", "inspect", task]);
    assert_eq!(inspected["state"]["type"], "COMPLETED", "{inspected}");
    assert_eq!(inspected["name"], "download_stock_data_task", "{inspected}");
    has(
        &stock.says(&["task-run", "logs", task]),
        &["download_stock_data_task completed"],
    );
    let nobody = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    has(&stock.refuses(&["task-run", "inspect", nobody]), &["not found"]);
}
