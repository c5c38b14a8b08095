//! The command line as a person and as a script use it: lists and filters, plans, limits, watching,
//! what shells and `man` are given.

use std::process::Command;

use grepx_tests::{Host, Process, provided, wait_for};
use serde_json::{Value, json};

const FLOWS: &str = "prefect_work_pools: [{name: pool, concurrency_limit: 3}]
prefect_flows: [{name: sums}, {name: sleepy}, {name: tidy}]
prefect_tasks:
  - {name: each, flow_name: sums, task_kind: transform, for_each: params.numbers, inputs: {n: item}, task_config: {program: '.n * 2'}}
  - {name: sum, flow_name: sums, task_kind: transform, depends_on: [each], inputs: {all: results.each, factor: params.factor},
     task_config: {program: '(.all | add) * .factor'}, timeout_seconds: 30, retry_config: {max_retries: 2, retry_delay_seconds: 1}}
  - {name: never, flow_name: sums, task_kind: noop, run_if: params.factor > 100}
  - {name: nap, flow_name: sleepy, task_kind: sleep, task_kwargs: {seconds: 3600}}
  - {name: work, flow_name: tidy, task_kind: sleep, task_kwargs: {seconds: 3600}}
  - {name: sweep, flow_name: tidy, task_kind: sleep, task_kwargs: {seconds: 3600}, depends_on: [work], trigger_rule: always}
prefect_deployments:
  - {name: sums_now, flow_name: sums, work_pool_name: pool, parameters: {numbers: [1, 2, 3], factor: 10}}
  - {name: sleepy_now, flow_name: sleepy, work_pool_name: pool}
  - {name: tidy_now, flow_name: tidy, work_pool_name: pool}
";

fn task<'a>(plan: &'a Value, name: &str) -> &'a Value {
    let tasks = plan["tasks"].as_array().expect("tasks");
    tasks
        .iter()
        .find(|task| task["name"] == name)
        .unwrap_or_else(|| panic!("{plan:#}"))
}

