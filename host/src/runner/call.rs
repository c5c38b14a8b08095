//! Calls of task kinds and policies, and child runs. Each gives the event that answers it, or the
//! reason why it has to wait.

use grepx_engine::{
    ChildRun, ErrorClass, Event, FlowRunId, Json, NodeId, Outcome, StateType, Step, TaskError, Verdict,
};
use serde_json::json;

use crate::plugins::{Failure, KeyedOutcome, Role};
use crate::store::Parent;

use super::context::{self, CallLog};
use super::events::Future;
use super::live::Live;
use super::shard::Answer;
use super::{RunRequest, Runner, Triggered, World};

/// The call that is due for a node.
pub(crate) fn call(world: &World, live: &Live, node: NodeId) -> Option<Future> {
    let call = live.run.call(node)?;
    let ctx = context::of_call(live, node, &call);
    let kind = live.plan.definition.task(node.task).kind.clone();
    let (plugins, log) = (world.plugins.clone(), CallLog::new(live.id(), node));
    Some(Box::pin(async move {
        let sink = std::sync::Arc::new(log.clone());
        let role = plugins.kinds().get(&kind).map(|known| known.role);
        let answer = match (role, &call.resume) {
            (Some(Role::Activity), _) => plugins.run_activity(&kind, &ctx, &call.input, sink).await,
            (_, None) => plugins.start(&kind, &ctx, &call.input, sink).await,
            (_, Some((state, events))) => {
                let events: Vec<KeyedOutcome> = events
                    .iter()
                    .map(|(key, outcome)| KeyedOutcome {
                        key: key.clone(),
                        outcome: outcome.clone(),
                    })
                    .collect();
                plugins.resume(&kind, &ctx, state, &events, sink).await
            }
        };
        let answer = match answer {
            Ok(step) => Answer::Event(answered(node, call.attempt, call.step, step)),
            Err(failure) => held(failure)
                .unwrap_or_else(|error| Answer::Event(answered(node, call.attempt, call.step, Step::Failed(error)))),
        };
        (answer, log.take())
    }))
}

fn answered(node: NodeId, attempt: u32, step: u32, answer: Step) -> Event {
    Event::Answered {
        node,
        attempt,
        step,
        answer,
    }
}

/// A plugin that is not there may come back; everything else is a failure of the attempt.
fn held(failure: Failure) -> Result<Answer, TaskError> {
    match failure {
        Failure::NoPlugin { .. } | Failure::StateUnsupported { .. } => Ok(Answer::Hold(failure.to_string())),
        other => Err(other.into()),
    }
}

/// Asks the policy what follows a failure.
pub(crate) fn judge(world: &World, live: &Live, node: NodeId) -> Option<Future> {
    let (attempt, error, since) = live.run.failure(node)?;
    let error = error.clone();
    let ctx = context::of_step(live, node, attempt, 0, since);
    let config = live.plan.definition.task(node.task).retry_config.clone();
    let (plugins, log) = (world.plugins.clone(), CallLog::new(live.id(), node));
    let policy = world.settings.policy.clone();
    Some(Box::pin(async move {
        let sink = std::sync::Arc::new(log.clone());
        let answer = match plugins.judge(&policy, &ctx, &error, &config, sink).await {
            Ok(verdict) => Answer::Event(Event::Judged { node, attempt, verdict }),
            Err(failure) => held(failure).unwrap_or_else(|error| {
                Answer::Event(Event::Judged {
                    node,
                    attempt,
                    verdict: Verdict::GiveUp(format!("the retry policy failed: {}", error.message)),
                })
            }),
        };
        (answer, log.take())
    }))
}

