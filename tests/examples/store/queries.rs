//! What the command lines and clients ask, ours and Prefect's: every sort, every filter, together.

use serde_json::{Value, json};

use super::fill::{EVERY_MS, FIRST_AT};

/// A name, a path below the API, and a body when it is a POST.
pub(crate) type Query = (String, String, Option<Value>);

const FLOW_RUN_SORTS: [&str; 9] = [
    "ID_DESC",
    "START_TIME_ASC",
    "START_TIME_DESC",
    "EXPECTED_START_TIME_ASC",
    "EXPECTED_START_TIME_DESC",
    "NAME_ASC",
    "NAME_DESC",
    "NEXT_SCHEDULED_START_TIME_ASC",
    "END_TIME_DESC",
];
const TASK_RUN_SORTS: [&str; 7] = [
    "ID_DESC",
    "EXPECTED_START_TIME_ASC",
    "EXPECTED_START_TIME_DESC",
    "START_TIME_ASC",
    "END_TIME_DESC",
    "NAME_ASC",
    "NAME_DESC",
];

pub(crate) fn all(flow_runs: i64) -> Vec<Query> {
    let mut queries = Vec::new();
    for (name, filter) in flow_run_filters().into_iter().chain(flow_run_periods(flow_runs)) {
        let sorts = if filter == json!({}) {
            &FLOW_RUN_SORTS[..]
        } else {
            &[
                "EXPECTED_START_TIME_DESC",
                "START_TIME_DESC",
                "END_TIME_DESC",
                "NEXT_SCHEDULED_START_TIME_ASC",
            ][..]
        };
        for sort in sorts {
            let mut body = filter.clone();
            body["sort"] = json!(sort);
            queries.push(post(format!("flow runs, {name}, {sort}"), "/flow_runs/filter", body));
        }
        queries.push(post(format!("flow runs, {name}, counted"), "/flow_runs/count", filter));
    }
    for offset in [1_000, flow_runs / 10, flow_runs - 1_000] {
        let body = json!({"offset": offset, "sort": "EXPECTED_START_TIME_DESC"});
        queries.push(post(format!("flow runs from {offset} on"), "/flow_runs/filter", body));
    }
    for (name, filter) in task_run_filters(flow_runs) {
        let sorts = if filter == json!({}) {
            &TASK_RUN_SORTS[..]
        } else {
            &["EXPECTED_START_TIME_DESC", "END_TIME_DESC"][..]
        };
        for sort in sorts {
            let mut body = filter.clone();
            body["sort"] = json!(sort);
            queries.push(post(format!("task runs, {name}, {sort}"), "/task_runs/filter", body));
        }
        queries.push(post(format!("task runs, {name}, counted"), "/task_runs/count", filter));
    }
    queries.extend(others(flow_runs));
    queries
}

fn post(name: String, path: &str, body: Value) -> Query {
    (name, path.to_owned(), Some(body))
}

fn flow_run_filters() -> Vec<(&'static str, Value)> {
    let state = |word: &str| json!({"state": {"type": {"any_": [word]}}});
    vec![
        ("all", json!({})),
        ("completed", json!({"flow_runs": state("COMPLETED")})),
        ("failed", json!({"flow_runs": state("FAILED")})),
        ("crashed, which are few", json!({"flow_runs": state("CRASHED")})),
        ("running, which is nobody", json!({"flow_runs": state("RUNNING")})),
        (
            "failed or crashed",
            json!({"flow_runs": {"state": {"type": {"any_": ["FAILED", "CRASHED"]}}}}),
        ),
        (
            "by state name",
            json!({"flow_runs": {"state": {"name": {"any_": ["TimedOut"]}}}}),
        ),
        ("late", json!({"flow_runs": {"state": {"name": {"any_": ["Late"]}}}})),
        ("of a busy flow", json!({"flows": {"name": {"any_": ["flow-3"]}}})),
        ("of a quiet flow", json!({"flows": {"name": {"any_": ["flow-199"]}}})),
        ("of a retired flow", json!({"flows": {"name": {"any_": ["retired"]}}})),
        ("of flows like", json!({"flows": {"name": {"like_": "flow-1"}}})),
        (
            "failed of a flow",
            json!({"flows": {"name": {"any_": ["flow-3"]}}, "flow_runs": state("FAILED")}),
        ),
        (
            "crashed of the retired",
            json!({"flows": {"name": {"any_": ["retired"]}}, "flow_runs": state("CRASHED")}),
        ),
        (
            "of a deployment",
            json!({"deployments": {"name": {"any_": ["deployment-3"]}}}),
        ),
        (
            "of a rare deployment",
            json!({"deployments": {"name": {"any_": ["deployment-990"]}}}),
        ),
        ("of a pool", json!({"work_pools": {"name": {"any_": ["pool-3"]}}})),
        (
            "of a queue of a pool",
            json!({"work_pools": {"name": {"any_": ["pool-3"]}}, "work_pool_queues": {"name": {"any_": ["fast"]}}}),
        ),
        (
            "with a tag of many",
            json!({"flow_runs": {"tags": {"all_": ["team-3"]}}}),
        ),
        ("with a rare tag", json!({"flow_runs": {"tags": {"all_": ["rare"]}}})),
        (
            "with two tags",
            json!({"flow_runs": {"tags": {"all_": ["team-3", "rare"]}}}),
        ),
        (
            "with a tag that nobody has",
            json!({"flow_runs": {"tags": {"all_": ["none"]}}}),
        ),
        ("by name", json!({"flow_runs": {"name": {"any_": ["run-77"]}}})),
        (
            "by a part of the name",
            json!({"flow_runs": {"name": {"like_": "run-77"}}}),
        ),
        (
            "by a key",
            json!({"flow_runs": {"idempotency_key": {"any_": ["none"]}}}),
        ),
    ]
}

