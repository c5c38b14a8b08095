//! Runs that come back into memory: after a commit that was not made, and for what somebody asks of
//! one that has ended. Events that come meanwhile wait.

use grepx_engine::{Event, FlowRunId};

use super::super::{Error, admission};
use super::{Live, Reply, Shard};
use crate::store;

impl Shard {
    pub(super) fn reload(&mut self, run: FlowRunId) {
        self.let_go(run);
        if self.reloading.contains_key(&run) {
            return;
        }
        self.reloading.insert(run, Vec::new());
        let (world, runner) = (self.world.clone(), self.runner.clone());
        crate::task::spawn("reload", async move { admission::reload(&world, &runner, run).await });
    }

    /// An ended run comes back into memory for what somebody asks of it; refused, it goes again.
    pub(super) fn bring_back(&mut self, run: FlowRunId, event: Event, reply: Option<Reply>) {
        self.reloading.insert(run, vec![(event, reply)]);
        let (world, runner) = (self.world.clone(), self.runner.clone());
        crate::task::spawn("bring-back", async move {
            admission::bring_back(&world, &runner, run).await;
        });
    }

    pub(super) fn reloaded(&mut self, run: FlowRunId, read: Result<Option<Box<Live>>, store::Error>) {
        let kept = self.reloading.remove(&run).unwrap_or_default();
        let refusal = match read {
            Ok(Some(live)) => {
                live.settle_tags(&self.world.tags);
                self.adopt(*live);
                for (event, reply) in kept {
                    self.event(run, event, reply);
                }
                return;
            }
            Ok(None) => Error::NotLive(run),
            Err(error) => Error::Store(error),
        };
        self.world.tags.settle(run, []);
        for reply in kept.into_iter().filter_map(|(_, reply)| reply) {
            let _ = reply.send(Err(refusal.clone()));
        }
    }
}
