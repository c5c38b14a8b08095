//! Prefect's filters, and how they become the store's. What names flows, deployments, pools or
//! queues by something that a run does not carry (tags, ids of queues) is looked up in the catalog.
//!
//! Absent on purpose: `or_`, and filters over resources that do not exist here. Both are refused,
//! because an answer that ignores a filter is a wrong answer.

use std::hash::Hash;

use grepx_engine::{FlowRunId, StateType, TaskRunId, Timestamp};
use uuid::Uuid;

use super::body::Fields;
use crate::clock;
use crate::definitions::{Catalog, Deployment, Flow};
use crate::store::{Choice, FlowRunFilter, LogFilter, Period, Tags, TaskRunFilter, Text};

/// `flows` of a body.
#[derive(Debug, Default)]
pub(super) struct FlowFilter {
    id: Choice<Uuid>,
    name: Text,
    tags: Tags,
}

/// `deployments` of a body.
#[derive(Debug, Default)]
pub(super) struct DeploymentFilter {
    id: Choice<Uuid>,
    name: Text,
    tags: Tags,
    paused: Choice<bool>,
    work_queue: Choice<String>,
    flow: FlowFilter,
    pool: PoolFilter,
}

/// `work_pools` of a body.
#[derive(Debug, Default)]
pub(super) struct PoolFilter {
    id: Choice<Uuid>,
    name: Choice<String>,
    pool_type: Choice<String>,
}

impl FlowFilter {
    pub(super) fn read(body: &mut Fields<'_>) -> Self {
        body.object("flows", |fields| {
            operator(fields);
            fields.unsupported(&["deployment"]);
            Self {
                id: ids(fields, "id", |id| id),
                name: text(fields, "name"),
                tags: tags(fields),
            }
        })
        .unwrap_or_default()
    }

    pub(super) fn accepts(&self, flow: &Flow) -> bool {
        accepts(&self.id, &flow.id) && accepts_text(&self.name, &flow.name) && accepts_tags(&self.tags, &flow.tags)
    }
}

impl DeploymentFilter {
    /// Of the deployments' own endpoints: `flows` and `work_pools` count as well.
    pub(super) fn read_with_flows(body: &mut Fields<'_>) -> Self {
        Self {
            flow: FlowFilter::read(body),
            pool: PoolFilter::read(body),
            ..Self::read(body)
        }
    }

    fn read(body: &mut Fields<'_>) -> Self {
        body.object("deployments", |fields| {
            operator(fields);
            fields.unsupported(&["concurrency_limit", "flow_or_deployment_name", "is_schedule_active"]);
            Self {
                id: ids(fields, "id", |id| id),
                name: text(fields, "name"),
                tags: tags(fields),
                paused: fields.object("paused", equal).unwrap_or_default(),
                work_queue: words(fields, "work_queue_name"),
                ..Self::default()
            }
        })
        .unwrap_or_default()
    }

    pub(super) fn accepts(&self, one: &Deployment) -> bool {
        accepts(&self.id, &one.id)
            && accepts_text(&self.name, &one.name)
            && accepts_tags(&self.tags, &one.tags)
            && accepts(&self.paused, &one.paused)
            && accepts(&self.work_queue, &one.work_queue)
            && accepts(&self.pool.name, &one.work_pool)
            && accepts(&self.pool.id, &crate::definitions::pool_id(&one.work_pool))
            && self.flow.accepts(&one.flow)
    }
}

impl PoolFilter {
    pub(super) fn read(body: &mut Fields<'_>) -> Self {
        body.object("work_pools", |fields| {
            operator(fields);
            Self {
                id: ids(fields, "id", |id| id),
                name: words(fields, "name"),
                pool_type: words(fields, "type"),
            }
        })
        .unwrap_or_default()
    }

    pub(super) fn accepts(&self, id: &Uuid, name: &String, pool_type: &String) -> bool {
        accepts(&self.id, id) && accepts(&self.name, name) && accepts(&self.pool_type, pool_type)
    }
}

/// The flow runs that a body asks for.
pub(super) fn flow_runs(body: &mut Fields<'_>, catalog: &Catalog) -> FlowRunFilter {
    body.unsupported(&["task_runs"]);
    let mut filter = body.object("flow_runs", flow_run_fields).unwrap_or_default();
    related(body, catalog, &mut filter);
    filter
}

