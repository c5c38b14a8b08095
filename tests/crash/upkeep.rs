//! Crashes of what looks after the run store as a whole: removing, copying, putting back, making
//! small. Whatever was interrupted, the store is the one before or the one after.

use std::collections::BTreeSet;

use grepx_tests::{Host, wait_for};
use serde_json::json;

use crate::exact::{count, dies_at};

const REMOVAL: [&str; 2] = ["removal.begun", "removal.step-kept"];
const BACKUP: [&str; 3] = ["backup.copying", "backup.copied", "backup.placed"];
/// With whether a start after it works with the copy.
const RESTORE: [(&str, bool); 6] = [
    ("backup.copying", false),
    ("restore.copied", false),
    ("restore.ready", true),
    ("restore.kept", true),
    ("restore.cleared", true),
    ("restore.placed", true),
];
const GC: [&str; 2] = ["gc.definitions-forgotten", "gc.vacuumed"];
/// Flow runs that go, and bytes of each: more than is copied at once.
const ENDED: i64 = 30;
const BYTES: usize = 250_000;
const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}, {name: waits}, {name: fails}]
prefect_tasks:
  - {name: task, flow_name: flow, task_kind: noop, inputs: {text: params.text}}
  - {name: task_waits, flow_name: waits, task_kind: sleep, task_config: {seconds: 3600}}
  - {name: task_fails, flow_name: fails, task_kind: transform, task_config: {program: 'error(\"no\")'}}
prefect_deployments:
  - {name: flow, flow_name: flow, work_pool_name: pool}
  - {name: waits, flow_name: waits, work_pool_name: pool}
  - {name: fails, flow_name: fails, work_pool_name: pool}
";

/// The points that are died at here.
pub(crate) fn points() -> BTreeSet<&'static str> {
    let restore = RESTORE.iter().map(|(point, _)| *point);
    REMOVAL.into_iter().chain(BACKUP).chain(restore).chain(GC).collect()
}

/// A stopped host with runs that have ended, one that waits and one that failed.
fn filled() -> Host {
    let mut host = Host::with(FLOWS).config("retention: {enabled: false}").start();
    let text = "x".repeat(BYTES);
    for _ in 0..ENDED {
        let run = host.run_to_end("flow/flow", &json!({"text": text}));
        assert_eq!(run["state"]["type"], "COMPLETED", "{run}");
    }
    assert_eq!(host.run_to_end("fails/fails", &json!({}))["state"]["type"], "FAILED");
    let waits = host.run("waits/waits", &json!({}));
    let _ = host.wait_task(&waits, "task_waits", |task| task["state"]["type"] == "RUNNING");
    host.stop();
    host
}

fn sound(host: &Host) {
    let _ = host.cli(&["gc", "--check"]).success();
    let _ = host.cli(&["store", "verify"]).success();
}

/// Lets a command die at the point.
fn command_dies_at(host: &Host, point: &str, command: &[&str]) {
    let outcome = host.cli_with(&[("GREPX_FAILPOINT", point)], command);
    assert_eq!(outcome.code, -1, "{point}: {outcome:?}");
}

#[test]
fn a_removal_that_is_interrupted_goes_on() {
    for point in REMOVAL {
        let mut host = filled();
        let file = host.folder().join("config.yaml");
        let config = std::fs::read_to_string(&file).expect("the configuration");
        let on = "retention: {completed_days: 0, every_seconds: 1, rows_per_step: 50}";
        std::fs::write(file, config.replace("retention: {enabled: false}", on)).expect("written");
        dies_at(&mut host, point, |_| {});
        host.serve();
        wait_for("what ended to go", || {
            (count(&host, "flow_runs") == 2 && count(&host, "removals") == 0).then_some(())
        });
        host.stop();
        sound(&host);
        for table in ["facts", "task_runs", "states", "logs", "results", "outbox"] {
            let orphans = format!("{table} WHERE run_id NOT IN (SELECT id FROM flow_runs)");
            assert_eq!(count(&host, &orphans), 0, "{point}: {table}");
        }
    }
}

#[test]
fn a_copy_that_is_interrupted_is_no_file_or_a_whole_one() {
    let mut host = filled();
    host.serve();
    let file = host.folder().join("copy.db");
    let name = file.to_str().expect("a name");
    for point in BACKUP {
        let _ = std::fs::remove_file(&file);
        command_dies_at(&host, point, &["backup", name]);
        assert_eq!(file.exists(), point == "backup.placed", "{point}");
        let copied = host.cli(&["backup", name, "--force", "--json"]).success().json();
        assert_eq!(copied["flow_runs"], ENDED + 2, "{point}");
    }
    host.kill();
    sound(&host);
}

#[test]
fn a_restoring_that_is_interrupted_leaves_the_old_store_or_the_new_one() {
    for (point, is_new) in RESTORE {
        let mut host = filled();
        let file = host.folder().join("copy.db");
        let name = file.to_str().expect("a name");
        let _ = host.cli(&["backup", name]).success();
        host.serve();
        let _ = host.run_to_end("flow/flow", &json!({"text": "later"}));
        // Its log is not written back, as after any crash.
        host.kill();
        command_dies_at(&host, point, &["restore", name]);
        host.serve();
        let there = ENDED + if is_new { 2 } else { 3 };
        assert_eq!(count(&host, "flow_runs"), there, "{point}");
        let run = host.run_to_end("flow/flow", &json!({"text": "on"}));
        assert_eq!(run["state"]["type"], "COMPLETED", "{point}");
        host.stop();
        sound(&host);
        let _ = host.cli(&["restore", name]).success();
        assert_eq!(count(&host, "flow_runs"), ENDED + 2, "{point}");
    }
}

#[test]
fn a_collection_that_is_interrupted_costs_nothing() {
    for point in GC {
        let mut host = filled();
        command_dies_at(&host, point, &["gc", "--vacuum"]);
        sound(&host);
        assert_eq!(count(&host, "flow_runs"), ENDED + 2, "{point}");
        let _ = host.cli(&["gc", "--vacuum"]).success();
        host.serve();
        let run = host.run_to_end("flow/flow", &json!({"text": "on"}));
        assert_eq!(run["state"]["type"], "COMPLETED", "{point}");
        host.kill();
    }
}
