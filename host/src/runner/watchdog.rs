//! Asks why nobody takes a message: no worker listens, none serves the task, the queue is long.
//! One question per queue and task name, however many task runs wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use grepx_engine::{FlowRunId, NodeId, Timestamp};
use uuid::Uuid;

use super::live::{Destination, Live, Queued};
use super::mail::Mail;
use super::{Runner, World};

/// A message younger than this needs no explanation, milliseconds.
const PATIENCE_MS: u64 = 3_000;
/// Task runs that one look explains at most; the next one goes on after them.
const EXPLAINED_MAX: usize = 1_000;

/// The task runs of a shard in turn.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// The last one that was explained.
    last: (FlowRunId, NodeId),
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            last: (FlowRunId(Uuid::nil()), NodeId::task(0)),
        }
    }
}

/// Who is to be told the answer, by flow run.
type Asking = BTreeMap<Arc<Destination>, BTreeMap<FlowRunId, Vec<NodeId>>>;

impl Watchdog {
    pub(crate) fn look(&mut self, world: &World, runner: &Runner, live: &BTreeMap<FlowRunId, Live>) {
        for (to, nodes) in self.questions(live) {
            let (broker, runner) = (world.broker.clone(), runner.clone());
            crate::task::spawn("watchdog", async move {
                let Destination {
                    connection,
                    queue,
                    task_name,
                } = &*to;
                let reason = match broker.explain_wait(connection, queue, task_name).await {
                    Some(reason) => Some(reason),
                    None => broker.explain_silence(connection, queue).await,
                };
                let reason: Option<Arc<str>> = reason.map(Into::into);
                for (run, nodes) in nodes {
                    let reason = reason.clone();
                    let _ = runner.post(run, Mail::Explained { run, nodes, reason }).await;
                }
            });
        }
    }

    /// From the one after the last on, once around.
    fn questions(&mut self, live: &BTreeMap<FlowRunId, Live>) -> Asking {
        let (now, last) = (crate::clock::now(), self.last);
        let later = live.range(last.0..).flat_map(|(_, live)| waiting(live, now));
        let earlier = live.range(..=last.0).flat_map(|(_, live)| waiting(live, now));
        let all = later
            .filter(|(place, _)| *place > last)
            .chain(earlier.filter(|(place, _)| *place <= last));
        let mut asking = Asking::new();
        for ((run, node), to) in all.take(EXPLAINED_MAX) {
            self.last = (run, node);
            asking.entry(to.clone()).or_default().entry(run).or_default().push(node);
        }
        asking
    }
}

fn waiting(live: &Live, now: Timestamp) -> impl Iterator<Item = ((FlowRunId, NodeId), &Arc<Destination>)> {
    let run = live.id();
    let waits = move |queued: &Queued| !queued.taken && now.since_ms(queued.since) > PATIENCE_MS;
    let waiting = live.queued.iter().filter(move |(_, queued)| waits(queued));
    waiting.map(move |(node, queued)| ((run, *node), &queued.to))
}

#[cfg(test)]
mod tests;
