//! People and programs that ask for things at bad moments, and clear up in the end.

use std::sync::Arc;
use std::time::Duration;

use grepx_engine::{FlowRunId, Json, NodeId};
use serde_json::{Map, Value, json};

use crate::definitions::Deployment;
use crate::runner::{Begin, RunRequest, Triggered};
use crate::store::Switch;
use crate::task;

use super::flows;
use super::life::{Host, Sim};
use super::luck::Luck;
use super::script::GO;

/// How long everything may take to end when nothing goes wrong any more, milliseconds.
const REST_MS_MAX: u64 = 3_600_000;
/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_secs(2);

/// One client's errand. It belongs to the host's process: whoever asks by HTTP gets no answer from
/// a host that has died.
#[derive(Debug, Clone)]
enum Errand {
    Trigger {
        deployment: Arc<Deployment>,
        key: Option<String>,
        later_ms: Option<u64>,
        debug: bool,
    },
    Cancel,
    Pause,
    Resume,
    Signal,
    Retry {
        begin: Begin,
        later_ms: Option<u64>,
    },
    MarkDone,
    SwitchPool {
        paused: bool,
    },
}

/// Errands and mishaps for so long.
pub(super) async fn chaos(sim: &Sim, host: &Host, luck: &mut Luck, ms: u64) {
    let until = sim.outside.lock().now() + ms;
    loop {
        let pause = luck.between(20, 1_500);
        let left = until.saturating_sub(sim.outside.lock().now());
        if pause >= left {
            return tokio::time::sleep(Duration::from_millis(left)).await;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        act(sim, host, luck);
    }
}

fn act(sim: &Sim, host: &Host, luck: &mut Luck) {
    let errand = match luck.below(100) {
        0..36 => trigger(sim, luck),
        36..43 => Errand::Cancel,
        43..51 => Errand::Pause,
        51..60 => Errand::Resume,
        60..74 => Errand::Signal,
        74..80 => retry(luck),
        80..85 => Errand::MarkDone,
        85..88 => Errand::SwitchPool {
            paused: luck.percent(40),
        },
        88..94 => {
            let by = i64::try_from(luck.below(40_000)).unwrap_or(0) - 20_000;
            return sim.outside.lock().step_clock(by);
        }
        _ => return sim.outside.lock().outage(luck.between(200, 15_000)),
    };
    run(sim, host, errand, luck.fork());
}

fn trigger(sim: &Sim, luck: &mut Luck) -> Errand {
    let all = flows::triggered(&sim.catalog.load());
    let deployment = luck.one_of(&all).expect("there are deployments").clone();
    Errand::Trigger {
        deployment,
        // Few, so that they are used again.
        key: luck.percent(60).then(|| format!("key-{}", luck.below(6))),
        later_ms: luck.percent(15).then(|| luck.below(10_000)),
        debug: luck.percent(20),
    }
}

fn retry(luck: &mut Luck) -> Errand {
    // Where a flow has no such task, the host says so.
    let task = format!("task{}", luck.below(4));
    Errand::Retry {
        begin: match luck.below(10) {
            0..5 => Begin::Failed,
            5..7 => Begin::Start,
            7..9 => Begin::From(task),
            _ => Begin::Only(task),
        },
        later_ms: luck.percent(25).then(|| luck.below(8_000)),
    }
}

fn run(sim: &Sim, host: &Host, errand: Errand, luck: Luck) {
    let (sim, host) = (sim.clone(), host.clone());
    task::spawn("client", async move {
        let outside = sim.outside.clone();
        outside.lock().note(&format!("asked: {}", errand.words()));
        let answer = carry_out(&sim, &host, errand, luck).await;
        outside.lock().note(&format!("answered: {answer}"));
    });
}

impl Errand {
    fn words(&self) -> String {
        match self {
            Self::Trigger { deployment, key, .. } => format!("trigger {} {key:?}", deployment.name),
            other => format!("{other:?}"),
        }
    }
}

async fn carry_out(sim: &Sim, host: &Host, errand: Errand, mut luck: Luck) -> String {
    match errand {
        Errand::Trigger {
            deployment,
            key,
            later_ms,
            debug,
        } => {
            let place = sim.ledger.ask(&deployment.name, key.clone());
            let request = request(deployment, key, later_ms, debug);
            match host.runner.trigger(request).await {
                Ok(Triggered::New(run) | Triggered::Existing(run)) => {
                    sim.ledger.answered(place, run);
                    format!("{run}")
                }
                other => format!("{other:?}"),
            }
        }
        Errand::SwitchPool { paused } => {
            let switch = Switch {
                paused: Some(paused),
                ..Switch::default()
            };
            format!(
                "{:?}",
                host.store.set_pool_switch("narrow".to_owned(), None, switch).await
            )
        }
        Errand::Signal => match luck.one_of(&host.eyes.waiting()).copied() {
            Some((run, node)) => signal(sim, host, run, node).await,
            None => "nobody waits".to_owned(),
        },
        Errand::Retry { begin, later_ms } => match luck.one_of(&host.eyes.ended()).copied() {
            Some(run) => {
                let start_at = later_ms.map(|ms| crate::clock::now().plus_ms(ms));
                let answer = host.runner.retry(run, begin, start_at).await;
                if answer.is_ok() {
                    sim.ledger.lock().retried.push(run);
                }
                format!("{run} {answer:?}")
            }
            None => "nothing has ended".to_owned(),
        },
        Errand::MarkDone => match luck.one_of(&host.eyes.task_runs()).copied() {
            Some((run, node)) => mark_done(sim, host, run, node).await,
            None => "there is nothing to mark".to_owned(),
        },
        of_a_run => match luck.one_of(&host.eyes.live()).copied() {
            Some(run) => change(sim, host, &of_a_run, run).await,
            None => "nothing runs".to_owned(),
        },
    }
}

fn request(deployment: Arc<Deployment>, key: Option<String>, later_ms: Option<u64>, debug: bool) -> RunRequest {
    let own = Map::from_iter([("debug".to_owned(), Value::Bool(debug))]);
    RunRequest {
        flow: deployment.flow.clone(),
        parameters: deployment.parameters_with(&own),
        deployment: Some(deployment),
        name: None,
        tags: Vec::new(),
        idempotency_key: key,
        start_at: later_ms.map(|ms| crate::clock::now().plus_ms(ms)),
        created_by: None,
        labels: json!({}),
        work_queue: None,
        parent: None,
        planned: None,
    }
}

async fn change(sim: &Sim, host: &Host, errand: &Errand, run: FlowRunId) -> String {
    let runner = &host.runner;
    let answer = match errand {
        Errand::Cancel => runner.cancel(run, "somebody wants it so".to_owned()).await,
        Errand::Pause => runner.pause(run).await,
        _ => runner.resume(run).await,
    };
    if answer.is_ok() {
        let mut entries = sim.ledger.lock();
        match errand {
            Errand::Cancel => entries.cancelled.push(run),
            Errand::Pause => entries.paused.push(run),
            _ => entries.resumed.push(run),
        }
    }
    format!("{run} {answer:?}")
}

async fn signal(sim: &Sim, host: &Host, run: FlowRunId, node: NodeId) -> String {
    let payload = Json::from(&json!({"yes": true}));
    let answer = host.runner.signal(run, node, GO.to_owned(), payload).await;
    if answer.is_ok() {
        sim.ledger.lock().signalled.push((run, node));
    }
    format!("{run} {node} {answer:?}")
}

async fn mark_done(sim: &Sim, host: &Host, run: FlowRunId, node: NodeId) -> String {
    let result = Json::from(&json!(["by hand"]));
    let answer = host.runner.mark_done(run, node, "by hand".to_owned(), result).await;
    if answer.is_ok() {
        sim.ledger.lock().marked.push((run, node));
    }
    format!("{run} {node} {answer:?}")
}

/// Nothing goes wrong any more: what waits for a person is answered, until nothing is left to do.
pub(super) async fn finish(sim: &Sim, host: &Host) {
    let cleared = host.store.clear_pool_switch("narrow".to_owned(), None).await;
    cleared.expect("the switch goes");
    let begun = sim.outside.lock().now();
    loop {
        tokio::time::sleep(LOOK).await;
        let over = crate::clock::now() > sim.schedules_end && sim.outside.lock().open() == (0, 0);
        let left = if over { host.eyes.left() } else { Vec::new() };
        if over && left.is_empty() {
            return;
        }
        if sim.outside.lock().now() - begun > REST_MS_MAX {
            let never = format!("it never ends: {}", left.join("; "));
            return sim.outside.lock().violations.push(never);
        }
        for run in host.eyes.paused() {
            change(sim, host, &Errand::Resume, run).await;
        }
        for (run, node) in host.eyes.waiting() {
            signal(sim, host, run, node).await;
        }
    }
}
