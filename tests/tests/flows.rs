//! Flows on embedded defaults: `memory://`, nothing installed. What the DAG language means, seen
//! from outside.

use grepx_tests::{Host, wait_for};
use serde_json::{Value, json};

fn sample(name: &str) -> String {
    let path = format!("{}/../config/flows/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the sample flow")
}

fn flow(tasks: &str) -> String {
    format!(
        "prefect_work_pools: [{{name: pool, concurrency_limit: 10}}]
prefect_flows: [{{name: flow}}]
prefect_tasks:
{tasks}
prefect_deployments: [{{name: deployment, flow_name: flow, work_pool_name: pool}}]
"
    )
}

const NAME: &str = "flow/deployment";

fn states(host: &Host, run: &str) -> Vec<(String, String, String)> {
    host.task_runs(run)
        .into_iter()
        .map(|(name, task)| {
            let word = |key: &str| task["state"][key].as_str().unwrap_or_default().to_owned();
            (name, word("type"), word("name"))
        })
        .collect()
}

fn state_of(host: &Host, run: &Value, task: &str) -> String {
    let id = run["id"].as_str().expect("an id");
    let tasks = host.task_runs(id);
    let state = &tasks[task]["state"];
    format!(
        "{}/{}",
        state["type"].as_str().unwrap_or("-"),
        state["name"].as_str().unwrap_or("-")
    )
}

#[test]
fn the_sample_flows_run_with_nothing_installed() {
    let host = Host::with(&(sample("stock_data_pipeline"))).start();
    let run = host.run_to_end("stock_data_pipeline/stock_data_pipeline_daily", &json!({}));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(id));
    assert!(host.result(id, "calculate_indicators_task")["rsi"].is_number());

    let host = Host::with(&sample("market_report")).start();
    let run = host.run_to_end("market_report/market_report_quick", &json!({}));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(id));
    assert_eq!(state_of(&host, &run, "market_average"), "COMPLETED/Skipped");
    assert_eq!(state_of(&host, &run, "market_alert"), "COMPLETED/Skipped");
    assert_eq!(host.result(id, "market_close"), json!({"closed": true, "tickers": 2}));
}

#[test]
fn results_parameters_and_items_reach_the_next_task() {
    let host = Host::with(&flow(
        "  - {name: numbers, flow_name: flow, task_kind: transform, inputs: {n: params.n}, task_config: {program: '[range(.n)]'}}
  - {name: double, flow_name: flow, task_kind: transform, depends_on: [numbers], for_each: results.numbers, inputs: {x: item}, task_config: {program: '.x * 2'}}
  - {name: sum, flow_name: flow, task_kind: transform, depends_on: [double], inputs: {all: results.double, env: params.environment, debug: params.debug}, task_config: {program: '{sum: (.all | add), env, debug}'}}",
    ))
    .start();
    let run = host.run_to_end(NAME, &json!({"n": 5}));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(id));
    assert_eq!(
        host.result(id, "sum"),
        json!({"sum": 20, "env": "production", "debug": false})
    );
    assert_eq!(
        run["parameters"],
        json!({"environment": "production", "debug": false, "n": 5})
    );
}

#[test]
fn trigger_rules_and_conditions() {
    let host = Host::with(&flow(
        "  - {name: good, flow_name: flow, task_kind: transform, task_config: {program: '1'}}
  - {name: bad, flow_name: flow, task_kind: transform, task_config: {program: 'error(\"no\")'}}
  - {name: off, flow_name: flow, task_kind: transform, run_if: params.debug, task_config: {program: '1'}}
  - {name: all_success, flow_name: flow, task_kind: transform, depends_on: [good, bad], task_config: {program: '1'}}
  - {name: after_skip, flow_name: flow, task_kind: transform, depends_on: [off], task_config: {program: '1'}}
  - {name: none_failed, flow_name: flow, task_kind: transform, depends_on: [good, off], trigger_rule: none_failed, task_config: {program: '1'}}
  - {name: one_failed, flow_name: flow, task_kind: transform, depends_on: [good, bad], trigger_rule: one_failed, task_config: {program: '1'}}
  - {name: one_success, flow_name: flow, task_kind: transform, depends_on: [good, bad], trigger_rule: one_success, task_config: {program: '1'}}
  - {name: all_done, flow_name: flow, task_kind: transform, depends_on: [all_success, bad], trigger_rule: all_done, task_config: {program: '1'}}",
    ))
    .start();
    let run = host.run_to_end(NAME, &json!({}));
    assert_eq!(run["state"]["type"], "FAILED");
    assert!(
        run["state"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("bad")),
        "{run}"
    );
    for (task, state) in [
        ("good", "COMPLETED/Completed"),
        ("bad", "FAILED/Failed"),
        ("off", "COMPLETED/Skipped"),
        ("all_success", "CANCELLED/UpstreamFailed"),
        ("after_skip", "COMPLETED/Skipped"),
        ("none_failed", "COMPLETED/Completed"),
        ("one_failed", "COMPLETED/Completed"),
        ("one_success", "COMPLETED/Completed"),
        ("all_done", "COMPLETED/Completed"),
    ] {
        assert_eq!(state_of(&host, &run, task), state, "{task}");
    }
}

