//! Events in Prefect's shape: `prefect.flow-run.<StateName>` and its kin, with the resource that they
//! are about and those that are related to it. The id of a state's event is the state's, so that one
//! that is read from the store and one that has just happened are the same to a client.
//!
//! Source: what a Prefect 3.8.8 server emits, and what its client needs (`prefect.events.schemas`).
//! Absent on purpose: a table of events. What is kept is the ring of [`crate::api::bus`], and the
//! states of flow runs in the run store.

pub(super) mod count;
pub(super) mod filter;
pub(super) mod kept;
mod labels;
mod states;

use grepx_engine::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::api::bus::{Event, What};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::definitions::{Catalog, pool_id, queue_id};
use crate::store::Switch;
use labels::{related, resource};

pub(super) use labels::Labels;

/// Related resources of one event, as in Prefect.
const RELATED_MAX: usize = 100;
/// Characters of an event's name, as in Prefect.
const NAME_CHARS_MAX: usize = 1_024;
/// What events that are no states have ids from.
const NAMESPACE: Uuid = Uuid::from_u128(0x9d0c_6f5e_41a7_4b0e_8f5a_6c1d_3b2a_9e77);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct PrefectEvent {
    pub(super) id: Uuid,
    pub(super) occurred: Timestamp,
    pub(super) received: Timestamp,
    pub(super) event: String,
    pub(super) resource: Labels,
    pub(super) related: Vec<Labels>,
    pub(super) payload: Value,
    pub(super) follows: Option<Uuid>,
}

impl PrefectEvent {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "occurred": rfc3339(self.occurred),
            "event": self.event,
            "resource": self.resource,
            "related": self.related,
            "payload": self.payload,
            "id": self.id,
            "follows": self.follows,
            "received": rfc3339(self.received),
        })
    }

    /// The resource and the related ones.
    pub(super) fn involved(&self) -> impl Iterator<Item = &Labels> {
        std::iter::once(&self.resource).chain(&self.related)
    }

    /// One that a client has sent.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub(super) fn read(value: &Value, received: Timestamp) -> Result<Self, String> {
        let text = |name: &str| {
            let found = value.get(name).and_then(Value::as_str);
            found.ok_or_else(|| format!("the event has no text {name:?}"))
        };
        let id = |text: &str| Uuid::parse_str(text).map_err(|error| format!("{text:?} is no UUID: {error}"));
        let event = text("event")?;
        if event.is_empty() || event.chars().count() > NAME_CHARS_MAX {
            return Err(format!("the name of an event has 1 to {NAME_CHARS_MAX} characters"));
        }
        let resource = Labels::read(value.get("resource").unwrap_or(&Value::Null))?;
        let related: Vec<Value> = match value.get("related") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(all)) if all.len() <= RELATED_MAX => all.clone(),
            Some(_) => return Err(format!("related is a list of {RELATED_MAX} resources at most")),
        };
        let occurred = text("occurred")?;
        Ok(Self {
            id: id(text("id")?)?,
            occurred: parse_rfc3339(occurred).map_err(|error| format!("occurred: {occurred:?}: {error}"))?,
            received,
            event: event.to_owned(),
            resource,
            related: related.iter().map(Labels::read).collect::<Result<_, _>>()?,
            payload: value.get("payload").cloned().unwrap_or_else(|| json!({})),
            follows: value.get("follows").and_then(Value::as_str).map(id).transpose()?,
        })
    }
}

