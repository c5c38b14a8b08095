//! `prefect deployment …`: shown, run, scheduled.

use crate::host;
use crate::stock::{Stock, has, row};

const DAILY: &str = "stock_data_pipeline/stock_data_pipeline_daily";

#[test]
fn deployments_and_their_schedules_are_shown_and_switched() {
    let host = host();
    let stock = Stock::of(&host);
    let listed = stock.says(&["deployment", "ls"]);
    row(&listed, &[DAILY, "default-process-pool"]);
    row(&listed, &["quick/quick_now", "narrow"]);
    has(
        &stock.refuses(&["deployment", "inspect", "quick/nobody"]),
        &["not found"],
    );
    let daily = stock.json(&["deployment", "inspect", DAILY]);
    assert_eq!(daily["paused"], false, "{daily}");
    assert_eq!(daily["work_pool_name"], "default-process-pool", "{daily}");

    let schedules = stock.says(&["deployment", "schedule", "ls", DAILY]);
    row(&schedules, &["cron: 30 15 * * 1-5", "True"]);
    let schedules = stock.json(&["deployment", "schedule", "ls", DAILY]);
    let schedule = schedules[0]["id"].as_str().expect("an id").to_owned();
    let paused = stock.says(&["deployment", "schedule", "pause", DAILY, &schedule]);
    has(&paused, &["Paused schedule", "30 15 * * 1-5", DAILY]);
    let again = stock.refuses(&["deployment", "schedule", "pause", DAILY, &schedule]);
    has(&again, &["is already inactive"]);
    row(
        &stock.says(&["deployment", "schedule", "ls", DAILY]),
        &["cron: 30 15 * * 1-5", "False"],
    );
    let resumed = stock.says(&["deployment", "schedule", "resume", DAILY, &schedule]);
    has(&resumed, &["Resumed schedule", DAILY]);
    has(
        &stock.says(&["deployment", "schedule", "pause", "--all"]),
        &["Paused 2 deployment schedule(s)."],
    );
}

/// What the definitions say is changed where they are.
#[test]
fn a_schedule_of_the_definitions_is_not_the_clients_to_change() {
    let host = host();
    let stock = Stock::of(&host);
    let created = stock.ask(&["deployment", "schedule", "create", DAILY, "--cron", "0 9 * * *"]);
    assert_ne!(created.code, 0, "{created:?}");
    has(
        &format!("{}{}", created.out, created.err),
        &["prefect_deployments", "grepx-host apply"],
    );
    let deleted = stock.ask(&["deployment", "delete", "quick/quick_now"]);
    assert_ne!(deleted.code, 0, "{deleted:?}");
    has(
        &format!("{}{}", deleted.out, deleted.err),
        &["prefect_deployments", "grepx-host apply"],
    );
}

#[test]
fn a_deployment_is_run_with_what_was_given() {
    let host = host();
    let stock = Stock::of(&host);
    let said = stock.says(&[
        "deployment",
        "run",
        "quick/quick_now",
        "--param",
        "n=41",
        "--tag",
        "by-hand",
        "--tag",
        "x",
        "--flow-run-name",
        "first",
    ]);
    has(&said, &["Created flow run 'first'", "'n': 41"]);
    let run = host.wait(&id(&said));
    assert_eq!(run["state"]["type"], "COMPLETED", "{run}");
    assert_eq!(run["tags"], serde_json::json!(["by-hand", "x", "fast"]), "{run}");

    let said = stock.says(&["deployment", "run", "quick/quick_now", "--params", r#"{"n": 7}"#]);
    has(&said, &["'n': 7"]);
    assert_eq!(host.wait(&id(&said))["parameters"]["n"], 7);

    let said = stock.says(&["deployment", "run", "quick/quick_now", "--start-in", "30 minutes"]);
    has(&said, &["in 29 minutes"]);
    let later = host.flow_run(&id(&said));
    assert_eq!(later["state"]["name"], "Scheduled", "{later}");
    let said = stock.says(&[
        "deployment",
        "run",
        "quick/quick_now",
        "--start-at",
        "2999-01-02 03:04:05",
    ]);
    let later = host.flow_run(&id(&said));
    let start = later["expected_start_time"].as_str().expect("a time");
    assert!(start.starts_with("2999-01-02T03:04:05"), "{later}");
}

#[test]
fn parameters_are_held_to_their_schema() {
    let host = host();
    let stock = Stock::of(&host);
    let report = "market_report/market_report_quick";
    let wrong = stock.refuses(&["deployment", "run", report, "--param", "window=abc"]);
    has(
        &wrong,
        &[
            "Error creating flow run: Validation failed for field 'window'",
            "'abc' is not of type 'integer'",
        ],
    );
    let unknown = stock.refuses(&["deployment", "run", report, "--param", "windows=3"]);
    has(&unknown, &["windows"]);
    has(
        &stock.refuses(&["deployment", "run", "market_report/nobody"]),
        &["not found"],
    );
}

/// The id that `deployment run` prints.
fn id(said: &str) -> String {
    let (_, rest) = said.split_once("UUID: ").expect("it says the id");
    rest.split_whitespace().next().expect("an id").to_owned()
}