#[test]
fn a_flow_that_takes_too_long_is_stopped() {
    let flows = flow(
        "  - {name: long, flow_name: flow, task_kind: sleep, task_config: {seconds: 3600}}
  - {name: clean, flow_name: flow, task_kind: transform, depends_on: [long], trigger_rule: always, task_config: {program: '\"clean\"'}}",
    )
    .replace("[{name: flow}]", "[{name: flow, timeout_seconds: 1}]");
    let host = Host::with(&flows).start();
    let run = host.run_to_end(NAME, &json!({}));
    assert_eq!(
        (&run["state"]["type"], &run["state"]["name"]),
        (&json!("FAILED"), &json!("TimedOut"))
    );
    assert_eq!(state_of(&host, &run, "clean"), "COMPLETED/Completed");
}

#[test]
fn pause_lets_nothing_start_and_resume_goes_on() {
    let host = Host::with(&flow(
        "  - {name: first, flow_name: flow, task_kind: sleep, task_config: {seconds: 1}}
  - {name: second, flow_name: flow, task_kind: transform, depends_on: [first], task_config: {program: '2'}}",
    ))
    .start();
    let id = host.run(NAME, &json!({}));
    let _ = host.wait_task(&id, "first", |task| task["state"]["type"] == "RUNNING");
    let _ = host.cli(&["flow-run", "pause", &id]).success();
    let _ = host.wait_task(&id, "first", |task| task["state"]["type"] == "COMPLETED");
    assert_eq!(host.flow_run(&id)["state"]["type"], "PAUSED");
    assert!(
        !host.task_runs(&id).contains_key("second")
            || state_of(&host, &json!({"id": id}), "second").starts_with("PENDING")
    );
    let _ = host.cli(&["flow-run", "resume", &id]).success();
    assert_eq!(host.wait(&id)["state"]["type"], "COMPLETED");
}

#[test]
fn an_idempotency_key_makes_one_run() {
    let host = Host::with(&flow(
        "  - {name: task, flow_name: flow, task_kind: transform, task_config: {program: '1'}}",
    ))
    .start();
    let (_, deployment) = host.get("/deployments/name/flow/deployment");
    let path = format!(
        "/deployments/{}/create_flow_run",
        deployment["id"].as_str().expect("an id")
    );
    let body = json!({"idempotency_key": "tonight"});
    let (first, one) = host.post(&path, &body);
    let (second, two) = host.post(&path, &body);
    assert_eq!((first, second), (201, 200));
    assert_eq!(one["id"], two["id"]);
}

#[test]
fn a_work_pool_never_runs_more_than_its_limit() {
    let flows = flow("  - {name: task, flow_name: flow, task_kind: sleep, task_config: {seconds: 0.3}}")
        .replace("concurrency_limit: 10", "concurrency_limit: 2");
    let host = Host::with(&flows).start();
    let runs: Vec<String> = (0..7).map(|_| host.run(NAME, &json!({}))).collect();
    let mut most = 0;
    wait_for("all runs to end", || {
        let (_, running) = host.post(
            "/flow_runs/count",
            &json!({"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}),
        );
        most = most.max(running.as_u64().expect("a count"));
        let (_, done) = host.post(
            "/flow_runs/count",
            &json!({"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}),
        );
        (done == json!(runs.len())).then_some(())
    });
    assert!((1..=2).contains(&most), "{most} ran at once");
}

#[test]
fn a_waiting_run_says_why() {
    let flows = flow("  - {name: task, flow_name: flow, task_kind: sleep, task_config: {seconds: 3600}}")
        .replace("concurrency_limit: 10", "concurrency_limit: 1");
    let host = Host::with(&flows).start();
    let first = host.run(NAME, &json!({}));
    let _ = host.wait_task(&first, "task", |task| task["state"]["type"] == "RUNNING");
    let second = host.run(NAME, &json!({}));
    let waiting = host.flow_run(&second);
    assert_eq!(waiting["state"]["type"], "SCHEDULED", "{waiting}");
    assert!(
        waiting["reason"].as_str().is_some_and(|reason| reason.contains("pool")),
        "{waiting}"
    );
    host.cancel(&first);
    let _ = host.wait_task(&second, "task", |task| task["state"]["type"] == "RUNNING");
}

#[test]
fn a_crash_in_the_middle_loses_nothing() {
    let mut host = Host::with(&flow(
        "  - {name: wait, flow_name: flow, task_kind: sleep, task_config: {seconds: 1.5}}
  - {name: work, flow_name: flow, celery_task_name: tests.add, task_args: [2, 3], depends_on: [wait]}
  - {name: more, flow_name: flow, task_kind: transform, depends_on: [work], inputs: {x: results.work}, task_config: {program: '.x + 1'}}",
    ))
    .start();
    let id = host.run(NAME, &json!({}));
    let _ = host.wait_task(&id, "wait", |task| task["state"]["type"] == "RUNNING");
    host.kill();
    host.serve();
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(host.result(&id, "more"), json!(6));
}

#[test]
fn a_stop_leaves_suspended_work_suspended() {
    let mut host = Host::with(&flow(
        "  - {name: task, flow_name: flow, task_kind: sleep, task_config: {seconds: 2}}",
    ))
    .start();
    let id = host.run(NAME, &json!({}));
    let _ = host.wait_task(&id, "task", |task| task["state"]["type"] == "RUNNING");
    host.stop();
    host.serve();
    assert_eq!(host.wait(&id)["state"]["type"], "COMPLETED");
    assert_eq!(states(&host, &id).len(), 1);
}
