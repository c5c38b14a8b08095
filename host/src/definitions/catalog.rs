//! The snapshot that everything else reads: flows, deployments and pools by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use grepx_engine::Definition;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Problem, Timing};

/// All ids of definitions are version 5 UUIDs in here: the same on every host and after every
/// restart, so that links and `idempotency_key`s survive.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x8f1b_6c52_7d0e_4e0b_9a37_2f64_67a1_c0de);

/// Everything that is defined, as of one reading. Immutable.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub flows: BTreeMap<String, Arc<Flow>>,
    /// By name.
    pub deployments: Vec<Arc<Deployment>>,
    pub pools: BTreeMap<String, Arc<Pool>>,
    /// What is wrong with the rows, in the order of tables and rows.
    pub problems: Vec<Problem>,
    /// Where each deployment stands.
    by_id: HashMap<Uuid, usize>,
}

#[derive(Debug, Clone)]
pub struct Flow {
    pub id: Uuid,
    pub row_id: i64,
    pub name: String,
    pub description: Option<String>,
    pub flow_type: Option<String>,
    pub tags: Vec<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub definition: Arc<Definition>,
    /// SHA-256 of the definition's JSON, lower-case hexadecimal.
    pub digest: String,
    /// What a run gets that names nothing else: `environment` "production", `debug` false, and the
    /// defaults of `parameters_schema`.
    pub parameters: Map<String, Value>,
    /// JSON Schema of the parameters, as the row has it.
    pub parameters_schema: Option<Value>,
}

#[derive(Debug, Clone)]
pub struct Deployment {
    pub id: Uuid,
    pub row_id: i64,
    pub name: String,
    pub flow: Arc<Flow>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub work_pool: String,
    pub work_queue: String,
    /// The deployment's own; see [`Deployment::parameters_with`].
    pub parameters: Map<String, Value>,
    pub schedules: Vec<ScheduleSpec>,
    pub paused: bool,
    /// Runs of this deployment at a time; `None` without a limit.
    pub concurrency_limit: Option<u32>,
    /// What becomes of a run that would exceed `concurrency_limit`.
    pub overlap: Overlap,
    /// What becomes of times that passed while nothing ran.
    pub catch_up: CatchUp,
    /// Times longer ago than this are never caught up.
    pub catch_up_window_seconds: Option<u64>,
}

/// One way in which a deployment starts by itself.
#[derive(Debug, Clone)]
pub struct ScheduleSpec {
    /// Unique in its deployment: `slug` of the row, else `schedule` for the columns
    /// `schedule_type`/`schedule_config` and `schedule-<n>` in the list.
    pub key: String,
    pub id: Uuid,
    pub schedule_type: ScheduleType,
    /// `schedule_config`: `cron_string`, `interval_seconds`, `anchor_date`, `rrule`, `timezone`, …
    pub config: Map<String, Value>,
    /// On top of the deployment's parameters.
    pub parameters: Map<String, Value>,
    pub active: bool,
    /// When it fires; or why it never does, which is a problem of the catalog, too.
    pub timing: Result<Arc<Timing>, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleType {
    Cron,
    Interval,
    Rrule,
}

impl ScheduleType {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Interval => "interval",
            Self::Rrule => "rrule",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "cron" => Some(Self::Cron),
            "interval" => Some(Self::Interval),
            "rrule" => Some(Self::Rrule),
            _ => None,
        }
    }

    /// Keys of `schedule_config` that mean something to the rule.
    #[must_use]
    pub const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Cron => &["cron_string", "cron", "day_or", "timezone"],
            Self::Interval => &["interval_seconds", "interval", "anchor_date", "timezone"],
            Self::Rrule => &["rrule", "timezone"],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The new run waits for a slot.
    #[default]
    Enqueue,
    /// The new run is cancelled.
    CancelNew,
    /// The oldest running one is cancelled, and the new one takes its slot.
    CancelRunning,
    /// No run is made; the deployment notes that a time was skipped.
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// One run, for the latest of the missed times.
    #[default]
    Latest,
    /// A run for each missed time.
    All,
    /// None.
    None,
}

#[derive(Debug, Clone)]
pub struct Pool {
    pub id: Uuid,
    pub row_id: i64,
    pub name: String,
    pub pool_type: String,
    pub description: Option<String>,
    pub config: Map<String, Value>,
    pub created_at: Option<DateTime<Utc>>,
    /// Flow runs at a time over all queues; `None` without a limit.
    pub concurrency_limit: Option<u32>,
    pub paused: bool,
    /// By priority, then name.
    pub queues: Vec<Queue>,
}

