//! The kinds that wait for somebody or something outside, through the real binary and its API.

use grepx_tests::{Host, wait_for};
use serde_json::{Value, json};

const POOL: &str = "prefect_work_pools: [{name: pool, concurrency_limit: 10}]\n";

fn one(task: &str) -> String {
    format!(
        "{POOL}prefect_flows: [{{name: flow}}]
prefect_tasks:
{task}
prefect_deployments: [{{name: deployment, flow_name: flow, work_pool_name: pool}}]
"
    )
}

const NAME: &str = "flow/deployment";

/// The task run as soon as it waits for something whose status contains `status`.
fn waiting(host: &Host, run: &str, task: &str, status: &str) -> Value {
    host.wait_task(run, task, |found| {
        found["status"].as_str().is_some_and(|said| said.contains(status))
    })
}

fn signal(host: &Host, task: &Value, name: &str, payload: &Value) -> (u16, Value) {
    let id = task["id"].as_str().expect("an id");
    host.post(&format!("/task_runs/{id}/signal/{name}"), payload)
}

fn state_of(host: &Host, run: &str, task: &str) -> String {
    let tasks = host.task_runs(run);
    let state = &tasks[task]["state"];
    format!(
        "{}/{}",
        state["type"].as_str().unwrap_or("-"),
        state["name"].as_str().unwrap_or("-")
    )
}

const SIGN_OFF: &str = "  - {name: sign_off, flow_name: flow, task_kind: approval, inputs: {message: \"'Sell ' + params.ticker + '?'\"}, task_config: {approvers: the desk, form: {type: object, required: [limit], properties: {limit: {type: integer, minimum: 1}}}}}
  - {name: after, flow_name: flow, task_kind: transform, depends_on: [sign_off], inputs: {decision: results.sign_off}, task_config: {program: '{limit: .decision.form.limit, by: .decision.by}'}}";

#[test]
fn an_approval_waits_over_a_restart_and_takes_only_what_fits_its_form() {
    let mut host = Host::with(&one(SIGN_OFF)).start();
    let run = host.run(NAME, &json!({"ticker": "AAPL"}));
    let task = waiting(&host, &run, "sign_off", "Sell AAPL? (by the desk)");
    assert_eq!(task["state"]["type"], "RUNNING");

    let (status, answer) = signal(&host, &task, "nonsense", &json!({}));
    assert_eq!(status, 409, "{answer}");
    assert!(
        answer["detail"].as_str().is_some_and(|why| why.contains("approve")),
        "{answer}"
    );
    let (status, answer) = signal(&host, &task, "approve", &json!({"by": "ann", "form": {"limit": 0}}));
    assert_eq!(status, 200, "{answer}");
    let task = waiting(&host, &run, "sign_off", "the last answer was not taken: form.limit");
    assert!(
        host.logs(&run)
            .contains("an answer (approve) is not taken: form.limit: has to be")
    );

    host.kill();
    host.serve();
    let (status, answer) = signal(&host, &task, "approve", &json!({"by": "ann", "form": {"limit": 5}}));
    assert_eq!(status, 200, "{answer}");
    let ended = host.wait(&run);
    assert_eq!(ended["state"]["type"], "COMPLETED", "{}", host.logs(&run));
    assert_eq!(host.result(&run, "after"), json!({"limit": 5, "by": "ann"}));
    let (status, _) = signal(&host, &task, "approve", &json!({}));
    assert_eq!(status, 409, "it has ended");
}

