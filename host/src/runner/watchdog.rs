//! Asks why nobody takes a message: no worker listens, none serves the task, the queue is long.
//! One question per queue and task name, however many task runs wait.

use std::collections::BTreeMap;

use grepx_engine::{FlowRunId, NodeId};

use super::live::{Live, Queued};
use super::mail::Mail;
use super::{Runner, World};

/// A message younger than this needs no explanation, milliseconds.
const PATIENCE_MS: u64 = 3_000;
/// Task runs that one look explains at most; the others are told at a later one.
const EXPLAINED_MAX: usize = 1_000;

type Question = (String, String, String);

pub(crate) fn look<'a>(world: &World, runner: &Runner, live: impl Iterator<Item = &'a Live>) {
    let now = crate::clock::now();
    let mut questions: BTreeMap<Question, Vec<(FlowRunId, NodeId)>> = BTreeMap::new();
    let waiting = live.flat_map(|live| live.queued.iter().map(|(node, queued)| (live.id(), *node, queued)));
    for (run, node, queued) in waiting
        .filter(|(_, _, queued)| !queued.taken && now.since_ms(queued.since) > PATIENCE_MS)
        .take(EXPLAINED_MAX)
    {
        let Queued {
            connection,
            queue,
            task_name,
            ..
        } = queued;
        let question = (connection.clone(), queue.clone(), task_name.clone());
        questions.entry(question).or_default().push((run, node));
    }
    for ((connection, queue, task), nodes) in questions {
        let (broker, runner) = (world.broker.clone(), runner.clone());
        crate::task::spawn("watchdog", async move {
            let reason = match broker.explain_wait(&connection, &queue, &task).await {
                Some(reason) => Some(reason),
                None => broker.explain_silence(&connection, &queue).await,
            };
            for (run, node) in nodes {
                let mail = Mail::Explained {
                    run,
                    node,
                    reason: reason.clone(),
                };
                let _ = runner.post(run, mail).await;
            }
        });
    }
}
