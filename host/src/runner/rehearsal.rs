//! What a flow run would do, as far as that is known before it runs: the order of its tasks, the
//! expressions that need no result, and where a kind would send its messages. A kind is asked by the
//! very call that starts an attempt; its commands are read and thrown away.
//!
//! Absent on purpose: anything that is kept or sent, calls of activities (they may act on the
//! outside by themselves), and guesses: what depends on a result stays an expression.

use std::collections::VecDeque;
use std::sync::Arc;

use grepx_engine::{Definition, FlowRunId, Json, Meta, NodeId, Op, Step, Task};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock;
use crate::definitions::{Deployment, Flow};
use crate::expressions::{Context, Expression};
use crate::plugins::{Ctx, Level, Plugins, Role};

/// One task, before it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    pub name: String,
    pub kind: String,
    /// `celery_task_name`.
    pub work_name: Option<String>,
    /// Names of the tasks that come before it.
    pub upstreams: Vec<String>,
    /// The longest way to it from a task without upstreams: tasks of one stage may run side by side.
    pub stage: usize,
    pub trigger_rule: &'static str,
    pub run_if: Option<Forecast>,
    pub for_each: Option<Forecast>,
    pub args: Value,
    /// Keyword arguments as the row has them.
    pub kwargs: Value,
    /// Keyword argument → what it will be.
    pub inputs: Vec<(String, Forecast)>,
    pub config: Value,
    pub retry_config: Value,
    pub timeout_seconds: Option<u64>,
    /// Where its messages go; empty for a kind that sends none at first.
    pub routes: Vec<Route>,
    /// Why it would not start as things are.
    pub problem: Option<String>,
}

/// An expression, before the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    pub expression: String,
    pub known: Known,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    Value(Value),
    /// It needs results of other tasks, or an item.
    Open,
    /// It will fail.
    Fails(String),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// Of the configuration.
    pub connection: String,
    /// Empty: the default queue of the connection.
    pub queue: String,
}

