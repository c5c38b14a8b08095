//! `GET /metrics`: what a monitoring system asks for every few seconds, as Prometheus reads it
//! (OpenMetrics text 1.0).
//!
//! Everything is gathered when somebody asks; between two questions only counters are counted.
//! Labels are names of definitions, kinds, connections and states: what could have any number of
//! values is folded into `other` beyond a bound, or left out where a sum says nothing. A run, a task run
//! or a parameter is never a label.

pub(super) mod page;
mod process;
mod traffic;

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::error::Error;
use super::{ApiState, VERSION};
use crate::runner::Load;
use crate::store::{Depth, Figures, PoolStatus, QueueStatus, Space, StateCount};
use crate::traces::{Counts, Traces};
use page::{Page, Samples};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn scrape(State(state): State<ApiState>) -> Result<Response, Error> {
    let page = gather(&state).await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], page.text()).into_response())
}

pub(super) async fn gather(state: &ApiState) -> Result<Page, Error> {
    let (figures, space) = (state.store.figures().await?, state.store.space().await?);
    let mut page = Page::default();
    let version = vec![("version", VERSION.to_owned())];
    page.gauge(
        "grepx_build_info",
        "The version that serves; always 1",
        [(version, 1.0)],
    );
    runs(&mut page, &figures);
    work_pools(&mut page, &figures);
    runner(&mut page, state.runner.load());
    store(&mut page, state, &figures);
    files(&mut page, state, space).await;
    plugins(&mut page, state);
    connections(&mut page, state);
    traffic::add(&mut page, state);
    traces(&mut page, state);
    process::add(&mut page);
    Ok(page)
}

fn runs(page: &mut Page, figures: &Figures) {
    let by_state = |tallies: &[StateCount]| -> Samples {
        let labels = |tally: &StateCount| {
            vec![
                ("state_type", tally.state_type.clone()),
                ("state_name", tally.state_name.clone()),
            ]
        };
        tallies.iter().map(|tally| (labels(tally), tally.runs as f64)).collect()
    };
    page.gauge(
        "grepx_flow_runs",
        "Flow runs in the run store, by state",
        by_state(&figures.flow_runs),
    );
    page.gauge(
        "grepx_task_runs",
        "Task runs in the run store, by state",
        by_state(&figures.task_runs),
    );
}

fn work_pools(page: &mut Page, figures: &Figures) {
    let (mut running, mut waiting, mut limits) = (Samples::new(), Samples::new(), Samples::new());
    let mut parked: BTreeMap<_, _> = BTreeMap::new();
    for (pool, queue, runs) in &figures.parked {
        parked.insert((pool.as_str(), queue.as_str()), *runs);
    }
    for pool in &figures.pools {
        if let Some(limit) = pool.concurrency_limit {
            limits.push((queue_labels(pool, ""), limit.into()));
        }
        for queue in &pool.queues {
            running.push((queue_labels(pool, &queue.name), queue.held as f64));
            if let Some(limit) = queue.concurrency_limit {
                limits.push((queue_labels(pool, &queue.name), limit.into()));
            }
            let by_deployment = parked.remove(&(pool.name.as_str(), queue.name.as_str())).unwrap_or(0);
            for (reason, runs) in [(why(pool, queue), queue.waiting), ("deployment_limit", by_deployment)] {
                let mut labels = queue_labels(pool, &queue.name);
                labels.push(("reason", reason.to_owned()));
                waiting.push((labels, runs as f64));
            }
        }
    }
    page.gauge(
        "grepx_work_queue_running",
        "Flow runs that hold a slot of the work queue",
        running,
    );
    page.gauge(
        "grepx_work_queue_waiting",
        "Flow runs that wait for a slot of the work queue, by what they wait for",
        waiting,
    );
    page.each(
        "grepx_work_queue_limit",
        "Flow runs at once, where there is a limit; without a queue, of the work pool",
        limits,
    );
}

fn queue_labels(pool: &PoolStatus, queue: &str) -> Vec<(&'static str, String)> {
    vec![("work_pool", pool.name.clone()), ("work_queue", queue.to_owned())]
}

/// What the first of those who wait in a queue waits for.
fn why(pool: &PoolStatus, queue: &QueueStatus) -> &'static str {
    let full = |limit: Option<u32>, held: u64| limit.is_some_and(|limit| held >= limit.into());
    if pool.paused {
        "work_pool_paused"
    } else if queue.paused {
        "work_queue_paused"
    } else if full(queue.concurrency_limit, queue.held) {
        "work_queue_limit"
    } else if full(pool.concurrency_limit, pool.held) {
        "work_pool_limit"
    } else {
        "turn"
    }
}

fn runner(page: &mut Page, load: Load) {
    let mailboxes = load.mailboxes.iter().enumerate();
    let of = |value: fn(&Depth) -> usize| -> Samples {
        let shard = |(n, depth): (usize, &Depth)| (vec![("shard", n.to_string())], value(depth) as f64);
        mailboxes.clone().map(shard).collect()
    };
    page.gauge(
        "grepx_shard_mail",
        "Events that wait for a shard of the runner",
        of(|depth| depth.waiting),
    );
    page.gauge(
        "grepx_shard_mail_limit",
        "Events that may wait for a shard",
        of(|depth| depth.limit),
    );
    page.one(
        "grepx_work_waiting",
        "Nodes that wait for their turn to be prepared, called, judged or stopped",
        load.work_waiting as f64,
    );
    page.histogram(
        "grepx_flow_run_lateness_seconds",
        "Starts of flow runs, by how long after the expected time they came",
        load.lateness,
    );
}

