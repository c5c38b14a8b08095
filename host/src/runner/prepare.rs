//! Makes a ready node startable: its condition, its items, its input, its time limit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use grepx_engine::{ErrorClass, Event, Json, NodeId, Prepared, Task, TaskError};
use serde_json::{Map, Value, json};

use crate::expressions::{Context, Expression};
use crate::plugins::Failure;

use super::context::{self, CallLog};
use super::events::{Later, later};
use super::live::{Head, Live};
use super::mail::Answer;
use super::plan::{Plan, invalid};
use super::{WhenMissing, World};

/// Everything that evaluating needs, taken out of the run.
struct Job {
    node: NodeId,
    plan: Arc<Plan>,
    head: Arc<Head>,
    item: Option<Json>,
    /// Results that are at hand, and nodes whose result has to be read.
    results: HashMap<String, Source>,
}

enum Source {
    One(Option<Found>),
    /// A mapped task: one result per item.
    Many(Vec<Option<Found>>),
}

enum Found {
    Here(Json),
    Stored(NodeId),
}

pub(crate) fn prepare(world: &World, live: &Live, node: NodeId) -> Option<Later> {
    let place = (live.id(), node);
    if world.tags.must_wait(place, live.plan.tags(node)) {
        return None;
    }
    let job = Job {
        node,
        plan: live.plan.clone(),
        head: live.head.clone(),
        item: live.run.item(node).cloned(),
        results: sources(live, node),
    };
    let (world, log) = (world.clone(), CallLog::new(live.id(), node));
    // The instant at which it became ready, so that asking again asks the same.
    let since = live.run.node_state(node)?.since;
    let (renewals, attempt) = (live.run.renewals(), live.run.attempts(node) + 1);
    let ctx = context::of_step(&world, live, node, (attempt, 0), since);
    let event = move |prepared| Event::Prepared {
        node,
        renewals,
        prepared,
    };
    Some(later(async move || {
        let results = match job.read(&world).await {
            Ok(results) => results,
            Err(reason) => return (Answer::Hold(reason), Vec::new()),
        };
        let prepared = match job.evaluate(&world, &results) {
            Ok(Evaluated::Skip(why)) => Prepared::Skip { why },
            Ok(Evaluated::Map(items)) => Prepared::Map { items },
            Ok(Evaluated::Missing(missing)) if world.settings.when_missing == WhenMissing::Wait => {
                return (Answer::Hold(missing.to_string()), log.take());
            }
            Ok(Evaluated::Missing(missing)) => Prepared::Invalid(missing.into()),
            Ok(Evaluated::Run(input)) => {
                let task = job.plan.definition.task(node.task);
                let sink = Arc::new(log.clone());
                let timeout = task.timeout_seconds.map(Duration::from_secs);
                let policy = &world.settings.policy;
                let limit = world
                    .kinds
                    .time_limit(policy, &ctx, timeout, &task.retry_config, sink)
                    .await;
                match limit {
                    Ok(limit) => {
                        let prepared = Prepared::Run {
                            input: Json::from(&input),
                            limit_ms: limit.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
                        };
                        let answer = match world.tags.take(place, &task.tags) {
                            Ok(slot) => Answer::Begin(event(prepared), slot),
                            Err(reason) => Answer::Hold(reason),
                        };
                        return (answer, log.take());
                    }
                    Err(failure @ Failure::NoPlugin { .. }) => return (Answer::Hold(failure.to_string()), log.take()),
                    Err(failure) => Prepared::Invalid(failure.into()),
                }
            }
            Err(error) => Prepared::Invalid(error),
        };
        (Answer::Event(event(prepared)), log.take())
    }))
}

/// Where the results that a node's expressions read are to be found.
fn sources(live: &Live, node: NodeId) -> HashMap<String, Source> {
    let find = |node: NodeId| {
        if !live.run.has_result(node) {
            return None;
        }
        Some(
            live.result(node)
                .map_or(Found::Stored(node), |result| Found::Here(result.clone())),
        )
    };
    let mut sources = HashMap::new();
    for name in live.plan.task(node).reads() {
        let Some(task) = live.plan.definition.find(&name) else {
            continue;
        };
        let source = match live.run.items(task) {
            Some(count) => Source::Many((0..count).map(|index| find(NodeId::item(task, index))).collect()),
            None => Source::One(find(NodeId::task(task))),
        };
        sources.insert(name, source);
    }
    sources
}

enum Evaluated {
    Skip(String),
    Map(Vec<Json>),
    Run(Value),
    /// No plugin provides its kind.
    Missing(Failure),
}

