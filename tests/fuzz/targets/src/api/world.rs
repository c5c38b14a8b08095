//! A router over a store, a catalog, no plugins, no brokers, and a runner that refuses.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use grepx_engine::{FlowRunId, Json, NodeId, State, StateType, TaskRunId, Timestamp};
use grepx_host::api::{ApiState, Control, Door, router};
use grepx_host::broker::{Broker, Work, WorkError};
use grepx_host::config;
use grepx_host::definitions::{Catalog, Files, Timings, compile, rows_of};
use grepx_host::plugins::{self, Plugins};
use grepx_host::runner::{Begin, Error, Load, RunRequest, Triggered};
use grepx_host::store::{self, Commit, LogRow, PoolLimits, RunState, Store, TaskRow};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::definitions::AnyKind;

const NOW: Timestamp = Timestamp(1_772_366_400_000);
const DEFINITIONS: &str = "
prefect_work_pools: [{name: pool, concurrency_limit: 3}]
prefect_flows: [{name: flow, tags: [data], parameters_schema: {properties: {n: {type: integer, minimum: 1}}}}]
prefect_tasks: [{name: load, flow_name: flow, celery_task_name: m.load}]
prefect_deployments:
  - {name: daily, flow_name: flow, work_pool_name: pool, parameters: {n: 2}, tags: [d], schedule_type: cron, schedule_config: {cron_string: '30 15 * * 1-5'}}
";

pub(super) struct World {
    pub(super) runtime: Runtime,
    pub(super) router: Router,
    deployment: Uuid,
    run: FlowRunId,
    task: TaskRunId,
    _folder: TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = crate::folder();
        let (router, deployment, run) = runtime.block_on(build(folder.path()));
        Self {
            runtime,
            router,
            deployment,
            run,
            task: NodeId::task(0).run_id(run),
            _folder: folder,
        }
    }

    /// A path with what there is in the places of names.
    pub(super) fn named(&self, path: &str) -> String {
        path.replace("{deployment}", &self.deployment.to_string())
            .replace("{run}", &self.run.0.to_string())
            .replace("{task}", &self.task.0.to_string())
    }
}

async fn build(folder: &Path) -> (Router, Uuid, FlowRunId) {
    let mut wanted = store::Settings::new(folder);
    wanted.durability = store::Durability::Normal;
    let store = Store::open(&wanted).expect("the store opens").store;
    let pool = PoolLimits {
        name: "pool".into(),
        concurrency_limit: Some(3),
        paused: false,
        queues: Vec::new(),
    };
    store.sync_limits(vec![pool], vec![]).await.expect("pools are kept");
    let at = |name: &str| folder.join(name);
    let mut wanted = plugins::Settings::new(at("plugins"), at("cache"), at("key"));
    wanted.concurrent_calls = 1;
    let plugins = Plugins::empty(wanted).expect("an engine");
    let broker = Broker::start(Vec::new(), Arc::new(NoWork), mpsc::channel(1).0);
    let broker = broker.await.expect("no connections");
    let settings = Arc::new(settings(folder));
    let address = "127.0.0.1:4200".parse().expect("an address");
    let door = Door::open(&store, &settings, address).await.expect("it guards");
    let catalog = catalog();
    let deployment = catalog.deployments[0].id;
    let run = put(&store, &catalog).await;
    let catalog = Arc::new(ArcSwap::from_pointee(catalog));
    let state = ApiState::new(store, Refusing, catalog, plugins, broker, settings, door);
    (router(state), deployment, run)
}

fn settings(folder: &Path) -> config::Settings {
    let file = folder.join("config.yaml");
    let url = format!("sqlite:///{}", folder.join("master.db").display());
    std::fs::write(&file, format!("database: {{db_url: '{url}'}}\n")).expect("written");
    let options = config::Options {
        config: Some(file),
        ..config::Options::default()
    };
    config::Settings::load(&options).expect("valid settings")
}