#[test]
fn a_rejection_fails_the_task_for_good() {
    let host = Host::with(&one(
        "  - {name: sign_off, flow_name: flow, task_kind: approval, retry_config: {max_retries: 3}}",
    ))
    .start();
    let run = host.run(NAME, &json!({}));
    let task = waiting(&host, &run, "sign_off", "waits for approval");
    let outcome = host.cli(&[
        "task-run",
        "signal",
        task["id"].as_str().expect("an id"),
        "decide",
        "--data",
        r#"{"approved": false, "by": "bob", "note": "no"}"#,
    ]);
    let _ = outcome.success();
    assert_eq!(host.wait(&run)["state"]["type"], "FAILED");
    let tasks = host.task_runs(&run);
    let state = &tasks["sign_off"]["state"];
    assert!(
        state["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("rejected by bob: no")),
        "{state}"
    );
    assert_eq!(tasks["sign_off"]["attempt"], 1, "a rejection is not retried");
}

#[test]
fn an_approval_that_nobody_gives_expires() {
    let host = Host::with(&one(
        "  - {name: fails, flow_name: flow, task_kind: approval, task_config: {expires_in_seconds: 0.2}}
  - {name: approves, flow_name: flow, task_kind: approval, task_config: {expires_in_seconds: 0.2, on_expiry: approve}}
  - {name: rejects, flow_name: flow, task_kind: approval, task_config: {expires_in_seconds: 0.2, on_expiry: reject}}",
    ))
    .start();
    let run = host.run_to_end(NAME, &json!({}));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(state_of(&host, id, "fails"), "FAILED/TimedOut");
    assert_eq!(state_of(&host, id, "rejects"), "FAILED/Failed");
    assert_eq!(state_of(&host, id, "approves"), "COMPLETED/Completed");
    assert_eq!(host.result(id, "approves")["expired"], true);
}

/// A flow that runs another one.
fn nested(parent: &str, child: &str) -> String {
    format!(
        "{POOL}prefect_flows: [{{name: parent}}, {{name: child, parameters_schema: {{properties: {{n: {{type: integer}}}}}}}}]
prefect_tasks:
{parent}
{child}
prefect_deployments: [{{name: up, flow_name: parent, work_pool_name: pool}}, {{name: down, flow_name: child, work_pool_name: pool}}]
"
    )
}

const DOUBLE: &str = "  - {name: numbers, flow_name: child, task_kind: transform, inputs: {n: params.n}, task_config: {program: '[range(.n)]'}}
  - {name: double, flow_name: child, task_kind: transform, depends_on: [numbers], for_each: results.numbers, inputs: {x: item}, task_config: {program: '.x * 2'}}
  - {name: sum, flow_name: child, task_kind: transform, depends_on: [numbers], inputs: {all: results.numbers}, task_config: {program: '.all | add'}}";
const FOREVER: &str = "  - {name: long, flow_name: child, task_kind: sleep, task_config: {seconds: 3600}}";

/// The child runs of a task run.
fn children(host: &Host, task: &Value) -> Vec<Value> {
    let body = json!({"flow_runs": {"parent_task_run_id": {"any_": [task["id"]]}}});
    let (status, found) = host.post("/flow_runs/filter", &body);
    assert_eq!(status, 200, "{found}");
    found.as_array().cloned().unwrap_or_default()
}

#[test]
fn a_subflow_gives_the_results_of_its_last_tasks() {
    let parent = "  - {name: call, flow_name: parent, task_kind: subflow, inputs: {parameters: '{\"n\": params.n}'}, task_config: {deployment: child/down}}
  - {name: read, flow_name: parent, task_kind: transform, depends_on: [call], inputs: {all: results.call.results}, task_config: {program: .all}}";
    let host = Host::with(&nested(parent, DOUBLE)).start();
    let run = host.run_to_end("parent/up", &json!({"n": 4}));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(id));
    assert_eq!(host.result(id, "read"), json!({"double": [0, 2, 4, 6], "sum": 6}));
    let found = children(&host, &host.task_runs(id)["call"]);
    assert_eq!(found.len(), 1);
    assert_eq!(host.result(id, "call")["flow_run_id"], found[0]["id"]);
}

