//! Workers that die, freeze, get a message twice, or answer too late.

use grepx_tests::{Pool, RedisServer, Worker, wait_for};
use redis::Commands as _;
use serde_json::{Value, json};

use super::{NAME, host, ran};

const SLOW: &str = "celery_task_name: tests.slow\ntask_kwargs: {seconds: 60, name: slow}\n";
/// Long enough to be looked for several times.
const LONG: &str = "celery_task_name: tests.slow\ntask_kwargs: {seconds: 5, name: slow}\n";

/// Until the task says that it runs, for the `times`th time.
fn running(redis: &RedisServer, times: i64) {
    wait_for("the task to run", || {
        (ran(redis, "slow:started") == times).then_some(())
    });
}

fn message(task: &Value) -> &str {
    task["state"]["message"].as_str().unwrap_or_default()
}

#[test]
fn a_task_whose_worker_was_killed_is_lost_and_tried_again_where_that_was_said() {
    killed_with_its_worker(SLOW);
}

/// Celery would deliver its message again an hour later; the retry is the only second run.
#[test]
fn a_task_that_is_acknowledged_late_is_tried_again_once() {
    let redis = killed_with_its_worker(&SLOW.replace("tests.slow", "tests.slow_late"));
    let unacked: i64 = redis.connect().hlen("unacked").expect("a count");
    assert_eq!(unacked, 1, "of the second run");
}

fn killed_with_its_worker(task: &str) -> RedisServer {
    let redis = RedisServer::start();
    let mut first = Worker::start(&redis, Pool::Solo, "celery");
    let retried = format!("{task}retry_config: {{max_retries: 1}}");
    let host = host(&redis, &retried).start();
    let id = host.run(NAME, &json!({}));
    running(&redis, 1);
    first.process.kill();
    let _second = Worker::start(&redis, Pool::Solo, "celery");
    running(&redis, 2);
    let logs = host.logs(&id);
    assert!(logs.contains("is lost") && logs.contains("celery-lost"), "{logs}");
    assert_eq!(host.task_runs(&id)["task"]["run_count"], 2);
    redis
}

#[test]
fn without_a_retry_a_lost_task_fails_with_what_is_known() {
    let redis = RedisServer::start();
    let mut worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = host(&redis, SLOW).start();
    let id = host.run(NAME, &json!({}));
    running(&redis, 1);
    worker.process.kill();
    // While nobody can be asked, nothing is known.
    let _other = Worker::start(&redis, Pool::Solo, "other");
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "FAILED", "{run}");
    let task = &host.task_runs(&id)["task"];
    assert!(
        message(task).contains("tests.slow is lost") && message(task).contains("the one worker does not have it"),
        "{task}"
    );
}

#[test]
fn a_person_may_be_asked_about_a_lost_task() {
    let redis = RedisServer::start();
    let mut first = Worker::start(&redis, Pool::Solo, "celery");
    let asking = format!("{SLOW}task_config: {{when_lost: ask}}\nretry_config: {{max_retries: 1}}");
    let host = host(&redis, &asking).start();
    let id = host.run(NAME, &json!({}));
    running(&redis, 1);
    first.process.kill();
    let _other = Worker::start(&redis, Pool::Solo, "other");
    let told = |task: &Value| task["status"].as_str().is_some_and(|status| status.contains("lost"));
    let task = host.wait_task(&id, "task", |task| {
        told(task) || task.to_string().contains("the signal `lost`")
    });
    let _second = Worker::start(&redis, Pool::Solo, "celery");
    assert_eq!(ran(&redis, "slow:started"), 1, "nobody has decided");
    let task_run = task["id"].as_str().expect("an id");
    let (status, answer) = host.post(&format!("/task_runs/{task_run}/signal/lost"), &json!("retry"));
    assert!(status < 300, "{answer}");
    running(&redis, 2);
    host.cancel(&id);
}