fn store(page: &mut Page, state: &ApiState, figures: &Figures) {
    let queue = state.store.queue_depth();
    page.one(
        "grepx_store_queue",
        "Changes that wait for the writer of the run store",
        queue.waiting as f64,
    );
    page.one(
        "grepx_store_queue_limit",
        "Changes that may wait for the writer",
        queue.limit as f64,
    );
    let commits = state.store.commits();
    page.histogram(
        "grepx_store_commit_seconds",
        "Group commits of the run store, by what they took",
        commits.seconds.clone(),
    );
    page.histogram(
        "grepx_store_commit_changes",
        "Group commits of the run store, by the changes in them",
        commits.changes.clone(),
    );
    page.one(
        "grepx_store_writable",
        "1 while the run store takes changes",
        f64::from(state.store.trouble().is_none()),
    );
    page.one(
        "grepx_outbox",
        "Commands to the outside that are not over",
        figures.outbox as f64,
    );
    page.one(
        "grepx_outbox_unsent",
        "Commands to the outside that are still to be sent",
        figures.unsent as f64,
    );
}

async fn files(page: &mut Page, state: &ApiState, space: Space) {
    page.one("grepx_store_bytes", "Size of the run store", space.bytes as f64);
    page.one(
        "grepx_store_free_bytes",
        "Of it, what is free and used again",
        space.free as f64,
    );
    let mut log = state.store.path().as_os_str().to_owned();
    log.push("-wal");
    let bytes = tokio::fs::metadata(log).await.map_or(0, |file| file.len());
    page.one(
        "grepx_store_wal_bytes",
        "Size of the write-ahead log of the run store",
        bytes as f64,
    );
}

fn plugins(page: &mut Page, state: &ApiState) {
    let kinds = state.plugins.kinds();
    let all: Vec<_> = kinds
        .iter()
        .map(|kind| (kind.info.kind.clone(), kind.counts()))
        .collect();
    let of = |value: fn(&crate::plugins::Counts) -> f64| -> Samples {
        all.iter()
            .map(|(kind, counts)| (vec![("kind", kind.clone())], value(counts)))
            .collect()
    };
    page.counter(
        "grepx_plugin_calls",
        "Calls of a kind that ended, with or without an answer",
        of(|counts| counts.finished as f64),
    );
    let failures: Samples = all
        .iter()
        .flat_map(|(kind, counts)| {
            let named = counts.trapped + counts.timed_out + counts.out_of_memory;
            [
                ("trap", counts.trapped),
                ("timeout", counts.timed_out),
                ("memory", counts.out_of_memory),
                ("other", counts.failed.saturating_sub(named)),
            ]
            .map(|(reason, count)| {
                (
                    vec![("kind", kind.clone()), ("reason", reason.to_owned())],
                    count as f64,
                )
            })
        })
        .collect();
    page.counter("grepx_plugin_failures", "Calls of a kind that gave no answer", failures);
    page.counter(
        "grepx_plugin_call_seconds",
        "Time in calls of a kind",
        of(|counts| counts.time.as_secs_f64()),
    );
    page.counter(
        "grepx_plugin_wait_seconds",
        "Time that calls of a kind have waited for their turn",
        of(|counts| counts.queued.as_secs_f64()),
    );
    page.each(
        "grepx_plugin_memory_bytes_max",
        "Most linear memory that one call of a kind had",
        of(|counts| counts.memory_bytes_max as f64),
    );
    page.one(
        "grepx_plugin_turns_free",
        "Calls that could start now",
        state.plugins.free_turns() as f64,
    );
    page.one(
        "grepx_plugin_turns_limit",
        "Calls at once",
        f64::from(state.settings.plugins.concurrent_calls),
    );
}

fn connections(page: &mut Page, state: &ApiState) {
    let all = state.broker.status();
    let of = |value: fn(&crate::broker::ConnectionStatus) -> f64| -> Samples {
        all.iter()
            .map(|one| (vec![("connection", one.name.clone())], value(one)))
            .collect()
    };
    page.each(
        "grepx_connection_up",
        "1 while the broker of the connection answers",
        of(|one| f64::from(one.up)),
    );
    page.gauge(
        "grepx_connection_awaited",
        "Replies that are waited for",
        of(|one| one.waiting as f64),
    );
    page.gauge(
        "grepx_connection_revoking",
        "Revocations that are repeated until a worker confirms",
        of(|one| one.revoking as f64),
    );
}

/// Without a series while there is no collector.
fn traces(page: &mut Page, state: &ApiState) {
    let counts = state.traces.as_ref().map(Traces::counts);
    let of = |value: fn(Counts) -> f64| counts.map(|counts| (Vec::new(), value(counts)));
    page.counter(
        "grepx_telemetry_spans_exported",
        "Spans that the collector has taken",
        of(|counts| counts.exported as f64),
    );
    page.counter(
        "grepx_telemetry_spans_dropped",
        "Spans that are lost: too many waited, or the collector refused them",
        of(|counts| counts.dropped as f64),
    );
    page.gauge(
        "grepx_telemetry_spans_waiting",
        "Spans that wait for the collector",
        of(|counts| counts.waiting as f64),
    );
}
