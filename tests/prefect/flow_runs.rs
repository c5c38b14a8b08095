//! `prefect flow …` and `prefect flow-run …`.

use serde_json::json;

use crate::host;
use crate::stock::{Stock, has, row};

#[test]
fn flows_and_flow_runs_are_listed_and_inspected() {
    let host = host();
    let stock = Stock::of(&host);
    row(&stock.says(&["flow", "ls"]), &["stock_data_pipeline"]);
    let nobody = stock.says(&["flow-run", "ls", "--state-type", "RUNNING"]);
    has(&nobody, &["No flow runs found."]);

    let failed = host.run_to_end("fails/fails_now", &json!({}));
    let done = host.run_to_end("stock_data_pipeline/stock_data_pipeline_daily", &json!({}));
    // What schedules have planned comes first.
    let listed = stock.says(&["flow-run", "ls", "--limit", "200"]);
    for (run, flow, state) in [
        (&failed, "fails", "FAILED"),
        (&done, "stock_data_pipeline", "COMPLETED"),
    ] {
        let name = run["name"].as_str().expect("a name");
        row(&listed, &[run["id"].as_str().expect("an id"), flow, name, state]);
    }
    let found = stock.json(&["flow-run", "ls", "--state-type", "FAILED", "--limit", "3"]);
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found[0]["id"], failed["id"]);
    let found = stock.json(&[
        "flow-run",
        "ls",
        "--flow-name",
        "stock_data_pipeline",
        "--state",
        "Completed",
    ]);
    assert_eq!(found[0]["id"], done["id"], "{found}");

    let id = done["id"].as_str().expect("an id");
    let inspected = stock.json(&["flow-run", "inspect", id]);
    assert_eq!(inspected["state"]["type"], "COMPLETED", "{inspected}");
    assert_eq!(inspected["work_pool_name"], "default-process-pool", "{inspected}");
    has(&stock.says(&["flow-run", "inspect", id]), &[id, "StateType.COMPLETED"]);
    let logs = stock.says(&["flow-run", "logs", id]);
    has(
        &logs,
        &[
            "Flow run started.",
            "Task run download_stock_data_task completed",
            "Flow run ended Completed",
        ],
    );
    assert_eq!(stock.says(&["flow-run", "logs", id, "-n", "2"]).lines().count(), 2);
    has(
        &stock.says(&["flow-run", "logs", id, "--tail", "-n", "1"]),
        &["Flow run ended Completed"],
    );
    let nobody = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    // Prefect 3.8.8 does not catch its own error here.
    let unknown = stock.ask(&["flow-run", "inspect", nobody]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
    has(&unknown.err, &["ObjectNotFound"]);
}

/// What Prefect's pages draw.
#[test]
fn a_flow_run_has_its_graph() {
    let host = host();
    let run = host.run_to_end("market_report/market_report_quick", &json!({}));
    let id = run["id"].as_str().expect("an id");
    let (status, graph) = host.get(&format!("/flow_runs/{id}/graph-v2"));
    assert_eq!(status, 200, "{graph}");
    let nodes = graph["nodes"].as_array().expect("a list");
    let of = |label: &str| -> Vec<&serde_json::Value> {
        let nodes = nodes.iter().map(|node| &node[1]);
        nodes.filter(|node| node["label"] == label).collect()
    };
    let settle = of("market_settle")[0];
    assert_eq!(graph["root_node_ids"], json!([settle["id"]]), "{graph}");
    assert!(
        of("market_average").is_empty(),
        "what was skipped has not started: {graph}"
    );
    let close = of("market_close")[0];
    let summary = of("market_summary")[0];
    let after = |node: &serde_json::Value, other: &serde_json::Value| {
        let parents = node["parents"].as_array().into_iter().flatten();
        parents.into_iter().any(|edge| edge["id"] == other["id"])
    };
    assert!(after(close, summary), "{graph}");
    for item in of("market_download").iter().filter(|node| !after(node, settle)) {
        assert_ne!(item["parents"], json!([]), "an item comes after its list: {graph}");
    }
    for (_, node) in nodes.iter().map(|node| (&node[0], &node[1])) {
        let children = node["children"].as_array().into_iter().flatten();
        for child in children {
            assert!(nodes.iter().any(|other| other[0] == child["id"]), "{graph}");
        }
    }
}

#[test]
fn a_flow_run_is_cancelled_and_deleted() {
    let host = host();
    let stock = Stock::of(&host);
    let waits = host.run("asks/asks_now", &json!({}));
    let _ = host.wait_task(&waits, "ask", |task| task["state"]["type"] == "RUNNING");
    has(
        &stock.says(&["flow-run", "cancel", &waits]),
        &[&format!(
            "Flow run '{waits}' was successfully scheduled for cancellation."
        )],
    );
    assert_eq!(host.wait(&waits)["state"]["type"], "CANCELLED");
    has(
        &stock.refuses(&["flow-run", "cancel", &waits]),
        &[
            "was unable to be cancelled",
            "Run is already in terminal state CANCELLED.",
        ],
    );
    has(
        &stock.says(&["flow-run", "delete", &waits]),
        &["Successfully deleted flow run"],
    );
    has(&stock.refuses(&["flow-run", "delete", &waits]), &["not found"]);
    assert_eq!(host.get(&format!("/flow_runs/{waits}")).0, 404);
}

#[test]
fn a_flow_run_that_has_ended_is_retried() {
    let host = host();
    let stock = Stock::of(&host);
    let failed = host.run_to_end("fails/fails_now", &json!({}));
    let done = host.run_to_end("quick/quick_now", &json!({}));
    for (run, ends) in [(&failed, "FAILED"), (&done, "COMPLETED")] {
        let id = run["id"].as_str().expect("an id");
        assert_eq!(run["state"]["type"], ends, "{run}");
        has(
            &stock.says(&["flow-run", "retry", id]),
            &["has been scheduled for retry"],
        );
        let again = host.wait(id);
        assert_eq!(
            (&again["state"]["type"], &again["run_count"]),
            (&json!(ends), &json!(2))
        );
    }
    let waits = host.run("asks/asks_now", &json!({}));
    has(
        &stock.refuses(&["flow-run", "retry", &waits]),
        &["Only flow runs in terminal states"],
    );
}
