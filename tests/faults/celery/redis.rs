//! A Redis that forgets, freezes, refuses, cuts off, or comes back empty.

use std::time::Duration;

use grepx_tests::{Host, Pool, Proxy, RedisServer, Worker, wait_for};
use redis::Commands as _;
use serde_json::json;

use super::{NAME, QUIET, host, host_over, ran};

const COUNTED: &str = "celery_task_name: tests.count\nfor_each: range(100) | list\ninputs: {number: item}\n";

fn completes(host: &Host, name: &str) {
    let run = host.run_to_end(name, &json!({}));
    assert_eq!(run["state"]["type"], "COMPLETED", "{run}");
}

fn command(redis: &RedisServer, words: &[&str]) {
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    let done: Result<redis::Value, _> = command.query(&mut redis.connect());
    assert!(done.is_ok(), "{words:?}: {done:?}");
}

fn queued(redis: &RedisServer, count: usize) {
    wait_for("the messages", || {
        let waiting: usize = redis.connect().llen("celery").expect("a list");
        (waiting == count).then_some(())
    });
}

/// Until a task run that waits has a reason with `text` in it.
fn reason(host: &Host, run: &str, text: &str) -> String {
    wait_for(&format!("a reason with {text:?}"), || {
        let tasks = host.task_runs(run);
        let reasons = tasks
            .values()
            .filter_map(|task| task["reason"].as_str().map(str::to_owned));
        reasons.into_iter().find(|reason| reason.contains(text))
    })
}

fn retried(host: &Host, redis: &RedisServer, run: &str) {
    let ended = host.wait(run);
    assert_eq!(ended["state"]["type"], "COMPLETED", "{}", host.logs(run));
    assert_eq!(ran(redis, "counted"), 100);
    let tasks = host.task_runs(run);
    let item = tasks.values().find(|task| task["index"].is_number());
    assert_eq!(item.expect("an item")["run_count"], 2, "{tasks:?}");
}

#[test]
fn what_a_flush_has_taken_is_published_again_by_a_retry() {
    let redis = RedisServer::start();
    let host = host(&redis, &format!("{COUNTED}retry_config: {{max_retries: 3}}\n")).start();
    let id = host.run(NAME, &json!({}));
    queued(&redis, 100);
    command(&redis, &["FLUSHALL"]);
    let _other = Worker::start(&redis, Pool::Solo, "other");
    queued(&redis, 100);
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    retried(&host, &redis, &id);
}

#[test]
fn what_a_restart_has_lost_is_published_again_by_a_retry() {
    let mut redis = RedisServer::start();
    let host = host(&redis, &format!("{COUNTED}retry_config: {{max_retries: 3}}\n")).start();
    let id = host.run(NAME, &json!({}));
    queued(&redis, 100);
    redis.kill();
    completes(&host, QUIET);
    redis.restart();
    let _other = Worker::start(&redis, Pool::Solo, "other");
    queued(&redis, 100);
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    retried(&host, &redis, &id);
}

#[test]
fn killed_connections_lose_and_repeat_nothing() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let host = host(&redis, &COUNTED.replace("100", "400")).start();
    let id = host.run(NAME, &json!({}));
    for part in 1..4 {
        wait_for("some of the tasks", || {
            (ran(&redis, "counted") >= part * 80).then_some(())
        });
        // A worker's loss of its own connections is another matter.
        redis.cut(Some("redis-rs"));
    }
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(ran(&redis, "counted"), 400);
}

#[test]
fn a_frozen_server_holds_up_only_what_needs_it() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let host = host(&redis, COUNTED)
        .config("connections: {celery: {response_timeout_seconds: 1}}")
        .start();
    redis.signal("STOP");
    let id = host.run(NAME, &json!({}));
    let _ = reason(&host, &id, "celery");
    for _ in 0..5 {
        completes(&host, QUIET);
    }
    redis.signal("CONT");
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(ran(&redis, "counted"), 100);
}

