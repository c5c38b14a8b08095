//! Flow runs that go on after their end, with a real Redis and a stock Celery worker: what has to be
//! executed again is, and nothing else.

use grepx_tests::{Host, Pool, RedisServer, Worker};
use redis::Commands as _;
use serde_json::{Value, json};

const NAME: &str = "flow/deployment";

/// first → flaky, whose first run fails → last.
const FLOWS: &str = "prefect_work_pools: [{name: pool, concurrency_limit: 1}]
prefect_flows: [{name: flow}]
prefect_tasks:
  - {name: first, flow_name: flow, celery_task_name: tests.echo, task_args: [1]}
  - {name: flaky, flow_name: flow, depends_on: [first], celery_task_name: tests.flaky, task_kwargs: {fails: 1}}
  - {name: last, flow_name: flow, depends_on: [flaky], task_kind: transform, inputs: {given: results.flaky, first: results.first}, task_config: {program: '{given, first: .first.args}'}}
prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool}]
";

fn ran(redis: &RedisServer, name: &str) -> i64 {
    redis
        .connect()
        .get::<_, Option<i64>>(format!("ran:{name}"))
        .expect("a count")
        .unwrap_or(0)
}

fn id(run: &Value) -> String {
    run["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_retry_executes_what_failed_and_nothing_else() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let mut host = Host::with(FLOWS).broker(&redis.url()).start();
    let run = host.run_to_end(NAME, &json!({}));
    let run_id = id(&run);
    assert_eq!(run["state"]["type"], "FAILED", "{run}");
    assert_eq!((ran(&redis, "echo"), ran(&redis, "flaky")), (1, 1));
    let known = host.task_runs(&run_id)["flaky"]["external_id"].clone();
    // Results and the log outlive the process.
    host.stop();
    host.serve();
    let said = host.cli(&["flow-run", "retry", &run_id]).success().out;
    assert!(said.contains("goes on"), "{said}");
    let run = host.wait(&run_id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&run_id));
    assert_eq!(
        (ran(&redis, "echo"), ran(&redis, "flaky")),
        (1, 2),
        "the first one is not repeated"
    );
    assert_eq!((&run["run_count"], &run["end_time"].is_string()), (&json!(2), &true));
    let tasks = host.task_runs(&run_id);
    assert_eq!(tasks["flaky"]["run_count"], 2);
    assert_ne!(
        tasks["flaky"]["external_id"], known,
        "a new attempt has a new Celery id"
    );
    assert_eq!(host.result(&run_id, "last"), json!({"given": {"ran": 2}, "first": [1]}));

    // A run that has completed has nothing to retry, unless it is told where to begin.
    let refused = host.cli(&["flow-run", "retry", &run_id]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("name the task"), "{}", refused.err);
    let unknown = host.cli(&["flow-run", "retry", &run_id, "--from-task", "nothing"]);
    assert!(
        unknown.err.contains("its tasks are first, flaky, last"),
        "{}",
        unknown.err
    );
    let _ = host
        .cli(&["flow-run", "retry", &run_id, "--only-task", "first"])
        .success();
    assert_eq!(host.wait(&run_id)["run_count"], 3);
    assert_eq!((ran(&redis, "echo"), ran(&redis, "flaky")), (2, 2));
    let _ = host
        .cli(&["flow-run", "retry", &run_id, "--from-task", "flaky"])
        .success();
    assert_eq!(host.wait(&run_id)["state"]["type"], "COMPLETED");
    assert_eq!((ran(&redis, "echo"), ran(&redis, "flaky")), (2, 3));
    assert_eq!(host.result(&run_id, "last")["given"], json!({"ran": 3}));

    // At a time: it waits for that, also over a restart, and can be called off.
    let body = json!({"from": "start", "start_at": "2150-01-01T00:00:00Z"});
    let (status, planned) = host.post(&format!("/flow_runs/{run_id}/retry"), &body);
    assert_eq!(
        (status, &planned["state"]["name"]),
        (200, &json!("Scheduled")),
        "{planned}"
    );
    host.stop();
    host.serve();
    let planned = host.flow_run(&run_id);
    assert_eq!(planned["next_scheduled_start_time"], "2150-01-01T00:00:00.000Z");
    assert_eq!(planned["expected_start_time"], run["expected_start_time"]);
    host.cancel(&run_id);
    assert_eq!(host.wait(&run_id)["state"]["type"], "CANCELLED");
    assert_eq!((ran(&redis, "echo"), ran(&redis, "flaky")), (2, 3));
    host.stop();
    let verified = host.cli(&["store", "verify", "--json"]).json();
    assert_eq!(verified["differences"], json!([]), "{verified}");
}

