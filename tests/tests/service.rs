//! A host in the background: started, asked, stopped and started again by the command line, and what
//! is said when that does not work.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use grepx_tests::{Host, Outcome, wait_for};
use serde_json::Value;

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}]
prefect_tasks: [{name: task, flow_name: flow, task_kind: transform, inputs: {n: params.n}, task_config: {program: '.n + 1'}}]
prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool, parameters: {n: 1}}]
";

/// Whatever becomes of the test, nothing of it goes on.
struct Background(Host);

impl Background {
    fn prepare() -> Self {
        Self(
            Host::with(FLOWS)
                .config("celery: {broker_url: 'memory://', result_backend: 'memory://'}")
                .prepare(),
        )
    }

    fn start(&self) -> Value {
        self.0.cli(&["start", "--port", "0", "--json"]).success().json()
    }

    fn status(&self) -> Outcome {
        self.0.cli(&["status", "--json"])
    }

    fn state(&self, name: &str) -> PathBuf {
        self.0.folder().join("state").join(name)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let status = self.status();
        if let Some(pid) = (status.code == 0).then(|| status.json()["process"].to_string()) {
            signal(&pid, "KILL");
        }
    }
}

fn signal(pid: &str, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), pid]).status();
    assert!(status.expect("kill runs").success(), "no process {pid}");
}

#[test]
fn it_starts_says_how_it_is_and_stops() {
    let host = Background::prepare();
    assert_eq!(host.status().code, 3);
    let started = host.start();
    let address = started["address"].as_str().expect("an address").to_owned();
    let pid = started["process"].to_string();
    assert_eq!(
        std::fs::read_to_string(host.state("grepx-host.pid"))
            .expect("a pid file")
            .trim(),
        pid
    );
    let mode = |path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(host.state("grepx-host.log")), 0o600);

    let status = host.status().success().json();
    assert_eq!(status["process"], started["process"]);
    assert_eq!(status["ready"], true, "{status}");
    assert_eq!(status["flow_runs"]["running"], 0, "{status}");
    let words = host.0.cli(&["status"]).success().out;
    assert!(words.contains("running, ready") && words.contains(&address), "{words}");
    let url = format!("{address}/api");
    let run = host
        .0
        .cli(&["--api-url", &url, "deployment", "run", "flow/deployment", "--json"]);
    assert!(run.success().json()["id"].is_string());

    let again = host.0.cli(&["start", "--port", "0"]).success().out;
    assert!(again.contains("already") && again.contains(&pid), "{again}");

    let stopped = host.0.cli(&["stop"]).success().out;
    assert!(stopped.contains(&pid), "{stopped}");
    assert_eq!(host.status().code, 3);
    assert!(!host.state("grepx-host.pid").exists());
    assert!(host.0.cli(&["stop"]).success().out.contains("not running"));
}

#[test]
fn one_that_was_killed_is_told_from_one_that_was_stopped() {
    let host = Background::prepare();
    let pid = host.start()["process"].to_string();
    signal(&pid, "KILL");
    let status = wait_for("the end of the host", || {
        Some(host.status()).filter(|status| status.code != 0)
    });
    assert_eq!(status.code, 1, "{status:?}");
    let words = host.0.cli(&["status"]);
    assert!(
        words.out.contains("not running") && words.out.contains(&pid),
        "{words:?}"
    );
    let next = host.start();
    assert_ne!(next["process"].to_string(), pid);
    assert_eq!(host.status().code, 0);
}

#[test]
fn a_taken_port_names_who_has_it() {
    let host = Background::prepare();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let outcome = host.0.cli(&["start", "--port", &port]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let own = format!("process {}", std::process::id());
    assert!(
        outcome.err.contains(&own) && outcome.err.contains(&port),
        "{}",
        outcome.err
    );
}

#[test]
fn one_that_does_not_come_up_says_its_last_words() {
    let host = Background::prepare();
    std::fs::create_dir(host.0.folder().join("state")).expect("a folder");
    std::fs::write(
        host.state("grepx-host.db"),
        "this is no database, and long enough to be read as one".repeat(9),
    )
    .expect("written");
    let outcome = host.0.cli(&["start", "--port", "0"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("last lines of"), "{}", outcome.err);
    assert!(outcome.err.contains("file is not a database"), "{}", outcome.err);
    assert_eq!(host.status().code, 3);
}

#[test]
fn a_broken_configuration_leaves_alone_what_runs() {
    let host = Background::prepare();
    let before = host.start()["process"].clone();
    let config = host.0.folder().join("config.yaml");
    let whole = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, format!("{whole}\nserver: {{prot: 1}}\n")).expect("written");
    let outcome = host.0.cli(&["restart", "--port", "0"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    std::fs::write(&config, whole).expect("written");
    assert_eq!(host.status().success().json()["process"], before);

    let restarted = host.0.cli(&["restart", "--port", "0", "--json"]).success().json();
    assert_ne!(restarted["process"], before);
    assert_eq!(host.status().success().json()["process"], restarted["process"]);
}

#[test]
fn one_that_does_not_stop_is_not_waited_for_for_ever() {
    let host = Background::prepare();
    let pid = host.start()["process"].to_string();
    signal(&pid, "STOP");
    let outcome = host.0.cli(&["stop", "--wait", "1"]);
    signal(&pid, "CONT");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains(&format!("kill -9 {pid}")), "{}", outcome.err);
    wait_for("the end of the host", || Some(()).filter(|()| host.status().code == 3));
}

#[test]
fn a_unit_for_systemd_names_this_program_and_this_configuration() {
    let host = Background::prepare();
    let unit = host.0.cli(&["systemd-unit", "--user", "grepx"]).success().out;
    let config = host.0.folder().join("config.yaml");
    for part in [
        "User=grepx",
        "Type=notify",
        &format!("--config {} serve", config.display()),
        &format!("WorkingDirectory={}", host.0.folder().display()),
        &host.0.folder().join("state").display().to_string(),
    ] {
        assert!(unit.contains(part), "{part}: {unit}");
    }
}

#[test]
fn a_service_manager_is_told_when_work_is_taken() {
    let mut host = Host::with(FLOWS).prepare();
    let socket = host.folder().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
    manager.set_read_timeout(Some(grepx_tests::PATIENCE)).expect("a bound");
    host.spawn(&[("NOTIFY_SOCKET", &socket.display().to_string())]);
    let mut heard = [0; 64];
    let length = manager.recv(&mut heard).expect("told");
    assert_eq!(&heard[..length], b"READY=1");
    assert!(host.comes_up());
    host.stop();
    let length = manager.recv(&mut heard).expect("told");
    assert_eq!(&heard[..length], b"STOPPING=1");
}
