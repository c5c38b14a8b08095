//! Prefect's filters, and how they become the store's. A body may hold one for each resource;
//! what it says of flows, deployments, pools and queues is looked up in the catalog where a run
//! does not carry it (tags, types, ids of queues).
//!
//! Absent on purpose: conditions that are passed over. What cannot be filtered by is refused,
//! because an answer that ignores a filter is a wrong answer.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use grepx_engine::{FlowRunId, TaskRunId};
use uuid::Uuid;

use super::ApiState;
use super::body::Fields;
use super::error::Error;
use crate::definitions::{Catalog, Deployment, Flow};
use crate::store::{Choice, FlowRunFilter, Join, LogFilter, TaskRunFilter};

mod catalog;
mod read;

pub(super) use catalog::{DeploymentFilter, FlowFilter, PoolFilter, QueueFilter, given, of_choice};
use read::{creator, ids, join, period, states, tags, text, words};
pub(super) use read::{instant, uuid};

/// What a body asks for, of every resource.
#[derive(Debug, Default)]
pub(super) struct Filters {
    flows: FlowFilter,
    flow_runs: FlowRunFilter,
    task_runs: TaskRunFilter,
    deployments: DeploymentFilter,
    pools: PoolFilter,
    queues: QueueFilter,
}

impl Filters {
    pub(super) fn read(body: &mut Fields<'_>) -> Self {
        Self {
            flows: FlowFilter::read(body),
            flow_runs: body.object("flow_runs", flow_run_fields).unwrap_or_default(),
            task_runs: body.object("task_runs", task_run_fields).unwrap_or_default(),
            deployments: DeploymentFilter::read(body),
            pools: PoolFilter::read(body),
            queues: QueueFilter::read(body),
        }
    }

    /// The flow runs that it asks for.
    pub(super) async fn flow_runs(mut self, state: &ApiState) -> Result<FlowRunFilter, Error> {
        let tasks = std::mem::take(&mut self.task_runs);
        let mut filter = self.of_runs(state).await?;
        filter.task_run = (!tasks.asks_nothing()).then(|| Box::new(tasks));
        Ok(filter)
    }

    /// The task runs that it asks for.
    pub(super) async fn task_runs(mut self, state: &ApiState) -> Result<TaskRunFilter, Error> {
        let mut filter = std::mem::take(&mut self.task_runs);
        let runs = self.of_runs(state).await?;
        filter.flow_run = (!runs.asks_nothing()).then(|| Box::new(runs));
        Ok(filter)
    }

    /// The flows that it asks for, by name.
    pub(super) async fn flows(self, state: &ApiState) -> Result<Vec<Arc<Flow>>, Error> {
        let catalog = state.catalog.load_full();
        let deployed = deployed(&catalog);
        let of_deployments = self.asks_for_deployments();
        let within: Option<HashSet<Uuid>> = if of_deployments {
            let wanted = self.deployments_of(state, &catalog).await?;
            Some(wanted.iter().map(|one| one.flow.id).collect())
        } else {
            None
        };
        let ran = match self.of_runs_alone() {
            Some(runs) => Some(state.store.flows_of(runs).await?),
            None => None,
        };
        let found = catalog.flows.values().filter(|flow| {
            self.flows.accepts(flow, deployed.contains(&flow.id))
                && within.as_ref().is_none_or(|within| within.contains(&flow.id))
                && ran.as_ref().is_none_or(|ran| ran.contains(&flow.id))
        });
        Ok(found.cloned().collect())
    }

    /// The deployments that it asks for, by name.
    pub(super) async fn deployments(self, state: &ApiState) -> Result<Vec<Arc<Deployment>>, Error> {
        let catalog = state.catalog.load_full();
        let deployed = deployed(&catalog);
        let ran = match self.of_runs_alone() {
            Some(runs) => Some(state.store.deployments_of(runs).await?),
            None => None,
        };
        let mut found = self.deployments_of(state, &catalog).await?;
        found.retain(|one| {
            self.flows.accepts(&one.flow, deployed.contains(&one.flow.id))
                && ran.as_ref().is_none_or(|ran| ran.contains(&one.id))
        });
        Ok(found)
    }

    fn asks_for_deployments(&self) -> bool {
        !(self.deployments.asks_nothing() && self.pools.asks_nothing() && self.queues.asks_nothing())
    }

