//! What must hold at every moment, and what must be left when everything has ended.

use std::collections::{BTreeMap, BTreeSet};

use grepx_engine::{Fact, FlowRunId, NodeId, Outcome, Record, Timestamp};
use serde_json::Value;

use crate::definitions::{CatchUp, Overlap};
use crate::runner;
use crate::store::{FlowRun, FlowRunFilter, FlowRunSort, Moment, Page};

use super::flows::{Limits, TAG};
use super::histories;
use super::life::{Host, Sim};

/// Flow runs of one simulation, far more than it makes.
const RUNS_MAX: u32 = 10_000;

/// In the store, after a transaction: no limit is exceeded, and what has ended holds nothing.
pub(super) fn of_this_moment(now: &Moment, limits: &Limits) -> Vec<String> {
    let mut wrong = Vec::new();
    // Counted by what the runs say of themselves, beside the slots.
    let (mut pools, mut queues, mut deployments) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (pool, queue, deployment) in &now.busy {
        *queues.entry((pool.clone(), queue.clone())).or_insert(0) += 1;
        *pools.entry(pool.clone()).or_insert(0) += 1;
        *deployments.entry(deployment.clone()).or_insert(0) += 1;
    }
    exceeded(&mut wrong, "work pool", &pools, &limits.pools);
    exceeded(&mut wrong, "work queue", &queues, &limits.queues);
    exceeded(&mut wrong, "deployment", &deployments, &limits.deployments);
    exceeded(&mut wrong, "slots of", &now.held, &limits.pools);
    if now.tagged > limits.tagged {
        let most = limits.tagged;
        wrong.push(format!("{} task runs with the tag at once, {most} may be", now.tagged));
    }
    if now.leaked > 0 {
        wrong.push(format!("{} flow runs have ended and hold or want a slot", now.leaked));
    }
    wrong.extend(now.miscounted.iter().cloned());
    wrong
}

fn exceeded<K: Ord + std::fmt::Debug>(
    wrong: &mut Vec<String>,
    what: &str,
    found: &BTreeMap<K, u32>,
    limits: &BTreeMap<K, u32>,
) {
    for (name, most) in limits {
        let count = found.get(name).copied().unwrap_or(0);
        if count > *most {
            wrong.push(format!("{count} flow runs of {what} {name:?} at once, {most} may be"));
        }
    }
}

/// All that there is in the end.
struct Left {
    runs: Vec<FlowRun>,
    logs: BTreeMap<FlowRunId, Vec<Record>>,
}

/// When all is done.
pub(super) async fn judge(sim: &Sim, host: &Host) {
    let (store, eyes) = (&host.store, &host.eyes);
    let filter = FlowRunFilter::default();
    let runs = store.flow_runs(filter, FlowRunSort::IdDesc, Page::first(RUNS_MAX));
    let mut left = Left {
        runs: runs.await.expect("the store can be read"),
        logs: BTreeMap::new(),
    };
    for one in &left.runs {
        let log = store.records(one.run.id).await.expect("the log can be read");
        left.logs.insert(one.run.id, log);
    }
    let mut wrong = Vec::new();
    kept(sim, &left, &mut wrong);
    instants(sim, &left, &mut wrong);
    children(&left, &mut wrong);
    own_results(sim, &left, &mut wrong);
    by_themselves(sim, &left, &mut wrong);
    wrong.extend(eyes.orphans().into_iter().map(|what| format!("{what} is left over")));
    let holders = host.runner.tag_holders(TAG);
    wrong.extend(
        holders
            .iter()
            .map(|holder| format!("{holder} holds a slot of the tag when all is done")),
    );
    let slots = store.slot_runs().await.expect("the store can be read");
    wrong.extend(slots.keys().map(|run| format!("{run} has a slot when all is done")));
    let verified = runner::verify(store).await.expect("the store can be verified");
    let differences = verified.differences.iter();
    wrong.extend(differences.map(|one| format!("{}: {}", one.run, one.what)));
    wrong.extend(verified.miscounted);
    let mut outside = sim.outside.lock();
    for one in &left.runs {
        let ended = format!("{} {} {}", one.run.id, one.run.flow_name, one.state.name);
        outside.note(&ended);
    }
    for record in left.logs.values().flatten() {
        outside.count(&format!("{} {:?}", record.at.0, record.fact));
    }
    for what in &wrong {
        outside.note(&format!("WRONG: {what}"));
    }
    outside.violations.extend(wrong);
}

