//! How soon a host that was killed works again with 10,000 flow runs in flight:
//! `cargo xtask bench restart`.
//!
//! Printed, not asserted. Once with tasks that sleep, once with Celery tasks that wait in Redis. One
//! of them has something due that came about while nobody was there; the work has resumed when that
//! flow run has ended.

use std::io::Write as _;
use std::time::{Duration, Instant};

use grepx_tests::{Host, RedisServer, wait_at_most, wait_for};
use redis::Commands as _;
use serde_json::{Value, json};

const RUNS: usize = 10_000;
const CLIENTS: usize = 4;
/// Starts of which the best and the worst are printed.
const STARTS: usize = 3;

fn main() {
    let redis = RedisServer::start();
    measure(&redis, "sleep", "task_kind: sleep, task_config: {seconds: 36000}");
    measure(
        &redis,
        "celery",
        "celery_task_name: nobody.serves, task_config: {queue: nobody}",
    );
}

fn measure(redis: &RedisServer, name: &str, task: &str) {
    let flows = format!(
        "prefect_work_pools: [{{name: pool, concurrency_limit: 20000}}]\nprefect_flows: [{{name: flow}}, {{name: soon}}]\n\
         prefect_tasks:\n  - {{name: task, flow_name: flow, {task}}}\n\
         \x20 - {{name: soon, flow_name: soon, task_kind: sleep, task_config: {{seconds: 3}}}}\n\
         prefect_deployments:\n  - {{name: flow, flow_name: flow, work_pool_name: pool}}\n\
         \x20 - {{name: soon, flow_name: soon, work_pool_name: pool}}\n"
    );
    let mut host = Host::with(&flows).broker(&redis.url()).start();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..RUNS / CLIENTS {
                    let _ = host.run("flow/flow", &json!({}));
                }
            });
        }
    });
    let filter = json!({"task_runs": {"state": {"type": {"any_": ["RUNNING"]}}}});
    let mut running = 0;
    while running < RUNS as u64 {
        running = wait_for("more to be suspended", || {
            let (_, count) = host.post("/task_runs/count", &filter);
            count.as_u64().filter(|count| *count > running)
        });
    }
    say(&format!(
        "{name}: {RUNS} flow runs begun in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    for _ in 0..STARTS {
        restart(redis, &mut host, name);
    }
}

fn restart(redis: &RedisServer, host: &mut Host, name: &str) {
    let due = if name == "celery" {
        let running = json!({"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}, "limit": 1});
        let run = host.post("/flow_runs/filter", &running).1[0]["id"].clone();
        let run = run.as_str().expect("an id").to_owned();
        let celery = host.task_runs(&run)["task"]["external_id"].clone();
        host.kill();
        answer(redis, celery.as_str().expect("the Celery id"));
        run
    } else {
        let run = host.run("soon/soon", &json!({}));
        let _ = host.wait_task(&run, "soon", |task| task["state"]["type"] == "RUNNING");
        host.kill();
        // Until it is due.
        let _ = wait_at_most(Duration::from_secs(4), || None::<()>);
        run
    };
    let began = Instant::now();
    host.serve();
    let serving = began.elapsed();
    let _ = host.wait(&due);
    for line in host.output().lines().filter(|l| l.contains("millis")) {
        say(line);
    }
    say(&format!(
        "{name}: serving after {} ms, work resumed after {} ms",
        serving.as_millis(),
        began.elapsed().as_millis()
    ));
}

/// As a worker would.
fn answer(redis: &RedisServer, id: &str) {
    let meta: Value = json!({"status": "SUCCESS", "result": 1, "traceback": null, "children": [], "task_id": id});
    let key = format!("celery-task-meta-{id}");
    redis.connect().set::<_, _, ()>(key, meta.to_string()).expect("stored");
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}
