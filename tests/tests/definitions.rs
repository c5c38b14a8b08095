//! Definitions are live, tolerant and told about: the database changes under a serving host.

#![allow(clippy::disallowed_methods, reason = "the test changes the database under the host")]

use grepx_tests::{Host, wait_for};
use serde_json::{Value, json};

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}, {name: other}]
prefect_tasks:
  - {name: task, flow_name: flow, task_kind: transform, task_config: {program: '1'}}
  - {name: other_task, flow_name: other, task_kind: transform, task_config: {program: '1'}}
prefect_deployments:
  - {name: deployment, flow_name: flow, work_pool_name: pool}
  - {name: other_deployment, flow_name: other, work_pool_name: pool}
";

fn sql(host: &Host, statement: &str) {
    let database = rusqlite::Connection::open(host.database()).expect("the database");
    database.execute_batch(statement).expect("the statement");
}

fn result(host: &Host, name: &str, task: &str) -> Value {
    let run = host.run_to_end(name, &json!({}));
    host.result(run["id"].as_str().expect("an id"), task)
}

#[test]
fn a_change_is_live_and_a_run_keeps_what_it_started_with() {
    let host = Host::with(&FLOWS.replace(
        "task_kind: transform, task_config: {program: '1'}}\n  - {name: other",
        "task_kind: sleep, task_config: {seconds: 2}}\n  - {name: other",
    ))
    .start();
    let old = host.run("flow/deployment", &json!({}));
    let _ = host.wait_task(&old, "task", |task| task["state"]["type"] == "RUNNING");
    sql(
        &host,
        "UPDATE prefect_tasks SET task_kind = 'transform', task_config = '{\"program\": \"42\"}' WHERE name = 'task'",
    );
    wait_for("the new definition", || {
        let id = host.run("flow/deployment", &json!({}));
        let new = host.wait_task(&id, "task", |_| true);
        (new["kind"] == "transform").then_some(())
    });
    assert_eq!(result(&host, "flow/deployment", "task"), json!(42));
    assert_eq!(host.wait(&old)["state"]["type"], "COMPLETED");
    assert_eq!(host.result(&old, "task"), json!({"slept_seconds": 2}));
}

#[test]
fn a_broken_row_costs_its_own_flow_only_and_is_told() {
    let host = Host::with(FLOWS).start();
    sql(
        &host,
        "UPDATE prefect_tasks SET depends_on = '[\"nobody\"' WHERE name = 'task'",
    );
    let problem = wait_for("the problem", || {
        let (_, problems) = host.get("/definitions/problems");
        problems.as_array().and_then(|all| all.first().cloned())
    });
    assert_eq!(problem["table"], "prefect_tasks");
    assert_eq!(
        (&problem["name"], &problem["column"]),
        (&json!("task"), &json!("depends_on"))
    );
    assert_eq!(host.get("/deployments/name/flow/deployment").0, 404);
    assert_eq!(result(&host, "other/other_deployment", "other_task"), json!(1));
    let check = host.cli(&["check"]);
    assert_eq!(check.code, 1);
    assert!(
        check.out.contains("depends_on") || check.err.contains("depends_on"),
        "{check:?}"
    );
}

#[test]
fn the_host_neither_creates_nor_locks_the_database() {
    let host = Host::with(FLOWS).start();
    let database = rusqlite::Connection::open(host.database()).expect("the database");
    database
        .execute_batch("BEGIN EXCLUSIVE; UPDATE prefect_flows SET description = 'x'")
        .expect("nobody has it locked");
    assert_eq!(
        result(&host, "flow/deployment", "task"),
        json!(1),
        "the last good definitions work on"
    );
    database.execute_batch("COMMIT").expect("the end");
}

#[test]
fn a_database_that_disappears_leaves_the_last_definitions() {
    let host = Host::with(FLOWS).start();
    let away = host.folder().join("away.db");
    std::fs::rename(host.database(), &away).expect("moved");
    wait_for("the problem", || {
        let (_, problems) = host.get("/definitions/problems");
        problems.as_array().is_some_and(|all| !all.is_empty()).then_some(())
    });
    assert_eq!(result(&host, "flow/deployment", "task"), json!(1));
    assert!(!host.database().exists(), "it is not created");
    std::fs::rename(&away, host.database()).expect("moved back");
    wait_for("the problem to go", || {
        let (_, problems) = host.get("/definitions/problems");
        problems.as_array().is_some_and(Vec::is_empty).then_some(())
    });
}

#[test]
fn export_and_apply_change_nothing() {
    let host = Host::with(FLOWS).prepare();
    let exported = host.cli(&["export"]).success().out;
    std::fs::write(host.folder().join("exported.yaml"), exported).expect("written");
    let plan = host
        .cli(&["apply", "--dry-run", "--json", "exported.yaml"])
        .success()
        .json();
    let changes: usize = ["inserts", "updates"]
        .iter()
        .filter_map(|key| plan[*key].as_array().map(Vec::len))
        .sum();
    assert_eq!(changes, 0, "{plan}");
}

#[test]
fn apply_shows_what_it_would_change_and_touches_nothing_else() {
    let host = Host::with(FLOWS).prepare();
    let more = "prefect_flows: [{name: flow, description: new words}]\n";
    std::fs::write(host.folder().join("more.yaml"), more).expect("written");
    let dry = host.cli(&["apply", "--dry-run", "more.yaml"]).success();
    assert!(dry.out.contains("new words"), "{dry:?}");
    let _ = host.cli(&["apply", "more.yaml"]).success();
    let database = rusqlite::Connection::open(host.database()).expect("the database");
    let (flows, described): (i64, i64) = database
        .query_row(
            "SELECT count(*), sum(description = 'new words') FROM prefect_flows",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("a count");
    assert_eq!((flows, described), (2, 1));
}

#[test]
fn a_host_that_is_opened_takes_definitions_from_requests() {
    let host = Host::with(FLOWS).api_apply().start();
    let more = "prefect_tasks: [{name: task, flow_name: flow, task_kind: transform, task_config: {program: '7'}}]";
    let (status, dry) = host.post_bytes("/definitions/apply?dry_run=true", more.as_bytes());
    assert_eq!((status, &dry["changes"][0]["name"]), (200, &json!("task")), "{dry}");
    let (status, done) = host.post_bytes("/definitions/apply", more.as_bytes());
    assert_eq!((status, &done["dry_run"]), (200, &json!(false)), "{done}");
    wait_for("the new definition", || {
        let (_, all) = host.get("/definitions");
        let flows = all["flows"].as_array()?;
        let flow = flows.iter().find(|one| one["name"] == "flow")?;
        (flow["tasks"][0]["config"]["program"] == "7").then_some(())
    });
    assert_eq!(result(&host, "flow/deployment", "task"), json!(7));
    let rows = host.cli(&["audit", "ls", "--json"]).success().json();
    let rows = rows.as_array().expect("a list");
    assert!(
        rows.iter().any(|row| row["note"] == "applied: 1 changed, 0 unchanged"),
        "{rows:?}"
    );
}

#[test]
fn a_host_is_read_only_unless_it_is_opened() {
    let host = Host::with(FLOWS).start();
    let before = std::fs::read(host.database()).expect("the database");
    let (status, answer) = host.post_bytes("/definitions/apply", b"prefect_flows: [{name: new}]");
    assert_eq!(status, 409);
    assert!(
        answer["detail"]
            .as_str()
            .is_some_and(|text| text.contains("database.api_apply")),
        "{answer}"
    );
    assert_eq!(std::fs::read(host.database()).expect("the database"), before);
}