/// Tells the kind of an attempt to stop. An attempt without a state has left nothing to clean up.
pub(crate) fn stop(world: &World, live: &Live, node: NodeId) -> Option<Future> {
    let (call, reason) = live.run.stopping(node)?;
    let ctx = context::of_call(live, node, &call);
    let kind = live.plan.definition.task(node.task).kind.clone();
    let (plugins, log) = (world.plugins.clone(), CallLog::new(live.id(), node));
    Some(Box::pin(async move {
        let sink = std::sync::Arc::new(log.clone());
        let commands = match &call.resume {
            None => Ok(Vec::new()),
            Some((state, _)) => plugins.stop(&kind, &ctx, state, reason, sink).await,
        };
        let commands = match commands {
            Ok(commands) => commands,
            Err(failure) if may_stop_later(&failure) => return (Answer::Hold(failure.to_string()), log.take()),
            Err(failure) => {
                tracing::warn!(%kind, %failure, "a task kind could not clean up after a stopped attempt");
                Vec::new()
            }
        };
        let event = Event::Stopped {
            node,
            attempt: call.attempt,
            commands,
        };
        (Answer::Event(event), log.take())
    }))
}

/// Cleaning up is tried again where that can help: what is left running would run beside its retry.
fn may_stop_later(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::NoPlugin { .. } | Failure::StateUnsupported { .. } | Failure::Host { .. } | Failure::TimedOut { .. }
    )
}

pub(crate) fn too_large(size: usize, limit: usize) -> TaskError {
    TaskError::new(
        ErrorClass::Permanent,
        "result-too-large",
        format!(
            "the result has {size} bytes of JSON, the limit is {limit} (limits.result_bytes): \
             return a reference to the data (a path, a key) instead of the data, or raise the limit"
        ),
    )
}

/// Starts a flow run on behalf of a task run; asked twice, the second one finds the first.
pub(crate) fn start_child(
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
    let (world, runner, child) = (world.clone(), runner.clone(), child.clone());
    crate::task::spawn("child", async move {
        if let Err(error) = begin_child(&world, &runner, &parent, child).await {
            let outcome = Outcome::Failed(error);
            runner
                .outcome(parent.run, parent.node, parent.attempt, parent.key, outcome)
                .await;
        }
    });
}

async fn begin_child(world: &World, runner: &Runner, parent: &Parent, child: ChildRun) -> Result<(), TaskError> {
    let catalog = world.catalog.load_full();
    let name = child.deployment.rsplit('/').next().unwrap_or_default();
    let Some(deployment) = catalog.deployment(name).cloned() else {
        let message = format!(
            "there is no deployment {:?} to start: add it to prefect_deployments, or correct the name",
            child.deployment
        );
        return Err(TaskError::new(ErrorClass::Permanent, "no-such-deployment", message));
    };
    let own = match child.parameters.to_value() {
        serde_json::Value::Object(own) => own,
        _ => serde_json::Map::new(),
    };
    let request = RunRequest {
        flow: deployment.flow.clone(),
        parameters: deployment.parameters_with(&own),
        tags: deployment.tags.clone(),
        deployment: Some(deployment),
        name: None,
        idempotency_key: Some(child.idempotency_key),
        start_at: None,
        created_by: None,
        labels: json!({}),
        work_queue: None,
        parent: Some(parent.clone()),
    };
    match runner.trigger(request).await {
        Ok(Triggered::New(_)) => Ok(()),
        Ok(Triggered::Existing(run)) => {
            tell_parent(world, runner, run);
            Ok(())
        }
        // The host's own trouble is not the task's: the next sweep asks again.
        Err(error) => {
            tracing::warn!(run = %parent.run, error = &error as &dyn std::error::Error, "a child run is not started yet");
            Ok(())
        }
    }
}

/// If the run has ended and a task run waits for it, that one is told.
pub(crate) fn tell_parent(world: &World, runner: &Runner, run: FlowRunId) {
    let (store, runner) = (world.store.clone(), runner.clone());
    crate::task::spawn("parent", async move {
        let Ok(Some(child)) = store.flow_run(run).await else {
            return;
        };
        let Some(parent) = child.run.parent else { return };
        let state = &child.state;
        if !state.state_type.is_terminal() {
            return;
        }
        let outcome = Outcome::Child(Json::from(&json!({
            "flow_run_id": run.to_string(),
            "name": child.run.name,
            "state_type": state.state_type.as_str(),
            "state_name": state.name,
            "message": state.message,
            "completed": state.state_type == StateType::Completed,
        })));
        runner
            .outcome(parent.run, parent.node, parent.attempt, parent.key, outcome)
            .await;
    });
}