fn catalog() -> Catalog {
    let files = Files::parse(Path::new("any.yaml"), DEFINITIONS).expect("valid YAML");
    compile(&rows_of(&files).expect("rows"), &AnyKind, &Timings::default())
}

/// A flow run with a task run, its result and a line of its log.
async fn put(store: &Store, catalog: &Catalog) -> FlowRunId {
    let deployment = catalog.deployments[0].clone();
    let request = RunRequest {
        flow: deployment.flow.clone(),
        deployment: Some(deployment),
        name: Some("any".into()),
        parameters: Map::new(),
        tags: vec!["d".into()],
        idempotency_key: Some("one".into()),
        start_at: None,
        created_by: None,
        labels: json!({}),
        work_queue: None,
        parent: None,
        planned: None,
    };
    let row = request.into_row(NOW);
    let run = row.id;
    let mut first = Commit::new(run);
    first.state = Some(RunState {
        state: state(StateType::Running, "Running"),
        start_time: Some(NOW),
        end_time: None,
        total_run_time_ms: 0,
        run_count: 1,
        starts_again: None,
        reason: None,
    });
    store.create(row, None, first).await.expect("kept");
    let node = NodeId::task(0);
    let mut commit = Commit::new(run);
    commit.tasks.push(TaskRow {
        node,
        name: "load".into(),
        kind: "celery".into(),
        attempt: 1,
        state: state(StateType::Completed, "Completed"),
        expected_start: Some(NOW),
        start_time: Some(NOW),
        end_time: Some(NOW),
        total_run_time_ms: 0,
        reason: None,
        status: None,
        external_id: Some("celery-id".into()),
        tags: vec!["t".into()],
        result_bytes: Some(2),
        input: None,
    });
    commit.results.push((node, Json::from(&json!({}))));
    commit.logs.push(LogRow {
        task_run: Some(node.run_id(run)),
        at: NOW,
        level: 20,
        logger: "any".into(),
        message: "a line".into(),
    });
    store.commit(commit).await.expect("kept");
    run
}

fn state(state_type: StateType, name: &'static str) -> State {
    State {
        state_type,
        name,
        message: None,
        since: NOW,
    }
}

struct NoWork;

impl Work for NoWork {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn run(&self, name: &str, _: &str, _: Value) -> BoxFuture<'_, Result<Value, WorkError>> {
        unreachable!("nobody sends {name}")
    }
}

/// Takes nothing, so that every input meets the same store.
#[derive(Debug)]
struct Refusing;

fn refused<T: Send + 'static>() -> BoxFuture<'static, Result<T, Error>> {
    async { Err(Error::Draining) }.boxed()
}

impl Control for Refusing {
    fn trigger(&self, _: RunRequest) -> BoxFuture<'_, Result<Triggered, Error>> {
        refused()
    }

    fn cancel(&self, _: FlowRunId, _: String) -> BoxFuture<'_, Result<(), Error>> {
        refused()
    }

    fn pause(&self, _: FlowRunId) -> BoxFuture<'_, Result<(), Error>> {
        refused()
    }

    fn resume(&self, _: FlowRunId) -> BoxFuture<'_, Result<(), Error>> {
        refused()
    }

    fn retry(&self, _: FlowRunId, _: Begin, _: Option<Timestamp>) -> BoxFuture<'_, Result<(), Error>> {
        refused()
    }

    fn mark_done(&self, _: FlowRunId, _: NodeId, _: String, _: Json) -> BoxFuture<'_, Result<(), Error>> {
        refused()
    }

    fn signal(&self, _: FlowRunId, _: NodeId, _: String, _: Json) -> BoxFuture<'_, Result<(), Error>> {
        refused()
    }

    fn load(&self) -> Load {
        Load::default()
    }

    fn sync_schedules(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn sync_tag_limits(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn tag_holders(&self, _: &str) -> Vec<TaskRunId> {
        Vec::new()
    }

    fn make_planned(&self, _: Uuid, _: Timestamp) -> BoxFuture<'_, Result<Option<FlowRunId>, Error>> {
        refused()
    }
}
