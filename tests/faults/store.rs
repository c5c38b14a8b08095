//! The run store: disks that take nothing, locks, damage, upgrades, a second host.

use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use grepx_tests::{Host, Pool, Process, RedisServer, Worker, wait_for};
use redis::Commands as _;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::disk::{self, Disk};
use crate::{count, create, deployment, not_ready, ready, told};

const FLOWS: &str = "prefect_work_pools: [{name: pool, concurrency_limit: 100}]
prefect_flows: [{name: flow}, {name: quick}]
prefect_tasks:
  - {name: waits, flow_name: flow, task_kind: sleep, task_config: {seconds: 3}}
  - {name: after, flow_name: flow, task_kind: transform, depends_on: [waits], task_config: {program: '1'}}
  - {name: quick_task, flow_name: quick, task_kind: transform, task_config: {program: '1'}}
prefect_deployments:
  - {name: deployment, flow_name: flow, work_pool_name: pool}
  - {name: at_once, flow_name: quick, work_pool_name: pool}
";
const RUNS: u64 = 20;

#[test]
fn a_full_disk_holds_what_runs_refuses_what_is_new_and_heals() {
    for disk in Disk::all() {
        let mut host = Host::with(FLOWS).prepare();
        disk.serve(&mut host);
        let (slow, quick) = (deployment(&host, "flow/deployment"), deployment(&host, "quick/at_once"));
        let runs: Vec<String> = (0..RUNS)
            .map(|_| {
                let (status, run) = create(&host, &slow);
                assert_eq!(status, 201, "{run}");
                run["id"].as_str().expect("an id").to_owned()
            })
            .collect();
        wait_for("runs under way", || (count(&host, &["RUNNING"]) == RUNS).then_some(()));
        disk.fill(&host);
        let why = not_ready(&host);
        assert!(why.contains("disk"), "{why}");
        // On a slow machine some may have ended before the disk was full.
        let done = count(&host, &["COMPLETED"]);
        assert!(done < RUNS, "all ended before the disk was full");
        let (computed, began) = (disk::computed(&host), Instant::now());
        let mut asked = 0;
        wait_for("what runs to come to its end, if it could", || {
            let (status, answer) = create(&host, &quick);
            assert_eq!(status, 503, "{answer}");
            assert!(
                answer["detail"].as_str().is_some_and(|text| text.contains("disk")),
                "{answer}"
            );
            let (status, _) = host.post(&format!("/flow_runs/{}/set_state", runs[0]), &cancelling());
            assert_eq!(status, 503);
            asked += 1;
            (began.elapsed() > Duration::from_secs(4)).then_some(())
        });
        assert!(asked > 10, "refused at once, not after a while: {asked}");
        assert!(disk::computed(&host) - computed < 1.0, "it does not spin");
        assert_eq!(count(&host, &[]), RUNS, "reads go on, and nothing was made");
        assert_eq!(count(&host, &["COMPLETED"]), done, "nothing is told as done");

        disk.free(&host);
        ready(&host);
        for run in &runs {
            assert_eq!(host.wait(run)["state"]["type"], "COMPLETED", "{disk:?}");
        }
        assert_eq!(
            host.run_to_end("quick/at_once", &json!({}))["state"]["type"],
            "COMPLETED"
        );
        assert_eq!(count(&host, &[]), RUNS + 1);
        // A limit first fails a page and then the probe beside it: two causes, a line for each.
        let lines = if disk == Disk::Small { 1..=1 } else { 1..=2 };
        assert!(lines.contains(&told(&host, "takes no changes")), "{disk:?}");
        assert_eq!(told(&host, "takes changes again"), 1);
        assert_eq!(told(&host, "read back"), 0);
        host.stop();
    }
}

const CELERY: &str = "prefect_work_pools: [{name: pool, concurrency_limit: 100}]
prefect_flows: [{name: flow}]
prefect_tasks:
  - {name: first, flow_name: flow, celery_task_name: tests.slow, task_kwargs: {seconds: 1}}
  - {name: second, flow_name: flow, celery_task_name: tests.echo, depends_on: [first]}
prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool}]
";

