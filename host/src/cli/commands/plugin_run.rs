//! `plugin run`: one call of an activity, or a durable task from its start to its end in virtual
//! time. Commands are shown, not carried out; what the outside would answer is given beforehand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use grepx_engine::{Bytes, FlowRunId, Json, Meta, NodeId, Op, Outcome, Step, Suspended, Timestamp, Wake};
use serde_json::{Value, json};
use uuid::Uuid;

use super::workbench::Workbench;
use crate::cli::arguments::{Global, PluginRun};
use crate::cli::client::load_settings;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::plugins::{Ctx, KeyedOutcome, Level, Plugins, Role};

/// Steps of one task at most: a kind that never ends is told so.
const STEPS_MAX: u32 = 1_000;

pub(crate) fn run(global: &Global, asked: &PluginRun) -> Done {
    let input = document(asked.input.as_deref().unwrap_or("{}"))?;
    let answers = Answers::read(asked)?;
    match &asked.file {
        Some(file) => from_file(global, file, asked, &input, answers),
        None => {
            let settings = load_settings(global, Vec::new())?;
            let (runtime, plugins, _) = super::plugin::open(&settings)?;
            runtime.block_on(play(&plugins, &asked.kind, &input, answers))
        }
    }
}

fn from_file(global: &Global, file: &Path, asked: &PluginRun, input: &Json, answers: Answers) -> Done {
    let bench = Workbench::open(global, file)?;
    bench.load(file)?;
    bench
        .runtime
        .block_on(play(&bench.plugins, &asked.kind, input, answers))
}

/// The document of a task: what is not given is empty.
fn document(text: &str) -> Result<Json, Failure> {
    let given: Value = serde_json::from_str(text).map_err(|error| Failure::usage(format!("--input: {error}")))?;
    let Value::Object(given) = given else {
        return Err(Failure::usage(
            "--input has to be a mapping, such as {\"kwargs\": {}, \"config\": {}}",
        ));
    };
    let mut document = json!({"name": null, "args": [], "kwargs": {}, "config": {}});
    for (key, value) in given {
        document[key] = value;
    }
    Ok(Json::from(&document))
}

/// What the outside would say.
#[derive(Debug, Default)]
struct Answers {
    /// By the name of the signal.
    signals: BTreeMap<String, Value>,
    /// By the key of the command.
    outcomes: BTreeMap<String, Value>,
}

impl Answers {
    fn read(asked: &PluginRun) -> Result<Self, Failure> {
        let values = |pairs: &[(String, String)]| {
            let value = |(name, text): &(String, String)| {
                let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
                (name.clone(), value)
            };
            pairs.iter().map(value).collect::<BTreeMap<_, _>>()
        };
        Ok(Self {
            signals: values(&asked.signal),
            outcomes: values(&asked.answer),
        })
    }

    /// Each is given once.
    fn to(&mut self, key: &str, op: &Op) -> Option<Outcome> {
        match op {
            Op::Signal(name) => self
                .signals
                .remove(name)
                .map(|value| Outcome::Signal(Json::from(&value))),
            Op::Reply { .. } => {
                let value = self.outcomes.remove(key)?;
                Some(Outcome::Reply(Bytes::from(value.to_string().into_bytes())))
            }
            Op::StartFlow(_) => self
                .outcomes
                .remove(key)
                .map(|value| Outcome::Child(Json::from(&value))),
            _ => None,
        }
    }
}

/// A task run that there is not.
pub(super) fn context(kind: &str, step: u32) -> Ctx {
    let run = FlowRunId(Uuid::nil());
    let task_run = NodeId::task(0).run_id(run);
    Ctx {
        flow_run: run,
        task_run,
        task: kind.to_owned(),
        flow: "plugin-run".to_owned(),
        attempt: 1,
        step,
        now: Timestamp(1_767_225_600_000),
        seed: 1,
        idempotency_key: task_run.attempt_key(1),
        deadline: None,
        traceparent: None,
        meta: Meta::new(),
    }
}

