//! A disk that takes what is written and then says that it could not be made durable. The host's own
//! calls are answered by strace, so everything above them is as it is.

use std::process::Command;
use std::time::Duration;

use grepx_tests::{Host, Process, wait_at_most};
use serde_json::json;

use crate::{create, deployment, not_ready, ready, told};

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}, {name: waits}]
prefect_tasks:
  - {name: task, flow_name: flow, task_kind: noop}
  - {name: timer, flow_name: waits, task_kind: sleep, task_config: {seconds: 1}}
  - {name: after, flow_name: waits, task_kind: noop, depends_on: [timer]}
prefect_deployments:
  - {name: deployment, flow_name: flow, work_pool_name: pool}
  - {name: waits, flow_name: waits, work_pool_name: pool}
";

/// Every synchronisation of the host fails until strace lets go of it.
fn failing(host: &Host) -> Process {
    let id = host.process.as_ref().expect("it serves").id();
    let mut command = Command::new("strace");
    command.args(["-f", "-p", &id.to_string(), "-e", "trace=fsync,fdatasync"]);
    command.args(["-e", "inject=fsync,fdatasync:error=EIO"]);
    let mut strace = Process::start(command, &host.folder().join("strace.log"));
    let _ = strace.wait_for_line(" attached");
    strace
}

#[test]
fn what_cannot_be_made_durable_is_not_told_as_done() {
    let mut host = Host::with(FLOWS).start();
    let id = deployment(&host, "flow/deployment");
    let waits = host.run("waits/waits", &json!({}));
    let _ = host.wait_task(&waits, "timer", |task| task["state"]["type"] == "RUNNING");
    let strace = failing(&host);
    // Whoever asks first meets the disk; then everybody is told without it.
    let refused = create(&host, &id);
    assert_eq!(refused.0, 503, "{refused:?}");
    let why = not_ready(&host);
    assert!(why.contains("run store"), "{why}");
    for _ in 0..20 {
        let (status, answer) = create(&host, &id);
        assert_eq!(status, 503, "{answer}");
    }
    assert!(strace.output().contains("INJECTED"), "{}", strace.output());
    // The timer comes meanwhile: what follows waits with the store.
    let _ = wait_at_most(Duration::from_millis(1_500), || None::<()>);
    assert_eq!(host.flow_run(&waits)["state"]["type"], "RUNNING");
    let_go(strace);
    ready(&host);
    assert_eq!(host.wait(&waits)["state"]["type"], "COMPLETED", "{}", host.logs(&waits));
    let mut answered = Vec::new();
    for _ in 0..20 {
        let (status, run) = create(&host, &id);
        assert_eq!(status, 201, "{run}");
        answered.push(run["id"].as_str().expect("an id").to_owned());
    }
    assert_eq!(told(&host, "the run store takes no changes"), 1, "{}", host.output());
    assert_eq!(told(&host, "the audit log is behind"), 0, "{}", host.output());
    host.kill();
    let _ = host.cli(&["gc", "--check"]).success();
    let _ = host.cli(&["store", "verify"]).success();
    host.serve();
    for id in answered {
        assert_eq!(host.wait(&id)["state"]["type"], "COMPLETED");
    }
}

fn let_go(mut strace: Process) {
    strace.signal("TERM");
    let _ = strace.wait();
}
