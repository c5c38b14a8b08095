//! How runs come into memory: all of them at boot, one after a failed commit, and the news that a
//! slot is theirs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use grepx_engine::{Event, FlowRunId, Run};
use tokio::sync::mpsc;

use crate::store::{self, LiveRun};

use super::live::{Head, Live};
use super::plan::Plan;
use super::shard::Mail;
use super::{Runner, World};

const RELOAD_PAUSE: Duration = Duration::from_secs(2);

/// Every run that has not ended, folded from its log.
pub(crate) async fn read_back(world: &World) -> Result<Vec<Live>, store::Error> {
    let stored = world.store.live_runs().await?;
    let mut plans: HashMap<String, Arc<Plan>> = HashMap::new();
    Ok(stored
        .into_iter()
        .map(|one| {
            let digest = one.new.definition.clone();
            let plan = plans
                .entry(digest)
                .or_insert_with(|| Arc::new(Plan::new(one.definition.clone())))
                .clone();
            live(one, plan)
        })
        .collect())
}

fn live(stored: LiveRun, plan: Arc<Plan>) -> Live {
    let run = Run::replay(stored.new.id, plan.definition.clone(), stored.log);
    Live::new(run, Head::new(stored.new), plan)
}

/// Reads one run back, for as long as it takes.
pub(crate) async fn reload(world: &World, runner: &Runner, run: FlowRunId) {
    loop {
        tokio::time::sleep(RELOAD_PAUSE).await;
        match world.store.live_run(run).await {
            Ok(Some(stored)) => {
                let plan = Arc::new(Plan::new(stored.definition.clone()));
                let live = Box::new(live(stored, plan));
                let _ = runner.post(run, Mail::Reloaded { live }).await;
                return;
            }
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%run, error = &error as &dyn std::error::Error, "a run cannot be read back yet");
            }
        }
    }
}

/// Brings the news of slots to the runs that got them.
pub(crate) async fn deliver(runner: Runner, mut admissions: mpsc::UnboundedReceiver<Vec<FlowRunId>>) {
    while let Some(admitted) = admissions.recv().await {
        for run in admitted {
            let mail = Mail::Event {
                run,
                event: Event::Admitted,
                reply: None,
            };
            if runner.post(run, mail).await.is_err() {
                return;
            }
        }
    }
}
