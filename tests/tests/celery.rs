//! Against a real Redis and a stock Celery worker: every way in which a Celery task can end, and
//! what the host makes of it.

use grepx_tests::{Host, Pool, RedisServer, Worker, wait_for};
use redis::Commands as _;
use serde_json::{Value, json};

/// One flow with one task of this row.
fn one(task: &str) -> String {
    format!(
        "prefect_work_pools: [{{name: pool, concurrency_limit: 50}}]
prefect_flows: [{{name: flow}}]
prefect_tasks:
  - name: task
    flow_name: flow
{}
prefect_deployments: [{{name: deployment, flow_name: flow, work_pool_name: pool}}]
",
        task.lines().map(|line| format!("    {line}\n")).collect::<String>()
    )
}

const NAME: &str = "flow/deployment";

fn ran(redis: &RedisServer, name: &str) -> i64 {
    redis
        .connect()
        .get::<_, Option<i64>>(format!("ran:{name}"))
        .expect("a count")
        .unwrap_or(0)
}

fn message(task: &Value) -> &str {
    task["state"]["message"].as_str().unwrap_or_default()
}

fn both_pools(test: impl Fn(&RedisServer, Pool)) {
    for pool in [Pool::Prefork, Pool::Solo] {
        let redis = RedisServer::start();
        test(&redis, pool);
    }
}

#[test]
fn the_stock_pipeline_runs_on_a_stock_worker() {
    both_pools(|redis, pool| {
        let _worker = Worker::start(redis, pool, "celery");
        let flows = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../config/flows/stock_data_pipeline.yaml"
        ))
        .expect("the sample flow");
        let host = Host::with(&flows).broker(&redis.url()).start();
        let run = host.run_to_end("stock_data_pipeline/stock_data_pipeline_daily", &json!({}));
        assert_eq!(run["state"]["type"], "COMPLETED", "{run}");
        let id = run["id"].as_str().expect("an id");
        let download = host.result(id, "download_stock_data_task");
        assert_eq!(
            (&download["ticker"], &download["period"]),
            (&json!("AAPL"), &json!("1mo"))
        );
        assert!(host.result(id, "calculate_indicators_task")["rsi"].is_number());
        assert_eq!((ran(redis, "download:AAPL"), ran(redis, "rsi:AAPL")), (1, 1));
    });
}

