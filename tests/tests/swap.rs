//! Plugins that come, change and go while the host works, by every way in which a file can.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use grepx_tests::{Host, guest, shipped, variant, wait_for};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What the operator is promised for a small component.
const PROMISE: Duration = Duration::from_secs(2);

fn flow(task: &Value) -> String {
    let mut task = task.clone();
    task["name"] = json!("task");
    task["flow_name"] = json!("flow");
    json!({
        "prefect_work_pools": [{"name": "pool", "concurrency_limit": 1000}],
        "prefect_flows": [{"name": "flow"}],
        "prefect_tasks": [task],
        "prefect_deployments": [{"name": "deployment", "flow_name": "flow", "work_pool_name": "pool"}],
    })
    .to_string()
}

fn noop() -> String {
    flow(&json!({"task_kind": "noop"}))
}

fn waits(ms: u64, steps: u32) -> String {
    flow(&json!({"task_kind": "waits", "task_config": {"ms": ms, "steps": steps}}))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits until the kind is served by this build; how long it took.
fn served(host: &Host, kind: &str, bytes: &[u8]) -> Duration {
    let (start, wanted) = (Instant::now(), digest(bytes));
    wait_for(&format!("{kind} of {wanted}"), || {
        (host.build(kind).as_deref() == Some(&wanted)).then_some(())
    });
    start.elapsed()
}

fn gone(host: &Host, kind: &str) {
    wait_for(&format!("the end of {kind}"), || {
        host.build(kind).is_none().then_some(())
    });
}

fn completed(host: &Host) {
    let run = host.run_to_end("flow/deployment", &json!({}));
    assert_eq!(run["state"]["type"], "COMPLETED", "{run}");
}

/// Every digest that the steps of a run were done by, in order.
fn builds(host: &Host, run: &str) -> Vec<String> {
    let facts = host.facts(run);
    let answers = facts
        .iter()
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::values);
    answers
        .filter_map(|fact| Some(fact["build"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn a_file_takes_over_however_it_comes() {
    let host = Host::with(&noop()).own_plugins("").start();
    let base = shipped("noop");
    let file = host.plugins().join("noop.wasm");
    let new = |note: &str| variant(&base, note);

    fs::write(&file, new("overwritten")).expect("written");
    let took = served(&host, "noop", &new("overwritten"));
    assert!(took < PROMISE, "{took:?}");
    completed(&host);

    let beside = host.folder().join("beside.wasm");
    fs::write(&beside, new("renamed")).expect("written");
    fs::rename(&beside, &file).expect("renamed");
    assert!(served(&host, "noop", &new("renamed")) < PROMISE);

    fs::remove_file(&file).expect("removed");
    fs::write(&beside, new("linked")).expect("written");
    std::os::unix::fs::symlink(&beside, &file).expect("linked");
    assert!(served(&host, "noop", &new("linked")) < PROMISE);
    fs::write(&beside, new("behind the link")).expect("written");
    served(&host, "noop", &new("behind the link"));
    completed(&host);

    fs::remove_file(&file).expect("removed");
    slowly(&file, &new("slow"));
    served(&host, "noop", &new("slow"));
    let refused = host.all_plugins().into_iter().find(|one| one["state"] == "refused");
    assert_eq!(refused, None, "half a file was taken");

    let moved = host.plugins().join("other-name.wasm");
    fs::rename(&file, &moved).expect("renamed");
    let path = wait_for("the other name", || {
        let (status, kind) = host.get("/plugins/noop");
        let path = kind["file"]["path"].as_str().unwrap_or_default().to_owned();
        (status == 200 && path.ends_with("other-name.wasm")).then_some(path)
    });
    assert!(Path::new(&path).is_file());
    fs::remove_file(&moved).expect("removed");
    gone(&host, "noop");
}

/// In pieces, each of which leaves the file as it is for a while.
fn slowly(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::create(path).expect("created");
    for piece in bytes.chunks(bytes.len() / 8 + 1) {
        std::io::Write::write_all(&mut file, piece).expect("written");
        pause(Duration::from_millis(100));
    }
}

#[allow(clippy::disallowed_methods, reason = "the slowness is what is tested")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn a_broken_replacement_leaves_the_good_one_even_over_a_restart() {
    let mut host = Host::with(&noop()).own_plugins("").start();
    let good = host.build("noop").expect("served");
    let file = host.plugins().join("noop.wasm");
    let bytes = fs::read(&file).expect("the file");
    fs::write(&file, &bytes[..bytes.len() / 2]).expect("written");
    let reason = |host: &Host| {
        wait_for("the refusal", || {
            let all = host.all_plugins();
            let refused = all.iter().find(|one| one["state"] == "refused")?;
            Some(refused["reason"].as_str()?.to_owned())
        })
    };
    assert!(reason(&host).contains("is not a valid component"));
    assert_eq!(host.build("noop"), Some(good.clone()));
    completed(&host);
    host.stop();
    host.serve();
    assert!(reason(&host).contains("is not a valid component"));
    assert_eq!(host.build("noop"), Some(good));
    completed(&host);
    fs::write(&file, &bytes).expect("written");
    wait_for("no refusal", || {
        host.all_plugins()
            .iter()
            .all(|one| one["state"] == "serving")
            .then_some(())
    });
}

#[test]
fn a_build_is_posted_installed_and_rolled_back() {
    let mut host = Host::with(&noop()).own_plugins("").start();
    let base = shipped("noop");
    let (second, third) = (variant(&base, "second"), variant(&base, "third"));

    let (status, answer) = host.post_bytes("/plugins", &second);
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer[0]["file"]["digest"], digest(&second).as_str());
    assert_eq!(fs::read(host.plugins().join("noop.wasm")).expect("the file"), second);
    completed(&host);

    let file = host.folder().join("third.wasm");
    fs::write(&file, &third).expect("written");
    let told = host
        .cli(&["plugin", "install", file.to_str().expect("a path")])
        .success();
    assert!(told.out.contains(&digest(&third)[..12]), "{told:?}");
    assert_eq!(host.build("noop"), Some(digest(&third)));

    host.stop();
    host.serve();
    let told = host.cli(&["plugin", "rollback", "noop"]).success();
    assert!(told.out.contains(&digest(&second)[..12]), "{told:?}");
    assert_eq!(host.build("noop"), Some(digest(&second)));
    completed(&host);
    let (status, answer) = host.post("/plugins/noop/rollback", &json!({}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        host.build("noop"),
        Some(digest(&third)),
        "done twice, the present one is back"
    );
    let (status, _) = host.post("/plugins/nobody/rollback", &json!({}));
    assert_eq!(status, 404);
    assert_eq!(host.cli(&["plugin", "rollback", "nobody"]).code, 4);
    let (status, answer) = host.post("/plugins/sleep/rollback", &json!({}));
    assert_eq!(status, 409, "{answer}");
}

#[test]
fn of_two_files_the_newer_one_serves_and_the_other_is_shown() {
    let host = Host::with(&noop()).own_plugins("").start();
    let newer = variant(&shipped("noop"), "newer");
    let path = host.plugins().join("again.wasm");
    fs::write(&path, &newer).expect("written");
    served(&host, "noop", &newer);
    let all = host.all_plugins();
    let shadowed = all
        .iter()
        .find(|one| one["state"] == "shadowed")
        .expect("the other one");
    assert!(
        shadowed["reason"]
            .as_str()
            .is_some_and(|why| why.contains("again.wasm")),
        "{shadowed}"
    );
    let listed = host.cli(&["plugin", "ls"]).success();
    assert!(listed.out.contains("shadowed"), "{listed:?}");
    completed(&host);
    fs::remove_file(&path).expect("removed");
    served(&host, "noop", &shipped("noop"));
}

#[test]
fn a_suspended_attempt_goes_on_with_the_build_that_reads_its_state() {
    let mut host = Host::with(&waits(3_000, 1)).own_plugins("collect_seconds: 1").prepare();
    let (first, second) = (guest("waits1"), guest("waits2"));
    fs::write(host.plugins().join("waits.wasm"), &first).expect("written");
    host.serve();
    let old = host.run("flow/deployment", &json!({}));
    let waiting = |host: &Host, run: &str| {
        let _ = host.wait_task(run, "task", |task| task["state"]["type"] == "RUNNING");
        wait_for("a suspended step", || (builds(host, run).len() == 1).then_some(()));
    };
    waiting(&host, &old);
    fs::write(host.plugins().join("waits.wasm"), &second).expect("written");
    served(&host, "waits", &second);
    let new = host.run("flow/deployment", &json!({}));
    waiting(&host, &new);
    for (run, bytes, version) in [(&old, &first, 1), (&new, &second, 2)] {
        let ended = host.wait(run);
        assert_eq!(ended["state"]["type"], "COMPLETED", "{}", host.logs(run));
        assert_eq!(builds(&host, run), [digest(bytes), digest(bytes)]);
        assert_eq!(host.result(run, "task"), json!([version, version]));
    }
}

#[test]
fn a_pinned_build_outlives_its_file_and_a_restart_and_is_collected_when_nothing_needs_it() {
    let mut host = Host::with(&waits(4_000, 1)).own_plugins("collect_seconds: 1").prepare();
    let file = host.plugins().join("waits.wasm");
    let first = guest("waits1");
    fs::write(&file, &first).expect("written");
    host.serve();
    let run = host.run("flow/deployment", &json!({}));
    wait_for("a suspended step", || (builds(&host, &run).len() == 1).then_some(()));
    host.kill();
    fs::remove_file(&file).expect("removed");
    host.serve();
    assert_eq!(host.build("waits"), None);
    let kept = host
        .folder()
        .join(format!("state/plugin-builds/{}.wasm", digest(&first)));
    assert!(kept.is_file(), "it is needed");
    let ended = host.wait(&run);
    assert_eq!(ended["state"]["type"], "COMPLETED", "{}", host.logs(&run));
    assert_eq!(builds(&host, &run), [digest(&first), digest(&first)]);
    assert!(kept.is_file(), "it is the way back");

    // Two other builds make it neither the present one nor the one before.
    let second = guest("waits2");
    for build in [second.clone(), variant(&second, "other")] {
        fs::write(&file, &build).expect("written");
        served(&host, "waits", &build);
    }
    wait_for("the end of the first build", || (!kept.exists()).then_some(()));
    assert!(
        host.folder()
            .join(format!("state/plugin-builds/{}.wasm", digest(&second)))
            .is_file()
    );
}

#[test]
fn without_a_provider_new_work_waits_until_there_is_one() {
    let host = Host::with(&noop()).own_plugins("").start();
    let file = host.plugins().join("noop.wasm");
    let bytes = fs::read(&file).expect("the file");
    completed(&host);
    fs::remove_file(&file).expect("removed");
    gone(&host, "noop");
    let run = host.run("flow/deployment", &json!({}));
    let reason = wait_for("the reason", || {
        let logs = host.logs(&run);
        logs.contains("no plugin provides `noop`").then_some(logs)
    });
    assert!(reason.contains("Waiting:"), "{reason}");
    let state = &host.flow_run(&run)["state"]["type"];
    assert_eq!(state, "RUNNING");
    fs::write(&file, &bytes).expect("written");
    let ended = host.wait(&run);
    assert_eq!(ended["state"]["type"], "COMPLETED", "{}", host.logs(&run));
}

#[test]
fn without_a_provider_new_work_fails_when_it_is_told_to() {
    let host = Host::with(&noop()).own_plugins("when_missing: fail").start();
    fs::remove_file(host.plugins().join("noop.wasm")).expect("removed");
    gone(&host, "noop");
    let run = host.run_to_end("flow/deployment", &json!({}));
    assert_eq!(run["state"]["type"], "FAILED");
    let id = run["id"].as_str().expect("an id");
    assert!(host.logs(id).contains("plugin-missing"), "{}", host.logs(id));
}

#[test]
fn altered_compiled_code_is_compiled_anew() {
    let mut host = Host::with(&noop()).own_plugins("").prepare();
    let config = fs::read_to_string(host.folder().join("config.yaml")).expect("the configuration");
    let own = |line: &str| match line.trim_start().split_once(": ") {
        Some(("cache_dir", _)) => format!("  cache_dir: {}\n", host.folder().join("cache").display()),
        Some(("key_file", _)) => format!("  key_file: {}\n", host.folder().join("key").display()),
        _ => format!("{line}\n"),
    };
    let config: String = config.lines().map(own).collect();
    fs::write(host.folder().join("config.yaml"), config).expect("written");
    // Compiling all of them here would take a while.
    for name in [
        "celery",
        "sample-worker",
        "sleep",
        "transform",
        "http",
        "approval",
        "subflow",
    ] {
        let _ = fs::remove_file(host.plugins().join(format!("{name}.wasm")));
    }
    host.serve();
    completed(&host);
    host.stop();
    let mut flipped = 0;
    for entry in fs::read_dir(host.folder().join("cache")).expect("the cache") {
        let path = entry.expect("an entry").path();
        let mut bytes = fs::read(&path).expect("compiled code");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).expect("written");
        flipped += 1;
    }
    assert!(flipped >= 2, "{flipped}");
    host.serve();
    let log = host.process.as_ref().expect("it serves").output();
    assert!(log.contains("was not written by this host or was altered"), "{log}");
    for kind in host.all_plugins() {
        assert_eq!(kind["file"]["from_cache"], false, "{kind}");
    }
    completed(&host);
    host.stop();
    host.serve();
    for kind in host.all_plugins() {
        assert_eq!(kind["file"]["from_cache"], true, "{kind}");
    }
}

/// The short form; `cargo xtask bench` has the long one.
#[test]
fn swaps_under_load_lose_and_mix_nothing() {
    let tasks = flow(&json!({"task_kind": "noop", "for_each": "range(20)"}));
    let host = Host::with(&tasks).own_plugins("settle_ms: 20\nrescan_ms: 50").start();
    let base = shipped("noop");
    let versions = [variant(&base, "left"), variant(&base, "right")];
    let file = host.plugins().join("noop.wasm");
    let mut runs = Vec::new();
    for swap in 0..10 {
        let beside = host.folder().join("beside.wasm");
        fs::write(&beside, &versions[swap % 2]).expect("written");
        fs::rename(&beside, &file).expect("renamed");
        while host.build("noop") != Some(digest(&versions[swap % 2])) {
            runs.push(host.run("flow/deployment", &json!({})));
        }
        runs.push(host.run("flow/deployment", &json!({})));
    }
    let mut seen = BTreeSet::new();
    for run in &runs {
        let ended = host.wait(run);
        assert_eq!(ended["state"]["type"], "COMPLETED", "{}", host.logs(run));
        let steps = builds(&host, run);
        assert_eq!(steps.len(), 20, "one digest for each task run");
        seen.extend(steps);
    }
    for version in &versions {
        assert!(seen.contains(&digest(version)), "{seen:?}");
    }
    let known: BTreeSet<String> = [&base, &versions[0], &versions[1]].map(|bytes| digest(bytes)).into();
    assert!(seen.is_subset(&known), "{seen:?}");
}