/// What the names of its events begin with; `None` where Prefect has none for it.
pub(super) fn family(what: &What<'_>) -> Option<&'static str> {
    Some(match what {
        What::Log(..) => return None,
        What::FlowRun(..) | What::Planned(_) | What::Removed(_) => "prefect.flow-run.",
        What::TaskRun(..) => "prefect.task-run.",
        What::DeploymentSwitch { .. } => "prefect.deployment.",
        What::PoolSwitch { .. } => "prefect.work-",
        What::Plugin(_) => "grepx.plugin.",
        What::Definitions(_) => "grepx.definitions.",
        What::Client(_) => "",
    })
}

/// What Prefect has an event for.
pub(super) fn translate(event: &Event<'_>, catalog: &Catalog) -> Option<PrefectEvent> {
    let mut told = match &event.what {
        What::FlowRun(change, step) if step.is_new_state() => states::flow_run(change, step, catalog)?,
        What::TaskRun(change, row, step) if step.is_new_state() => states::task_run(change, row, step, catalog),
        What::FlowRun(..) | What::TaskRun(..) | What::Log(..) => return None,
        What::Planned(identity) => states::planned(identity, catalog),
        What::Removed(run) => plain(
            event,
            "prefect.flow-run.deleted",
            resource("flow-run", run.0, None),
            vec![],
        ),
        What::DeploymentSwitch {
            deployment,
            schedule,
            active,
        } => {
            let found = catalog.deployment_by_id(*deployment);
            let about = resource("deployment", *deployment, found.map(|one| one.name.as_str()));
            let flow = found.map(|one| related("flow", one.flow.id, Some(&one.flow.name)));
            let mut told = plain(event, "prefect.deployment.updated", about, flow.into_iter().collect());
            let (field, to) = match schedule {
                None => ("paused", !active),
                Some(_) => ("schedules", *active),
            };
            told.payload = updated(Map::from_iter([(field.to_owned(), json!(to))]));
            told
        }
        What::PoolSwitch { pool, queue, switch } => of_pool(event, pool, *queue, *switch, catalog),
        What::Plugin(plugin) => {
            let about = Labels::new([("prefect.resource.id", format!("grepx.plugin.{}", plugin.kind))]);
            let mut told = plain(event, "grepx.plugin.changed", about, vec![]);
            told.payload = json!({"digest": plugin.digest, "version": plugin.version});
            told
        }
        What::Definitions(now) => {
            let about = Labels::new([("prefect.resource.id", "grepx.definitions".to_owned())]);
            let mut told = plain(event, "grepx.definitions.loaded", about, vec![]);
            told.payload = json!({"flows": now.flows, "deployments": now.deployments,
                "work_pools": now.work_pools, "problems": now.problems});
            told
        }
        What::Client(sent) => PrefectEvent::read(sent, event.told_at).ok()?,
    };
    told.received = event.told_at;
    Some(told)
}

/// One that is no state.
fn plain(event: &Event<'_>, name: &str, resource: Labels, related: Vec<Labels>) -> PrefectEvent {
    PrefectEvent {
        id: Uuid::new_v5(&NAMESPACE, &event.position.to_be_bytes()),
        occurred: event.told_at,
        received: event.told_at,
        event: name.to_owned(),
        resource,
        related,
        payload: json!({}),
        follows: None,
    }
}

fn updated(fields: Map<String, Value>) -> Value {
    let names: Vec<&String> = fields.keys().collect();
    let updates: Map<String, Value> = fields
        .iter()
        .map(|(name, to)| (name.clone(), json!({"to": to})))
        .collect();
    json!({"updated_fields": names, "updates": updates})
}

/// A pause has an event of its own, as in Prefect.
fn of_pool(
    event: &Event<'_>,
    pool: &str,
    queue: Option<&str>,
    switch: Option<Switch>,
    catalog: &Catalog,
) -> PrefectEvent {
    let (kind, about, others) = match queue {
        None => ("work-pool", labels::work_pool(pool, catalog), vec![]),
        Some(queue) => (
            "work-queue",
            resource("work-queue", queue_id(pool, queue), Some(queue)),
            vec![related("work-pool", pool_id(pool), Some(pool))],
        ),
    };
    let switch = switch.unwrap_or_default();
    let what = match switch.paused {
        Some(true) => "paused",
        Some(false) => "ready",
        None => "updated",
    };
    let mut told = plain(event, &format!("prefect.{kind}.{what}"), about, others);
    let mut fields = Map::new();
    if let Some(limit) = switch.concurrency_limit {
        fields.insert("concurrency_limit".into(), json!(limit));
    }
    if let Some(priority) = switch.priority {
        fields.insert("priority".into(), json!(priority));
    }
    told.payload = updated(fields);
    told
}

#[cfg(test)]
mod tests;
