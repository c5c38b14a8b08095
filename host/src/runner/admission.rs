//! How runs come into memory: all of them at boot, one after a failed commit, and the news that a
//! slot is theirs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use grepx_engine::{Event, FlowRunId, Run};
use tokio::sync::mpsc;

use crate::failpoint::{self, Point};
use crate::store::{self, LiveRun, Share, SlotNews};

use super::live::{self, Head, Live};
use super::mail::Mail;
use super::plan::Plan;
use super::{Runner, World};

const RELOAD_PAUSE: Duration = Duration::from_secs(2);

/// Every run that has not ended, folded from its log; each share is read and folded by itself.
pub(crate) async fn read_back(world: &World, shares: usize) -> Result<Vec<Live>, store::Error> {
    let shares = Share::split(shares).into_iter().map(|share| {
        let world = world.clone();
        crate::task::spawn("read-back", async move { read_share(&world, share).await })
    });
    let mut all = Vec::new();
    for share in shares.collect::<Vec<_>>() {
        match share.await {
            Ok(Some(read)) => all.extend(read?),
            // It has panicked, which is logged.
            Ok(None) | Err(_) => return Err(store::Error::Closed),
        }
    }
    Ok(all)
}

async fn read_share(world: &World, share: Share) -> Result<Vec<Live>, store::Error> {
    let mut stored = world.store.live_runs(share);
    let mut plans: HashMap<String, Arc<Plan>> = HashMap::new();
    let mut all = Vec::new();
    while let Some(one) = stored.recv().await {
        match one.and_then(|one| live(&mut plans, one)) {
            Ok(live) => all.push(live),
            Err(error) if matches!(error, store::Error::Unreadable { .. }) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a flow run cannot go on; the others do"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

pub(crate) fn live(plans: &mut HashMap<String, Arc<Plan>>, stored: LiveRun) -> Result<Live, store::Error> {
    let digest = stored.run.definition.clone();
    let plan = match plans.get(&digest) {
        Some(plan) => plan.clone(),
        None => {
            let definition =
                serde_json::from_str(stored.definition.as_str()).map_err(|source| store::Error::Unreadable {
                    run: stored.run.id,
                    what: format!("its definition {digest}"),
                    source: Some(Arc::new(source)),
                })?;
            let plan = Arc::new(Plan::new(Arc::new(definition)));
            plans.insert(digest, plan.clone());
            plan
        }
    };
    let mut queued = BTreeMap::new();
    for record in &stored.records {
        live::follow(&mut queued, record);
    }
    let run = Run::replay(stored.run.id, plan.definition.clone(), stored.records);
    let mut live = Live::new(run, Head::new(stored.run), plan);
    live.queued = queued;
    Ok(live)
}

/// Reads one run back, for as long as it takes.
pub(crate) async fn reload(world: &World, runner: &Runner, run: FlowRunId) {
    loop {
        tokio::time::sleep(RELOAD_PAUSE).await;
        // A barrier: commits that were on their way are made or refused before the log is read.
        let _ = world.store.drop_sends(Vec::new()).await;
        match read_one(world, run).await {
            Ok(live) => {
                let read = Ok(live.filter(|live| !live.run.is_finished()).map(Box::new));
                let _ = runner.post(run, Mail::Reloaded { run, read }).await;
                return;
            }
            Err(error) => {
                tracing::error!(%run, error = &error as &dyn std::error::Error, "a run cannot be read back yet");
            }
        }
    }
}

/// Reads back a run that may have ended, for somebody who wants it to go on.
pub(crate) async fn bring_back(world: &World, runner: &Runner, run: FlowRunId) {
    // A barrier: its last commit is made before its log is read.
    let _ = world.store.drop_sends(Vec::new()).await;
    let read = read_one(world, run).await.map(|live| live.map(Box::new));
    failpoint::reach(Point::BroughtBack);
    let _ = runner.post(run, Mail::Reloaded { run, read }).await;
}

async fn read_one(world: &World, run: FlowRunId) -> Result<Option<Live>, store::Error> {
    let stored = world.store.stored_run(run).await?;
    stored.map(|stored| live(&mut HashMap::new(), stored)).transpose()
}

/// Brings the news of slots to the runs that they are about.
pub(crate) async fn deliver(runner: Runner, mut admissions: mpsc::UnboundedReceiver<Vec<SlotNews>>) {
    while let Some(news) = admissions.recv().await {
        for one in news {
            let (run, mail) = match one {
                SlotNews::Admitted(run) => {
                    let event = Event::Admitted;
                    let reply = None;
                    (run, Mail::Event { run, event, reply })
                }
                SlotNews::Displaced(run, reason) => (run, Mail::Displace { run, reason }),
            };
            if runner.post(run, mail).await.is_err() {
                return;
            }
        }
    }
}