async fn play(plugins: &Plugins, kind: &str, input: &Json, mut answers: Answers) -> Done {
    let build = plugins
        .newest(kind)
        .map_err(|failure| Failure::says(Exit::NotFound, failure))?;
    build
        .validate(&input.to_value())
        .map_err(|faults| Failure::usage(format!("the input does not fit: {}", faults.join("; "))))?;
    let log = Arc::new(|level: Level, line: &str| out::note(format!("{level:?}: {line}").to_lowercase()));
    let mut ctx = Ctx {
        now: crate::clock::now(),
        ..context(kind, 0)
    };
    let began = ctx.now;
    let first = match build.info.role {
        Role::Activity => plugins.run_activity_on(&build, &ctx, input, log.clone()).await,
        _ => plugins.start_on(&build, &ctx, input, log.clone()).await,
    };
    let mut step = first.map_err(|failure| Failure::says(Exit::Failed, failure))?;
    let mut open: BTreeMap<String, Op> = BTreeMap::new();
    loop {
        let suspended = match step {
            Step::Done(result) => {
                out::json(&result.to_value());
                return Ok(Exit::Ok);
            }
            Step::Failed(error) => {
                return Err(Failure::says(
                    Exit::Failed,
                    format!("{} ({:?}, {})", error.message, error.class, error.code),
                ));
            }
            Step::Suspended(suspended) => suspended,
        };
        show(&suspended, ctx.now.since_ms(began));
        take(&mut open, &suspended);
        let events = next(&mut open, &suspended.wake, &mut answers, &mut ctx.now)?;
        ctx.step += 1;
        if ctx.step > STEPS_MAX {
            return Err(Failure::says(
                Exit::Failed,
                format!("it has not ended after {STEPS_MAX} steps"),
            ));
        }
        let resumed = plugins
            .resume_on(&build, &ctx, &suspended.state, &events, log.clone())
            .await;
        step = resumed.map_err(|failure| Failure::says(Exit::Failed, failure))?;
    }
}

fn show(suspended: &Suspended, ms: u64) {
    let status = suspended.status.as_deref().unwrap_or("suspended");
    out::note(format!("after {ms} ms: {status}"));
    for command in &suspended.commands {
        let op = serde_json::to_string(&command.op).unwrap_or_default();
        out::note(format!("  {}: {op}", command.key));
    }
}

fn take(open: &mut BTreeMap<String, Op>, suspended: &Suspended) {
    for command in &suspended.commands {
        match &command.op {
            Op::Cancel(key) => {
                open.remove(key);
            }
            op => {
                open.insert(command.key.clone(), op.clone());
            }
        }
    }
}

/// The outcomes that wake the attempt: first what was given, then the timers in their order.
fn next(
    open: &mut BTreeMap<String, Op>,
    wake: &Wake,
    answers: &mut Answers,
    now: &mut Timestamp,
) -> Result<Vec<KeyedOutcome>, Failure> {
    let mut events: Vec<KeyedOutcome> = Vec::new();
    loop {
        let came = |key: &String| events.iter().any(|event| event.key == *key);
        let woken = match wake {
            Wake::Any(keys) => keys.iter().any(came),
            Wake::All(keys) => keys.iter().all(came),
        };
        if woken {
            return Ok(events);
        }
        let given = open
            .iter()
            .find_map(|(key, op)| Some((key.clone(), answers.to(key, op)?)));
        let timer = open.iter().filter_map(|(key, op)| match op {
            Op::TimerAt(at) => Some((*at, key.clone())),
            _ => None,
        });
        let event = match (given, timer.min()) {
            (Some((key, outcome)), _) => KeyedOutcome { key, outcome },
            (None, Some((at, key))) => {
                *now = (*now).max(at);
                let outcome = Outcome::Fired;
                KeyedOutcome { key, outcome }
            }
            (None, None) => {
                let waits: Vec<&str> = open.keys().map(String::as_str).collect();
                return Err(Failure::says(
                    Exit::Failed,
                    format!(
                        "it waits for {}: give --signal NAME=JSON, or --answer KEY=JSON for a reply or a child run",
                        waits.join(", ")
                    ),
                ));
            }
        };
        if !matches!(open.get(&event.key), Some(Op::Reply { .. })) {
            open.remove(&event.key);
        }
        events.push(event);
    }
}
