//! Changes of states as events: their id is that of the state, and they follow the state before.

use grepx_engine::StateType;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::labels::{around, related, resource};
use super::{Labels, PrefectEvent};
use crate::api::shown::Shown;
use crate::clock::rfc3339;
use crate::definitions::Catalog;
use crate::store::{FlowRun, RunChange, RunIdentity, Step, StoredState, TaskRow};

/// Prefect's limit for what its events carry of a message; it counts characters.
const MESSAGE_BYTES_MAX: usize = 100_000;

/// The state before.
struct Former<'a> {
    id: Uuid,
    state_type: StateType,
    name: &'a str,
    message: Option<&'a str>,
}

fn former(step: &Step, owner: Uuid) -> Option<Former<'_>> {
    let (state_type, name) = step.from.as_ref()?;
    Some(Former {
        id: step.previous_id(owner)?,
        state_type: *state_type,
        name,
        message: None,
    })
}

/// `None` when the change does not say which state it is.
pub(super) fn flow_run(change: &RunChange, step: &Step, catalog: &Catalog) -> Option<PrefectEvent> {
    let rows = &change.rows;
    let now = rows.state.as_ref()?;
    let identity = rows.identity.as_deref();
    let about = resource("flow-run", rows.run.0, identity.map(|one| one.name.as_str()))
        .with("prefect.run-count", now.run_count.to_string());
    let others = identity.map_or_else(Vec::new, |one| around(one, catalog));
    let state = Shown::entered(&now.state, step.state_id(rows.run.0));
    Some(event(
        "flow-run",
        about,
        others,
        &state,
        former(step, rows.run.0).as_ref(),
    ))
}

pub(super) fn planned(run: &RunIdentity, catalog: &Catalog) -> PrefectEvent {
    let about = resource("flow-run", run.id.0, Some(&run.name)).with("prefect.run-count", "0");
    event("flow-run", about, around(run, catalog), &Shown::planned(run), None)
}

/// The states of a flow run that was read, oldest first.
pub(super) fn history(run: &FlowRun, states: &[StoredState], catalog: &Catalog) -> Vec<PrefectEvent> {
    let identity = RunIdentity::from(&run.run);
    let others = around(&identity, catalog);
    let mut before: Option<&StoredState> = None;
    let events = states.iter().map(|state| {
        let about = resource("flow-run", identity.id.0, Some(&identity.name))
            .with("prefect.run-count", run.run_count.to_string());
        let former = before.map(|before| Former {
            id: before.id,
            state_type: before.state_type,
            name: &before.name,
            message: before.message.as_deref(),
        });
        before = Some(state);
        event(
            "flow-run",
            about,
            others.clone(),
            &Shown::stored(state),
            former.as_ref(),
        )
    });
    events.collect()
}

pub(super) fn task_run(change: &RunChange, row: &TaskRow, step: &Step, catalog: &Catalog) -> PrefectEvent {
    let run = change.rows.run;
    let id = row.node.run_id(run);
    let identity = change.rows.identity.as_deref();
    let about = resource("task-run", id.0, Some(&row.name))
        .with("prefect.run-count", row.attempt.to_string())
        .with("prefect.orchestration", "server");
    let mut others = vec![related("flow-run", run.0, identity.map(|one| one.name.as_str()))];
    others.extend(identity.into_iter().flat_map(|one| around(one, catalog)));
    let state = Shown::entered(&row.state, step.state_id(id.0));
    let mut told = event("task-run", about, others, &state, former(step, id.0).as_ref());
    told.payload["task_run"] = json!({
        "id": id,
        "name": row.name,
        "task_key": row.name,
        "dynamic_key": row.node.index.unwrap_or(0).to_string(),
        "flow_run_id": run,
        "run_count": row.attempt,
        "tags": row.tags,
        "start_time": row.start_time.map(rfc3339),
        "end_time": row.end_time.map(rfc3339),
    });
    told
}

fn event(
    kind: &str,
    about: Labels,
    related: Vec<Labels>,
    state: &Shown<'_>,
    former: Option<&Former<'_>>,
) -> PrefectEvent {
    let before = former.map(|one| payload(one.state_type, one.name, one.message));
    PrefectEvent {
        id: state.id,
        occurred: state.since,
        received: state.since,
        event: format!("prefect.{kind}.{}", state.name),
        resource: about
            .with("prefect.state-message", cut(state.message.unwrap_or_default()))
            .with("prefect.state-name", state.name)
            .with("prefect.state-timestamp", rfc3339(state.since))
            .with("prefect.state-type", state.state_type.as_str()),
        related,
        payload: json!({
            "intended": {"from": former.map(|one| one.state_type), "to": state.state_type},
            "initial_state": before,
            "validated_state": payload(state.state_type, state.name, state.message),
        }),
        follows: former.map(|one| one.id),
    }
}

fn payload(state_type: StateType, name: &str, message: Option<&str>) -> Value {
    let mut state = Map::new();
    state.insert("type".into(), state_type.as_str().into());
    state.insert("name".into(), name.into());
    if let Some(message) = message {
        state.insert("message".into(), cut(message).into());
    }
    if state_type == StateType::Paused {
        state.insert("pause_reschedule".into(), "false".into());
    }
    Value::Object(state)
}

fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]
}
