//! Resources: labels with a `prefect.resource.id`.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::definitions::{Catalog, pool_id, queue_id};
use crate::store::RunIdentity;

const ID: &str = "prefect.resource.id";
const NAME: &str = "prefect.resource.name";
const ROLE: &str = "prefect.resource.role";
/// Labels of one resource, as in Prefect.
const LABELS_MAX: usize = 500;

/// In the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::api) struct Labels(Vec<(String, String)>);

impl Serialize for Labels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(label, value)| (label, value)))
    }
}

impl Labels {
    pub(super) fn new<const N: usize>(labels: [(&str, String); N]) -> Self {
        Self(
            labels
                .into_iter()
                .map(|(label, value)| (label.to_owned(), value))
                .collect(),
        )
    }

    pub(super) fn with(mut self, label: &str, value: impl Into<String>) -> Self {
        self.0.push((label.to_owned(), value.into()));
        self
    }

    pub(super) fn get(&self, label: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == label)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn id(&self) -> &str {
        self.get(ID).unwrap_or_default()
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.get(NAME)
    }

    pub(super) fn role(&self) -> Option<&str> {
        self.get(ROLE)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, value)| value.as_str())
    }

    /// # Errors
    /// With what is wrong with it.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let labels = value.as_object().ok_or("a resource is an object of labels")?;
        if labels.len() > LABELS_MAX {
            return Err(format!("a resource has {LABELS_MAX} labels at most"));
        }
        let labels = labels.iter().filter_map(|(label, value)| {
            let text = match value {
                Value::Null => return None,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Some((label.clone(), text))
        });
        let labels = Self(labels.collect());
        if labels.id().is_empty() {
            return Err(format!("a resource has to have the label {ID}"));
        }
        Ok(labels)
    }
}

/// What an event is about.
pub(super) fn resource(kind: &str, id: Uuid, name: Option<&str>) -> Labels {
    let labels = Labels::new([(ID, format!("prefect.{kind}.{id}"))]);
    match name {
        Some(name) => labels.with(NAME, name),
        None => labels,
    }
}

/// In the role of its kind.
pub(super) fn related(kind: &str, id: Uuid, name: Option<&str>) -> Labels {
    resource(kind, id, name).with(ROLE, kind)
}

pub(super) fn work_pool(pool: &str, catalog: &Catalog) -> Labels {
    let labels = resource("work-pool", pool_id(pool), Some(pool));
    match catalog.pools.get(pool) {
        Some(found) => labels.with("prefect.work-pool.type", found.pool_type.as_str()),
        None => labels,
    }
}

/// What a flow run belongs to, in Prefect's order.
pub(super) fn around(run: &RunIdentity, catalog: &Catalog) -> Vec<Labels> {
    let mut all = vec![related("flow", run.flow_id, Some(&run.flow_name))];
    if let Some(id) = run.deployment_id {
        all.push(related("deployment", id, run.deployment_name.as_deref()));
    }
    if let Some(pool) = run.work_pool.as_deref() {
        if let Some(queue) = run.work_queue.as_deref() {
            all.push(related("work-queue", queue_id(pool, queue), Some(queue)));
        }
        all.push(work_pool(pool, catalog).with(ROLE, "work-pool"));
    }
    let mut tags: Vec<&String> = run.tags.iter().collect();
    tags.sort_unstable();
    tags.dedup();
    all.extend(
        tags.into_iter()
            .map(|tag| Labels::new([(ID, format!("prefect.tag.{tag}")), (ROLE, "tag".to_owned())])),
    );
    all
}