#[test]
fn arguments_arrive_as_they_are() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(&one("celery_task_name: tests.echo
task_args: [1, 2.5, null, \"žluť 🦀\"]
task_kwargs: {nested: {a: [true]}, text: \"line\\nline\"}
inputs: {who: params.who}"))
    .broker(&redis.url())
    .start();
    let run = host.run_to_end(NAME, &json!({"who": "日本"}));
    let result = host.result(run["id"].as_str().expect("an id"), "task");
    assert_eq!(
        result,
        json!({
            "args": [1, 2.5, null, "žluť 🦀"],
            "kwargs": {"nested": {"a": [true]}, "text": "line\nline", "who": "日本"},
        })
    );
}

#[test]
fn a_failure_has_type_message_and_traceback() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(&one(
        "celery_task_name: tests.fail\ntask_kwargs: {message: broken glass}",
    ))
    .broker(&redis.url())
    .start();
    let run = host.run_to_end(NAME, &json!({}));
    assert_eq!(run["state"]["type"], "FAILED");
    let id = run["id"].as_str().expect("an id");
    let task = &host.task_runs(id)["task"];
    assert!(message(task).contains("ValueError: broken glass"), "{task}");
    let logs = host.logs(id);
    assert!(
        logs.contains("Traceback (most recent call last)") && logs.contains("raise ValueError"),
        "{logs}"
    );
}

#[test]
fn a_flaky_task_is_retried_by_our_policy_and_runs_as_often_as_it_should() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let host = Host::with(&one("celery_task_name: tests.flaky
retry_config: {max_retries: 3, retry_delay_seconds: 0}"))
    .broker(&redis.url())
    .start();
    let run = host.run_to_end(NAME, &json!({}));
    assert_eq!(
        run["state"]["type"],
        "COMPLETED",
        "{}",
        host.logs(run["id"].as_str().expect("an id"))
    );
    assert_eq!(ran(&redis, "flaky"), 3);
    assert_eq!(
        host.task_runs(run["id"].as_str().expect("an id"))["task"]["run_count"],
        3
    );
}

#[test]
fn retries_end_where_the_policy_says() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(&one("celery_task_name: tests.flaky
task_kwargs: {fails: 100}
retry_config: {max_retries: 2, retry_delay_seconds: [0, 0.01]}"))
    .broker(&redis.url())
    .start();
    let run = host.run_to_end(NAME, &json!({}));
    assert_eq!(run["state"]["type"], "FAILED");
    assert_eq!(ran(&redis, "flaky"), 3, "one attempt and two retries");
}

#[test]
fn a_timeout_revokes_what_runs() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let host = Host::with(&one("celery_task_name: tests.slow
task_kwargs: {seconds: 30}
timeout_seconds: 1
task_config: {send_time_limit: false}"))
    .broker(&redis.url())
    .start();
    let run = host.run_to_end(NAME, &json!({}));
    let task = host.task_runs(run["id"].as_str().expect("an id"))["task"].clone();
    assert_eq!(task["state"]["name"], "TimedOut", "{task}");
    assert_eq!(task["state"]["type"], "FAILED");
    revoked(&redis, &task);
    assert_eq!((ran(&redis, "slow:started"), ran(&redis, "slow:finished")), (1, 0));
}

/// The worker itself has written that the task was revoked.
fn revoked(redis: &RedisServer, task: &Value) {
    let id = task["external_id"].as_str().expect("the Celery id");
    wait_for("the worker to revoke", || {
        let meta: Option<String> = redis
            .connect()
            .get(format!("celery-task-meta-{id}"))
            .expect("Redis answers");
        let meta: Value = serde_json::from_str(&meta?).expect("a result");
        (meta["status"] == "REVOKED").then_some(())
    });
}

#[test]
fn a_cancel_revokes_what_runs_and_what_waits() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let host = Host::with(
        "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}]
prefect_tasks:
  - {name: long, flow_name: flow, celery_task_name: tests.slow, task_kwargs: {name: long}}
  - {name: nobody, flow_name: flow, celery_task_name: tests.slow, task_kwargs: {name: nobody}, task_config: {queue: no-such-queue}}
  - {name: after, flow_name: flow, celery_task_name: tests.echo, depends_on: [long]}
prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool}]
",
    )
    .broker(&redis.url())
    .start();
    let id = host.run(NAME, &json!({}));
    wait_for("the task to run", || (ran(&redis, "long:started") == 1).then_some(()));
    host.cancel(&id);
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "CANCELLED", "{run}");
    let tasks = host.task_runs(&id);
    for name in ["long", "nobody", "after"] {
        assert_eq!(tasks[name]["state"]["type"], "CANCELLED", "{name}");
    }
    revoked(&redis, &tasks["long"]);
    wait_for("the message to be withdrawn", || {
        let left: i64 = redis.connect().llen("no-such-queue").expect("Redis answers");
        (left == 0).then_some(())
    });
    assert_eq!(
        (
            ran(&redis, "long:finished"),
            ran(&redis, "nobody:started"),
            ran(&redis, "echo")
        ),
        (0, 0, 0)
    );
}

/// Some run, some lie in the worker's prefetch, the others in the queue: none may be forgotten.
#[test]
fn a_cancel_reaches_every_item_of_a_mapped_task() {
    const ITEMS: i64 = 40;
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let host = Host::with(&one("celery_task_name: tests.slow
task_kwargs: {seconds: 30, name: mapped}
for_each: range(40) | list"))
    .broker(&redis.url())
    .start();
    let id = host.run(NAME, &json!({}));
    let queued = || redis.connect().llen::<_, i64>("celery").expect("Redis answers");
    // The worker takes no more once its prefetch is full: the length stays the same.
    let mut lengths = vec![];
    let left = wait_for("the worker to be full", || {
        lengths.push(queued());
        let full = lengths.len() > 25 && lengths[lengths.len() - 25..].iter().all(|one| *one == queued());
        (full && ran(&redis, "mapped:started") == 4).then(queued)
    });
    assert!((1..ITEMS).contains(&left), "{left} are left in the queue");
    host.cancel(&id);
    assert_eq!(host.wait(&id)["state"]["type"], "CANCELLED");
    let tasks = host.task_runs(&id);
    assert!(
        tasks.values().all(|task| task["reason"].is_null()),
        "an ended task run waits for nothing"
    );
    let ids: Vec<&str> = tasks.values().filter_map(|task| task["external_id"].as_str()).collect();
    wait_for("the worker to revoke all that it had taken", || {
        let mut connection = redis.connect();
        let revoked = ids.iter().filter(|celery| {
            let meta: Option<String> = connection
                .get(format!("celery-task-meta-{celery}"))
                .expect("Redis answers");
            meta.is_some_and(|meta| meta.contains("REVOKED"))
        });
        (revoked.count() as i64 == ITEMS - left).then_some(())
    });
    assert_eq!((queued(), ran(&redis, "mapped:finished")), (0, 0));
}

#[test]
fn results_that_strict_json_cannot_hold() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(&one("celery_task_name: tests.nan"))
        .broker(&redis.url())
        .start();
    let run = host.run_to_end(NAME, &json!({}));
    assert_eq!(run["state"]["type"], "COMPLETED");
    let result = host.result(run["id"].as_str().expect("an id"), "task");
    assert_eq!(result["c"], 1.5);
    assert_eq!(result["b"].as_array().map(Vec::len), Some(2));
}

#[test]
fn five_megabytes_come_through_and_too_much_is_a_clear_failure() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(&one("celery_task_name: tests.big\ninputs: {size: params.size}"))
        .broker(&redis.url())
        .start();
    let run = host.run_to_end(NAME, &json!({"size": 5_000_000}));
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", run["state"]);
    let result = host.result(run["id"].as_str().expect("an id"), "task");
    assert_eq!(result.as_str().map(str::len), Some(5_000_000));
    let run = host.run_to_end(NAME, &json!({"size": 9_000_000}));
    let task = &host.task_runs(run["id"].as_str().expect("an id"))["task"];
    assert_eq!(task["state"]["type"], "FAILED");
    assert!(message(task).contains("result-too-large"), "{task}");
}

#[test]
fn an_unserialisable_result_says_what_to_return_instead() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(&one(
        "celery_task_name: tests.unserialisable\nretry_config: {max_retries: 2}",
    ))
    .broker(&redis.url())
    .start();
    let run = host.run_to_end(NAME, &json!({}));
    let task = &host.task_runs(run["id"].as_str().expect("an id"))["task"];
    assert_eq!(task["state"]["type"], "FAILED");
    assert_eq!(task["run_count"], 1, "it would fail again");
    assert!(message(task).contains("JSON"), "{task}");
}

