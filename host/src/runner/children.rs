//! Flow runs that task runs start. Each is begun once, tells its parent when it exists and when it
//! has ended, and is stopped when its parent withdraws the command that started it.
//!
//! Between a withdrawal and a start that is under way stands [`Children`]: the withdrawal waits for
//! it, so no run is made that nobody stops. After a restart there is nothing under way, and a
//! command that was withdrawn is not due any more.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grepx_engine::{ChildRun, Definition, ErrorClass, FlowRunId, Json, NodeId, Outcome, StateType, TaskError};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::definitions::Deployment;
use crate::failpoint::{self, Point};
use crate::store::{
    self, Choice, FlowRun, FlowRunFilter, FlowRunSort, Page, Parent, Store, TaskRunFilter, TaskRunSort,
};

use super::live::Live;
use super::mail::Mail;
use super::{Error, RunRequest, Runner, Triggered, World};

/// Flow runs above a flow run; what runs itself has to end somewhere.
const DEPTH_MAX: u32 = 16;
/// Results that are handed to the parent, bytes of JSON: they stand in its log.
const RESULTS_BYTES_MAX: u64 = 1 << 20;
/// Children of one task run that are looked through, latest first.
const CHILDREN_MAX: u32 = 1_000;
/// Task runs that are read at a time.
const PAGE: u32 = 1_000;

/// Starts under way, by the attempt and command that they are made for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    starting: Mutex<HashSet<Key>>,
    ended: Notify,
}

type Key = (FlowRunId, NodeId, u32, String);

fn key(parent: &Parent) -> Key {
    (parent.run, parent.node, parent.attempt, parent.key.clone())
}

impl Children {
    /// `None` while the same start is under way.
    fn begin(&self, parent: &Parent) -> Option<Starting> {
        let key = key(parent);
        self.starting().insert(key.clone()).then(|| Starting {
            children: self.clone(),
            key,
        })
    }

    /// Until the start for this command is no longer under way.
    async fn settled(&self, parent: &Parent) {
        let key = key(parent);
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if !self.starting().contains(&key) {
                return;
            }
            ended.await;
        }
    }

    fn starting(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A start under way; it ends with this value, however that goes.
struct Starting {
    children: Children,
    key: Key,
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.children.starting().remove(&self.key);
        self.children.0.ended.notify_waiters();
    }
}

/// Starts a flow run on behalf of a task run, or looks how the one that was started is doing.
pub(crate) fn start(
    world: &World,
    runner: &Runner,
    live: &Live,
    node: NodeId,
    attempt: u32,
    key: &str,
    child: &ChildRun,
) {
    let parent = Parent {
        run: live.id(),
        node,
        attempt,
        key: key.to_owned(),
    };
    let Some(starting) = runner.children.begin(&parent) else {
        return;
    };
    let (world, runner, child) = (world.clone(), runner.clone(), child.clone());
    crate::task::spawn("child", async move {
        let begun = begin(&world, &runner, &parent, child).await;
        drop(starting);
        match begun {
            Ok(Ok(run)) => tell(&world, &runner, &parent, &run).await,
            Ok(Err(refused)) => answer(&runner, &parent, Outcome::Failed(refused)).await,
            // The host's own trouble is not the task's: the next sweep asks again.
            Err(_) if world.store.trouble().is_some() => {}
            Err(error) => {
                tracing::warn!(run = %parent.run, error = &error as &dyn std::error::Error, "a child run is not started yet");
            }
        }
    });
}