#[test]
fn what_is_marked_as_done_lets_the_rest_go_on() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let flows = FLOWS.replace(
        "tests.flaky, task_kwargs: {fails: 1}",
        "tests.slow, task_kwargs: {seconds: 60, name: slow}",
    );
    let mut host = Host::with(&flows).broker(&redis.url()).start();
    let run_id = host.run(NAME, &json!({}));
    grepx_tests::wait_for("the task to run", || (ran(&redis, "slow:started") == 1).then_some(()));
    let task = id(&host.task_runs(&run_id)["flaky"]);
    let done = [
        "task-run",
        "mark-done",
        &task,
        "--note",
        "copied by hand",
        "--result",
        "[7]",
    ];
    let _ = host.cli(&done).success();
    let run = host.wait(&run_id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&run_id));
    assert_eq!(host.result(&run_id, "last")["given"], json!([7]));
    let marked = host.task_runs(&run_id)["flaky"].clone();
    assert_eq!(marked["state"]["message"], "Marked as done: copied by hand");
    assert_eq!(host.cli(&done).code, 2, "once is enough");
    assert_eq!(ran(&redis, "slow:finished"), 0, "it was revoked");

    // In a run that has ended.
    let failing = FLOWS.replace("tests.flaky, task_kwargs: {fails: 1}", "tests.fail");
    host.stop();
    let mut host = Host::with(&failing).broker(&redis.url()).start();
    let run = host.run_to_end(NAME, &json!({}));
    let run_id = id(&run);
    assert_eq!(run["state"]["type"], "FAILED");
    let task = id(&host.task_runs(&run_id)["flaky"]);
    let _ = host
        .cli(&["task-run", "mark-done", &task, "--note", "not needed today", "--json"])
        .success();
    assert_eq!(
        host.wait(&run_id)["state"]["type"],
        "COMPLETED",
        "{}",
        host.logs(&run_id)
    );
    assert_eq!(host.result(&run_id, "last")["given"], Value::Null);
    host.stop();
    let verified = host.cli(&["store", "verify", "--json"]).json();
    assert_eq!(verified["differences"], json!([]), "{verified}");
}

#[test]
fn many_flow_runs_are_named_shown_and_only_then_changed() {
    let flows = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}, {name: other}]
prefect_tasks:
  - {name: task, flow_name: flow, task_kind: transform, task_config: {program: 'error(\"no\")'}}
  - {name: good, flow_name: other, task_kind: noop}
prefect_deployments:
  - {name: deployment, flow_name: flow, work_pool_name: pool}
  - {name: other, flow_name: other, work_pool_name: pool}