#[derive(Debug, Clone)]
pub struct Queue {
    pub id: Uuid,
    pub name: String,
    /// From 1, which is served first.
    pub priority: u32,
    /// Flow runs at a time; `None` without a limit.
    pub concurrency_limit: Option<u32>,
    pub paused: bool,
}

impl Catalog {
    /// `deployments`: by name.
    #[must_use]
    pub(super) fn new(
        flows: BTreeMap<String, Arc<Flow>>,
        deployments: Vec<Arc<Deployment>>,
        pools: BTreeMap<String, Arc<Pool>>,
        problems: Vec<Problem>,
    ) -> Self {
        let by_id = deployments.iter().enumerate().map(|(place, one)| (one.id, place));
        Self {
            by_id: by_id.collect(),
            flows,
            deployments,
            pools,
            problems,
        }
    }

    #[must_use]
    pub fn deployment(&self, name: &str) -> Option<&Arc<Deployment>> {
        let place = self
            .deployments
            .binary_search_by(|one| one.name.as_str().cmp(name))
            .ok()?;
        self.deployments.get(place)
    }

    /// By `flow/deployment`, or by the deployment's own name.
    #[must_use]
    pub fn deployment_named(&self, name: &str) -> Option<&Arc<Deployment>> {
        let own = name.rsplit('/').next().unwrap_or(name);
        let found = self.deployment(own)?;
        (!name.contains('/') || name == format!("{}/{own}", found.flow.name)).then_some(found)
    }

    #[must_use]
    pub fn deployment_by_id(&self, id: Uuid) -> Option<&Arc<Deployment>> {
        self.deployments.get(*self.by_id.get(&id)?)
    }

    #[must_use]
    pub fn flow_by_id(&self, id: Uuid) -> Option<&Arc<Flow>> {
        self.flows.values().find(|one| one.id == id)
    }
}

impl Deployment {
    /// Whether its schedules fire, as far as it is concerned; `switch` is what was set at run time.
    #[must_use]
    pub fn is_active(&self, switch: Option<bool>) -> bool {
        switch.unwrap_or(!self.paused)
    }

    /// Flow runs that may be live at once; `None` without a limit. Without a limit of its own a
    /// deployment with an overlap rule has one at a time.
    #[must_use]
    pub fn live_runs_max(&self) -> Option<u32> {
        match self.overlap {
            Overlap::Enqueue => self.concurrency_limit,
            _ => Some(self.concurrency_limit.unwrap_or(1)),
        }
    }
}

impl Flow {
    /// JSON Schema of the parameters as clients see it: the row's own, or one made of the defaults;
    /// `environment` and `debug` are always allowed.
    #[must_use]
    pub fn parameter_schema(&self) -> Value {
        let mut schema = match &self.parameters_schema {
            Some(Value::Object(own)) => own.clone(),
            _ => Map::new(),
        };
        schema.entry("title").or_insert_with(|| "Parameters".into());
        schema.entry("type").or_insert_with(|| "object".into());
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Value::Object(properties) = properties {
            for (place, (name, default)) in self.parameters.iter().enumerate() {
                properties
                    .entry(name.clone())
                    .or_insert_with(|| property(name, default, place));
            }
        }
        Value::Object(schema)
    }
}

impl Deployment {
    /// What a run of this deployment gets: the flow's, then the deployment's, then `own`.
    #[must_use]
    pub fn parameters_with(&self, own: &Map<String, Value>) -> Map<String, Value> {
        let mut all = self.flow.parameters.clone();
        for more in [&self.parameters, own] {
            for (name, value) in more {
                all.insert(name.clone(), value.clone());
            }
        }
        all
    }

    /// As [`Flow::parameter_schema`], with the deployment's own parameters and defaults.
    #[must_use]
    pub fn parameter_schema(&self) -> Value {
        let mut schema = self.flow.parameter_schema();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for (name, default) in &self.parameters {
                let place = properties.len();
                let entry = properties
                    .entry(name.clone())
                    .or_insert_with(|| property(name, default, place));
                if let Value::Object(entry) = entry {
                    entry.insert("default".to_owned(), default.clone());
                }
            }
        }
        schema
    }
}

fn property(name: &str, default: &Value, position: usize) -> Value {
    let mut property = json!({"title": name, "default": default, "position": position});
    let kind = match default {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Null => return property,
    };
    property["type"] = kind.into();
    property
}

#[must_use]
pub fn flow_id(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("flow:{name}").as_bytes())
}

#[must_use]
pub fn deployment_id(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("deployment:{name}").as_bytes())
}

#[must_use]
pub fn pool_id(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("pool:{name}").as_bytes())
}

#[must_use]
pub fn queue_id(pool: &str, queue: &str) -> Uuid {
    Uuid::new_v5(&pool_id(pool), format!("queue:{queue}").as_bytes())
}
