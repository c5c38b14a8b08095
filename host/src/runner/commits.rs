//! What waits for a commit: answers, sends, calls that act on the outside, the news to a parent.

use grepx_engine::FlowRunId;
use tokio::sync::mpsc;

use crate::failpoint::{self, Point};
use crate::store::{Receipt, SendId};

use super::draft::After;
use super::mail::Mail;
use super::{Error, Runner, World};

/// A commit on its way, its run, and what waits for it.
pub(crate) type Committing = (Receipt<Vec<SendId>>, FlowRunId, After);

/// Waits for the commits of a shard, in their order, and lets happen what waited for them.
pub(crate) async fn follow(runner: Runner, world: World, mut waiting: mpsc::UnboundedReceiver<Committing>) {
    while let Some((receipt, run, after)) = waiting.recv().await {
        match receipt.await {
            Ok(ids) => {
                failpoint::reach(Point::Committed);
                if let Some(late_by) = after.late_by {
                    runner.lateness.observe(late_by.as_secs_f64());
                }
                if let Some(traces) = &world.traces {
                    traces.tell(after.spans);
                }
                for freed in &after.freed {
                    world.tags.release(run, freed);
                }
                for reply in after.replies {
                    let _ = reply.send(Ok(()));
                }
                world.outbox.send(run, ids, after.sends);
                if after.finished {
                    super::children::ended(&world, &runner, run);
                }
                if !after.perform.is_empty() {
                    let perform = after.perform;
                    let _ = runner.post(run, Mail::Committed { run, perform }).await;
                }
            }
            Err(error) => {
                tracing::error!(%run, error = &error as &dyn std::error::Error, "a commit failed; the run is read back");
                for reply in after.replies {
                    let _ = reply.send(Err(Error::Store(error.clone())));
                }
                let _ = runner.post(run, Mail::Reload { run }).await;
            }
        }
    }
}