/// The run, or why there can be none.
async fn begin(
    world: &World,
    runner: &Runner,
    parent: &Parent,
    child: ChildRun,
) -> Result<Result<FlowRun, TaskError>, Error> {
    if let Some(run) = find(&world.store, parent).await? {
        return Ok(Ok(run));
    }
    let request = match request(world, parent, child) {
        Ok(request) => request,
        Err(refused) => return Ok(Err(refused)),
    };
    if depth(&world.store, parent).await? >= DEPTH_MAX {
        let message = format!("{DEPTH_MAX} flow runs stand above this one already: does a flow run itself?");
        return Ok(Err(TaskError::new(ErrorClass::Permanent, "too-deep", message)));
    }
    failpoint::reach(Point::BeforeChild);
    let triggered = runner.trigger(request).await?;
    failpoint::reach(Point::AfterChild);
    let (Triggered::New(run) | Triggered::Existing(run)) = triggered else {
        let message = "the deployment is busy and skips runs then".to_owned();
        return Ok(Err(TaskError::new(ErrorClass::Permanent, "skipped", message)));
    };
    let found = world.store.flow_run(run).await?;
    found.map(Ok).ok_or(Error::NotLive(run))
}

fn request(world: &World, parent: &Parent, child: ChildRun) -> Result<RunRequest, TaskError> {
    let deployment = deployment(world, &child.deployment)?;
    let own = match child.parameters.to_value() {
        Value::Object(own) => own,
        _ => Map::new(),
    };
    let parameters = deployment.parameters_with(&own);
    deployment.check_parameters(&parameters).map_err(|why| {
        let message = format!("the parameters do not fit {}: {why}", child.deployment);
        TaskError::new(ErrorClass::Permanent, "bad-parameters", message)
    })?;
    Ok(RunRequest {
        flow: deployment.flow.clone(),
        parameters,
        tags: deployment.tags.clone(),
        deployment: Some(deployment),
        name: None,
        idempotency_key: Some(child.idempotency_key),
        start_at: None,
        created_by: None,
        labels: json!({}),
        work_queue: None,
        parent: Some(parent.clone()),
        planned: None,
    })
}

/// `flow/deployment`, or the deployment's name alone.
fn deployment(world: &World, name: &str) -> Result<Arc<Deployment>, TaskError> {
    let (flow, own) = match name.rsplit_once('/') {
        Some((flow, own)) => (Some(flow), own),
        None => (None, name),
    };
    let catalog = world.catalog.load();
    let found = catalog
        .deployment(own)
        .filter(|found| flow.is_none_or(|flow| found.flow.name == flow));
    found.cloned().ok_or_else(|| {
        let message =
            format!("there is no deployment {name:?} to start: add it to prefect_deployments, or correct the name");
        TaskError::new(ErrorClass::Permanent, "no-such-deployment", message)
    })
}

/// The flow run that was started for this command.
async fn find(store: &Store, parent: &Parent) -> Result<Option<FlowRun>, store::Error> {
    let filter = FlowRunFilter {
        parent_task_run: Choice::any([parent.task_run()]),
        ..FlowRunFilter::default()
    };
    let found = store
        .flow_runs(filter, FlowRunSort::IdDesc, Page::first(CHILDREN_MAX))
        .await?;
    Ok(found
        .into_iter()
        .find(|child| child.run.parent.as_ref() == Some(parent)))
}

/// Flow runs from the parent up, the parent included; no more than matter.
async fn depth(store: &Store, parent: &Parent) -> Result<u32, store::Error> {
    let (mut depth, mut above) = (1, parent.run);
    while depth < DEPTH_MAX {
        let found = store.flow_run(above).await?;
        let Some(next) = found.and_then(|run| run.run.parent) else {
            return Ok(depth);
        };
        (depth, above) = (depth + 1, next.run);
    }
    Ok(depth)
}

/// Tells an attempt of its run: that it exists, or how it has ended.
async fn tell(world: &World, runner: &Runner, parent: &Parent, child: &FlowRun) {
    if child.state.state_type.is_terminal() {
        let report = report(world, child).await;
        return answer(runner, parent, Outcome::Child(report)).await;
    }
    let payload = json!({"flow_run_id": child.run.id.to_string(), "name": child.run.name});
    let mail = Mail::Signal {
        run: parent.run,
        node: parent.node,
        attempt: Some(parent.attempt),
        name: format!("started:{}", parent.key),
        payload: Json::from(&payload),
        reply: None,
    };
    let _ = runner.post(parent.run, mail).await;
}

