//! What the API asks of the runner and of the scheduler. A trait, so that the answers of the API
//! can be tested with a runner that refuses, is away, or has long since moved on.

use std::fmt;

use futures_util::future::BoxFuture;
use grepx_engine::{FlowRunId, Json, NodeId, TaskRunId, Timestamp};
use uuid::Uuid;

use crate::runner::{Begin, Error, Load, RunRequest, Triggered};

pub trait Control: fmt::Debug + Send + Sync {
    fn trigger(&self, request: RunRequest) -> BoxFuture<'_, Result<Triggered, Error>>;
    fn cancel(&self, run: FlowRunId, reason: String) -> BoxFuture<'_, Result<(), Error>>;
    fn pause(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), Error>>;
    fn resume(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), Error>>;
    /// Lets a flow run that has ended go on, from `start_at` or at once.
    fn retry(&self, run: FlowRunId, begin: Begin, start_at: Option<Timestamp>) -> BoxFuture<'_, Result<(), Error>>;
    fn mark_done(&self, run: FlowRunId, node: NodeId, note: String, result: Json) -> BoxFuture<'_, Result<(), Error>>;
    fn signal(&self, run: FlowRunId, node: NodeId, name: String, payload: Json) -> BoxFuture<'_, Result<(), Error>>;
    /// What the runner has before it, for metrics.
    fn load(&self) -> Load;
    /// Lets the schedules follow what was switched; returns when they do.
    fn sync_schedules(&self) -> BoxFuture<'_, ()>;
    /// Lets task runs follow the limits of tags as the store has them; returns when they do.
    fn sync_tag_limits(&self) -> BoxFuture<'_, ()>;
    /// The task runs that hold a slot of a tag.
    fn tag_holders(&self, tag: &str) -> Vec<TaskRunId>;
    /// Makes a planned run ahead of its time; `None` when it is not planned any more.
    fn make_planned(
        &self,
        schedule: Uuid,
        expected_start: Timestamp,
    ) -> BoxFuture<'_, Result<Option<FlowRunId>, Error>>;
}
