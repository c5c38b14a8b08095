//! Calls of task kinds and policies. Each gives the event that answers it, or the reason why it
//! has to wait.

use grepx_engine::{Call, ErrorClass, Event, NodeId, Step, TaskError, Verdict};

use crate::plugins::{Ctx, Failure, KeyedOutcome, Role};

use super::context::{self, CallLog};
use super::events::Future;
use super::live::Live;
use super::mail::Answer;
use super::{WhenMissing, World};

/// The call that is due for a node.
pub(crate) fn call(world: &World, live: &Live, node: NodeId) -> Option<Future> {
    let call = live.run.call(node)?;
    let ctx = context::of_call(live, node, &call);
    let kind = live.plan.definition.task(node.task).kind.clone();
    let (plugins, log) = (world.plugins.clone(), CallLog::new(live.id(), node));
    let missing = world.settings.when_missing;
    Some(Box::pin(async move {
        let sink = std::sync::Arc::new(log.clone());
        let build = match &call.resume {
            None => plugins.newest(&kind),
            Some((state, _)) => plugins.for_state(&kind, state.version, call.build.as_ref()).await,
        };
        let build = match build {
            Ok(build) => build,
            Err(failure) => {
                let answer = match failure {
                    Failure::NoPlugin { .. } if missing == WhenMissing::Fail => Err(failure.into()),
                    failure => held(failure),
                };
                let failed = |error| Answer::Event(answered(node, &call, Step::Failed(error), None));
                return (answer.unwrap_or_else(failed), log.take());
            }
        };
        let answer = match (build.info.role, &call.resume) {
            (Role::Activity, _) => plugins.run_activity_on(&build, &ctx, &call.input, sink).await,
            (_, None) => plugins.start_on(&build, &ctx, &call.input, sink).await,
            (_, Some((state, events))) => {
                let events: Vec<KeyedOutcome> = events
                    .iter()
                    .map(|(key, outcome)| KeyedOutcome {
                        key: key.clone(),
                        outcome: outcome.clone(),
                    })
                    .collect();
                plugins.resume_on(&build, &ctx, state, &events, sink).await
            }
        };
        let digest = Some(build.digest().clone());
        let answer = match answer {
            Ok(step) => Answer::Event(answered(node, &call, step, digest)),
            Err(failure) => {
                held(failure).unwrap_or_else(|error| Answer::Event(answered(node, &call, Step::Failed(error), digest)))
            }
        };
        (answer, log.take())
    }))
}

fn answered(node: NodeId, call: &Call, answer: Step, build: Option<std::sync::Arc<str>>) -> Event {
    Event::Answered {
        node,
        attempt: call.attempt,
        step: call.step,
        answer,
        build,
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
    let ctx = Ctx {
        // A task run that began anew has all of its retries again.
        attempt: live.run.tries(node, attempt),
        ..context::of_step(live, node, attempt, 0, since)
    };
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
            Some((state, _)) => match plugins.for_state(&kind, state.version, call.build.as_ref()).await {
                Ok(build) => plugins.stop_on(&build, &ctx, state, reason, sink).await,
                Err(failure) => Err(failure),
            },
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