#[test]
fn results_that_come_while_the_disk_is_full_are_taken_afterwards_and_nothing_is_sent_twice() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Prefork, "celery");
    let disk = Disk::all()[0];
    let mut host = Host::with(CELERY).broker(&redis.url()).prepare();
    disk.serve(&mut host);
    let id = deployment(&host, "flow/deployment");
    for _ in 0..4 {
        assert_eq!(create(&host, &id).0, 201);
    }
    let ran = |name: &str| -> i64 {
        let found: Option<i64> = redis.connect().get(format!("ran:{name}")).expect("a count");
        found.unwrap_or(0)
    };
    wait_for("the workers to begin", || (ran("slow:started") == 4).then_some(()));
    disk.fill(&host);
    let _ = not_ready(&host);
    wait_for("the results", || {
        let keys: Vec<String> = redis.connect().keys("celery-task-meta-*").expect("keys");
        (keys.len() == 4).then_some(())
    });
    assert_eq!((count(&host, &["COMPLETED"]), ran("echo")), (0, 0));
    disk.free(&host);
    wait_for("the end of all runs", || {
        (count(&host, &["COMPLETED"]) == 4).then_some(())
    });
    assert_eq!((ran("slow:started"), ran("echo")), (4, 4));
}

fn cancelling() -> Value {
    json!({"state": {"type": "CANCELLING", "name": "Cancelling"}})
}

fn open(host: &Host) -> Connection {
    Connection::open(host.folder().join("state/grepx-host.db")).expect("the run store")
}

#[test]
fn a_program_that_keeps_the_store_locked_is_named_and_waited_for() {
    let host = Host::with(FLOWS).start();
    let slow = deployment(&host, "flow/deployment");
    let (_, run) = create(&host, &slow);
    let run = run["id"].as_str().expect("an id");
    let _ = host.wait_task(run, "waits", |task| task["state"]["type"] == "RUNNING");
    let other = open(&host);
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let why = not_ready(&host);
    assert!(why.contains("another program keeps the run store locked"), "{why}");
    assert_eq!(create(&host, &slow).0, 503);
    other.execute_batch("COMMIT").expect("unlocked");
    ready(&host);
    assert_eq!(host.wait(run)["state"]["type"], "COMPLETED");
    assert_eq!(
        (told(&host, "takes no changes"), told(&host, "takes changes again")),
        (1, 1)
    );
}

#[test]
fn schedules_wait_with_the_store_and_are_not_told_one_by_one() {
    let flows = (0..20).fold(FLOWS.to_owned(), |flows, n| {
        let schedule = "schedule_type: interval, schedule_config: {interval_seconds: 1}, catch_up: all";
        flows + &format!("  - {{name: every-{n}, flow_name: quick, work_pool_name: pool, {schedule}}}\n")
    });
    let host = Host::with(&flows).start();
    wait_for("runs by schedule", || {
        (count(&host, &["COMPLETED"]) >= 40).then_some(())
    });
    let other = open(&host);
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let _ = not_ready(&host);
    let (before, began) = (count(&host, &["COMPLETED"]), Instant::now());
    wait_for("three starts of each", || {
        (began.elapsed() > Duration::from_secs(3)).then_some(())
    });
    assert_eq!(count(&host, &["COMPLETED"]), before);
    other.execute_batch("COMMIT").expect("unlocked");
    ready(&host);
    wait_for("what was missed and more", || {
        (count(&host, &["COMPLETED"]) >= before + 80).then_some(())
    });
    assert_eq!((told(&host, "tried again"), told(&host, "takes no changes")), (0, 1));
}

