//! The program as a person meets it: exit codes, one clear line each, a stop that is clean.

use grepx_tests::{Host, Process};
use serde_json::json;
use std::process::Command;

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}]
prefect_tasks: [{name: task, flow_name: flow, task_kind: transform, inputs: {n: params.n}, task_config: {program: '.n + 1'}}]
prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool, parameters: {n: 1}}]
";

#[test]
fn a_run_is_started_watched_and_read_from_the_command_line() {
    let host = Host::with(FLOWS).start();
    let watched = host
        .cli(&["deployment", "run", "flow/deployment", "--param", "n=41", "--watch"])
        .success();
    assert!(watched.out.contains("Completed"), "{watched:?}");
    let runs = host.cli(&["flow-run", "ls", "--json"]).success().json();
    let run = &runs.as_array().expect("a list")[0];
    let id = run["id"].as_str().expect("an id");
    assert_eq!(host.result(id, "task"), json!(42));
    let logs = host.cli(&["flow-run", "logs", id]).success();
    assert!(logs.out.contains("Flow run started"), "{logs:?}");
    let inspected = host.cli(&["flow-run", "inspect", id, "--json"]).success().json();
    assert_eq!(inspected["state"]["type"], "COMPLETED");
}

#[test]
fn a_failed_run_has_exit_code_1_and_an_unknown_name_4() {
    let host = Host::with(FLOWS).start();
    let failed = host.cli(&["deployment", "run", "flow/deployment", "--param", "n={}", "--watch"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    let unknown = host.cli(&["deployment", "run", "flow/nobody"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
}

#[test]
fn without_a_server_one_line_says_so() {
    let host = Host::with(FLOWS).prepare();
    let outcome = host.cli(&["--api-url", "http://127.0.0.1:9/api", "flow-run", "ls"]);
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert_eq!(outcome.err.trim().lines().count(), 1, "{}", outcome.err);
    assert!(outcome.err.contains("grepx-host serve"), "{}", outcome.err);
}

#[test]
fn a_taken_port_is_one_line() {
    let host = Host::with(FLOWS).start();
    let port = host
        .url()
        .split(':')
        .nth(2)
        .and_then(|rest| rest.split('/').next())
        .expect("a port")
        .to_owned();
    let second = Host::with(FLOWS).prepare();
    let outcome = second.cli(&["serve", "--port", &port]);
    assert_ne!(outcome.code, 0);
    assert!(
        outcome.err.contains(&format!("port {port}")) && outcome.err.contains("taken"),
        "{}",
        outcome.err
    );
}

#[test]
fn a_second_host_on_one_state_directory_is_told_who_holds_it() {
    let host = Host::with(FLOWS).start();
    let outcome = host.cli(&["serve", "--port", "0"]);
    assert_ne!(outcome.code, 0);
    let holder = host.process.as_ref().map(Process::id).expect("it serves").to_string();
    assert!(outcome.err.contains(&holder), "{}", outcome.err);
}

#[test]
fn a_missing_plugin_makes_its_flow_a_problem_with_a_name() {
    let host = Host::with(FLOWS).prepare();
    let empty = host.folder().join("no-plugins");
    std::fs::create_dir(&empty).expect("a folder");
    let outcome = host.cli(&["check"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let config = std::fs::read_to_string(host.folder().join("config.yaml")).expect("the configuration");
    let changed: String = config
        .lines()
        .map(|line| match line.trim_start().strip_prefix("dir: ") {
            Some(path) if path.ends_with("plugins") => format!("  dir: {}\n", empty.display()),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(host.folder().join("config.yaml"), changed).expect("written");
    let outcome = host.cli(&["check"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        format!("{}{}", outcome.out, outcome.err).contains("transform"),
        "{outcome:?}"
    );
}

#[test]
fn every_mistake_of_the_configuration_is_told_at_once() {
    let host = Host::with(FLOWS).prepare();
    std::fs::write(
        host.folder().join("wrong.yaml"),
        "server:\n  prot: 1\ndatabase:\n  db_url: ${NO_SUCH_VARIABLE}\nlimits:\n  result_bytes: many\n",
    )
    .expect("written");
    let binary = grepx_tests::provided("GREPX_TEST_BIN");
    let output = Command::new(binary)
        .current_dir(host.folder())
        .args(["--config", "wrong.yaml", "config", "show"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        "wrong.yaml:2:3",
        "port",
        "NO_SUCH_VARIABLE",
        "wrong.yaml:4",
        "wrong.yaml:6",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn config_show_names_origins_and_masks_secrets() {
    let host = Host::with(FLOWS)
        .config("celery:\n  broker_url: redis://user:hunter2@127.0.0.1:1/0\n  result_backend: redis://user:hunter2@127.0.0.1:1/0")
        .prepare();
    let shown = host.cli(&["config", "show"]).success().out;
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("broker_url") && shown.contains("config.yaml:"),
        "{shown}"
    );
    assert!(shown.contains("default"), "{shown}");
}

#[test]
fn two_signals_in_a_row_end_the_program_by_its_own_hand() {
    let mut host = Host::with(FLOWS).start();
    let mut process = host.process.take().expect("it serves");
    process.signal("INT");
    process.signal("INT");
    let status = process.wait();
    // 130 when the second one came before everything was put away, 0 when it was.
    assert!(matches!(status.code(), Some(0 | 130)), "{status}");
}