    /// By what is said of deployments, pools and queues.
    async fn deployments_of(&self, state: &ApiState, catalog: &Catalog) -> Result<Vec<Arc<Deployment>>, Error> {
        let paused = self.paused(state).await?;
        let found = catalog.deployments.iter().filter(|one| {
            let in_pool = match catalog.pools.get(&one.work_pool) {
                Some(pool) => self.pools.accepts(pool),
                None => self.pools.accepts_name(&one.work_pool),
            };
            in_pool
                && self.queues.accepts_names(&one.work_pool, &one.work_queue)
                && self.deployments.accepts(one, is_paused(one, &paused))
        });
        Ok(found.cloned().collect())
    }

    /// What was switched at run time, when that matters.
    async fn paused(&self, state: &ApiState) -> Result<BTreeMap<(Uuid, Option<Uuid>), bool>, Error> {
        match self.deployments.paused {
            Some(_) => Ok(state.store.deployment_switches().await?),
            None => Ok(BTreeMap::new()),
        }
    }

    /// What is said of flow runs and of their task runs; `None` when nothing is.
    fn of_runs_alone(&self) -> Option<FlowRunFilter> {
        let mut filter = alone(self.flow_runs.clone());
        filter.task_run = (!self.task_runs.asks_nothing()).then(|| Box::new(self.task_runs.clone()));
        (!filter.asks_nothing()).then_some(filter)
    }

    /// What is said of flow runs and of all that they belong to.
    async fn of_runs(&self, state: &ApiState) -> Result<FlowRunFilter, Error> {
        let catalog = state.catalog.load_full();
        let mut filter = alone(self.flow_runs.clone());
        let deployments = self.of_deployments(state, &catalog).await?;
        let others = [
            self.of_flows(&catalog),
            deployments,
            self.of_pools(&catalog),
            self.of_queues(&catalog),
        ];
        filter.parts.extend(others.into_iter().flatten());
        Ok(filter)
    }

    /// By the flow's id and name, which a run carries, or by the flows of the catalog.
    fn of_flows(&self, catalog: &Catalog) -> Option<FlowRunFilter> {
        let asked = &self.flows;
        let carried = FlowFilter {
            join: asked.join,
            id: asked.id.clone(),
            name: asked.name.clone(),
            ..FlowFilter::default()
        };
        if asked.asks_nothing() {
            return None;
        }
        if *asked == carried {
            return Some(FlowRunFilter {
                join: carried.join,
                flow_id: carried.id,
                flow_name: carried.name,
                ..FlowRunFilter::default()
            });
        }
        let deployed = deployed(catalog);
        let known = catalog.flows.values();
        let known = known.filter(|flow| asked.accepts(flow, deployed.contains(&flow.id)));
        Some(FlowRunFilter {
            flow_id: Choice::any(known.map(|flow| flow.id).collect::<Vec<_>>()),
            ..FlowRunFilter::default()
        })
    }

    /// By the deployment's id and name, which a run carries, or by the deployments of the catalog.
    async fn of_deployments(&self, state: &ApiState, catalog: &Catalog) -> Result<Option<FlowRunFilter>, Error> {
        let asked = &self.deployments;
        let carried = DeploymentFilter {
            join: asked.join,
            id: asked.id.clone(),
            name: asked.name.clone(),
            ..DeploymentFilter::default()
        };
        if asked.asks_nothing() {
            return Ok(None);
        }
        if *asked == carried {
            return Ok(Some(FlowRunFilter {
                join: carried.join,
                deployment_id: carried.id,
                deployment_name: carried.name,
                ..FlowRunFilter::default()
            }));
        }
        let paused = self.paused(state).await?;
        let known = catalog.deployments.iter();
        let known = known.filter(|one| asked.accepts(one, is_paused(one, &paused)));
        Ok(Some(FlowRunFilter {
            deployment_id: Choice::any(known.map(|one| one.id).collect::<Vec<_>>()),
            ..FlowRunFilter::default()
        }))
    }

    fn of_pools(&self, catalog: &Catalog) -> Option<FlowRunFilter> {
        let asked = &self.pools;
        let carried = PoolFilter {
            name: asked.name.clone(),
            ..PoolFilter::default()
        };
        if asked.asks_nothing() {
            return None;
        }
        let work_pool = if *asked == carried {
            carried.name
        } else {
            let known = catalog.pools.values().filter(|pool| asked.accepts(pool));
            Choice::any(known.map(|pool| pool.name.clone()).collect::<Vec<_>>())
        };
        Some(FlowRunFilter {
            work_pool,
            ..FlowRunFilter::default()
        })
    }