#[test]
fn a_subflow_that_fails_fails_with_its_own_message_and_a_retry_runs_it_again() {
    let parent = "  - {name: call, flow_name: parent, task_kind: subflow, task_config: {deployment: down}, retry_config: {max_retries: 1}}
  - {name: nobody, flow_name: parent, task_kind: subflow, task_config: {deployment: parent/down}}
  - {name: unfit, flow_name: parent, task_kind: subflow, task_config: {deployment: child/down, parameters: {n: many}}}";
    let child =
        "  - {name: broken, flow_name: child, task_kind: transform, task_config: {program: 'error(\"no prices\")'}}";
    let host = Host::with(&nested(parent, child)).start();
    let run = host.run_to_end("parent/up", &json!({}));
    let id = run["id"].as_str().expect("an id");
    let tasks = host.task_runs(id);
    let message = |task: &str| tasks[task]["state"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(
        message("call").contains("ended as Failed: 1 of 1 task runs failed: broken"),
        "{}",
        message("call")
    );
    assert_eq!(
        children(&host, &tasks["call"]).len(),
        2,
        "each attempt has a run of its own"
    );
    assert!(
        message("nobody").contains("there is no deployment"),
        "{}",
        message("nobody")
    );
    assert!(
        message("unfit").contains("do not fit child/down"),
        "{}",
        message("unfit")
    );
}

#[test]
fn a_subflow_without_waiting_ends_when_the_run_exists() {
    let parent =
        "  - {name: call, flow_name: parent, task_kind: subflow, task_config: {deployment: child/down, wait: false}}";
    let host = Host::with(&nested(parent, FOREVER)).start();
    let run = host.run_to_end("parent/up", &json!({}));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(id));
    let started = host.result(id, "call");
    let child = started["flow_run_id"].as_str().expect("an id");
    let _ = host.wait_task(child, "long", |task| task["state"]["type"] == "RUNNING");
    host.cancel(child);
    assert_eq!(host.wait(child)["state"]["type"], "CANCELLED");
}

#[test]
fn cancelling_a_flow_run_cancels_the_runs_below_it() {
    let parent = "  - {name: call, flow_name: parent, task_kind: subflow, task_config: {deployment: middle/mid}}";
    let flows = nested(parent, FOREVER)
        .replace("{name: child,", "{name: middle}, {name: child,")
        .replace("{name: down,", "{name: mid, flow_name: middle, work_pool_name: pool}, {name: down,")
        .replace(
            "prefect_tasks:",
            "prefect_tasks:\n  - {name: call_again, flow_name: middle, task_kind: subflow, task_config: {deployment: child/down}}",
        );
    let mut host = Host::with(&flows).start();
    let run = host.run("parent/up", &json!({}));
    let call = waiting(&host, &run, "call", "waits for flow run");
    let middle = children(&host, &call)[0]["id"].as_str().expect("an id").to_owned();
    let again = waiting(&host, &middle, "call_again", "waits for flow run");
    let child = children(&host, &again)[0]["id"].as_str().expect("an id").to_owned();
    let _ = host.wait_task(&child, "long", |task| task["state"]["type"] == "RUNNING");

    host.kill();
    host.serve();
    host.cancel(&run);
    // The cancel is on disk; what follows from it has to follow all the same.
    host.kill();
    host.serve();
    for one in [&run, &middle, &child] {
        assert_eq!(host.wait(one)["state"]["type"], "CANCELLED", "{}", host.logs(one));
    }
    assert_eq!(state_of(&host, &child, "long"), "CANCELLED/Cancelled");
}

#[test]
fn a_subflow_that_takes_too_long_takes_its_run_along() {
    let parent = "  - {name: call, flow_name: parent, task_kind: subflow, timeout_seconds: 1, task_config: {deployment: child/down}}";
    let host = Host::with(&nested(parent, FOREVER)).start();
    let run = host.run_to_end("parent/up", &json!({}));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(state_of(&host, id, "call"), "FAILED/TimedOut");
    let call = &host.task_runs(id)["call"];
    let child = wait_for("the child run", || children(&host, call).pop());
    let child = host.wait(child["id"].as_str().expect("an id"));
    assert_eq!(child["state"]["type"], "CANCELLED");
}

#[test]
fn a_flow_that_runs_itself_ends() {
    let parent = "  - {name: call, flow_name: parent, task_kind: subflow, task_config: {deployment: parent/up}}";
    let host = Host::with(&nested(parent, FOREVER).replace("concurrency_limit: 10", "concurrency_limit: 100")).start();
    let run = host.run_to_end("parent/up", &json!({}));
    assert_eq!(run["state"]["type"], "FAILED");
    let (_, count) = host.post("/flow_runs/count", &json!({}));
    assert_eq!(count, json!(16), "no more than may stand above each other");
}
