//! What a kind is told of the world, from the run alone: the same however often a step is tried.

use std::sync::Arc;

use grepx_engine::{Call, FlowRunId, Meta, NodeId, Timestamp};
use uuid::Uuid;

use crate::clock;
use crate::plugins::{Ctx, Level, LogSink};
use crate::store::LogRow;
use crate::traces::Place;

use super::World;
use super::live::Live;

pub(crate) fn of_call(world: &World, live: &Live, node: NodeId, call: &Call) -> Ctx {
    Ctx {
        deadline: call.deadline,
        ..of_step(world, live, node, (call.attempt, call.step), call.since)
    }
}

pub(crate) fn of_step(world: &World, live: &Live, node: NodeId, (attempt, step): (u32, u32), now: Timestamp) -> Ctx {
    let task_run = node.run_id(live.id());
    let idempotency_key = task_run.attempt_key(attempt);
    let traces = world.traces.as_ref();
    Ctx {
        flow_run: live.id(),
        task_run,
        task: live.plan.definition.task(node.task).name.clone(),
        flow: live.head.new.flow_name.clone(),
        attempt,
        step,
        now,
        seed: seed(idempotency_key, step),
        idempotency_key,
        deadline: None,
        traceparent: traces.map(|traces| traces.traceparent(Place::of_attempt(live.id(), node, attempt))),
        meta: meta(live, node),
    }
}

fn meta(live: &Live, node: NodeId) -> Meta {
    let new = &live.head.new;
    let started = live.run.node_started_at(node).map(|at| at.0.to_string());
    let known = [
        ("work-pool", &new.work_pool),
        ("work-queue", &new.work_queue),
        ("deployment", &new.deployment_name),
        ("first-attempt-ms", &started),
    ];
    known
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
        .collect()
}

fn seed(attempt: Uuid, step: u32) -> u64 {
    let (high, low) = attempt.as_u64_pair();
    high ^ low.rotate_left(step % 64) ^ u64::from(step)
}

/// Collects what a call logs; taken along with its answer, so that both are committed together.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallLog {
    lines: Arc<std::sync::Mutex<Vec<LogRow>>>,
    task_run: Option<grepx_engine::TaskRunId>,
}

impl CallLog {
    pub(crate) fn new(run: FlowRunId, node: NodeId) -> Self {
        Self {
            lines: Arc::default(),
            task_run: Some(node.run_id(run)),
        }
    }

    pub(crate) fn take(&self) -> Vec<LogRow> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl LogSink for CallLog {
    fn line(&self, level: Level, message: &str) {
        let row = LogRow {
            task_run: self.task_run,
            at: clock::now(),
            level: match level {
                Level::Trace => 5,
                Level::Debug => 10,
                Level::Info => 20,
                Level::Warn => 30,
                Level::Error => 40,
            },
            logger: "grepx.plugin".to_owned(),
            message: message.to_owned(),
        };
        self.lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(row);
    }
}