/// The task runs that a body asks for.
pub(super) fn task_runs(body: &mut Fields<'_>, catalog: &Catalog) -> TaskRunFilter {
    let mut filter = body
        .object("task_runs", |fields| {
            operator(fields);
            fields.unsupported(&["subflow_runs", "cache_key"]);
            let (state_type, state_name) = state(fields);
            TaskRunFilter {
                id: ids(fields, "id", TaskRunId),
                run: ids(fields, "flow_run_id", FlowRunId),
                name: text(fields, "name"),
                kind: words(fields, "kind"),
                state_type,
                state_name,
                tags: tags(fields),
                expected_start: period(fields, "expected_start_time"),
                start_time: period(fields, "start_time"),
                end_time: period(fields, "end_time"),
                flow_run: None,
            }
        })
        .unwrap_or_default();
    let mut runs = body.object("flow_runs", flow_run_fields).unwrap_or_default();
    related(body, catalog, &mut runs);
    filter.flow_run = (runs != FlowRunFilter::default()).then(|| Box::new(runs));
    filter
}

/// The log lines that a body asks for.
pub(super) fn logs(body: &mut Fields<'_>) -> LogFilter {
    body.object("logs", |fields| {
        operator(fields);
        let level = fields.object("level", |fields| (fields.value("ge_"), fields.value("le_")));
        let (level_min, level_max) = level.unwrap_or_default();
        LogFilter {
            run: ids(fields, "flow_run_id", FlowRunId),
            task_run: ids(fields, "task_run_id", TaskRunId),
            at: period(fields, "timestamp"),
            level_min,
            level_max,
            text: fields.object("text", |fields| fields.value("query")).flatten(),
            newest_first: false,
        }
    })
    .unwrap_or_default()
}

fn flow_run_fields(fields: &mut Fields<'_>) -> FlowRunFilter {
    operator(fields);
    fields.unsupported(&["flow_version", "created_by", "parent_flow_run_id"]);
    let next = period(fields, "next_scheduled_start_time");
    let expected = period(fields, "expected_start_time");
    let (state_type, state_name) = state(fields);
    FlowRunFilter {
        id: ids(fields, "id", FlowRunId),
        name: text(fields, "name"),
        deployment_id: ids(fields, "deployment_id", |id| id),
        state_type,
        state_name,
        tags: tags(fields),
        expected_start: if expected == Period::default() { next } else { expected },
        start_time: period(fields, "start_time"),
        end_time: period(fields, "end_time"),
        work_queue: words(fields, "work_queue_name"),
        parent_task_run: ids(fields, "parent_task_run_id", TaskRunId),
        idempotency_key: words(fields, "idempotency_key"),
        ..FlowRunFilter::default()
    }
}

/// What a body says of the flow, the deployment, the pool and the queue of a flow run.
fn related(body: &mut Fields<'_>, catalog: &Catalog, filter: &mut FlowRunFilter) {
    let flows = FlowFilter::read(body);
    if flows.tags == Tags::default() {
        filter.flow_id = flows.id;
        filter.flow_name = flows.name;
    } else {
        let known = catalog
            .flows
            .values()
            .filter(|flow| flows.accepts(flow))
            .map(|flow| flow.id);
        filter.flow_id = Choice::any(known.collect::<Vec<_>>());
    }
    let deployments = DeploymentFilter::read(body);
    let own = std::mem::take(&mut filter.deployment_id);
    if deployments.tags == Tags::default() && deployments.paused == Choice::default() {
        filter.deployment_id = both(own, deployments.id);
        filter.deployment_name = deployments.name;
        filter.work_queue = both(std::mem::take(&mut filter.work_queue), deployments.work_queue);
    } else {
        let known = catalog
            .deployments
            .iter()
            .filter(|one| deployments.accepts(one))
            .map(|one| one.id);
        filter.deployment_id = both(own, Choice::any(known.collect::<Vec<_>>()));
    }
    let pools = PoolFilter::read(body);
    filter.work_pool = pools.name;
    if pools.id != Choice::default() || pools.pool_type != Choice::default() {
        let known = catalog
            .pools
            .values()
            .filter(|pool| accepts(&pools.id, &pool.id) && accepts(&pools.pool_type, &pool.pool_type));
        let named = Choice::any(known.map(|pool| pool.name.clone()).collect::<Vec<_>>());
        filter.work_pool = both(std::mem::take(&mut filter.work_pool), named);
    }
    let queues = body.object("work_pool_queues", |fields| {
        operator(fields);
        (ids(fields, "id", |id| id), words(fields, "name"))
    });
    let (ids, names) = queues.unwrap_or_default();
    filter.work_queue = both(std::mem::take(&mut filter.work_queue), names);
    if ids != Choice::default() {
        let all = catalog
            .pools
            .values()
            .flat_map(|pool| pool.queues.iter().map(move |queue| (pool, queue)));
        let (pools, queues) = all
            .filter(|(_, queue)| accepts(&ids, &queue.id))
            .map(|(pool, queue)| (pool.name.clone(), queue.name.clone()))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        filter.work_pool = both(std::mem::take(&mut filter.work_pool), Choice::any(pools));
        filter.work_queue = both(std::mem::take(&mut filter.work_queue), Choice::any(queues));
    }
}

