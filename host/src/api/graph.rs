//! `GET /flow_runs/{id}/graph-v2`: the task runs of a flow run that have started, and which comes
//! after which, as Prefect's pages draw it.
//!
//! A task that goes through a list stands between its items and everything else, so that there
//! are as many edges as items, and never their product. A task run that has started a flow run is
//! shown as that flow run.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::{Path, Query, State};
use grepx_engine::{Definition, NodeId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::Error;
use super::filter::instant;
use super::{ApiState, flow_runs};
use crate::clock::rfc3339;
use crate::store::{Choice, FlowRunFilter, FlowRunSort, Page, StoredState, TaskRun, TaskRunFilter, TaskRunSort};

/// Nodes of a graph at most: Prefect's own limit.
const NODES_MAX: u32 = 10_000;

#[derive(Debug, Deserialize)]
pub(super) struct Since {
    since: Option<String>,
}

pub(super) async fn read(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(query): Query<Since>,
) -> Result<Json<Value>, Error> {
    let since = query
        .since
        .as_deref()
        .map(instant)
        .transpose()
        .map_err(Error::Invalid)?;
    let run = flow_runs::row(&state, flow_runs::id_of(&id)?).await?;
    let definition = definition(&state, &run.run.definition).await?;
    let tasks = TaskRunFilter {
        run: Choice::any([run.run.id]),
        ..TaskRunFilter::default()
    };
    let most = Page::first(NODES_MAX + 1);
    let mut tasks = state.store.task_runs(tasks, TaskRunSort::DefinitionAsc, most).await?;
    if tasks.len() > NODES_MAX as usize {
        return Err(Error::BadRequest(format!(
            "The graph of this flow run has more than {NODES_MAX} nodes, the limit. /api/task_runs/filter lists its task runs."
        )));
    }
    tasks.retain(|task| task.start_time.is_some());
    let children = FlowRunFilter {
        parent_run: Choice::any([run.run.id]),
        ..FlowRunFilter::default()
    };
    let children = state
        .store
        .flow_runs(children, FlowRunSort::ExpectedStartAsc, Page::first(NODES_MAX))
        .await?;
    // Of several attempts the last one.
    let children = children.into_iter().filter_map(|child| {
        let parent = child.run.parent.as_ref()?;
        Some((parent.node, (child.run.id.0, child.run.name.clone())))
    });
    let graph = Graph {
        definition: &definition,
        started: tasks.iter().map(|task| (task.node, task)).collect(),
        children: children.collect(),
    };
    let nodes = graph.nodes();
    let roots: Vec<Uuid> = nodes
        .iter()
        .filter(|node| node.parents.is_empty())
        .map(|node| node.id)
        .collect();
    let changed = |node: &&Node<'_>| since.is_none_or(|since| node.changed_after(since));
    let states = state.store.states(run.run.id).await?;
    Ok(Json(json!({
        "start_time": run.start_time.map(rfc3339),
        "end_time": run.end_time.map(rfc3339),
        "root_node_ids": roots,
        "nodes": nodes.iter().filter(changed).map(Node::shown).collect::<Vec<_>>(),
        "artifacts": [],
        "states": states.iter().map(of_state).collect::<Vec<_>>(),
    })))
}

/// The one that the run was made with.
async fn definition(state: &ApiState, digest: &str) -> Result<Definition, Error> {
    let stored = state.store.definition(digest.to_owned()).await?;
    let stored =
        stored.ok_or_else(|| Error::NotFound("The definition of this flow run is not kept any more.".into()))?;
    serde_json::from_str(stored.as_str())
        .map_err(|error| Error::Conflict(format!("the definition of this flow run cannot be read: {error}")))
}

struct Graph<'a> {
    definition: &'a Definition,
    started: BTreeMap<NodeId, &'a TaskRun>,
    children: HashMap<NodeId, (Uuid, String)>,
}

struct Node<'a> {
    id: Uuid,
    is_flow_run: bool,
    label: &'a str,
    task: &'a TaskRun,
    parents: Vec<Uuid>,
    children: Vec<Uuid>,
}

impl Graph<'_> {
    /// By when they started.
    fn nodes(&self) -> Vec<Node<'_>> {
        let mut after: HashMap<NodeId, Vec<Uuid>> = HashMap::new();
        let mut nodes: Vec<Node<'_>> = Vec::with_capacity(self.started.len());
        for (node, task) in &self.started {
            let before = self.before(*node);
            let id = self.id(*node, task);
            for other in &before {
                after.entry(*other).or_default().push(id);
            }
            nodes.push(Node {
                id,
                is_flow_run: self.children.contains_key(node),
                label: self.children.get(node).map_or(&task.name, |(_, name)| name),
                task,
                parents: before
                    .iter()
                    .map(|other| self.id(*other, self.started[other]))
                    .collect(),
                children: Vec::new(),
            });
        }
        for node in &mut nodes {
            node.children = after.remove(&node.task.node).unwrap_or_default();
        }
        nodes.sort_by_key(|node| (node.task.start_time, node.task.node));
        nodes
    }

    fn id(&self, node: NodeId, task: &TaskRun) -> Uuid {
        self.children.get(&node).map_or(task.id.0, |(id, _)| *id)
    }

    /// What has started and comes right before: through what was skipped.
    fn before(&self, node: NodeId) -> Vec<NodeId> {
        let whole = NodeId::task(node.task);
        if node != whole && self.started.contains_key(&whole) {
            return vec![whole];
        }
        let mut before = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut open = self.upstreams(node.task).to_vec();
        while let Some(task) = open.pop() {
            if !seen.insert(task) {
                continue;
            }
            let mut started = self.of_task(task).peekable();
            if started.peek().is_none() {
                open.extend(self.upstreams(task));
            }
            before.extend(started);
        }
        before.sort_unstable();
        before
    }

    /// The task itself, or its items when it has not started.
    fn of_task(&self, task: u32) -> impl Iterator<Item = NodeId> + '_ {
        let whole = NodeId::task(task);
        let alone = self.started.contains_key(&whole);
        let first = NodeId { task, index: None };
        let next = NodeId {
            task: task + 1,
            index: None,
        };
        let all = self.started.range(first..next).map(|(node, _)| *node);
        all.filter(move |node| !alone || *node == whole)
    }

    fn upstreams(&self, task: u32) -> &[u32] {
        self.definition
            .tasks
            .get(task as usize)
            .map_or(&[], |task| &task.upstreams)
    }
}

impl Node<'_> {
    fn changed_after(&self, since: Timestamp) -> bool {
        self.task.end_time.is_none_or(|end| end >= since) || self.task.start_time.is_some_and(|start| start >= since)
    }

    fn shown(&self) -> Value {
        let edges = |ids: &[Uuid]| ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>();
        let node = json!({
            "kind": if self.is_flow_run { "flow-run" } else { "task-run" },
            "id": self.id,
            "label": self.label,
            "state_type": self.task.state.state_type,
            "start_time": self.task.start_time.map(rfc3339),
            "end_time": self.task.end_time.map(rfc3339),
            "parents": edges(&self.parents),
            "children": edges(&self.children),
            "encapsulating": [],
            "artifacts": [],
        });
        json!([self.id, node])
    }
}

fn of_state(one: &StoredState) -> Value {
    json!({
        "id": one.id,
        "timestamp": rfc3339(one.since),
        "type": one.state_type,
        "name": one.name,
    })
}