#[test]
fn an_unknown_task_is_a_deployment_error_and_not_retried() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(&one("celery_task_name: no.such.task\nretry_config: {max_retries: 3}"))
        .broker(&redis.url())
        .start();
    let run = host.run_to_end(NAME, &json!({}));
    let task = &host.task_runs(run["id"].as_str().expect("an id"))["task"];
    assert_eq!(
        (&task["state"]["type"], &task["run_count"]),
        (&json!("FAILED"), &json!(1))
    );
    assert!(
        message(task).contains("celery-not-registered") && message(task).contains("no.such.task"),
        "{task}"
    );
}

#[test]
fn a_lost_worker_process_is_told_from_a_failure() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let host = Host::with(&one("celery_task_name: tests.die"))
        .broker(&redis.url())
        .start();
    let run = host.run_to_end(NAME, &json!({}));
    let task = &host.task_runs(run["id"].as_str().expect("an id"))["task"];
    assert!(message(task).contains("celery-worker-lost"), "{task}");
    assert_eq!(ran(&redis, "die"), 1);
}

#[test]
fn without_a_worker_the_reason_is_told_and_a_later_worker_takes_the_task() {
    let redis = RedisServer::start();
    let host = Host::with(&one("celery_task_name: tests.echo"))
        .broker(&redis.url())
        .start();
    let id = host.run(NAME, &json!({}));
    let waiting = host.wait_task(&id, "task", |task| task["reason"].is_string());
    let reason = waiting["reason"].as_str().expect("a reason");
    assert!(reason.contains("no worker"), "{reason}");
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    assert_eq!(host.wait(&id)["state"]["type"], "COMPLETED");
    assert_eq!(ran(&redis, "echo"), 1);
}