    /// Each queue in its pool: queues of many pools have one name.
    fn of_queues(&self, catalog: &Catalog) -> Option<FlowRunFilter> {
        let asked = &self.queues;
        let carried = QueueFilter {
            name: asked.name.clone(),
            ..QueueFilter::default()
        };
        if asked.asks_nothing() {
            return None;
        }
        if *asked == carried {
            return Some(FlowRunFilter {
                work_queue: carried.name,
                ..FlowRunFilter::default()
            });
        }
        let mut by_queue: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for pool in catalog.pools.values() {
            for queue in pool.queues.iter().filter(|queue| asked.accepts(queue)) {
                by_queue.entry(&queue.name).or_default().insert(&pool.name);
            }
        }
        let parts = by_queue.into_iter().map(|(queue, pools)| FlowRunFilter {
            work_queue: Choice::any([queue.to_owned()]),
            work_pool: Choice::any(pools.into_iter().map(str::to_owned).collect::<Vec<_>>()),
            ..FlowRunFilter::default()
        });
        let parts: Vec<FlowRunFilter> = parts.collect();
        let nothing = parts.is_empty();
        Some(FlowRunFilter {
            join: Join::Any,
            parts,
            work_queue: if nothing { Choice::any([]) } else { Choice::default() },
            ..FlowRunFilter::default()
        })
    }
}

/// Beside which others may be asked for: what is joined by `or_` is one part of it.
fn alone(filter: FlowRunFilter) -> FlowRunFilter {
    match filter.join {
        Join::All => filter,
        Join::Any => FlowRunFilter {
            parts: vec![filter],
            ..FlowRunFilter::default()
        },
    }
}

/// Flows that have deployments.
fn deployed(catalog: &Catalog) -> HashSet<Uuid> {
    catalog.deployments.iter().map(|one| one.flow.id).collect()
}

fn is_paused(one: &Deployment, switches: &BTreeMap<(Uuid, Option<Uuid>), bool>) -> bool {
    !one.is_active(switches.get(&(one.id, None)).copied())
}

/// The log lines that a body asks for.
pub(super) fn logs(body: &mut Fields<'_>) -> LogFilter {
    body.object("logs", |fields| {
        let join = join(fields);
        let level = fields.object("level", |fields| (fields.value("ge_"), fields.value("le_")));
        let (level_min, level_max) = level.unwrap_or_default();
        LogFilter {
            join,
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
    let states = states(fields);
    FlowRunFilter {
        join: join(fields),
        id: ids(fields, "id", FlowRunId),
        name: text(fields, "name"),
        deployment_id: ids(fields, "deployment_id", |id| id),
        state_join: states.join,
        state_type: states.state_type,
        state_name: states.state_name,
        tags: tags(fields),
        definition: words(fields, "flow_version"),
        expected_start: period(fields, "expected_start_time"),
        next_start: period(fields, "next_scheduled_start_time"),
        start_time: period(fields, "start_time"),
        end_time: period(fields, "end_time"),
        work_queue: words(fields, "work_queue_name"),
        parent_run: ids(fields, "parent_flow_run_id", FlowRunId),
        parent_task_run: ids(fields, "parent_task_run_id", TaskRunId),
        idempotency_key: words(fields, "idempotency_key"),
        creator: creator(fields),
        ..FlowRunFilter::default()
    }
}

fn task_run_fields(fields: &mut Fields<'_>) -> TaskRunFilter {
    fields.unsupported(&["cache_key"]);
    let states = states(fields);
    TaskRunFilter {
        join: join(fields),
        id: ids(fields, "id", TaskRunId),
        run: ids(fields, "flow_run_id", FlowRunId),
        name: text(fields, "name"),
        kind: words(fields, "kind"),
        state_join: states.join,
        state_type: states.state_type,
        state_name: states.state_name,
        tags: tags(fields),
        expected_start: period(fields, "expected_start_time"),
        start_time: period(fields, "start_time"),
        end_time: period(fields, "end_time"),
        has_child: fields
            .object("subflow_runs", |fields| fields.value("exists_"))
            .flatten(),
        flow_run: None,
    }
}
