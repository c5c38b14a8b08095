//! `grepx-host doctor` against real servers and workers, whole and broken.

use grepx_tests::{Host, HostBuilder, Outcome, Pool, RedisServer, Worker, free_port};
use serde_json::Value;

const FLOWS: &str = "prefect_work_pools: [{name: pool, concurrency_limit: 2}]
prefect_flows: [{name: prices}]
prefect_tasks:
  - {name: load, flow_name: prices, celery_task_name: data.download_historical, task_kwargs: {ticker: A}}
  - {name: rsi, flow_name: prices, celery_task_name: indicators.calculate_rsi, depends_on: [load], task_kwargs: {ticker: A}}
prefect_deployments: [{name: daily, flow_name: prices, work_pool_name: pool}]
";

/// A port that nobody has, so that tests beside this one do not meet.
fn host(redis: &RedisServer) -> HostBuilder {
    Host::with(FLOWS)
        .broker(&redis.url())
        .config(&format!("server: {{port: {}}}", free_port()))
}

fn findings<'a>(answer: &'a Value, check: &str) -> Vec<&'a Value> {
    let checks = answer["checks"].as_array().expect("a list of checks");
    let check = checks.iter().find(|one| one["check"] == check);
    check.unwrap_or_else(|| panic!("{answer:#}"))["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .collect()
}

/// The finding of this level whose place or text has all of these words.
fn has(answer: &Value, check: &str, level: &str, words: &[&str]) {
    let found = findings(answer, check).into_iter().any(|finding| {
        let text = finding.to_string();
        finding["level"] == level && words.iter().all(|word| text.contains(word))
    });
    assert!(found, "{check}: no {level} with {words:?} in {answer:#}");
}

fn doctor(host: &Host) -> Outcome {
    host.cli(&["doctor", "--json", "--timeout", "60"])
}

#[test]
fn a_whole_installation_has_no_error_with_and_without_a_host() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let mut host = host(&redis).prepare();
    for serving in [false, true] {
        if serving {
            host.serve();
        }
        let answer = doctor(&host).success().json();
        assert_eq!(answer["ok"], true, "{answer:#}");
        has(&answer, "redis", "ok", &["Redis", "broker"]);
        has(
            &answer,
            "workers",
            "ok",
            &["test@localhost", "reads celery", "data.download_historical"],
        );
        for (task, work) in [
            ("prices/load", "data.download_historical"),
            ("prices/rsi", "indicators.calculate_rsi"),
        ] {
            has(
                &answer,
                "tasks",
                "ok",
                &[task, work, "queue celery", "served by test@localhost"],
            );
        }
        has(&answer, "plugins", "ok", &["celery", "used by 2 tasks"]);
        has(
            &answer,
            "definitions",
            "ok",
            &["1 rows in prefect_flows", "2 rows in prefect_tasks"],
        );
        let holds = if serving { "takes work" } else { "no host runs" };
        has(&answer, "host", "ok", &[holds]);
    }
    let words = host.cli(&["doctor", "--timeout", "60"]).success().out;
    assert!(words.contains("0 errors"), "{words}");
    assert!(
        words.contains("broker_url") && words.contains("config.yaml:"),
        "{words}"
    );
}

#[test]
fn without_a_worker_every_task_of_celery_is_an_error_with_what_to_do() {
    let redis = RedisServer::start();
    let host = host(&redis).prepare();
    let outcome = doctor(&host);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let answer = outcome.json();
    has(&answer, "redis", "ok", &["Redis"]);
    has(
        &answer,
        "workers",
        "error",
        &["no worker listens", "celery -A APP worker"],
    );
    has(
        &answer,
        "tasks",
        "error",
        &["prices/load", "no worker listens", "-Q celery"],
    );
}

