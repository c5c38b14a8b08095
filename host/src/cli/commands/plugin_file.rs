//! `plugin check` and `plugin test`: what an author wants to know before anybody installs a
//! component.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use grepx_engine::{Json, Snapshot, Step, StopReason};
use serde_json::{Value, json};

use super::plugin_run::context;
use super::workbench::Workbench;
use crate::cli::arguments::Global;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::plugins::{Failure as CallFailure, InspectedKind, KeyedOutcome, Level, LogSink, Role};

/// What the component is, and what it would need.
pub(crate) fn check(global: &Global, file: &Path) -> Done {
    let bench = Workbench::open(global, file)?;
    let seen = &bench.seen;
    let loads = bench.load(file);
    if global.json {
        let kinds: Vec<Value> = seen.kinds.iter().map(|kind| described(kind, seen.role)).collect();
        out::json(&json!({
            "digest": seen.file.digest,
            "size_bytes": seen.file.size_bytes,
            "imports": seen.file.imports,
            "kinds": kinds,
            "loads_here": loads.is_ok(),
            "reason": loads.as_ref().err().map(|failure| failure.error.to_string()),
        }));
        return Ok(exit(&loads));
    }
    out::pairs(&[
        ("file", file.display().to_string()),
        ("sha256", seen.file.digest.to_string()),
        ("bytes", seen.file.size_bytes.to_string()),
        ("imports", seen.file.imports.join("\n")),
    ]);
    for kind in &seen.kinds {
        let versions = kind
            .state_versions
            .map_or_else(String::new, |(oldest, newest)| format!("{oldest} to {newest}"));
        let mut rows = vec![
            ("kind", kind.kind.clone()),
            ("role", seen.role.to_string()),
            ("version", kind.version.clone()),
            ("summary", kind.summary.clone()),
            ("state versions", versions),
            ("needs granted", kind.needs.join("\n")),
            ("may need", kind.may_need.join("\n")),
            ("input schema", kind.input_schema.as_str().to_owned()),
            ("output schema", kind.output_schema.as_str().to_owned()),
        ];
        rows.retain(|(_, value)| !value.is_empty());
        out::line("");
        out::pairs(&rows);
    }
    out::line("");
    match &loads {
        Ok(()) => out::line("It loads with the grants that it has here."),
        Err(failure) => out::line(format!("It does not load here: {}", failure.error)),
    }
    Ok(exit(&loads))
}

fn exit(loads: &Result<(), Failure>) -> Exit {
    match loads {
        Ok(()) => Exit::Ok,
        Err(_) => Exit::Failed,
    }
}

fn described(kind: &InspectedKind, role: Role) -> Value {
    json!({
        "kind": kind.kind,
        "role": role.to_string(),
        "version": kind.version,
        "summary": kind.summary,
        "state_versions": kind.state_versions.map(|(oldest, newest)| json!({"oldest": oldest, "newest": newest})),
        "capabilities": kind.capabilities.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "needs": kind.needs,
        "may_need": kind.may_need,
        "input_schema": kind.input_schema,
        "output_schema": kind.output_schema,
    })
}

/// Calls every kind with inputs that it was not made for: it has to answer, and twice the same.
pub(crate) fn test(global: &Global, file: &Path, input: Option<&str>) -> Done {
    let bench = Workbench::open(global, file)?;
    bench.load(file)?;
    let given = match input {
        None => None,
        Some(text) => Some(serde_json::from_str(text).map_err(|error| Failure::usage(format!("--input: {error}")))?),
    };
    let mut inputs = vec![
        json!({}),
        json!(null),
        json!([1, "a", {}]),
        json!("text"),
        json!({"name": null, "args": [], "kwargs": {}, "config": {}}),
        json!({"name": 7, "args": {}, "kwargs": [], "config": "x"}),
    ];
    inputs.extend(given);
    let mut tried = Vec::new();
    let mut faults = 0;
    for kind in &bench.seen.kinds {
        if bench.seen.role == Role::Policy {
            faults += told(
                global,
                &mut tried,
                &kind.kind,
                "judges a failure",
                policy(&bench, &kind.kind),
            );
            continue;
        }
        for input in &inputs {
            let what = format!("answers {input}");
            faults += told(
                global,
                &mut tried,
                &kind.kind,
                &what,
                answers(&bench, &kind.kind, input),
            );
        }
    }
    if global.json {
        out::json(&json!({"ok": faults == 0, "faults": faults, "tried": tried}));
    }
    if faults == 0 {
        return Ok(Exit::Ok);
    }
    Err(Failure::says(
        Exit::Failed,
        format!("{faults} of these have to be mended"),
    ))
}

