//! Kinds of tasks as the shipped ones are, written down here: activities with and without an effect,
//! Celery tasks, timers, signals, flow runs; and a policy. What a step answers depends on the step
//! alone, so that it is the same when it is repeated; how long it takes, and whether its plugin is
//! there at all, is luck.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use grepx_celery::TaskResult;
use grepx_celery::result::Status;
use grepx_engine::{
    Bytes, Call, ChildRun, Command, ErrorClass, Json, Message, Op, Outcome, Snapshot, Step, StopReason, Suspended,
    TaskError, Verdict, Wake,
};
use serde_json::{Value, json};

use crate::plugins::{Ctx, Failure};
use crate::runner::Script;
use crate::store::Eyes;

use super::flows::{CONNECTION, LEAF};
use super::luck::Luck;
use super::outside::Shared;

/// The keys of commands.
const TASK: &str = "task";
const RESULT: &str = "result";
const CHILD: &str = "child";
const STARTED: &str = "started:child";
const TIMER: &str = "timer";
/// The codes of failures that a worker has told.
pub(super) const RAISED: &str = "raised";
pub(super) const REVOKED: &str = "revoked";
/// The signal that an approval waits for.
pub(super) const GO: &str = "go";

#[derive(Debug)]
pub(super) struct Kinds {
    pub(super) outside: Shared,
    pub(super) eyes: Eyes,
}

impl Script for Kinds {
    fn is_pure(&self, kind: &str) -> bool {
        kind != "effect"
    }

    fn step(&self, kind: String, ctx: Ctx, call: Call) -> BoxFuture<'static, Result<Step, Failure>> {
        let outside = self.outside.clone();
        if kind == "effect" && self.eyes.attempt(ctx.task_run) < ctx.attempt {
            let what = format!("an effect of {}: attempt {} is not kept yet", ctx.task_run, ctx.attempt);
            outside.lock().violations.push(what);
        }
        async move {
            let (takes, missing) = {
                let mut outside = outside.lock();
                let slow = if outside.bad_luck(5) { 3_000 } else { 20 };
                (outside.luck.ms(slow), outside.bad_luck(2))
            };
            if missing {
                return Err(Failure::NoPlugin { kind });
            }
            tokio::time::sleep(takes).await;
            Ok(answer(&kind, &ctx, &call))
        }
        .boxed()
    }

    fn judge(&self, ctx: &Ctx, error: &TaskError, config: &Json) -> Verdict {
        let config = config.to_value();
        let number = |name: &str| config[name].as_u64().unwrap_or(0);
        let again = matches!(error.class, ErrorClass::Retryable | ErrorClass::TimedOut);
        match again && u64::from(ctx.attempt) <= number("retries") {
            true => Verdict::RetryInMs(number("ms")),
            false => Verdict::GiveUp("no more retries".to_owned()),
        }
    }

    fn stop(&self, kind: &str, ctx: &Ctx, _state: &Snapshot, _reason: StopReason) -> Vec<Command> {
        let id = ctx.idempotency_key.to_string();
        match kind {
            "work" => vec![cancel(TASK), command("revoke", Op::Broadcast(revocation(&id).into()))],
            "child" => vec![cancel(CHILD)],
            _ => Vec::new(),
        }
    }
}