#[test]
fn names_queues_and_memory_that_do_not_fit_are_found() {
    let redis = RedisServer::start();
    let set = |key: &str, value: &str| {
        let mut connection = redis.connect();
        let set: redis::RedisResult<()> = redis::cmd("CONFIG")
            .arg("SET")
            .arg(key)
            .arg(value)
            .query(&mut connection);
        set.expect("set");
    };
    set("maxmemory", "100mb");
    set("maxmemory-policy", "allkeys-lru");
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let flows = FLOWS
        .replace("data.download_historical", "data.download_historcal")
        .replace(
            "task_kwargs: {ticker: A}}\nprefect_dep",
            "task_kwargs: {ticker: A}, task_config: {queue: gpu}}\nprefect_dep",
        );
    let host = Host::with(&flows)
        .broker(&redis.url())
        .config(&format!("server: {{port: {}}}", free_port()))
        .prepare();
    let outcome = doctor(&host);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let answer = outcome.json();
    has(
        &answer,
        "tasks",
        "error",
        &["prices/load", "did you mean", "data.download_historical"],
    );
    has(
        &answer,
        "tasks",
        "error",
        &["prices/rsi", "no worker reads that queue", "-Q gpu"],
    );
    has(&answer, "redis", "warning", &["allkeys-lru", "noeviction"]);
}

#[test]
fn what_is_broken_costs_the_other_checks_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let nobody = free_port();
    let host = Host::with(FLOWS)
        .broker(&format!("redis://127.0.0.1:{nobody}/0"))
        .config(&format!("server: {{port: {port}}}"))
        .own_plugins("")
        .prepare();
    std::fs::remove_file(host.plugins().join("celery.wasm")).expect("removed");
    std::fs::write(host.plugins().join("broken.wasm"), b"no component").expect("written");
    let outcome = doctor(&host);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let answer = outcome.json();
    has(&answer, "configuration", "ok", &["config.yaml"]);
    has(&answer, "port", "error", &[&format!("process {}", std::process::id())]);
    has(&answer, "redis", "error", &["cannot be reached", &nobody.to_string()]);
    has(&answer, "plugins", "error", &["broken.wasm"]);
    has(&answer, "plugins", "error", &["celery", "2 tasks"]);
    has(&answer, "definitions", "error", &["prefect_tasks", "celery"]);
    has(&answer, "clock", "ok", &["IANA"]);

    std::fs::remove_file(host.database()).expect("removed");
    has(&doctor(&host).json(), "definitions", "error", &["there is no database"]);
    std::fs::write(host.folder().join("config.yaml"), "server: {prot: 1}").expect("written");
    let outcome = doctor(&host);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    has(&outcome.json(), "configuration", "error", &["config.yaml:1", "port"]);
}

#[test]
fn a_state_directory_that_is_none_is_an_error_of_its_own() {
    let host = Host::with(FLOWS)
        .config("celery: {broker_url: 'memory://', result_backend: 'memory://'}")
        .prepare();
    let state = host.folder().join("state");
    if state.exists() {
        std::fs::remove_dir_all(&state).expect("removed");
    }
    std::fs::write(&state, "a file where a folder belongs").expect("written");
    let outcome = doctor(&host);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let answer = outcome.json();
    has(&answer, "state directory", "error", &["state", "is a file"]);
    has(&answer, "definitions", "ok", &["2 rows in prefect_tasks"]);
    has(&answer, "redis", "ok", &["no Redis is needed"]);
}

#[test]
fn a_redis_that_does_not_answer_is_given_up_in_time() {
    let redis = RedisServer::start();
    let host = host(&redis).prepare();
    redis.signal("STOP");
    let outcome = host.cli(&["doctor", "--json", "--timeout", "5"]);
    redis.signal("CONT");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let answer = outcome.json();
    assert!(
        findings(&answer, "redis")
            .iter()
            .any(|finding| finding["level"] == "error"),
        "{answer:#}"
    );
    has(&answer, "definitions", "ok", &["1 flows"]);
}
