//! A runner that does in the store what a run would do at once, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use grepx_engine::{FlowRunId, Json, NodeId, StateType, TaskRunId, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::{NOW, state};
use crate::api::Control;
use crate::runner::{self, Begin, RunRequest, Triggered};
use crate::store::{Commit, Created, Depth, NewRun, Parent, RunIdentity, RunState, Store};

/// What the runner says instead of doing what it is asked.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    pub(super) store: Option<Store>,
    pub(super) refusal: Mutex<Option<runner::Error>>,
    pub(super) signals: Mutex<Vec<Signal>>,
    pub(super) retries: Mutex<Vec<Retried>>,
    pub(super) done: Mutex<Vec<Signal>>,
    pub(super) meanwhile: Mutex<Option<Meanwhile>>,
    /// What starts the next flow run.
    pub(super) parent: Mutex<Option<FlowRunId>>,
}

/// What has become of a flow run since the API read it, when it is to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    Started,
    Vanished,
}

/// A flow run that was to go on: where it begins anew, and when.
pub(crate) type Retried = (FlowRunId, Begin, Option<Timestamp>);

/// One that was brought to the runner.
pub(crate) type Signal = (FlowRunId, NodeId, String, Json);

#[derive(Debug, Clone)]
pub(super) struct Shared(pub(super) Arc<Runner>);

impl Runner {
    fn store(&self) -> &Store {
        self.store.as_ref().expect("set by World::new")
    }

    fn refused(&self) -> Result<(), runner::Error> {
        match self.refusal.lock().expect("not poisoned").clone() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(super) async fn put(&self, run: FlowRunId, state_type: StateType, name: &'static str) {
        let found = self.store().flow_run(run).await.expect("read").expect("it was made");
        let mut commit = Commit::new(run);
        commit.identity = Some(Arc::new(RunIdentity::from(&found.run)));
        commit.state = Some(RunState::new(state(state_type, name)));
        self.store().commit(commit).await.expect("kept");
    }
}

impl Control for Shared {
    fn trigger(&self, request: RunRequest) -> BoxFuture<'_, Result<Triggered, runner::Error>> {
        async move {
            self.0.refused()?;
            let id = FlowRunId(Uuid::now_v7());
            let parent = self.0.parent.lock().expect("not poisoned").take();
            let deployment = request.deployment.as_ref();
            let run = NewRun {
                id,
                name: request.name.unwrap_or_else(|| "a-name".into()),
                flow_id: request.flow.id,
                flow_name: request.flow.name.clone(),
                deployment_id: deployment.map(|one| one.id),
                deployment_name: deployment.map(|one| one.name.clone()),
                definition: request.flow.digest.clone(),
                parameters: Json::from(&Value::Object(request.parameters)),
                tags: request.tags,
                idempotency_key: request.idempotency_key,
                work_pool: deployment.map(|one| one.work_pool.clone()),
                work_queue: request
                    .work_queue
                    .or_else(|| deployment.map(|one| one.work_queue.clone())),
                created_at: NOW,
                expected_start: request.start_at.unwrap_or(NOW),
                auto_scheduled: false,
                schedule_id: None,
                created_by: request.created_by.as_ref().map(Json::from),
                parent: parent.map(|run| Parent {
                    run,
                    node: NodeId::task(0),
                    attempt: 1,
                    key: id.to_string(),
                }),
                labels: Json::from(&request.labels),
            };
            let mut first = Commit::new(id);
            first.state = Some(RunState::new(state(StateType::Scheduled, "Scheduled")));
            match self.0.store().create(run, None, first).await? {
                Created::New => Ok(Triggered::New(id)),
                Created::Existing(id) => Ok(Triggered::Existing(id)),
                Created::Skipped => Ok(Triggered::Skipped),
            }
        }
        .boxed()
    }

    fn cancel(&self, run: FlowRunId, _: String) -> BoxFuture<'_, Result<(), runner::Error>> {
        async move {
            self.0.refused()?;
            let found = self.0.store().flow_run(run).await?.expect("the API has read it");
            let meanwhile = *self.0.meanwhile.lock().expect("not poisoned");
            if meanwhile == Some(Meanwhile::Vanished) {
                self.0.put(run, StateType::Cancelled, "Cancelled").await;
                self.0.store().delete_flow_run(run).await?;
                return Ok(());
            }
            match found.state.state_type {
                StateType::Scheduled | StateType::Cancelling if meanwhile.is_none() => {
                    self.0.put(run, StateType::Cancelled, "Cancelled").await;
                }
                _ => self.0.put(run, StateType::Cancelling, "Cancelling").await,
            }
            Ok(())
        }
        .boxed()
    }

    fn pause(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), runner::Error>> {
        async move {
            self.0.refused()?;
            self.0.put(run, StateType::Paused, "Paused").await;
            Ok(())
        }
        .boxed()
    }

    fn resume(&self, run: FlowRunId) -> BoxFuture<'_, Result<(), runner::Error>> {
        async move {
            self.0.refused()?;
            self.0.put(run, StateType::Scheduled, "Resuming").await;
            Ok(())
        }
        .boxed()
    }

    fn retry(
        &self,
        run: FlowRunId,
        begin: Begin,
        start_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), runner::Error>> {
        async move {
            self.0.refused()?;
            self.0.put(run, StateType::Scheduled, "Scheduled").await;
            let mut retries = self.0.retries.lock().expect("no test has panicked");
            retries.push((run, begin, start_at));
            Ok(())
        }
        .boxed()
    }

    fn mark_done(
        &self,
        run: FlowRunId,
        node: NodeId,
        note: String,
        result: Json,
    ) -> BoxFuture<'_, Result<(), runner::Error>> {
        async move {
            self.0.refused()?;
            let mut done = self.0.done.lock().expect("no test has panicked");
            done.push((run, node, note, result));
            Ok(())
        }
        .boxed()
    }

    fn load(&self) -> runner::Load {
        runner::Load {
            mailboxes: vec![Depth {
                waiting: 3,
                limit: 4_096,
            }],
            work_waiting: 2,
            ..runner::Load::default()
        }
    }

    fn sync_schedules(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn sync_tag_limits(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn tag_holders(&self, _tag: &str) -> Vec<TaskRunId> {
        Vec::new()
    }

    fn make_planned(
        &self,
        _schedule: Uuid,
        _expected_start: Timestamp,
    ) -> BoxFuture<'_, Result<Option<FlowRunId>, runner::Error>> {
        async { Ok(None) }.boxed()
    }

    fn signal(
        &self,
        run: FlowRunId,
        node: NodeId,
        name: String,
        payload: Json,
    ) -> BoxFuture<'_, Result<(), runner::Error>> {
        async move {
            self.0.refused()?;
            self.0
                .signals
                .lock()
                .expect("no test has panicked")
                .push((run, node, name, payload));
            Ok(())
        }
        .boxed()
    }
}