/// At once, or for the end with `--json`.
fn told(global: &Global, tried: &mut Vec<Value>, kind: &str, what: &str, result: Result<String, String>) -> u32 {
    let (word, fault, how) = match result {
        Ok(how) => ("ok   ", 0, how),
        Err(why) => ("FAULT", 1, why),
    };
    if !global.json {
        out::line(format!("{word} {kind} {what}: {how}"));
    }
    tried.push(json!({"ok": fault == 0, "kind": kind, "what": what, "how": how}));
    fault
}

fn silent() -> Arc<dyn LogSink> {
    Arc::new(|_: Level, _: &str| {})
}

fn policy(bench: &Workbench, kind: &str) -> Result<String, String> {
    let error = grepx_engine::TaskError::new(grepx_engine::ErrorClass::Retryable, "code", "message");
    let empty = Json::from(&json!({}));
    let ctx = context(kind, 0);
    let judged = bench.plugins.judge(kind, &ctx, &error, &empty, silent());
    let verdict = bench.runtime.block_on(judged).map_err(|failure| failure.to_string())?;
    let limit = bench.plugins.time_limit(kind, &ctx, None, &empty, silent());
    bench.runtime.block_on(limit).map_err(|failure| failure.to_string())?;
    Ok(format!("{verdict:?}"))
}

fn answers(bench: &Workbench, kind: &str, input: &Value) -> Result<String, String> {
    let input = Json::from(input);
    let call = || {
        let ctx = context(kind, 0);
        match bench.seen.role {
            Role::Activity => {
                let call = bench.plugins.run_activity(kind, &ctx, &input, silent());
                bench.runtime.block_on(call)
            }
            _ => bench
                .runtime
                .block_on(bench.plugins.start(kind, &ctx, &input, silent())),
        }
    };
    let started = Instant::now();
    let first = call();
    let took = started.elapsed();
    let second = call();
    if first != second {
        return Err("the same call has two answers: take time and chance from its context only".to_owned());
    }
    match first {
        Ok(Step::Done(_)) => Ok(format!("done in {} µs", took.as_micros())),
        Ok(Step::Failed(error)) => Ok(format!("{:?}, {} in {} µs", error.class, error.code, took.as_micros())),
        Ok(Step::Suspended(suspended)) => {
            goes_on(bench, kind, &suspended.state)?;
            Ok(format!("suspended with {} commands", suspended.commands.len()))
        }
        // What is not granted here says nothing of the component.
        Err(CallFailure::NotGranted { capability, .. }) => Ok(format!("would need {capability}")),
        Err(failure) => Err(failure.to_string()),
    }
}

/// A suspended attempt hears what it did not ask for, and is stopped.
fn goes_on(bench: &Workbench, kind: &str, state: &Snapshot) -> Result<(), String> {
    let ctx = context(kind, 1);
    let strange = [KeyedOutcome {
        key: "a key that it does not know".to_owned(),
        outcome: grepx_engine::Outcome::Fired,
    }];
    let resumed = bench.plugins.resume(kind, &ctx, state, &strange, silent());
    let resumed = bench.runtime.block_on(resumed);
    resumed.map_err(|failure| format!("after an event that it did not ask for: {failure}"))?;
    let stopped = bench.plugins.stop(kind, &ctx, state, StopReason::Cancelled, silent());
    let stopped = bench.runtime.block_on(stopped);
    stopped
        .map(drop)
        .map_err(|failure| format!("when it is stopped: {failure}"))
}