impl Job {
    /// Reads what is not at hand. A result whose commit is still under way is waited for.
    async fn read(&self, world: &World) -> Result<HashMap<String, Value>, String> {
        let mut values = HashMap::with_capacity(self.results.len());
        for (name, source) in &self.results {
            let value = match source {
                Source::One(None) => continue,
                Source::One(Some(found)) => self.fetch(world, name, found).await?,
                Source::Many(items) => {
                    let mut list = Vec::with_capacity(items.len());
                    for item in items {
                        list.push(match item {
                            Some(found) => self.fetch(world, name, found).await?,
                            None => Value::Null,
                        });
                    }
                    Value::Array(list)
                }
            };
            values.insert(name.clone(), value);
        }
        Ok(values)
    }

    async fn fetch(&self, world: &World, name: &str, found: &Found) -> Result<Value, String> {
        let node = match found {
            Found::Here(json) => return Ok(json.to_value()),
            Found::Stored(node) => *node,
        };
        match world.store.result(node.run_id(self.head.new.id)).await {
            Ok(Some(json)) => Ok(json.to_value()),
            Ok(None) => Err(format!("the result of {name} is not in the run store yet")),
            Err(error) => Err(format!("the result of {name} cannot be read: {error}")),
        }
    }

    fn evaluate(&self, world: &World, results: &HashMap<String, Value>) -> Result<Evaluated, TaskError> {
        let task = self.plan.definition.task(self.node.task);
        let plan = self.plan.task(self.node);
        let item = self.item.as_ref().map(Json::to_value);
        let own = json!({"name": task.name, "kind": task.kind, "index": self.node.index});
        let lookup = |name: &str| results.get(name).cloned();
        let context = Context {
            results: &lookup,
            params: &self.head.parameters,
            run: &self.head.variables,
            task: &own,
            item: item.as_ref(),
        };
        if item.is_none() {
            if let Some(condition) = &plan.run_if
                && !compiled(condition)?
                    .eval_bool(&context)
                    .map_err(|error| invalid(&error))?
            {
                let text = task.run_if.as_deref().unwrap_or_default();
                return Ok(Evaluated::Skip(format!("run_if is false: {text}")));
            }
            if let Some(list) = &plan.for_each {
                let items = compiled(list)?.eval_list(&context).map_err(|error| invalid(&error))?;
                return mapped(world, &items);
            }
        }
        let mut inputs = Map::new();
        for (name, expression) in &plan.inputs {
            let value = compiled(expression)?.eval(&context).map_err(|error| {
                let error = invalid(&error);
                TaskError {
                    message: format!("inputs.{name}: {}", error.message),
                    ..error
                }
            })?;
            inputs.insert(name.clone(), value);
        }
        let input = document(task, inputs);
        let checked = match world.kinds.check(&task.kind, &input) {
            Ok(checked) => checked,
            Err(missing) => return Ok(Evaluated::Missing(missing)),
        };
        match checked {
            Ok(()) => Ok(Evaluated::Run(input)),
            Err(problems) => Err(TaskError::new(
                ErrorClass::InvalidInput,
                "input-does-not-fit",
                format!(
                    "the input does not fit the schema of kind {}: {}",
                    task.kind,
                    problems.join("; ")
                ),
            )),
        }
    }
}

fn compiled(expression: &Result<Expression, TaskError>) -> Result<&Expression, TaskError> {
    expression.as_ref().map_err(Clone::clone)
}

fn mapped(world: &World, items: &[Value]) -> Result<Evaluated, TaskError> {
    let limit = world.settings.mapped_items;
    if items.len() > limit {
        return Err(TaskError::new(
            ErrorClass::InvalidInput,
            "too-many-items",
            format!(
                "for_each gives {} items, the limit is {limit} (limits.mapped_items): give fewer, or raise the limit",
                items.len()
            ),
        ));
    }
    Ok(Evaluated::Map(items.iter().map(Json::from).collect()))
}

/// What every kind is given: the task's row as one document, `inputs` among its keyword arguments.
fn document(task: &Task, inputs: Map<String, Value>) -> Value {
    let mut kwargs = match task.kwargs.to_value() {
        Value::Object(kwargs) => kwargs,
        _ => Map::new(),
    };
    kwargs.extend(inputs);
    json!({
        "name": task.work_name,
        "args": task.args.to_value(),
        "kwargs": kwargs,
        "config": task.config.to_value(),
    })
}