#[test]
fn a_damaged_store_is_found_at_the_start_and_refused_with_what_to_do() {
    let mut host = Host::with(FLOWS).start();
    let _ = host.run_to_end("quick/at_once", &json!({}));
    host.stop();
    let sound = host.cli(&["gc", "--check"]).success();
    assert!(sound.out.contains("sound"), "{sound:?}");
    let database = open(&host);
    let (root, page): (u64, u64) = database
        .query_row(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = 'facts'",
            [],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?.unsigned_abs(),
                    row.get::<_, i64>(1)?.unsigned_abs(),
                ))
            },
        )
        .expect("where the facts are");
    drop(database);
    let path = host.folder().join("state/grepx-host.db");
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("the file");
    file.write_all_at(&[0xA5; 256], (root - 1) * page).expect("damaged");
    let refused = host.cli(&["serve", "--port", "0"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(
        refused.err.contains("is damaged") && refused.err.contains("grepx-host restore FILE"),
        "{refused:?}"
    );
    let checked = host.cli(&["gc", "--check"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(checked.out.lines().count() >= 2, "{checked:?}");
}

#[test]
fn a_state_directory_that_may_not_be_written_is_refused_in_a_line() {
    let mut host = Host::with(FLOWS).start();
    host.stop();
    let state = host.folder().join("state");
    let arguments = ["serve", "--port", "0"];
    let refused = if disk::namespaces() {
        let mount = "mount --bind state state && mount -o remount,bind,ro state && exec \"$@\"";
        host.cli_under(&["unshare", "-rm", "sh", "-c", mount, "sh"], &arguments)
    } else {
        let mut mode = std::fs::metadata(&state).expect("there").permissions();
        mode.set_readonly(true);
        std::fs::set_permissions(&state, mode).expect("set");
        std::fs::remove_file(state.join("lock")).expect_err("it may not be written");
        host.cli(&arguments)
    };
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.err.contains("state/lock"), "{refused:?}");
    assert!(refused.err.lines().count() <= 3, "{refused:?}");
}

#[test]
fn a_second_host_is_told_who_has_the_directory_and_takes_it_when_the_first_was_killed() {
    let mut host = Host::with(FLOWS).start();
    let refused = host.cli(&["serve", "--port", "0"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    let process = host.process.as_ref().map(Process::id).expect("it serves");
    let address = host.url().trim_end_matches("/api").to_owned();
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    for part in [
        format!("process {process} on {}", machine.trim()),
        address,
        " since 20".to_owned(),
    ] {
        assert!(refused.err.contains(&part), "{part}: {refused:?}");
    }
    host.kill();
    host.serve();
    assert_eq!(
        host.run_to_end("quick/at_once", &json!({}))["state"]["type"],
        "COMPLETED"
    );
}

/// The stores of earlier schemas that lie in `fixtures/store`.
#[test]
fn runs_of_a_store_of_an_earlier_schema_go_on() {
    for schema in ["v1", "v2"] {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/store");
        let flows = std::fs::read_to_string(format!("{fixtures}/flows.yaml")).expect("the flows");
        let mut host = Host::with(&flows).config("retention: {enabled: false}").prepare();
        std::fs::create_dir(host.folder().join("state")).expect("a folder");
        let dump = std::fs::read_to_string(format!("{fixtures}/{schema}.sql")).expect("the fixture");
        open(&host).execute_batch(&dump).expect("written");
        host.serve();
        assert!(told(&host, "run store migrated") >= 1);
        assert_eq!(count(&host, &["COMPLETED"]), 1, "{schema}");
        let (_, waiting) = host.post(
            "/flow_runs/filter",
            &json!({"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}),
        );
        let run = waiting[0]["id"].as_str().expect("the run that waits").to_owned();
        let task = host.wait_task(&run, "approve", |task| task["state"]["type"] == "RUNNING");
        let path = format!("/task_runs/{}/signal/approve", task["id"].as_str().expect("an id"));
        let (status, answer) = host.post(&path, &json!({"by": "bob"}));
        assert!(status < 300, "{schema}: {answer}");
        assert_eq!(host.wait(&run)["state"]["type"], "COMPLETED", "{schema}");
        assert_eq!(host.result(&run, "after")["by"], "bob");
        // The one that waited for the slot of the first.
        wait_for("the last run", || (count(&host, &["COMPLETED"]) == 3).then_some(()));
        host.stop();
    }
}

#[test]
fn a_store_of_a_newer_schema_is_refused_in_a_sentence() {
    let mut host = Host::with(FLOWS).start();
    host.stop();
    open(&host)
        .execute_batch("INSERT INTO refinery_schema_history SELECT 1000, 'later', applied_on, checksum FROM refinery_schema_history WHERE version = 1")
        .expect("written");
    let refused = host.cli(&["serve", "--port", "0"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(
        refused.err.contains("has schema 1000") && refused.err.contains("run the newer grepx-host"),
        "{refused:?}"
    );
    assert_eq!(refused.err.trim().lines().count(), 1, "{refused:?}");
}