#[test]
fn a_worker_of_the_queue_that_lacks_nothing_is_asked_by_its_queue() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "other");
    let host = Host::with(&one(
        "celery_task_name: tests.echo\ntask_config: {queue: other, priority: 3}",
    ))
    .broker(&redis.url())
    .start();
    assert_eq!(host.run_to_end(NAME, &json!({}))["state"]["type"], "COMPLETED");
}

#[test]
fn a_result_backend_that_nobody_writes_to_is_named() {
    let (redis, elsewhere) = (RedisServer::start(), RedisServer::start());
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(&one("celery_task_name: tests.echo\ntimeout_seconds: 8"))
        .config(&format!(
            "celery:\n  broker_url: {}\n  result_backend: {}",
            redis.url(),
            elsewhere.url()
        ))
        .start();
    let id = host.run(NAME, &json!({}));
    let waiting = host.wait_task(&id, "task", |task| task["reason"].is_string());
    let reason = waiting["reason"].as_str().expect("a reason").to_owned();
    assert!(
        reason.contains("result_backend") && reason.contains("127.0.0.1"),
        "{reason}"
    );
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "FAILED", "{run}");
    let task = &host.task_runs(&id)["task"];
    assert!(message(task).contains("timed-out"), "{task}");
    assert!(host.logs(&id).contains("result_backend"), "{}", host.logs(&id));
}

#[test]
fn the_tasks_own_retries_and_progress_are_waited_through() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let host = Host::with(
        "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}]
prefect_tasks:
  - {name: own, flow_name: flow, celery_task_name: tests.own_retry}
  - {name: progress, flow_name: flow, celery_task_name: tests.progress}
prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool}]
",
    )
    .broker(&redis.url())
    .start();
    let run = host.run_to_end(NAME, &json!({}));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(id));
    assert_eq!(host.result(id, "own"), json!({"ran": 3}));
    assert_eq!(host.result(id, "progress"), json!("done"));
    assert_eq!(host.task_runs(id)["own"]["run_count"], 1, "one attempt of ours");
}

#[test]
fn five_hundred_tasks_at_once_run_once_each() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let host = Host::with(&one("celery_task_name: tests.count
for_each: range(500) | list
inputs: {number: item}"))
    .broker(&redis.url())
    .start();
    let run = host.run_to_end(NAME, &json!({}));
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", run["state"]);
    assert_eq!(ran(&redis, "counted"), 500);
}

#[test]
fn a_restart_of_the_host_neither_loses_nor_repeats_a_task() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let mut host = Host::with(&one(
        "celery_task_name: tests.slow\ntask_kwargs: {seconds: 2, name: slow}",
    ))
    .broker(&redis.url())
    .start();
    let id = host.run(NAME, &json!({}));
    wait_for("the task to run", || (ran(&redis, "slow:started") == 1).then_some(()));
    host.kill();
    host.serve();
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!((ran(&redis, "slow:started"), ran(&redis, "slow:finished")), (1, 1));
}

#[test]
fn redis_may_come_later() {
    let mut redis = RedisServer::start();
    redis.kill();
    let host = Host::with(&one("celery_task_name: tests.echo"))
        .broker(&redis.url())
        .start();
    let id = host.run(NAME, &json!({}));
    let waiting = host.wait_task(&id, "task", |task| task["reason"].is_string());
    assert!(
        waiting["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("celery")),
        "{waiting}"
    );
    redis.restart();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    assert_eq!(host.wait(&id)["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(ran(&redis, "echo"), 1);
}
