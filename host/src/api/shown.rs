//! A state as events show it, wherever it comes from: one that has just been entered, one that was
//! read, one that is only planned.

use grepx_engine::{StateType, Timestamp};
use uuid::Uuid;

use crate::store::{RunIdentity, StoredState, planned_state_id};

#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) id: Uuid,
    pub(super) state_type: StateType,
    pub(super) name: &'a str,
    pub(super) message: Option<&'a str>,
    pub(super) since: Timestamp,
}

impl<'a> Shown<'a> {
    pub(super) fn entered(state: &'a grepx_engine::State, id: Uuid) -> Self {
        Self {
            id,
            state_type: state.state_type,
            name: state.name,
            message: state.message.as_deref(),
            since: state.since,
        }
    }

    pub(super) fn stored(state: &'a StoredState) -> Self {
        Self {
            id: state.id,
            state_type: state.state_type,
            name: &state.name,
            message: state.message.as_deref(),
            since: state.since,
        }
    }

    pub(super) fn planned(run: &RunIdentity) -> Self {
        Self {
            id: planned_state_id(run.id),
            state_type: StateType::Scheduled,
            name: "Scheduled",
            message: None,
            since: run.created_at,
        }
    }
}