#[test]
fn what_runs_waits_or_is_reserved_is_not_lost() {
    let redis = RedisServer::start();
    let three = format!("{LONG}for_each: range(3) | list\n");
    let host = host(&redis, &three).start();
    let id = host.run(NAME, &json!({}));
    // In the queue first, for longer than it takes to be looked for twice.
    let reason = |task: &Value| {
        task["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("no worker"))
    };
    let _ = wait_for("a reason", || host.task_runs(&id).into_values().find(reason));
    // One runs, the others are reserved behind it.
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!((ran(&redis, "slow:started"), ran(&redis, "slow:finished")), (3, 3));
    assert!(!host.logs(&id).contains("is lost"), "{}", host.logs(&id));
}

#[test]
fn a_worker_that_does_not_answer_leaves_it_open() {
    let redis = RedisServer::start();
    let worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = host(&redis, LONG).config("logging: {level: debug}").start();
    let id = host.run(NAME, &json!({}));
    running(&redis, 1);
    worker.process.signal("STOP");
    wait_for("two looks in vain", || {
        let log = host.process.as_ref().expect("it serves").output();
        (log.matches("\"whereabouts\":\"Unknown\"").count() >= 2).then_some(())
    });
    worker.process.signal("CONT");
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(ran(&redis, "slow:started"), 1);
}

#[test]
fn a_message_that_is_delivered_twice_counts_once() {
    let redis = RedisServer::start();
    let host = host(&redis, "celery_task_name: tests.echo").start();
    let id = host.run(NAME, &json!({}));
    let message = wait_for("the message", || {
        redis
            .connect()
            .lindex::<_, Option<Vec<u8>>>("celery", 0)
            .expect("a list")
    });
    let _: i64 = redis.connect().lpush("celery", message).expect("pushed again");
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    wait_for("the second run", || (ran(&redis, "echo") == 2).then_some(()));
    assert_eq!(host.task_runs(&id)["task"]["run_count"], 1);
    let ends = host
        .facts(&id)
        .iter()
        .filter(|fact| fact.to_string().contains("succeeded"))
        .count();
    assert_eq!(ends, 1, "{:?}", host.facts(&id));
}

#[test]
fn a_result_that_comes_after_the_end_changes_nothing() {
    let redis = RedisServer::start();
    let worker = Worker::start(&redis, Pool::Solo, "celery");
    let late = format!("{LONG}timeout_seconds: 1\n");
    let host = host(&redis, &late).start();
    let id = host.run(NAME, &json!({}));
    running(&redis, 1);
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "FAILED", "{run}");
    // A solo worker cannot be stopped: it stores its result all the same.
    wait_for("the late result", || (ran(&redis, "slow:finished") == 1).then_some(()));
    drop(worker);
    let task = &host.task_runs(&id)["task"];
    assert!(message(task).contains("timed-out"), "{task}");
    assert_eq!(host.flow_run(&id)["state"]["type"], "FAILED");
}

#[test]
fn a_result_that_comes_after_a_cancel_changes_nothing() {
    let redis = RedisServer::start();
    let worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = host(&redis, LONG).start();
    let id = host.run(NAME, &json!({}));
    running(&redis, 1);
    host.cancel(&id);
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "CANCELLED", "{run}");
    // A solo worker cannot be stopped: it stores its result all the same.
    wait_for("the late result", || (ran(&redis, "slow:finished") == 1).then_some(()));
    drop(worker);
    assert_eq!(host.flow_run(&id)["state"]["type"], "CANCELLED");
    assert_eq!(host.task_runs(&id)["task"]["state"]["type"], "CANCELLED");
}

#[test]
fn a_result_that_comes_after_a_newer_attempt_changes_nothing() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let task = "celery_task_name: tests.slow_once\ntimeout_seconds: 2\nretry_config: {max_retries: 9, retry_delay_seconds: 0.1}";
    let host = host(&redis, task).start();
    let id = host.run(NAME, &json!({}));
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(
        ran(&redis, "slow_once:finished"),
        1,
        "the first attempt has ended, too late"
    );
    assert_eq!(host.result(&id, "task"), json!("another"));
    let task = &host.task_runs(&id)["task"];
    assert!(task["run_count"].as_u64() > Some(1), "{task}");
}
