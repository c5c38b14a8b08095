//! The log of a run is a file format: what a release has written, every later one reads.

use grepx_engine::{
    Command, ErrorClass, Fact, Json, Message, NodeId, Op, Outcome, RunOutcome, Skip, Snapshot, StopReason, Suspended,
    TaskError, Timestamp, Wake,
};
use serde_json::json;

const GOLDEN: &str = include_str!("golden/facts.jsonl");

#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn every_fact() -> Vec<Fact> {
    let (node, item, attempt) = (NodeId::task(3), NodeId::item(3, 7), 2);
    let json = |value: serde_json::Value| Json::from(&value);
    let error = TaskError {
        retry_after_ms: Some(10),
        details: Some(json(json!({"traceback": "…"}))),
        ..TaskError::new(ErrorClass::Retryable, "celery-task-failed", "ValueError: m")
    };
    let message = Message {
        connection: "celery".into(),
        destination: "queue".into(),
        body: vec![0, 255].into(),
        meta: [("guard".to_owned(), "g".to_owned())].into(),
    };
    let command = |key: &str, op: Op| Command { key: key.into(), op };
    let reply = Op::Reply {
        connection: "celery".into(),
        key: "celery-task-meta-1".into(),
    };
    vec![
        Fact::Scheduled { start_at: Timestamp(5) },
        Fact::Queued,
        Fact::Late,
        Fact::Admitted,
        Fact::Started,
        Fact::Skipped {
            node,
            why: Skip::Condition("run_if is false".into()),
        },
        Fact::Skipped {
            node,
            why: Skip::Rule("skipped".into()),
        },
        Fact::Skipped {
            node: item,
            why: Skip::UpstreamFailed("failed".into()),
        },
        Fact::Mapped {
            node,
            items: vec![json(json!(1)), json(json!({"a": null}))],
        },
        Fact::AttemptStarted {
            node: item,
            attempt: 1,
            input: Some(json(json!({"kwargs": {}}))),
            limit_ms: Some(300_000),
        },
        Fact::AttemptStarted {
            node,
            attempt,
            input: None,
            limit_ms: None,
        },
        Fact::Suspended {
            node,
            attempt,
            step: 1,
            suspended: Suspended {
                state: Snapshot {
                    version: 1,
                    data: b"{}".to_vec().into(),
                },
                commands: vec![
                    command("task", Op::Enqueue(message.clone().into())),
                    command("revoke", Op::Broadcast(message.into())),
                    command("timer", Op::TimerAt(Timestamp(9))),
                    command("result", reply),
                    command("approval", Op::Signal("approved".into())),
                    command("undo", Op::Cancel("task".into())),
                ],
                wake: Wake::Any(vec!["result".into()]),
                status: Some("queued on celery".into()),
            },
            build: None,
        },
        Fact::Outcome {
            node,
            attempt,
            key: "result".into(),
            outcome: Outcome::Reply(b"{}".to_vec().into()),
        },
        Fact::Outcome {
            node,
            attempt,
            key: "timer".into(),
            outcome: Outcome::Fired,
        },
        Fact::Outcome {
            node,
            attempt,
            key: "task".into(),
            outcome: Outcome::Failed(error.clone()),
        },
        Fact::Succeeded {
            node,
            attempt,
            bytes: 12,
            result: None,
            build: None,
        },
        Fact::AttemptFailed {
            node,
            attempt,
            error: error.clone(),
            build: None,
        },
        Fact::StopAsked {
            node,
            attempt,
            reason: StopReason::TimedOut,
        },
        Fact::Stopped {
            node,
            attempt,
            commands: vec![],
        },
        Fact::RetryPlanned {
            node,
            attempt,
            start_at: Timestamp(8),
        },
        Fact::Failed {
            node,
            error,
            reason: "3 of 3 retries used".into(),
        },
        Fact::Cancelled { node },
        Fact::Gathered { node },
        Fact::CancelAsked {
            reason: "by a person".into(),
        },
        Fact::FlowTimedOut { limit_ms: 1 },
        Fact::Paused,
        Fact::Resumed,
        Fact::Finished {
            outcome: RunOutcome::TimedOut,
        },
        Fact::Suspended {
            node,
            attempt,
            step: 0,
            suspended: Suspended {
                state: Snapshot {
                    version: 1,
                    data: vec![].into(),
                },
                commands: vec![],
                wake: Wake::Any(vec![]),
                status: None,
            },
            build: Some("5feceb66".into()),
        },
        Fact::Succeeded {
            node,
            attempt,
            bytes: 2,
            result: None,
            build: Some("5feceb66".into()),
        },
        Fact::AttemptFailed {
            node,
            attempt,
            error: TaskError::new(ErrorClass::Permanent, "c", "m"),
            build: Some("5feceb66".into()),
        },
        Fact::Reopened { start_at: Timestamp(9) },
        Fact::Renewed {
            nodes: vec![node, item],
        },
        Fact::MarkedDone {
            node,
            note: "copied by hand".into(),
            bytes: 4,
            result: None,
        },
    ]
}

/// With `GREPX_BLESS=1` new facts are added to the golden file; a line in it is never changed.
#[test]
fn facts_are_written_and_read_as_ever() {
    let now: Vec<String> = every_fact()
        .iter()
        .map(|fact| serde_json::to_string(fact).expect("a fact is JSON"))
        .collect();
    if std::env::var_os("GREPX_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/facts.jsonl");
        std::fs::write(path, now.join("\n") + "\n").expect("the golden file");
        return;
    }
    let golden: Vec<&str> = GOLDEN.lines().collect();
    assert_eq!(golden, now);
    for (line, fact) in golden.iter().zip(every_fact()) {
        let read: Fact = serde_json::from_str(line).expect("an old line is read");
        assert_eq!(read, fact, "{line}");
    }
}
