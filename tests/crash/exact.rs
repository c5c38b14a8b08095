//! Crashes at one instant each, for what the mixed load has found or cannot see.

#![allow(
    clippy::disallowed_methods,
    reason = "a look from outside at what the host has written"
)]

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use grepx_tests::{Host, Pool, RedisServer, Worker, wait_at_most, wait_for};
use redis::Commands as _;
use serde_json::{Value, json};

/// Serves with a failpoint until the host dies of it; `each` is asked meanwhile.
pub(crate) fn dies_at(host: &mut Host, point: &str, mut each: impl FnMut(&Host)) {
    host.spawn(&[("GREPX_FAILPOINT", point)]);
    let _ = host.comes_up();
    let status = wait_for(&format!("the host to die at {point}"), || {
        each(host);
        host.process.as_mut().expect("it was started").ended()
    });
    assert_eq!(status.signal(), Some(9), "{}", host.output());
    host.kill();
}

pub(crate) fn count(host: &Host, table: &str) -> i64 {
    let path = host.folder().join("state/grepx-host.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(path, flags).expect("the run database");
    database
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
        .expect("a count")
}

fn deployment(host: &Host) -> String {
    let (status, found) = host.get("/deployments/name/flow/deployment");
    assert_eq!(status, 200, "{found}");
    found["id"].as_str().expect("an id").to_owned()
}

fn flow(task: &str, deployment: &str) -> String {
    format!(
        "prefect_work_pools: [{{name: pool}}]\nprefect_flows: [{{name: flow}}]\n\
         prefect_tasks: [{{name: task, flow_name: flow, {task}}}]\n\
         prefect_deployments: [{{name: deployment, flow_name: flow, work_pool_name: pool, {deployment}}}]\n"
    )
}

/// The message is out of its queue, and the host dies before it has written that down: the next one
/// must not take it for a message that a worker has, and revoke it for a day.
#[test]
fn a_withdrawal_is_made_once_and_remembered() {
    let redis = RedisServer::start();
    let task = "celery_task_name: tests.echo, task_config: {queue: nobody}";
    let mut host = Host::with(&flow(task, "tags: []")).broker(&redis.url()).prepare();
    for (round, point) in ["outbox.before-withdraw", "outbox.after-withdraw", "outbox.stop-done"]
        .into_iter()
        .enumerate()
    {
        host.serve();
        let id = host.run("flow/deployment", &json!({}));
        wait_for("the message", || {
            let length: i64 = redis.connect().llen("nobody").expect("Redis answers");
            (length == 1).then_some(())
        });
        host.kill();
        let mut asked = false;
        dies_at(&mut host, point, |host| {
            let cancel = json!({"state": {"type": "CANCELLING"}});
            asked |= asked || host.try_post(&format!("/flow_runs/{id}/set_state"), &cancel).is_some();
        });
        host.serve();
        assert_eq!(host.wait(&id)["state"]["type"], "CANCELLED", "{point}");
        wait_for("the outbox to empty", || (count(&host, "outbox") == 0).then_some(()));
        let left: i64 = redis.connect().llen("nobody").expect("Redis answers");
        assert_eq!(left, 0, "{point}");
        assert_eq!(count(&host, "flow_runs"), round as i64 + 1);
        host.kill();
    }
}

/// A schedule counts from the moment at which a host first knew it, also when that host was gone
/// before it had planned or made anything.
#[test]
fn a_schedule_that_has_begun_misses_no_instant() {
    let every = "schedule_type: interval, schedule_config: {interval_seconds: 1, anchor_date: '2026-01-01T00:00:00Z'}";
    let flows = flow("task_kind: noop", &format!("catch_up: all, {every}"));
    for point in ["schedule.before-plan", "schedule.before-fire"] {
        let mut host = Host::with(&flows).prepare();
        let begun = Utc::now();
        dies_at(&mut host, point, |_| {});
        let dead = Utc::now();
        // Some instants come while nobody is there.
        let _ = wait_at_most(Duration::from_secs(3), || None::<()>);
        host.serve();
        let filter = json!({
            "sort": "EXPECTED_START_TIME_ASC",
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        });
        let times: Vec<DateTime<Utc>> = wait_for("what was missed", || {
            let (_, found) = host.post("/flow_runs/filter", &filter);
            let all = found.as_array().cloned().unwrap_or_default();
            (all.len() >= 4).then(|| all.iter().map(expected).collect())
        });
        assert!(
            times[0] > begun && times[0] <= dead + chrono::TimeDelta::seconds(1),
            "{point}: {times:?}"
        );
        for pair in times.windows(2) {
            assert_eq!((pair[1] - pair[0]).num_milliseconds(), 1_000, "{point}: {times:?}");
        }
    }
}

fn expected(run: &Value) -> DateTime<Utc> {
    let text = run["expected_start_time"].as_str().expect("a time");
    text.parse().expect("RFC 3339")
}

/// Who has to go for whom is decided in one transaction and told after it: dying in between, the
/// next host tells it.
#[test]
fn a_run_that_has_to_give_way_gives_way_after_a_crash() {
    let task = "task_kind: sleep, task_config: {seconds: 600}";
    let mut host = Host::with(&flow(task, "overlap: cancel_running")).prepare();
    host.serve();
    let path = format!("/deployments/{}/create_flow_run", deployment(&host));
    let first = host.run("flow/deployment", &json!({}));
    let running = |host: &Host, id: &str| host.wait_task(id, "task", |task| task["state"]["type"] == "RUNNING");
    let _ = running(&host, &first);
    host.kill();
    // The first news of this life: the first run has to go.
    let asked = json!({"idempotency_key": "second"});
    dies_at(&mut host, "store.admitted", |host| drop(host.try_post(&path, &asked)));
    host.serve();
    let (_, second) = host.post(&path, &asked);
    assert_eq!(host.wait(&first)["state"]["type"], "CANCELLED");
    let _ = running(&host, second["id"].as_str().expect("an id"));
    host.stop();
    assert_eq!(count(&host, "slots"), 1);
    let _ = host.cli(&["store", "verify"]).success();
}

/// What waits for a worker says so, also to a host that has not sent it.
#[test]
fn a_message_that_an_earlier_host_sent_is_asked_after() {
    let redis = RedisServer::start();
    let mut host = Host::with(&flow("celery_task_name: tests.echo", "tags: []"))
        .broker(&redis.url())
        .prepare();
    host.serve();
    let path = format!("/deployments/{}/create_flow_run", deployment(&host));
    host.kill();
    let asked = json!({"idempotency_key": "one"});
    dies_at(&mut host, "outbox.after-mark", |host| {
        drop(host.try_post(&path, &asked))
    });
    host.serve();
    let (_, run) = host.post(&path, &asked);
    let id = run["id"].as_str().expect("an id");
    let task = host.wait_task(id, "task", |task| task["reason"].is_string());
    assert!(
        task["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("no worker")),
        "{task}"
    );
}

/// The worker and the host die together: the next host finds that nobody has the task any more.
#[test]
fn a_task_that_went_with_its_worker_is_missed_by_the_next_host() {
    let redis = RedisServer::start();
    let task = "celery_task_name: crash.once, inputs: {run: run.id}, task_kwargs: {seconds: 60}, task_config: {when_lost: fail}";
    let config = format!(
        "celery:\n  broker_url: {0}\n  result_backend: {0}\n  lost_after_seconds: 1",
        redis.url()
    );
    let mut host = Host::with(&flow(task, "tags: []")).config(&config).start();
    let mut worker = Worker::start(&redis, Pool::Solo, "celery");
    let id = host.run("flow/deployment", &json!({}));
    wait_for("the task to run", || {
        let keys: Vec<String> = redis.connect().keys("ran:attempt:*").expect("Redis answers");
        (keys.len() == 1).then_some(())
    });
    worker.process.kill();
    host.kill();
    let _other = Worker::start(&redis, Pool::Solo, "celery");
    host.serve();
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "FAILED", "{}", host.logs(&id));
    assert!(host.logs(&id).contains("celery-lost"), "{}", host.logs(&id));
}

/// What the embedded worker does dies with the process: it is done again, and the flow run ends.
#[test]
fn the_embedded_worker_is_asked_again() {
    let mut host = Host::with(&flow("celery_task_name: noop, task_kwargs: {a: 1}", "tags: []")).prepare();
    host.serve();
    let path = format!("/deployments/{}/create_flow_run", deployment(&host));
    host.kill();
    for point in ["memory.before-run", "memory.after-run"] {
        let asked = json!({"idempotency_key": point});
        dies_at(&mut host, point, |host| drop(host.try_post(&path, &asked)));
        host.serve();
        let (_, run) = host.post(&path, &asked);
        let id = run["id"].as_str().expect("an id");
        assert_eq!(host.wait(id)["state"]["type"], "COMPLETED", "{}", host.logs(id));
        assert_eq!(host.result(id, "task"), json!({"a": 1}));
        host.kill();
    }
    assert_eq!(count(&host, "flow_runs"), 2);
}

/// The judge can see: a row that was changed by hand is a difference.
#[test]
fn a_store_that_says_something_else_than_its_log_is_told() {
    let mut host = Host::with(&flow("task_kind: noop", "tags: []")).start();
    let run = host.run_to_end("flow/deployment", &json!({}));
    let id = run["id"].as_str().expect("an id");
    let busy = host.cli(&["store", "verify"]);
    assert_eq!(busy.code, 5, "{busy:?}");
    host.stop();
    let fine = host.cli(&["store", "verify"]).success();
    assert!(fine.out.contains("1 flow runs (0 live), 1 task runs"), "{}", fine.out);
    let path = host.folder().join("state/grepx-host.db");
    let database = rusqlite::Connection::open(path).expect("the run database");
    let statements = "UPDATE task_runs SET state_name = 'Skipped'; UPDATE flow_runs SET end_time = end_time + 1;
        INSERT INTO slots (run_id, pool, queue, expected_start, since, held) SELECT id, 'pool', 'default', 0, 0, 1 FROM flow_runs";
    database.execute_batch(statements).expect("changed");
    drop(database);
    let changed = host.cli(&["store", "verify", "--json"]);
    assert_eq!(changed.code, 1, "{changed:?}");
    let told: Vec<Value> = changed.json()["differences"].as_array().expect("a list").clone();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|one| one["flow_run_id"] == id), "{told:?}");
}

#[test]
fn a_failpoint_that_does_not_exist_is_refused() {
    let mut host = Host::with(&flow("task_kind: noop", "tags: []")).prepare();
    host.spawn(&[("GREPX_FAILPOINT", "store.never")]);
    assert!(!host.comes_up());
    assert!(host.output().contains("grepx-host failpoints"), "{}", host.output());
}