/// What was answered with yes has happened, and what has a key has happened once.
fn kept(sim: &Sim, left: &Left, wrong: &mut Vec<String>) {
    let entries = sim.ledger.lock();
    let mut answered: BTreeMap<(&str, &str), BTreeSet<FlowRunId>> = BTreeMap::new();
    for asked in &entries.asked {
        for run in &asked.answers {
            if !left.logs.contains_key(run) {
                wrong.push(format!("{run} of {} was promised and is not there", asked.deployment));
            }
            if let Some(key) = &asked.key {
                answered.entry((&asked.deployment, key)).or_default().insert(*run);
            }
        }
    }
    for ((deployment, key), runs) in answered.into_iter().filter(|(_, runs)| runs.len() > 1) {
        wrong.push(format!("{deployment} {key} was promised as {runs:?}"));
    }
    let has = |run: &FlowRunId, like: fn(&Fact) -> bool| count(left, run, like) > 0;
    let promised = [
        (
            &entries.cancelled,
            "cancelled",
            (|fact| matches!(fact, Fact::CancelAsked { .. })) as fn(&Fact) -> bool,
        ),
        (&entries.paused, "paused", |fact| matches!(fact, Fact::Paused)),
        (&entries.resumed, "resumed", |fact| matches!(fact, Fact::Resumed)),
    ];
    for (runs, what, like) in promised {
        let forgotten = runs.iter().filter(|run| !has(run, like));
        wrong.extend(forgotten.map(|run| format!("{run} was {what}, and its log does not say so")));
    }
    for run in &entries.retried {
        let asked = entries.retried.iter().filter(|one| *one == run).count();
        let reopened = count(left, run, |fact| matches!(fact, Fact::Reopened { .. }));
        if reopened < asked {
            wrong.push(format!("{run} was to go on {asked} times, and did {reopened} times"));
        }
    }
    for (run, node) in &entries.marked {
        let log = left.logs.get(run).into_iter().flatten();
        let is_mark = |record: &&Record| matches!(&record.fact, Fact::MarkedDone { node: of, .. } if of == node);
        if log.filter(is_mark).count() == 0 {
            wrong.push(format!("{run} {node} was marked as done, and its log does not say so"));
        }
    }
    let signalled = |run: &FlowRunId, node: &NodeId| {
        let log = left.logs.get(run).into_iter().flatten();
        let signal = |record: &&Record| matches!(&record.fact, Fact::Outcome { node: of, outcome: Outcome::Signal(_), .. } if of == node);
        log.filter(signal).count()
    };
    for (run, node) in &entries.signalled {
        let given = entries.signalled.iter().filter(|one| *one == &(*run, *node)).count();
        if signalled(run, node) < given {
            wrong.push(format!(
                "{run} {node} was given {given} signals, its log does not say so"
            ));
        }
    }
}

fn count(left: &Left, run: &FlowRunId, like: fn(&Fact) -> bool) -> usize {
    let log = left.logs.get(run).into_iter().flatten();
    log.filter(|record| like(&record.fact)).count()
}

/// Each instant of a schedule that catches up has one run, whatever the clock has shown.
fn instants(sim: &Sim, left: &Left, wrong: &mut Vec<String>) {
    let Some(in_force) = sim.ledger.lock().in_force else {
        return;
    };
    for deployment in &sim.catalog.load().deployments {
        for schedule in &deployment.schedules {
            let Ok(timing) = &schedule.timing else { continue };
            let jitter = timing.jitter_of(deployment.id);
            let mut made: BTreeMap<Timestamp, u32> = BTreeMap::new();
            for one in left.runs.iter().filter(|one| one.run.schedule_id == Some(schedule.id)) {
                *made.entry(one.run.expected_start).or_default() += 1;
            }
            for (at, times) in made.iter().filter(|(_, times)| **times > 1) {
                wrong.push(format!("{} has {times} runs at {}", deployment.name, at.0));
            }
            if deployment.catch_up != CatchUp::All || deployment.overlap == Overlap::Skip {
                continue;
            }
            for instant in timing.after(in_force) {
                let at = instant.plus_ms(jitter);
                if !made.contains_key(&at) {
                    wrong.push(format!("{} has no run at {}", deployment.name, at.0));
                }
            }
        }
    }
}

/// One flow run for each command that starts one, and an attempt is told of its own.
fn children(left: &Left, wrong: &mut Vec<String>) {
    let mut started: BTreeMap<(FlowRunId, NodeId, u32), Vec<String>> = BTreeMap::new();
    for one in &left.runs {
        if let Some(parent) = &one.run.parent {
            let command = (parent.run, parent.node, parent.attempt);
            started.entry(command).or_default().push(one.run.id.to_string());
        }
    }
    for (command, children) in started.iter().filter(|(_, children)| children.len() > 1) {
        wrong.push(format!("{command:?} has started {children:?}"));
    }
    for (run, log) in &left.logs {
        for (node, (attempt, result)) in histories::results(log) {
            let result = result.to_value();
            let (Some(attempt), Some(told)) = (attempt, result.get("child").and_then(Value::as_str)) else {
                continue;
            };
            let own = started.get(&(*run, node, attempt));
            if !own.is_some_and(|own| own.iter().any(|child| child == told)) {
                wrong.push(format!(
                    "{run} {node}: attempt {attempt} was told of {told}, its own is {own:?}"
                ));
            }
        }
    }
}

/// Each log alone.
fn by_themselves(sim: &Sim, left: &Left, wrong: &mut Vec<String>) {
    let catalog = sim.catalog.load();
    for one in &left.runs {
        let log = left.logs.get(&one.run.id).map(Vec::as_slice).unwrap_or_default();
        histories::attempts(one.run.id, log, wrong);
        histories::failures(one.run.id, log, wrong);
        if let Some(flow) = catalog.flows.get(&one.run.flow_name) {
            histories::inputs(one.run.id, &flow.definition, log, wrong);
        }
    }
}

/// An attempt ends by an answer to itself, and by one that was given.
fn own_results(sim: &Sim, left: &Left, wrong: &mut Vec<String>) {
    let outside = sim.outside.lock();
    let catalog = sim.catalog.load();
    for one in &left.runs {
        let Some(flow) = catalog.flows.get(&one.run.flow_name) else {
            continue;
        };
        let log = left.logs.get(&one.run.id).map(Vec::as_slice).unwrap_or_default();
        for (node, (attempt, result)) in histories::results(log) {
            let Some(attempt) = attempt else { continue };
            let kind = &flow.definition.task(node.task).kind;
            let key = node.run_id(one.run.id).attempt_key(attempt).to_string();
            if kind != "list" && result.to_value()["id"] != key.as_str() {
                wrong.push(format!(
                    "{} {node}: attempt {attempt} took {}",
                    one.run.id,
                    result.as_str()
                ));
            }
            if kind == "work" && !outside.executed.contains_key(&key) {
                wrong.push(format!("{} {node}: attempt {attempt} was never executed", one.run.id));
            }
        }
    }
}
