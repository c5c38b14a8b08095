//! From `plugin new` to a kind that runs: what somebody does who has the binary and nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use grepx_tests::{Host, host_with, provided};
use serde_json::json;

/// What `docs/plugins.md` shows.
const FLOWS: &str = include_str!("../fixtures/guide/flows.yaml");
const PLUGINS: &str = include_str!("../fixtures/guide/plugins.yaml");

/// Makes a crate, tests it and builds its component; everything that it depends on lies in the
/// plugins' target folder already.
fn made(host: &Host, name: &str, shape: &str, kind: &str) -> PathBuf {
    let made = host.cli(&["plugin", "new", name, shape, "--json"]).success().json();
    let folder = host.folder().join(made["path"].as_str().expect("a path"));
    let source = folder.join("src/lib.rs");
    let text = std::fs::read_to_string(&source).expect("its source");
    let (own, wanted) = (format!("(kind = \"{name}\""), format!("(kind = \"{kind}\""));
    assert!(text.contains(&own), "{text}");
    std::fs::write(&source, text.replace(&own, &wanted)).expect("its source is changed");
    let target = provided("GREPX_TEST_PLUGINS").join("target");
    let cargo = |words: &[&str]| {
        let mut command = Command::new("cargo");
        command
            .args(words)
            .args(["--offline", "--quiet", "--target-dir"])
            .arg(&target);
        let output = command
            .current_dir(&folder)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .expect("cargo runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "{command:?}\n{told}\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let tested = cargo(&["test", "--lib"]);
    assert!(tested.contains("3 passed"), "{tested}");
    cargo(&["build", "--release", "--target", "wasm32-wasip2"]);
    let built = target
        .join("wasm32-wasip2/release")
        .join(format!("{}.wasm", name.replace('-', "_")));
    let kept = host.folder().join(format!("{kind}.wasm"));
    std::fs::copy(&built, &kept).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    kept
}

#[test]
fn a_crate_of_each_shape_is_made_tested_built_and_run() {
    let maker = Host::with("prefect_work_pools: [{name: pool}]\n").prepare();
    // The shipped policy's crate has the name of its kind, and the target folder is shared with it.
    let components = [
        made(&maker, "greet-somebody", "--activity", "greet-somebody"),
        made(&maker, "ask-somebody", "--durable", "ask-somebody"),
        made(&maker, "own-retry", "--policy", "retry"),
    ];

    let more = PLUGINS
        .strip_prefix("plugins:\n")
        .expect("a section of the configuration");
    let host = host_with(&components, more, FLOWS);
    let run = host.run_to_end("morning/now", &json!({}));
    let id = run["id"].as_str().expect("an id");
    let logs = host.logs(id);
    assert_eq!(host.result(id, "greet"), json!({"text": "good morning, Ada"}));
    assert!(logs.contains("attempt 1 of greet"), "{logs}");
    // Nobody answers, and the policy finds that it is not worth another attempt: no retry_config.
    assert_eq!(run["state"]["type"], "FAILED", "{run}");
    assert!(logs.contains("no answer within 1s"), "{logs}");
}

#[test]
fn mistakes_are_told_and_nothing_is_overwritten() {
    let host = Host::with("prefect_work_pools: [{name: pool}]\n").prepare();
    let shapeless = host.cli(&["plugin", "new", "word-count"]);
    assert_eq!(shapeless.code, 2, "{shapeless:?}");
    assert!(shapeless.err.contains("--activity|--durable|--policy"), "{shapeless:?}");
    let both = host.cli(&["plugin", "new", "word-count", "--activity", "--policy"]);
    assert_eq!(both.code, 2, "{both:?}");
    let name = host.cli(&["plugin", "new", "Word_Count", "--activity"]);
    assert_eq!(name.code, 2, "{name:?}");
    assert!(name.err.contains("small letters"), "{name:?}");

    let used = host.folder().join("used");
    std::fs::create_dir(&used).expect("a folder");
    std::fs::write(used.join("mine.txt"), "mine").expect("a file");
    let refused = host.cli(&["plugin", "new", "word-count", "--activity", "--path", "used"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("is not empty"), "{refused:?}");
    assert_eq!(std::fs::read_dir(Path::new(&used)).expect("a list").count(), 1);
}