fn answer(kind: &str, ctx: &Ctx, call: &Call) -> Step {
    let config = call.input.to_value()["config"].clone();
    let number = |name: &str| config[name].as_u64().unwrap_or(0);
    let mut luck = Luck::new(ctx.seed);
    let id = ctx.idempotency_key.to_string();
    let Some((_, events)) = &call.resume else {
        return match kind {
            "list" => Step::Done(Json::from(&json!(Vec::from_iter(0..luck.below(4))))),
            "work" => start_work(&id),
            "timer" => suspended(
                vec![command(TIMER, Op::TimerAt(ctx.now.plus_ms(number("ms"))))],
                &[TIMER],
            ),
            "ask" => suspended(vec![command(GO, Op::Signal(GO.to_owned()))], &[GO]),
            "child" => start_child(&id, &luck),
            _ if luck.percent(number("fails")) => Step::Failed(failure("unlucky")),
            _ => Step::Done(Json::from(&json!({"id": id}))),
        };
    };
    let waits = config["waits"] == Value::Bool(true);
    for (key, outcome) in events {
        match outcome {
            Outcome::Failed(error) => return Step::Failed(error.clone()),
            Outcome::Cancelled => return Step::Failed(TaskError::new(ErrorClass::Cancelled, "withdrawn", "withdrawn")),
            Outcome::Fired => return Step::Done(Json::from(&json!({"id": id}))),
            Outcome::Signal(_) if key == STARTED && waits => {}
            Outcome::Signal(told) if key == STARTED => return child(&id, told),
            Outcome::Child(report) => return child(&id, report),
            Outcome::Signal(_) => return Step::Done(Json::from(&json!({"id": id}))),
            Outcome::Reply(bytes) => {
                if let Some(step) = read(bytes) {
                    return step;
                }
            }
        }
    }
    match kind {
        "work" => suspended(Vec::new(), &[RESULT]),
        _ => suspended(Vec::new(), &[STARTED, CHILD]),
    }
}

fn start_work(id: &str) -> Step {
    let key = grepx_celery::result_key("", id);
    let message = Message {
        connection: CONNECTION.to_owned(),
        destination: "celery".to_owned(),
        body: Bytes::from(id.as_bytes().to_vec()),
        meta: [("task-id", id), ("task-name", "tasks.work"), ("result-key", &key)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    let reply = Op::Reply {
        connection: CONNECTION.into(),
        key: key.as_str().into(),
    };
    let commands = vec![command(RESULT, reply), command(TASK, Op::Enqueue(message.into()))];
    suspended(commands, &[RESULT])
}

/// A final state ends the attempt; others leave it waiting.
fn read(bytes: &Bytes) -> Option<Step> {
    let result = TaskResult::decode(bytes.as_ref()).expect("the simulated worker writes results");
    // A failure says whose it is, as a result does.
    let failed = |code| TaskError::new(ErrorClass::Retryable, code, result.task_id.clone().unwrap_or_default());
    match result.status {
        Status::Success => Some(Step::Done(Json::from(&result.result))),
        Status::Failure => Some(Step::Failed(failed(RAISED))),
        Status::Revoked => Some(Step::Failed(failed(REVOKED))),
        _ => None,
    }
}

fn start_child(id: &str, luck: &Luck) -> Step {
    let debug = luck.clone().percent(20);
    let child = ChildRun {
        deployment: LEAF.to_owned(),
        parameters: Json::from(&json!({"debug": debug})),
        idempotency_key: id.to_owned(),
    };
    let commands = vec![
        command(STARTED, Op::Signal(STARTED.to_owned())),
        command(CHILD, Op::StartFlow(child)),
    ];
    suspended(commands, &[STARTED, CHILD])
}

/// Done, with the flow run that it was told of.
fn child(id: &str, told: &Json) -> Step {
    Step::Done(Json::from(&json!({"id": id, "child": told.to_value()["flow_run_id"]})))
}

fn revocation(id: &str) -> Message {
    let body = json!({"method": "revoke", "arguments": {"task_id": id, "terminate": true, "signal": "SIGTERM"}});
    Message {
        connection: CONNECTION.to_owned(),
        destination: "control".to_owned(),
        body: Bytes::from(body.to_string().into_bytes()),
        meta: [("until-reply".to_owned(), grepx_celery::result_key("", id))].into(),
    }
}

fn command(key: &str, op: Op) -> Command {
    Command {
        key: key.to_owned(),
        op,
    }
}

fn cancel(key: &str) -> Command {
    command(&format!("cancel-{key}"), Op::Cancel(key.to_owned()))
}

fn suspended(commands: Vec<Command>, wake: &[&str]) -> Step {
    Step::Suspended(Suspended {
        state: Snapshot {
            version: 1,
            data: Bytes::from(Vec::new()),
        },
        commands,
        wake: Wake::Any(wake.iter().map(|key| (*key).to_owned()).collect()),
        status: None,
    })
}

fn failure(code: &str) -> TaskError {
    TaskError::new(ErrorClass::Retryable, code, code)
}
