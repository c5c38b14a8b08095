//! What was asked of the host and what it has answered: nothing of it may be forgotten.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grepx_engine::{FlowRunId, NodeId, Timestamp};

/// Shared by everybody who asks.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Entries>>);

#[derive(Default)]
pub(super) struct Entries {
    pub(super) asked: Vec<Asked>,
    /// Requests that were answered with yes.
    pub(super) cancelled: Vec<FlowRunId>,
    pub(super) paused: Vec<FlowRunId>,
    pub(super) resumed: Vec<FlowRunId>,
    pub(super) signalled: Vec<(FlowRunId, NodeId)>,
    pub(super) retried: Vec<FlowRunId>,
    pub(super) marked: Vec<(FlowRunId, NodeId)>,
    /// From when on no instant of a schedule may be missed.
    pub(super) in_force: Option<Timestamp>,
}

/// A flow run that somebody wants.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) deployment: String,
    pub(super) key: Option<String>,
    /// As the host has answered, each time.
    pub(super) answers: Vec<FlowRunId>,
}

impl Ledger {
    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn in_force(&self, at: Timestamp) {
        self.lock().in_force.get_or_insert(at);
    }

    /// Its place, for the answer.
    pub(super) fn ask(&self, deployment: &str, key: Option<String>) -> usize {
        let mut entries = self.lock();
        entries.asked.push(Asked {
            deployment: deployment.to_owned(),
            key,
            answers: Vec::new(),
        });
        entries.asked.len() - 1
    }

    pub(super) fn answered(&self, place: usize, run: FlowRunId) {
        if let Some(asked) = self.lock().asked.get_mut(place) {
            asked.answers.push(run);
        }
    }
}