async fn answer(runner: &Runner, parent: &Parent, outcome: Outcome) {
    let Parent {
        run,
        node,
        attempt,
        key,
    } = parent.clone();
    runner.outcome(run, node, attempt, key, outcome).await;
}

/// A flow run has ended: if a task run waits for it, that one is told.
pub(crate) fn ended(world: &World, runner: &Runner, run: FlowRunId) {
    let (world, runner) = (world.clone(), runner.clone());
    crate::task::spawn("parent", async move {
        let Ok(Some(child)) = world.store.flow_run(run).await else {
            return;
        };
        if let Some(parent) = &child.run.parent {
            failpoint::reach(Point::ChildEnded);
            tell(&world, &runner, parent, &child).await;
        }
    });
}

async fn report(world: &World, child: &FlowRun) -> Json {
    let state = &child.state;
    let completed = state.state_type == StateType::Completed;
    let results = if completed {
        results(&world.store, child).await.unwrap_or_else(|error| {
            tracing::warn!(run = %child.run.id, error = &error as &dyn std::error::Error, "the results of a child run cannot be read");
            None
        })
    } else {
        None
    };
    Json::from(&json!({
        "flow_run_id": child.run.id.to_string(),
        "name": child.run.name,
        "state_type": state.state_type.as_str(),
        "state_name": state.name,
        "message": state.message,
        "completed": completed,
        "results": results,
    }))
}

/// Of the tasks that nothing follows, by name, with a list where a task ran for each item. `None`
/// when they are too large together.
async fn results(store: &Store, child: &FlowRun) -> Result<Option<Map<String, Value>>, store::Error> {
    let Some(definition) = store.definition(child.run.definition.clone()).await? else {
        return Ok(None);
    };
    let Ok(definition) = serde_json::from_str::<Definition>(definition.as_str()) else {
        return Ok(None);
    };
    let last = |node: NodeId| {
        definition
            .tasks
            .get(node.task as usize)
            .filter(|task| task.downstreams.is_empty())
    };
    let filter = TaskRunFilter {
        run: Choice::any([child.run.id]),
        ..TaskRunFilter::default()
    };
    let mut results: BTreeMap<u32, Value> = BTreeMap::new();
    let (mut bytes, mut page) = (0, Page::first(PAGE));
    loop {
        let found = store
            .task_runs(filter.clone(), TaskRunSort::DefinitionAsc, page)
            .await?;
        let read = u32::try_from(found.len()).unwrap_or(u32::MAX);
        for one in found.iter().filter(|one| last(one.node).is_some()) {
            bytes += one.result_bytes.unwrap_or(0);
            if bytes > RESULTS_BYTES_MAX {
                return Ok(None);
            }
            let result = store.result(one.id).await?.map(|json| json.to_value());
            match (one.node.index, results.get_mut(&one.node.task)) {
                (Some(_), Some(Value::Array(list))) => list.push(result.unwrap_or_default()),
                (Some(_), _) => {
                    results.insert(one.node.task, json!([result]));
                }
                (None, _) => results.extend(result.map(|result| (one.node.task, result))),
            }
        }
        if read < PAGE {
            break;
        }
        page.offset += u64::from(read);
    }
    let named = results
        .into_iter()
        .filter_map(|(task, result)| Some((last(NodeId::task(task))?.name.clone(), result)));
    Ok(Some(named.collect()))
}

/// Stops the flow run that was started for a command which is withdrawn, if there is one.
///
/// # Errors
/// When that cannot be done now.
pub(crate) async fn stop(store: &Store, runner: &Runner, parent: &Parent) -> Result<(), Error> {
    runner.children.settled(parent).await;
    let Some(child) = find(store, parent).await? else {
        return Ok(());
    };
    // Asked a second time, a run would also give up its clean-up.
    if child.state.state_type.is_terminal() || child.state.state_type == StateType::Cancelling {
        return Ok(());
    }
    let reason = format!("the task run {} that started it was stopped", parent.task_run());
    match runner.cancel(child.run.id, reason).await {
        Ok(()) | Err(Error::NotLive(_) | Error::Rejected(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
