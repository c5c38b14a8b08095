//! Calls of task kinds and policies. Each gives the event that answers it, or the reason why it
//! has to wait.

use grepx_engine::{Call, ErrorClass, Event, NodeId, Step, TaskError, Verdict};

use crate::plugins::{Ctx, Failure};

use super::context::{self, CallLog};
use super::events::{Later, later};
use super::live::Live;
use super::mail::Answer;
use super::{WhenMissing, World};

/// The call of this attempt and step; `None` when it is not due any more. Another one may be due for
/// the node, whose commit is under way.
pub(crate) fn call(world: &World, live: &Live, node: NodeId, (attempt, step): (u32, u32)) -> Option<Later> {
    let due = |call: &Call| (call.attempt, call.step) == (attempt, step);
    let call = live.run.call(node).filter(due)?;
    let ctx = context::of_call(world, live, node, &call);
    let kind = live.plan.definition.task(node.task).kind.clone();
    let (kinds, log) = (world.kinds.clone(), CallLog::new(live.id(), node));
    let missing = world.settings.when_missing;
    Some(later(async move || {
        let sink = std::sync::Arc::new(log.clone());
        let (answer, build) = kinds.step(&kind, &ctx, &call, sink).await;
        let step = match answer {
            Ok(step) => step,
            Err(failure @ Failure::NoPlugin { .. }) if missing == WhenMissing::Fail => Step::Failed(failure.into()),
            Err(failure) => match held(failure) {
                Ok(answer) => return (answer, log.take()),
                Err(error) => Step::Failed(error),
            },
        };
        (Answer::Event(answered(node, &call, step, build)), log.take())
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
pub(crate) fn judge(world: &World, live: &Live, node: NodeId) -> Option<Later> {
    let (attempt, error, since) = live.run.failure(node)?;
    let error = error.clone();
    let ctx = Ctx {
        // A task run that began anew has all of its retries again.
        attempt: live.run.tries(node, attempt),
        ..context::of_step(world, live, node, (attempt, 0), since)
    };
    let config = live.plan.definition.task(node.task).retry_config.clone();
    let (kinds, log) = (world.kinds.clone(), CallLog::new(live.id(), node));
    let policy = world.settings.policy.clone();
    Some(later(async move || {
        let sink = std::sync::Arc::new(log.clone());
        let answer = match kinds.judge(&policy, &ctx, &error, &config, sink).await {
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
pub(crate) fn stop(world: &World, live: &Live, node: NodeId) -> Option<Later> {
    let (call, reason) = live.run.stopping(node)?;
    let ctx = context::of_call(world, live, node, &call);
    let kind = live.plan.definition.task(node.task).kind.clone();
    let (kinds, log) = (world.kinds.clone(), CallLog::new(live.id(), node));
    Some(later(async move || {
        let sink = std::sync::Arc::new(log.clone());
        let commands = match &call.resume {
            None => Ok(Vec::new()),
            Some((state, _)) => {
                let wrote = (state, call.build.as_ref());
                kinds.stop(&kind, &ctx, wrote, reason, sink).await
            }
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