";
    let host = Host::with(flows).start();
    for _ in 0..3 {
        let run = host.run_to_end(NAME, &json!({}));
        assert_eq!(run["state"]["type"], "FAILED");
    }
    let kept = id(&host.run_to_end("other/other", &json!({})));
    let count = |state: &str| {
        let filter = json!({"flow_runs": {"state": {"type": {"any_": [state]}}}});
        host.post("/flow_runs/count", &filter).1
    };
    let named = ["--state", "FAILED", "--flow", "flow", "--deployment", "deployment"];
    let with = |verb: &str, more: &[&str]| {
        let words: Vec<&str> = ["flow-run", verb].iter().chain(&named).chain(more).copied().collect();
        host.cli(&words)
    };
    let unsure = with("delete", &[]);
    assert_eq!(unsure.code, 2);
    assert!(
        unsure.err.contains("3 flow runs would be deleted: add --yes"),
        "{}",
        unsure.err
    );
    let shown = with("delete", &["--dry-run"]).success().out;
    assert!(shown.contains("3 flow runs would be deleted."), "{shown}");
    assert_eq!(count("FAILED"), 3, "nothing has gone");
    let young = with("delete", &["--yes", "--older-than", "1h"]).success().out;
    assert!(young.contains("0 flow runs deleted"), "{young}");
    let retried = with("retry", &["--yes", "--json"]).json();
    assert_eq!(
        (&retried["done"], &retried["refused"]),
        (&json!(3), &json!(0)),
        "{retried}"
    );
    grepx_tests::wait_for("all to fail once more", || (count("FAILED") == 3).then_some(()));
    let gone = with("delete", &["--yes"]).success().out;
    assert!(gone.contains("3 flow runs deleted"), "{gone}");
    assert_eq!(count("FAILED"), 0);
    assert_eq!(
        host.flow_run(&kept)["state"]["type"],
        "COMPLETED",
        "nothing else has gone"
    );
    let _ = host.cli(&["flow-run", "delete", &kept]).success();
    assert_eq!(host.cli(&["flow-run", "delete", &kept]).code, 4);
    assert_eq!(host.cli(&["flow-run", "delete"]).code, 2, "nothing is named");
    let audit = host.cli(&["audit", "ls", "--json"]).success().out;
    for route in [
        "/api/flow_runs/bulk/delete",
        "/api/flow_runs/bulk/retry",
        "/api/flow_runs/{id}",
    ] {
        assert!(audit.contains(route), "{route}: {audit}");
    }
}

/// A child run that goes on by itself concerns nobody who has had its answer; a parent that goes on
/// starts a child of its own.
#[test]
fn a_child_run_wakes_its_parent_once_and_a_retried_parent_starts_another() {
    let flows = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: parent}, {name: child}]
prefect_tasks:
  - {name: call, flow_name: parent, task_kind: subflow, task_config: {deployment: child/child}}
  - {name: clean, flow_name: parent, task_kind: approval, depends_on: [call], trigger_rule: all_done}
  - {name: work, flow_name: child, task_kind: transform, task_config: {program: 'error(\"no\")'}}
prefect_deployments:
  - {name: parent, flow_name: parent, work_pool_name: pool}
  - {name: child, flow_name: child, work_pool_name: pool}
";
    let mut host = Host::with(flows).start();
    let parent = host.run("parent/parent", &json!({}));
    let waits = |task: &Value| task["state"]["type"] == "RUNNING";
    let approval = id(&host.wait_task(&parent, "clean", waits));
    let children = || {
        let filter = json!({"flows": {"name": {"any_": ["child"]}}});
        host.post("/flow_runs/filter", &filter)
            .1
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let child = id(&children()[0]);
    // The parent is live, and has had this child's answer.
    let before = host.facts(&parent).len();
    let (status, answer) = host.post(&format!("/flow_runs/{child}/retry"), &json!({}));
    assert_eq!(status, 200, "{answer}");
    let again = host.wait(&child);
    assert_eq!(
        (&again["state"]["type"], &again["run_count"]),
        (&json!("FAILED"), &json!(2))
    );
    assert_eq!(host.facts(&parent).len(), before, "nobody was woken");
    let (status, answer) = host.post(&format!("/task_runs/{approval}/signal/approve"), &json!({}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(host.wait(&parent)["state"]["type"], "FAILED");
    assert_eq!(children().len(), 1);
    let _ = host.cli(&["flow-run", "retry", &parent]).success();
    assert_eq!(host.wait(&parent)["state"]["type"], "FAILED");
    assert_eq!(children().len(), 2, "a new attempt starts a new child");
    host.stop();
    let verified = host.cli(&["store", "verify", "--json"]).json();
    assert_eq!(verified["differences"], json!([]), "{verified}");
}