fn flow_run_periods(flow_runs: i64) -> Vec<(&'static str, Value)> {
    vec![
        (
            "of the last hour",
            json!({"flow_runs": {"expected_start_time": within(flow_runs, 360)}}),
        ),
        (
            "of the last week",
            json!({"flow_runs": {"expected_start_time": within(flow_runs, 60_480)}}),
        ),
        (
            "started in an old day",
            json!({"flow_runs": {"start_time": {
            "after_": instant(flow_runs / 4), "before_": instant(flow_runs / 4 + 8_640)}}}),
        ),
        (
            "failed of a flow in a week, tagged",
            json!({"flows": {"name": {"any_": ["flow-3"]}}, "flow_runs": {
                "state": {"type": {"any_": ["FAILED"]}}, "tags": {"all_": ["nightly"]},
                "expected_start_time": within(flow_runs, 60_480)}}),
        ),
    ]
}

fn task_run_filters(flow_runs: i64) -> Vec<(&'static str, Value)> {
    let state = |word: &str| json!({"state": {"type": {"any_": [word]}}});
    vec![
        ("all", json!({})),
        ("completed", json!({"task_runs": state("COMPLETED")})),
        ("failed", json!({"task_runs": state("FAILED")})),
        ("running, which is nobody", json!({"task_runs": state("RUNNING")})),
        (
            "by state name",
            json!({"task_runs": {"state": {"name": {"any_": ["Skipped"]}}}}),
        ),
        ("by name", json!({"task_runs": {"name": {"any_": ["task_7"]}}})),
        (
            "failed by name",
            json!({"task_runs": {"name": {"any_": ["task_7"]}, "state": {"type": {"any_": ["FAILED"]}}}}),
        ),
        ("of a busy flow", json!({"flows": {"name": {"any_": ["flow-3"]}}})),
        (
            "of a rare deployment",
            json!({"deployments": {"name": {"any_": ["deployment-990"]}}}),
        ),
        ("with a tag", json!({"task_runs": {"tags": {"all_": ["gpu"]}}})),
        (
            "of the last hour",
            json!({"task_runs": {"expected_start_time": within(flow_runs, 360)}}),
        ),
    ]
}

fn others(flow_runs: i64) -> Vec<Query> {
    let period = within(flow_runs, 8_640);
    let history = json!({"history_start": period["after_"], "history_end": period["before_"],
        "history_interval_seconds": 3_600});
    vec![
        post("work pools".to_owned(), "/work_pools/filter", json!({})),
        post("work queues".to_owned(), "/work_queues/filter", json!({})),
        post("flows".to_owned(), "/flows/filter", json!({})),
        post("deployments".to_owned(), "/deployments/filter", json!({})),
        post("flow run history of a day".to_owned(), "/flow_runs/history", history),
        post("lateness".to_owned(), "/flow_runs/lateness", json!({})),
        post(
            "scheduled of a pool".to_owned(),
            "/work_pools/pool-3/get_scheduled_flow_runs",
            json!({}),
        ),
        post(
            "newest log lines".to_owned(),
            "/logs/filter",
            json!({"sort": "TIMESTAMP_DESC"}),
        ),
    ]
}

/// The last so many flow runs.
fn within(flow_runs: i64, last: i64) -> Value {
    json!({"after_": instant(flow_runs - last), "before_": instant(flow_runs)})
}

fn instant(place: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(FIRST_AT + place * EVERY_MS).expect("in range");
    at.to_rfc3339()
}
