//! What the API drives: runs by the runner, schedules by the scheduler.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use grepx_engine::{FlowRunId, Json, NodeId, TaskRunId, Timestamp};
use uuid::Uuid;

use crate::api::Control;
use crate::runner::{Begin, Error, Load, RunRequest, Runner, Triggered};
use crate::scheduler::Scheduler;

#[derive(Debug, Clone)]
pub(crate) struct Drive {
    runner: Runner,
    scheduler: Scheduler,
}

impl Drive {
    pub(crate) fn new(runner: &Runner, scheduler: &Scheduler) -> Self {
        Self {
            runner: runner.clone(),
            scheduler: scheduler.clone(),
        }
    }
}

impl Control for Drive {
    fn trigger(&self, request: RunRequest) -> BoxFuture<'_, Result<Triggered, Error>> {
        self.runner.trigger(request).boxed()
    }

    fn cancel(&self, run: FlowRunId, reason: String) -> BoxFuture<'_, Result<(), Error>> {
        self.runner.cancel(run, reason).boxed()
    }

    fn pause(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), Error>> {
        self.runner.pause(run).boxed()
    }

    fn resume(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), Error>> {
        self.runner.resume(run).boxed()
    }

    fn retry(&self, run: FlowRunId, begin: Begin, start_at: Option<Timestamp>) -> BoxFuture<'_, Result<(), Error>> {
        self.runner.retry(run, begin, start_at).boxed()
    }

    fn mark_done(&self, run: FlowRunId, node: NodeId, note: String, result: Json) -> BoxFuture<'_, Result<(), Error>> {
        self.runner.mark_done(run, node, note, result).boxed()
    }

    fn signal(&self, run: FlowRunId, node: NodeId, name: String, payload: Json) -> BoxFuture<'_, Result<(), Error>> {
        self.runner.signal(run, node, name, payload).boxed()
    }

    fn load(&self) -> Load {
        self.runner.load()
    }

    fn sync_schedules(&self) -> BoxFuture<'_, ()> {
        self.scheduler.sync().boxed()
    }

    fn sync_tag_limits(&self) -> BoxFuture<'_, ()> {
        async {
            if let Err(error) = self.runner.sync_tag_limits().await {
                tracing::error!(error = %crate::report::chain(&error), "limits of tags stay as they were until the next change");
            }
        }
        .boxed()
    }

    fn tag_holders(&self, tag: &str) -> Vec<TaskRunId> {
        self.runner.tag_holders(tag)
    }

    fn make_planned(
        &self,
        schedule: Uuid,
        expected_start: Timestamp,
    ) -> BoxFuture<'_, Result<Option<FlowRunId>, Error>> {
        self.scheduler.make(schedule, expected_start).boxed()
    }
}