/// The tasks of a run of this flow, in an order in which they could run one after the other.
/// `parameters` are complete.
pub async fn rehearse(
    plugins: &Plugins,
    flow: &Flow,
    deployment: Option<&Deployment>,
    parameters: &Map<String, Value>,
) -> Vec<Rehearsed> {
    let definition = &flow.definition;
    let params = Value::Object(parameters.clone());
    let run = json!({"flow": flow.name, "deployment": deployment.map(|one| one.name.as_str())});
    let stages = stages(definition);
    let mut order: Vec<usize> = (0..definition.tasks.len()).collect();
    order.sort_by_key(|task| (stages[*task], *task));
    let mut rehearsed = Vec::with_capacity(order.len());
    for index in order {
        let task = &definition.tasks[index];
        let own = json!({"name": task.name, "kind": task.kind, "index": null});
        let ask = |text: &str| forecast(text, &params, &run, &own);
        let asked = routes(plugins, &flow.name, task, deployment).await;
        let (routes, problem) = match asked {
            Ok(routes) => (routes, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        rehearsed.push(Rehearsed {
            name: task.name.clone(),
            kind: task.kind.clone(),
            work_name: task.work_name.clone(),
            upstreams: names(definition, task),
            stage: stages[index],
            trigger_rule: task.trigger_rule.as_str(),
            run_if: task.run_if.as_deref().map(ask),
            for_each: task.for_each.as_deref().map(ask),
            args: task.args.to_value(),
            kwargs: task.kwargs.to_value(),
            inputs: task
                .inputs
                .iter()
                .map(|(name, text)| (name.clone(), ask(text)))
                .collect(),
            config: task.config.to_value(),
            retry_config: task.retry_config.to_value(),
            timeout_seconds: task.timeout_seconds,
            routes,
            problem,
        });
    }
    rehearsed
}

fn names(definition: &Definition, task: &Task) -> Vec<String> {
    let upstreams = task.upstreams.iter();
    upstreams
        .map(|upstream| definition.task(*upstream).name.clone())
        .collect()
}

/// By task: one more than the largest of its upstreams. A definition is a DAG.
fn stages(definition: &Definition) -> Vec<usize> {
    let tasks = &definition.tasks;
    let mut stages = vec![0; tasks.len()];
    let mut open: Vec<usize> = tasks.iter().map(|task| task.upstreams.len()).collect();
    let mut ready: VecDeque<usize> = (0..tasks.len()).filter(|task| open[*task] == 0).collect();
    while let Some(task) = ready.pop_front() {
        for downstream in &tasks[task].downstreams {
            let downstream = *downstream as usize;
            stages[downstream] = stages[downstream].max(stages[task] + 1);
            open[downstream] -= 1;
            if open[downstream] == 0 {
                ready.push_back(downstream);
            }
        }
    }
    stages
}

/// `run` is only known as far as its flow: an id and a time are given when it is made.
fn forecast(text: &str, params: &Value, run: &Value, task: &Value) -> Forecast {
    Forecast {
        expression: text.to_owned(),
        known: known(text, params, run, task),
    }
}

fn known(text: &str, params: &Value, run: &Value, task: &Value) -> Known {
    let expression = match Expression::compile(text) {
        Ok(expression) => expression,
        Err(error) => return Known::Fails(error.to_string()),
    };
    if !expression.references().is_empty() || expression.uses("item") || expression.uses("run") {
        return Known::Open;
    }
    let context = Context {
        results: &|_| None,
        params,
        run,
        task,
        item: None,
    };
    match expression.eval(&context) {
        Ok(value) => Known::Value(value),
        Err(error) => Known::Fails(error.to_string()),
    }
}

/// Where the first messages of a task go. Only a durable kind is asked: it does nothing by itself.
///
/// # Errors
/// Why an attempt would not start, in one line.
pub async fn routes(
    plugins: &Plugins,
    flow: &str,
    task: &Task,
    deployment: Option<&Deployment>,
) -> Result<Vec<Route>, String> {
    let kind = plugins.newest(&task.kind).map_err(|missing| missing.to_string())?;
    if kind.info.role != Role::Durable {
        return Ok(Vec::new());
    }
    let kwargs = task.kwargs.to_value();
    let input = json!({
        "name": task.work_name,
        "args": task.args.to_value(),
        "kwargs": if kwargs.is_object() { kwargs } else { json!({}) },
        "config": task.config.to_value(),
    });
    let ctx = context(flow, task, deployment);
    let silent = Arc::new(|_: Level, _: &str| {});
    let commands = match plugins.start_on(&kind, &ctx, &Json::from(&input), silent).await {
        Ok(Step::Suspended(suspended)) => suspended.commands,
        Ok(Step::Done(_)) => Vec::new(),
        // What is missing may come from `inputs`.
        Ok(Step::Failed(_)) if !task.inputs.is_empty() => Vec::new(),
        Ok(Step::Failed(error)) => return Err(error.message),
        Err(failure) => return Err(failure.to_string()),
    };
    let mut routes: Vec<Route> = commands
        .into_iter()
        .filter_map(|command| match command.op {
            Op::Enqueue(message) => Some(Route {
                connection: message.connection.clone(),
                queue: message.destination.clone(),
            }),
            _ => None,
        })
        .collect();
    routes.sort();
    routes.dedup();
    Ok(routes)
}

/// Of a run that there is not.
fn context(flow: &str, task: &Task, deployment: Option<&Deployment>) -> Ctx {
    let run = FlowRunId(Uuid::nil());
    let task_run = NodeId::task(0).run_id(run);
    let meta: Meta = deployment
        .into_iter()
        .flat_map(|one| {
            [
                ("work-pool", &one.work_pool),
                ("work-queue", &one.work_queue),
                ("deployment", &one.name),
            ]
        })
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    Ctx {
        flow_run: run,
        task_run,
        task: task.name.clone(),
        flow: flow.to_owned(),
        attempt: 1,
        step: 0,
        now: clock::now(),
        seed: 1,
        idempotency_key: task_run.attempt_key(1),
        deadline: None,
        traceparent: None,
        meta,
    }
}

#[cfg(test)]
mod tests;
