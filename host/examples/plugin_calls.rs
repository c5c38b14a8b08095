//! Measures calls of an activity, each in a fresh instance:
//! `cargo run --release --example plugin_calls -- plugins noop`.

#![allow(clippy::disallowed_methods, reason = "a measurement outside of the host")]

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use grepx_engine::{FlowRunId, Json, Meta, Step, TaskRunId, Timestamp};
use grepx_host::plugins::{Ctx, Level, LogSink, Plugins, Settings};
use uuid::Uuid;

const CALLS: usize = 20_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(kind)) = (arguments.next(), arguments.next()) else {
        bail!("usage: plugin_calls <directory of components> <kind>");
    };
    let state = std::env::temp_dir().join("grepx-plugin-calls");
    let (plugins, problems) = Plugins::load(Settings::new(dir, state.join("cache"), state.join("key"))).await?;
    let mut out = std::io::stdout();
    for problem in problems {
        writeln!(out, "{problem}")?;
    }
    let kinds = plugins.kinds();
    let file = &kinds.get(&kind).context("no file describes the kind")?.file;
    let (size, load) = (file.size_bytes, file.load_time);
    writeln!(
        out,
        "{kind}: {size} bytes, loaded in {load:?}, from cache {}, pooled {}",
        file.from_cache,
        plugins.is_pooled()
    )?;

    for bytes in [0, 1024, 10 * 1024] {
        let input = Json::from(&serde_json::json!({"args": [], "kwargs": {"text": "x".repeat(bytes)}}));
        let mut times = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            times.push(one(&plugins, &kind, &input).await?);
        }
        times.sort_unstable();
        let at = |share: usize| times[(CALLS - 1) * share / 100];
        writeln!(
            out,
            "one after another, {bytes} bytes: p50 {:?}, p99 {:?}",
            at(50),
            at(99)
        )?;
    }
    parallel(&plugins, &kind, &mut out).await
}

async fn parallel(plugins: &Plugins, kind: &str, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let started = Instant::now();
    let callers = (0..8).map(|_| {
        let (plugins, kind) = (plugins.clone(), kind.to_owned());
        tokio::spawn(async move {
            let input = Json::from(&serde_json::json!({"args": [], "kwargs": {}}));
            for _ in 0..CALLS {
                one(&plugins, &kind, &input).await?;
            }
            anyhow::Ok(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    let rate = (8 * CALLS) as f64 / started.elapsed().as_secs_f64();
    writeln!(out, "8 callers: {rate:.0} calls per second")?;
    Ok(())
}

async fn one(plugins: &Plugins, kind: &str, input: &Json) -> anyhow::Result<Duration> {
    let ctx = ctx();
    let log: Arc<dyn LogSink> = Arc::new(|_: Level, _: &str| {});
    let started = Instant::now();
    match plugins.run_activity(kind, &ctx, input, log).await? {
        Step::Done(_) => Ok(started.elapsed()),
        other => bail!("unexpected answer: {other:?}"),
    }
}

fn ctx() -> Ctx {
    Ctx {
        flow_run: FlowRunId(Uuid::from_u128(1)),
        task_run: TaskRunId(Uuid::from_u128(2)),
        task: "task".to_owned(),
        flow: "flow".to_owned(),
        attempt: 1,
        step: 0,
        now: Timestamp(0),
        seed: 7,
        idempotency_key: Uuid::from_u128(3),
        deadline: None,
        traceparent: None,
        meta: Meta::new(),
    }
}