fn operator(fields: &mut Fields<'_>) {
    match fields.value::<String>("operator").as_deref() {
        None | Some("and_") => {}
        Some(_) => fields.fault(
            Some("operator"),
            "not_supported",
            "grepx-host joins conditions by and_ only",
        ),
    }
}

fn choice<T>(fields: &mut Fields<'_>, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Choice<T> {
    let read = |fields: &mut Fields<'_>| Choice {
        any: fields.list("any_", &parse),
        not: fields.list("not_any_", &parse),
        is_null: fields.value("is_null_"),
    };
    fields.object(name, read).unwrap_or_default()
}

fn ids<T>(fields: &mut Fields<'_>, name: &str, wrap: impl Fn(Uuid) -> T) -> Choice<T> {
    choice(fields, name, |text| uuid(text).map(&wrap))
}

fn words(fields: &mut Fields<'_>, name: &str) -> Choice<String> {
    choice(fields, name, |text| Ok(text.to_owned()))
}

fn text(fields: &mut Fields<'_>, name: &str) -> Text {
    let read = |fields: &mut Fields<'_>| Text {
        like: fields.value("like_"),
        choice: Choice {
            any: fields.value("any_"),
            not: fields.value("not_any_"),
            is_null: None,
        },
    };
    fields.object(name, read).unwrap_or_default()
}

fn tags(fields: &mut Fields<'_>) -> Tags {
    let read = |fields: &mut Fields<'_>| {
        fields.unsupported(&["is_null_"]);
        Tags {
            all: fields.value("all_"),
            any: fields.value("any_"),
        }
    };
    fields.object("tags", read).unwrap_or_default()
}

fn period(fields: &mut Fields<'_>, name: &str) -> Period {
    let read = |fields: &mut Fields<'_>| Period {
        after: fields.parsed("after_", instant),
        before: fields.parsed("before_", instant),
        is_null: fields.value("is_null_"),
    };
    fields.object(name, read).unwrap_or_default()
}

fn state(fields: &mut Fields<'_>) -> (Choice<StateType>, Choice<String>) {
    let read = |fields: &mut Fields<'_>| {
        operator(fields);
        let types = choice(fields, "type", |word| {
            StateType::parse(word).ok_or_else(|| {
                let known: Vec<&str> = StateType::ALL.iter().map(|state| state.as_str()).collect();
                format!("Input should be one of {}", known.join(", "))
            })
        });
        (types, words(fields, "name"))
    };
    fields.object("state", read).unwrap_or_default()
}

fn equal(fields: &mut Fields<'_>) -> Choice<bool> {
    match fields.value::<bool>("eq_") {
        Some(wanted) => Choice::any(vec![wanted]),
        None => Choice::default(),
    }
}

pub(super) fn uuid(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text).map_err(|_| format!("{text:?} is no UUID"))
}

pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    clock::parse_rfc3339(text).map_err(|_| format!("{text:?} is no ISO 8601 date and time with an offset"))
}

/// Both conditions.
fn both<T: Clone + Eq + Hash>(one: Choice<T>, other: Choice<T>) -> Choice<T> {
    let any = match (one.any, other.any) {
        (Some(one), Some(other)) => Some(one.into_iter().filter(|value| other.contains(value)).collect()),
        (one, other) => one.or(other),
    };
    let not = match (one.not, other.not) {
        (Some(one), Some(other)) => Some(one.into_iter().chain(other).collect()),
        (one, other) => one.or(other),
    };
    Choice {
        any,
        not,
        is_null: one.is_null.or(other.is_null),
    }
}

fn accepts<T: PartialEq>(choice: &Choice<T>, value: &T) -> bool {
    choice.any.as_ref().is_none_or(|any| any.contains(value))
        && choice.not.as_ref().is_none_or(|not| !not.contains(value))
        && choice.is_null != Some(true)
}

fn accepts_text(text: &Text, value: &String) -> bool {
    let like = text.like.as_ref().map(|part| part.to_ascii_lowercase());
    accepts(&text.choice, value) && like.is_none_or(|part| value.to_ascii_lowercase().contains(&part))
}

fn accepts_tags(tags: &Tags, value: &[String]) -> bool {
    tags.all.iter().flatten().all(|tag| value.contains(tag))
        && tags
            .any
            .as_ref()
            .is_none_or(|any| any.iter().any(|tag| value.contains(tag)))
}