#[test]
fn a_server_without_memory_is_waited_for() {
    let redis = RedisServer::start();
    command(&redis, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    command(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    let host = host(&redis, COUNTED).start();
    let id = host.run(NAME, &json!({}));
    let _ = reason(&host, &id, "maxmemory");
    completes(&host, QUIET);
    command(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(ran(&redis, "counted"), 100);
}

#[test]
fn a_password_that_changes_is_named_and_never_shown() {
    let redis = RedisServer::start();
    let host = host(&redis, COUNTED).start();
    command(&redis, &["CONFIG", "SET", "requirepass", "opensesame"]);
    let mut inside = redis.connect_with_password("opensesame");
    let _: redis::Value = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query(&mut inside)
        .expect("killed");
    let id = host.run(NAME, &json!({}));
    let _ = reason(&host, &id, "password");
    completes(&host, QUIET);
    let _: redis::Value = redis::cmd("CONFIG")
        .arg(&["SET", "requirepass", ""])
        .query(&mut inside)
        .expect("unset");
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(ran(&redis, "counted"), 100);
}

#[test]
fn an_outage_is_told_once() {
    let mut redis = RedisServer::start();
    let host = host(&redis, COUNTED).start();
    redis.kill();
    let id = host.run(NAME, &json!({}));
    let _ = reason(&host, &id, "celery");
    for _ in 0..20 {
        completes(&host, QUIET);
    }
    let log = host.process.as_ref().expect("it serves").output();
    assert_eq!(log.matches("connection is down").count(), 1, "{log}");
    redis.restart();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    assert_eq!(host.wait(&id)["state"]["type"], "COMPLETED");
}

#[test]
fn a_slow_server_holds_up_only_what_needs_it() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let proxy = Proxy::to(redis.port());
    let host = host_over(&format!("redis://127.0.0.1:{}/0", proxy.port()), COUNTED).start();
    proxy.delay(Duration::from_millis(400));
    let id = host.run(NAME, &json!({}));
    for _ in 0..5 {
        completes(&host, QUIET);
    }
    assert_eq!(host.flow_run(&id)["state"]["type"], "RUNNING", "{}", host.logs(&id));
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(ran(&redis, "counted"), 100);
}

#[test]
fn broken_tls_is_named_and_heals_with_the_configuration() {
    let redis = RedisServer::start();
    let broken = format!("rediss://127.0.0.1:{}/0", redis.port());
    let mut host = host_over(&broken, COUNTED).start();
    let id = host.run(NAME, &json!({}));
    let _ = reason(&host, &id, "TLS");
    completes(&host, QUIET);
    host.stop();
    let file = host.folder().join("config.yaml");
    let config = std::fs::read_to_string(&file).expect("the configuration");
    std::fs::write(&file, config.replace("rediss://", "redis://")).expect("written");
    host.serve();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    assert_eq!(host.wait(&id)["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    assert_eq!(ran(&redis, "counted"), 100);
}

/// Redis closes a subscriber for whom too much waits; the result is read another way.
#[test]
fn results_larger_than_the_buffer_of_subscribers_arrive() {
    let redis = RedisServer::start();
    command(
        &redis,
        &["CONFIG", "SET", "client-output-buffer-limit", "pubsub 65536 65536 1"],
    );
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let big = "celery_task_name: tests.big\nfor_each: range(4) | list\ntask_kwargs: {size: 3000000}\n";
    let host = host(&redis, big).start();
    let id = host.run(NAME, &json!({}));
    let run = host.wait(&id);
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(&id));
    for task in host.task_runs(&id).values().filter(|task| task["index"].is_number()) {
        let (_, result) = host.get(&format!("/task_runs/{}/result", task["id"].as_str().expect("an id")));
        assert_eq!(result.as_str().map(str::len), Some(3_000_000));
    }
}
