//! What comes back: answers of work that was dispatched, signals, why nobody takes a message, where
//! it is.

use std::sync::Arc;

use grepx_engine::{Due, Event, FlowRunId, Json, NodeId, Outcome};

use super::super::live::{Live, Work};
use super::super::mail::{Answer, Done};
use super::super::{Error, lost};
use super::{Reply, Shard};
use crate::clock;

impl Shard {
    pub(super) fn done(&mut self, done: Done) {
        let Some(live) = self.live.get_mut(&done.run) else {
            return;
        };
        let current = live.finish_work(done.node, done.work, done.ticket);
        if done.work == Work::Prepare && !live.plan.tags(done.node).is_empty() {
            // Whatever it has come to, it has asked.
            self.world.tags.pass((done.run, done.node));
        }
        let prepared = done.work == Work::Prepare && !matches!(done.answer, Answer::Hold(_));
        live.draft.log(done.logs);
        match done.answer {
            Answer::Event(event) => self.hands.answered(live, done.node, &event),
            Answer::Begin(event, slot) => {
                self.hands.answered(live, done.node, &event);
                // An attempt that has begun holds slots itself by now; else they go back.
                drop(slot);
            }
            Answer::Hold(_) if !current => {}
            Answer::Hold(_) if has_ended(live, done.node) => self.world.tags.leave((done.run, done.node)),
            Answer::Hold(reason) => live.hold(done.node, reason),
        }
        // Refused: it was evaluated before nodes began anew, and nobody else asks again.
        if prepared && live.run.may_prepare(done.node) {
            self.hands.perform(live, &Due::Prepare { node: done.node });
        }
        self.dirty.push(done.run);
    }

    /// Its reason to wait is gone.
    pub(super) fn again(&mut self, run: FlowRunId, node: NodeId) {
        let now = clock::now();
        match self.live.get_mut(&run) {
            Some(live) if live.run.may_prepare(node) => self.hands.perform(live, &Due::Prepare { node }),
            Some(live) if live.run.retry_is_due(node, now) => {
                self.hands.begin_retry(live, node, now);
                self.dirty.push(run);
            }
            _ => self.world.tags.pass((run, node)),
        }
    }

    pub(super) fn explained(&mut self, run: FlowRunId, nodes: &[NodeId], reason: Option<&Arc<str>>) {
        let Some(live) = self.live.get_mut(&run) else { return };
        for node in nodes {
            let waits = live.queued.get(node).is_some_and(|queued| !queued.taken);
            if !waits || live.holds.get(node) == reason {
                continue;
            }
            match reason {
                Some(reason) => live.hold(*node, reason.clone()),
                None => {
                    live.holds.remove(node);
                    live.draft.touch(*node);
                }
            }
        }
        self.dirty.push(run);
    }

    /// A signal is an outcome once it is known which command it answers.
    pub(super) fn signal(
        &mut self,
        run: FlowRunId,
        (node, wanted): (NodeId, Option<u32>),
        name: String,
        payload: Json,
        reply: Option<Reply>,
    ) {
        let refused = match self.live.get(&run) {
            Some(live) => match live.run.awaits_signal(node, &name) {
                Some((attempt, key)) if wanted.is_none_or(|wanted| wanted == attempt) => {
                    let outcome = Outcome::Signal(payload);
                    let event = Event::Outcome {
                        node,
                        attempt,
                        key,
                        outcome,
                    };
                    return self.event(run, event, reply);
                }
                _ => live.awaits_another(node, name),
            },
            None if self.reloading.contains_key(&run) => Error::ReadBack(run),
            None => Error::NotLive(run),
        };
        if let Some(reply) = reply {
            let _ = reply.send(Err(refused));
        }
    }

    pub(super) fn sought(&mut self, found: &lost::Found) {
        let live = self.live.get_mut(&found.run);
        if let Some(lost) = live.and_then(|live| lost::conclude(live, found)) {
            self.event(found.run, lost, None);
        }
    }
}

/// Also a node that is there no more: an item of a task that begins anew.
fn has_ended(live: &Live, node: NodeId) -> bool {
    let state = live.run.node_state(node);
    state.is_none_or(|state| state.state_type.is_terminal())
}