#[test]
fn a_plan_says_what_would_happen_with_and_without_a_server() {
    let mut host = Host::with(FLOWS).prepare();
    let ask = |host: &Host, more: &[&str]| {
        let words = [
            &["deployment", "run", "sums/sums_now", "--dry-run", "--param", "factor=7"],
            more,
        ]
        .concat();
        host.cli(&words)
    };
    let offline = ask(&host, &["--json"]).success();
    assert!(offline.err.contains("no server answers"), "{}", offline.err);
    host.serve();
    let online = ask(&host, &["--json"]).success().json();
    for plan in [&offline.json(), &online] {
        assert_eq!(plan["parameters"]["factor"], 7);
        assert_eq!(task(plan, "each")["for_each"]["value"], json!([1, 2, 3]));
        let sum = task(plan, "sum");
        assert_eq!(sum["stage"], 1);
        assert_eq!(sum["upstreams"], json!(["each"]));
        assert_eq!(sum["inputs"]["factor"]["value"], 7);
        assert_eq!(sum["inputs"]["all"], json!({"expression": "results.each"}));
        assert_eq!(sum["timeout_seconds"], 30);
        assert_eq!(task(plan, "never")["run_if"]["value"], false);
    }
    assert_eq!(offline.json()["work_pool"]["slots"], Value::Null);
    assert_eq!(online["work_pool"]["slots"]["free"], 3, "{online:#}");
    let words = ask(&host, &[]).success().out;
    for part in [
        "3 of 3 slots free",
        "3 items",
        "known when it runs",
        "false: it is skipped",
        "up to 2",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let runs = host.cli(&["flow-run", "ls", "--json"]).success().json();
    assert_eq!(runs, json!([]), "a plan starts nothing");
    let unknown = host.cli(&["deployment", "run", "sums/sums_nwo", "--dry-run"]);
    assert_eq!(unknown.code, 4);
    assert!(
        unknown.err.contains("did you mean \"sums/sums_now\""),
        "{}",
        unknown.err
    );
}

#[test]
fn lists_are_filtered_and_mistyped_names_are_told_the_nearest() {
    let host = Host::with(FLOWS).start();
    let run = host.run_to_end("sums/sums_now", &json!({}));
    let sleeping = host.run("sleepy/sleepy_now", &json!({}));
    let ids = |words: &[&str]| {
        let rows = host.cli(&[words, &["--json"]].concat()).success().json();
        let rows = rows.as_array().expect("a list").clone();
        rows.into_iter()
            .map(|row| row["id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    let own = run["id"].as_str().expect("an id");
    assert_eq!(ids(&["flow-run", "ls", "--deployment", "sums/sums_now"]), [own]);
    assert_eq!(ids(&["flow-run", "ls", "--state", "completed", "--since", "1h"]), [own]);
    assert_eq!(ids(&["flow-run", "ls", "--flow", "sleepy"]), [sleeping.as_str()]);
    assert_eq!(
        ids(&["flow-run", "ls", "--since", "2100-01-01T00:00:00Z"]),
        Vec::<String>::new()
    );
    let tasks = ids(&["task-run", "ls", "--flow", "sleepy"]);
    assert_eq!(tasks.len(), 1, "{tasks:?}");

    let flow = host.cli(&["flow-run", "ls", "--flow", "sleppy"]).success();
    assert!(flow.err.contains("did you mean \"sleepy\""), "{}", flow.err);
    let state = host.cli(&["flow-run", "ls", "--state", "Compelted"]);
    assert_eq!(state.code, 2);
    assert!(state.err.contains("did you mean Completed"), "{}", state.err);
    let pool = host.cli(&["work-pool", "inspect", "pol"]);
    assert_eq!(pool.code, 4);
    assert!(pool.err.contains("did you mean \"pool\""), "{}", pool.err);

    let all = host.cli(&["flow-run", "logs", own, "--json"]).success().out;
    let last = host
        .cli(&["flow-run", "logs", own, "--json", "--tail", "-n", "2"])
        .success()
        .out;
    let expected: Vec<&str> = all.lines().skip(all.lines().count() - 2).collect();
    assert_eq!(last.lines().collect::<Vec<_>>(), expected);
    host.cancel(&sleeping);
    let _ = host.wait(&sleeping);
}

#[test]
fn pools_and_queues_are_limited_and_paused_by_prefects_verbs() {
    let host = Host::with(FLOWS).start();
    let done = |words: &[&str]| host.cli(&[words, &["--json"]].concat()).success().json();
    assert_eq!(
        done(&["work-pool", "set-concurrency-limit", "pool", "5"])["concurrency_limit"],
        5
    );
    assert_eq!(
        done(&["work-pool", "clear-concurrency-limit", "pool"])["concurrency_limit"],
        Value::Null
    );
    let queues = done(&["work-queue", "ls", "--pool", "pool"]);
    let queue = queues[0]["name"].as_str().expect("a queue").to_owned();
    assert_eq!(
        done(&["work-queue", "pause", &queue, "--pool", "pool"])["is_paused"],
        true
    );
    assert_eq!(done(&["work-queue", "resume", &queue])["is_paused"], false);
    let limited = done(&["work-queue", "set-concurrency-limit", &queue, "1", "--pool", "pool"]);
    assert_eq!(limited["concurrency_limit"], 1);
    assert_eq!(done(&["work-queue", "inspect", &queue])["concurrency_limit"], 1);
    let unknown = host.cli(&["work-queue", "inspect", &format!("{queue}x")]);
    assert_eq!(unknown.code, 4);
    assert!(unknown.err.contains(&queue), "{}", unknown.err);

    assert_eq!(done(&["work-pool", "preview", "pool"]), json!([]));
    let status = done(&["server", "status"]);
    assert_eq!(status["ready"], true);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn another_server_is_named_by_our_variable_before_prefects() {
    let host = Host::with(FLOWS).start();
    let away = "http://127.0.0.1:9/api";
    let own = host.url().to_owned();
    let asked = host.cli_with(&[("GREPX_API_URL", &own), ("PREFECT_API_URL", away)], &["flow", "ls"]);
    assert_eq!(asked.code, 0, "{asked:?}");
    let asked = host.cli_with(&[("GREPX_API_URL", away)], &["flow", "ls"]);
    assert_eq!(asked.code, 3, "{asked:?}");
    assert!(asked.err.contains("grepx-host start"), "{}", asked.err);
}

#[test]
fn on_a_terminal_the_tasks_are_drawn_and_lists_fit() {
    let host = Host::with(FLOWS).start();
    let binary = provided("GREPX_TEST_BIN");
    let on_terminal = |words: &str| {
        let line = format!(
            "stty cols 80 rows 24; {} --config config.yaml {words}",
            binary.display()
        );
        let output = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(host.folder())
            .env("PREFECT_API_URL", host.url())
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .output()
            .expect("script runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let watched = on_terminal("deployment run sums/sums_now --watch");
    for part in ["\u{1b}[?25l", "\u{1b}[?25h", "each", "sum", "3/3", "ended as"] {
        assert!(watched.contains(part), "{part:?}: {watched}");
    }
    let plain = |line: &str| {
        let mut plain = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("\u{1b}[") {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        plain + rest
    };
    let list = on_terminal("flow-run ls");
    assert!(list.contains("\u{1b}["), "{list}");
    for line in list.lines().map(plain) {
        assert!(line.trim_end().chars().count() <= 80, "{line}");
    }
    let id = host.cli(&["flow-run", "ls", "--json"]).success().json()[0]["id"].clone();
    assert!(list.contains(id.as_str().expect("an id")), "{list}");
}

#[test]
fn ctrl_c_ends_the_watching_and_not_the_run() {
    let host = Host::with(FLOWS).start();
    let run = host.run("sleepy/sleepy_now", &json!({}));
    let mut command = Command::new(provided("GREPX_TEST_BIN"));
    command
        .current_dir(host.folder())
        .env("PREFECT_API_URL", host.url())
        .args(["--config", "config.yaml", "flow-run", "watch", &run]);
    let mut watching = Process::start(command, &host.folder().join("watch.log"));
    watching.wait_for_line("Running");
    watching.signal("INT");
    assert_eq!(watching.wait().code(), Some(130), "{}", watching.output());
    let told = format!("grepx-host flow-run watch {run}");
    assert!(watching.output().contains(&told), "{}", watching.output());
    assert_eq!(host.flow_run(&run)["state"]["type"], "RUNNING");
    host.cancel(&run);
    let _ = host.wait(&run);
}

#[test]
fn a_host_that_is_started_again_is_watched_on() {
    let mut host = Host::with(FLOWS).start();
    let port = host.address().rsplit(':').next().expect("a port").to_owned();
    let run = host.run("sleepy/sleepy_now", &json!({}));
    let mut command = Command::new(provided("GREPX_TEST_BIN"));
    command
        .current_dir(host.folder())
        .env("PREFECT_API_URL", host.url())
        .args(["--config", "config.yaml", "flow-run", "watch", &run]);
    let mut watching = Process::start(command, &host.folder().join("watch.log"));
    watching.wait_for_line("nap");
    host.stop();
    watching.wait_for_line("waiting for it");
    let mut command = Command::new(provided("GREPX_TEST_BIN"));
    command
        .current_dir(host.folder())
        .args(["--config", "config.yaml", "serve", "--port", &port]);
    let mut second = Process::start(command, &host.folder().join("second.log"));
    second.wait_for_line("serving");
    let cancelled = host.cli(&["flow-run", "cancel", &run]);
    let status = wait_for("the end of the watching", || watching.ended());
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    assert_eq!(status.code(), Some(1), "{}", watching.output());
    assert!(watching.output().contains("Cancelled"), "{}", watching.output());
}

#[test]
fn a_clean_up_that_does_not_end_is_ended_by_force() {
    let host = Host::with(FLOWS).start();
    for by_name in [false, true] {
        let run = host.run("tidy/tidy_now", &json!({}));
        let _ = host.wait_task(&run, "work", |task| task["state"]["type"] == "RUNNING");
        let _ = host.cli(&["flow-run", "cancel", &run]).success();
        let _ = host.wait_task(&run, "sweep", |task| task["state"]["type"] == "RUNNING");
        let again = host.cli(&["flow-run", "cancel", &run]).success();
        assert!(again.out.contains("is Cancelling"), "{}", again.out);
        let forced = match by_name {
            false => host.cli(&["flow-run", "cancel", "--force", &run]),
            true => host.cli(&[
                "flow-run",
                "cancel",
                "--force",
                "--deployment",
                "tidy/tidy_now",
                "--yes",
            ]),
        };
        let _ = forced.success();
        assert_eq!(host.wait(&run)["state"]["type"], "CANCELLED");
    }
    let nobody = host.cli(&["flow-run", "cancel", "--deployment", "tidy/tidy_not", "--yes"]);
    assert!(
        nobody.err.contains("tidy_now"),
        "the nearest name is told: {}",
        nobody.err
    );
}

#[test]
fn shells_and_man_are_given_every_command() {
    let host = Host::with(FLOWS).prepare();
    for (shell, part) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef grepx-host"),
        ("fish", "complete -c grepx-host"),
    ] {
        let script = host.cli(&["completion", shell]).success().out;
        assert!(
            script.contains(part) && script.contains("work-queue"),
            "{shell}: {script}"
        );
    }
    let script = host.folder().join("completion.bash");
    std::fs::write(&script, host.cli(&["completion", "bash"]).success().out).expect("written");
    let read = Command::new("bash").arg("-n").arg(&script).status().expect("bash runs");
    assert!(read.success());

    let _ = host.cli(&["man", "pages"]).success();
    let page = std::fs::read_to_string(host.folder().join("pages/grepx-host-deployment-run.1")).expect("a page");
    assert!(page.contains("dry\\-run"), "{page}");
    let help = host.cli(&["--help"]).success().out;
    assert!(
        help.contains("Exit codes") && help.contains("no server answers"),
        "{help}"
    );
}

#[test]
fn the_definitions_are_written_as_json_that_is_read_again() {
    let host = Host::with(FLOWS).prepare();
    let exported = host.cli(&["export", "--json"]).success();
    assert!(exported.json()["prefect_flows"].is_array(), "{}", exported.out);
    std::fs::write(host.folder().join("again.yaml"), exported.out).expect("written");
    let again = host
        .cli(&["apply", "--dry-run", "again.yaml", "--json"])
        .success()
        .json();
    assert_eq!(again["changes"], json!([]), "{again}");
}
