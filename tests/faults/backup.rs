//! Copies of the run store, their way back, and what is removed.

use std::sync::atomic::{AtomicBool, Ordering};

use grepx_tests::{Host, Pool, RedisServer, Worker, wait_for};
use redis::Commands as _;
use serde_json::json;

use crate::{count, create, deployment, told};

const FLOWS: &str = "prefect_work_pools: [{name: pool, concurrency_limit: 20}]
prefect_flows: [{name: flow}, {name: fails}]
prefect_tasks:
  - {name: first, flow_name: flow, task_kind: transform, task_config: {program: '1'}}
  - {name: waits, flow_name: flow, task_kind: sleep, depends_on: [first], task_config: {seconds: 0.3}}
  - {name: last, flow_name: flow, task_kind: transform, depends_on: [waits], inputs: {n: results.first}, task_config: {program: '.n'}}
  - {name: fail, flow_name: fails, task_kind: transform, task_config: {program: 'error(\"no\")'}}
prefect_deployments:
  - {name: deployment, flow_name: flow, work_pool_name: pool}
  - {name: failing, flow_name: fails, work_pool_name: pool}
";
const LIVE: [&str; 6] = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "CRASHED"];

#[test]
fn a_copy_that_was_made_under_load_goes_on_in_another_place() {
    let mut host = Host::with(FLOWS).start();
    let id = deployment(&host, "flow/deployment");
    let file = host.folder().join("copy.db");
    let name = file.to_str().expect("a name").to_owned();
    let done = AtomicBool::new(false);
    let made = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut made = 0;
            while !done.load(Ordering::Relaxed) && made < 5_000 {
                let (status, run) = create(&host, &id);
                assert_eq!(status, 201, "{run}");
                made += 1;
            }
            made
        });
        wait_for("a load", || (count(&host, &["COMPLETED"]) > 20).then_some(()));
        let copied = host.cli(&["backup", &name, "--json"]).success().json();
        done.store(true, Ordering::Relaxed);
        assert!(copied["flow_runs"].as_u64() > Some(20), "{copied}");
        load.join().expect("the load")
    });
    let again = host.cli(&["backup", &name]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.err.contains("--force"), "{again:?}");
    let _ = host.cli(&["backup", &name, "--force"]).success();
    let refused = host.cli(&["restore", &name]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("is in use by process"), "{refused:?}");
    let in_copy = {
        let copy = rusqlite::Connection::open(&file).expect("a database");
        let sql = "SELECT count(*), sum(terminal = 0) FROM flow_runs";
        copy.query_row(sql, [], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?)))
            .expect("counted")
    };
    assert!(in_copy.1 > 0 && in_copy.0 <= made, "{in_copy:?} of {made}");
    host.kill();

    let mut other = Host::with(FLOWS).prepare();
    let restored = other.cli(&["restore", &name]).success();
    assert!(restored.out.contains("restored"), "{restored:?}");
    other.serve();
    wait_for("every run of the copy to end", || {
        (count(&other, &LIVE) == 0).then_some(())
    });
    assert_eq!(count(&other, &["COMPLETED"]), u64::from(in_copy.0));
    other.stop();
    // Offline, and onto itself: what was there stays beside it.
    let second = other.folder().join("second.db");
    let second = second.to_str().expect("a name");
    let _ = other.cli(&["backup", second]).success();
    let restored = other.cli(&["restore", second, "--json"]).success().json();
    let before = restored["before"].as_str().expect("the one before");
    assert!(std::path::Path::new(before).exists(), "{restored}");
    assert_eq!(restored["flow_runs"], in_copy.0);
}

/// What ARCHITECTURE says of a restored store: what the run has sent meanwhile is not sent again, and
/// the results that lie there are taken up.
#[test]
fn a_run_that_went_on_after_the_copy_takes_up_what_the_workers_have_done() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let flows = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}]
prefect_tasks:
  - {name: first, flow_name: flow, celery_task_name: tests.slow, task_kwargs: {seconds: 2}}
  - {name: second, flow_name: flow, celery_task_name: tests.echo, depends_on: [first]}
prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool}]
";
    let mut host = Host::with(flows).broker(&redis.url()).start();
    let run = host.run("flow/deployment", &json!({}));
    let ran = |name: &str| -> i64 {
        let found: Option<i64> = redis.connect().get(format!("ran:{name}")).expect("a count");
        found.unwrap_or(0)
    };
    wait_for("the worker to begin", || (ran("slow:started") == 1).then_some(()));
    let file = host.folder().join("copy.db");
    let name = file.to_str().expect("a name");
    let _ = host.cli(&["backup", name]).success();
    assert_eq!(host.wait(&run)["state"]["type"], "COMPLETED");
    host.stop();

    let mut other = Host::with(flows).broker(&redis.url()).prepare();
    let _ = other.cli(&["restore", name]).success();
    other.serve();
    assert_eq!(other.wait(&run)["state"]["type"], "COMPLETED");
    assert_eq!((ran("slow:started"), ran("echo")), (1, 1), "each was done once");
    assert_eq!(other.result(&run, "second"), json!({"args": [], "kwargs": {}}));
}

#[test]
fn runs_that_ended_long_ago_go_by_themselves_and_by_command() {
    let mut host = Host::with(FLOWS)
        .config("retention: {completed_days: 0, every_seconds: 1, rows_per_step: 10}")
        .start();
    let failed = host.run_to_end("fails/failing", &json!({}));
    let run = host.run("flow/deployment", &json!({}));
    wait_for("a run that has ended to be removed", || {
        (host.get(&format!("/flow_runs/{run}")).0 == 404).then_some(())
    });
    let removed = host.get("/store").1["removed"].clone();
    assert_eq!(removed["flow_runs"], 1, "{removed}");
    wait_for("the line", || {
        (told(&host, "ended long ago were removed") > 0).then_some(())
    });
    let failed = failed["id"].as_str().expect("an id");
    assert_eq!(host.get(&format!("/flow_runs/{failed}")).0, 200, "it stays for 90 days");
    host.stop();

    let config = std::fs::read_to_string(host.folder().join("config.yaml")).expect("the configuration");
    let off = config.replace("completed_days: 0", "enabled: false, completed_days: 0, failed_days: 0");
    std::fs::write(host.folder().join("config.yaml"), off).expect("written");
    host.serve();
    let run = host.run_to_end("flow/deployment", &json!({}));
    let dry = host.cli(&["gc", "--dry-run", "--json"]).success().json();
    assert_eq!(dry["flow_runs"], 2, "{dry}");
    let run = run["id"].as_str().expect("an id");
    assert_eq!(host.get(&format!("/flow_runs/{run}")).0, 200, "nothing was removed");
    let done = host.cli(&["gc", "--json"]).success().json();
    assert_eq!(
        (&done["flow_runs"], &done["more"]),
        (&json!(2), &json!(false)),
        "{done}"
    );
    assert_eq!(count(&host, &[]), 0);
    host.stop();
    let done = host.cli(&["gc", "--vacuum", "--json"]).success().json();
    assert_eq!(
        (&done["flow_runs"], &done["free_bytes"]),
        (&json!(0), &json!(0)),
        "{done}"
    );
    assert_eq!(done["definitions"], 2, "what no run uses");
    host.serve();
    assert_eq!(
        host.run_to_end("flow/deployment", &json!({}))["state"]["type"],
        "COMPLETED"
    );
}
