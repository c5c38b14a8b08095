//! A router over a run store in a temporary directory, a catalog made of YAML, no plugins, no
//! brokers, and a runner that does in the store what a run would do at once.

mod runner;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::{Router, middleware};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use grepx_engine::{FlowRunId, Json, NodeId, Rejected, State, StateType, Timestamp};
pub(super) use runner::Meanwhile;
use runner::{Retried, Runner, Shared, Signal};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::conformance;
use crate::api::bus::{Bus, Limits};
use crate::api::{ApiState, Door, Hooks, router};
use crate::broker::{Broker, Work, WorkError};
use crate::config;
use crate::definitions::{Catalog, Files, KindProblem, Kinds, compile, rows_of};
use crate::plugins::{self, Plugins};
use crate::store::{self, Commit, LogRow, PoolLimits, Store, TaskRow};

pub(super) const NOW: Timestamp = Timestamp(1_772_366_400_000);

/// The value of `shared`, which hooks may name.
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

const DEFINITIONS: &str = r#"
prefect_work_pools:
  - {name: pool, pool_type: process, concurrency_limit: 3}
prefect_flows:
  - name: stocks
    tags: [data]
    parameters_schema: {properties: {n: {type: integer, minimum: 1}}, additionalProperties: false}
  - {name: loose, description: without a schema}
  - {name: broken}
prefect_tasks:
  - {name: load, flow_name: stocks, celery_task_name: m.load}
  - {name: other, flow_name: loose, celery_task_name: m.other}
  - {name: waits, flow_name: broken, celery_task_name: m.x, depends_on: [nothing]}
prefect_deployments:
  - name: daily
    flow_name: stocks
    work_pool_name: pool
    schedule_type: cron
    schedule_config: {cron_string: "30 15 * * 1-5", timezone: Asia/Kolkata}
    parameters: {n: 2}
    tags: [d]
  - {name: any, flow_name: loose, work_pool_name: pool}
"#;

struct AnyKind;

impl Kinds for AnyKind {
    fn check(&self, _: &str, _: &Value, _: bool) -> Result<(), KindProblem> {
        Ok(())
    }
}

struct NoWork;

impl Work for NoWork {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn run(&self, name: &str, _: &str, _: Value) -> BoxFuture<'_, Result<Value, WorkError>> {
        let name = name.to_owned();
        async move { unreachable!("nobody sends {name}") }.boxed()
    }
}

pub(super) struct World {
    pub(super) router: Router,
    pub(super) state: ApiState,
    pub(super) store: Store,
    pub(super) events: Bus,
    runner: Arc<Runner>,
    dir: TempDir,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with("").await
    }

    /// With more configuration.
    pub(super) async fn with(more: &str) -> Self {
        Self::with_database("", more).await
    }

    /// With more configuration below `database`, and at the top.
    pub(super) async fn with_database(database: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let settings = Arc::new(settings(dir.path(), database, more));
        let limits = Limits {
            events: settings.limits.events_kept,
            bytes: settings.limits.events_bytes,
        };
        let events = Bus::new(limits, NOW);
        let opened = Store::open(&store::Settings {
            observer: Some(Arc::new(events.clone())),
            ..store::Settings::new(dir.path())
        })
        .expect("the store opens");
        let pool = PoolLimits {
            name: "pool".into(),
            concurrency_limit: Some(3),
            paused: false,
            queues: Vec::new(),
        };
        opened
            .store
            .sync_limits(vec![pool], vec![])
            .await
            .expect("pools are kept");
        let mut wanted = plugins::Settings::new(
            dir.path().join("plugins"),
            dir.path().join("cache"),
            dir.path().join("key"),
        );
        wanted.concurrent_calls = 1;
        let (plugins, _nothing_there) = Plugins::load(wanted).await.expect("an empty folder loads");
        let broker = Broker::start(Vec::new(), Arc::new(NoWork), mpsc::channel(1).0)
            .await
            .expect("no connections");
        let runner = Arc::new(Runner {
            store: Some(opened.store.clone()),
            ..Runner::default()
        });
        let address = "127.0.0.1:4200".parse().expect("an address");
        let door = Door::open(&opened.store, &settings, address).await.expect("it guards");
        let state = ApiState::new(
            opened.store.clone(),
            Shared(runner.clone()),
            Arc::new(ArcSwap::from_pointee(catalog())),
            plugins,
            broker,
            settings.clone(),
            door,
        )
        .with_events(events.clone());
        let secrets = [("shared".to_owned(), SECRET.to_owned())].into();
        let state = state.with_hooks(Hooks::new(&settings, &secrets).expect("the secret is long"));
        Self {
            router: router(state.clone()).layer(middleware::from_fn(conformance::judge)),
            state,
            store: opened.store,
            events,
            runner,
            dir,
        }
    }

    /// Settings with this beside what has to be there.
    pub(super) fn settings(&self, more: &str) -> config::Settings {
        settings(self.dir.path(), "", more)
    }

    /// The signals that the runner was given.
    pub(super) fn signals(&self) -> Vec<Signal> {
        self.runner.signals.lock().expect("no test has panicked").clone()
    }

    /// The retries that the runner was asked for.
    pub(super) fn retries(&self) -> Vec<Retried> {
        std::mem::take(&mut *self.runner.retries.lock().expect("no test has panicked"))
    }

    /// What the runner was told to be done.
    pub(super) fn done(&self) -> Vec<Signal> {
        self.runner.done.lock().expect("no test has panicked").clone()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request"))
            .await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(
            Request::post(path)
                .body(Body::from(body.to_string()))
                .expect("a request"),
        )
        .await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(
            Request::patch(path)
                .body(Body::from(body.to_string()))
                .expect("a request"),
        )
        .await
    }

    /// With these headers.
    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        self.send(request.body(body).expect("a request")).await
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("a router always answers");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.expect("a body");
        Answer {
            status: parts.status,
            headers: parts.headers,
            // Pages are a text; that JSON is JSON, the document sees to.
            body: match serde_json::from_slice(&bytes) {
                Ok(json) => json,
                Err(_) if bytes.is_empty() => Value::Null,
                Err(_) => String::from_utf8_lossy(&bytes).into(),
            },
        }
    }

    /// The id of `daily`.
    pub(super) async fn daily(&self) -> String {
        let answer = self.get("/api/deployments/name/stocks/daily").await;
        answer.body["id"].as_str().expect("an id").to_owned()
    }

    /// A flow run of `daily` in this state.
    pub(super) async fn run_in(&self, state_type: StateType, name: &'static str) -> FlowRunId {
        let daily = self.daily().await;
        let created = self
            .post(&format!("/api/deployments/{daily}/create_flow_run"), Value::Null)
            .await;
        let id = created.body["id"]
            .as_str()
            .and_then(|id| Uuid::parse_str(id).ok())
            .expect("an id");
        self.runner.put(FlowRunId(id), state_type, name).await;
        FlowRunId(id)
    }

    /// One that `parent` has started.
    pub(super) async fn child_in(&self, parent: FlowRunId, state_type: StateType, name: &'static str) -> FlowRunId {
        *self.runner.parent.lock().expect("not poisoned") = Some(parent);
        self.run_in(state_type, name).await
    }

    /// This happens before a flow run is cancelled.
    pub(super) fn meanwhile(&self, what: Meanwhile) {
        *self.runner.meanwhile.lock().expect("not poisoned") = Some(what);
    }

    /// Brings a flow run into this state.
    pub(super) async fn end(&self, run: FlowRunId, state_type: StateType, name: &'static str) {
        self.runner.put(run, state_type, name).await;
    }

    pub(super) async fn put_task(&self, run: FlowRunId, result: Json) {
        let node = NodeId::task(0);
        let mut commit = Commit::new(run);
        commit.tasks.push(TaskRow {
            node,
            name: "load".into(),
            kind: "celery".into(),
            attempt: 2,
            state: state(StateType::Completed, "Completed"),
            expected_start: Some(NOW),
            start_time: Some(NOW),
            end_time: Some(NOW.plus_ms(1_500)),
            total_run_time_ms: 1_500,
            reason: None,
            status: None,
            external_id: Some("celery-id".into()),
            tags: vec!["t".into()],
            result_bytes: Some(result.len() as u64),
            input: None,
        });
        commit.results.push((node, result));
        for (ms, message) in ["first", "second", "third"].into_iter().enumerate() {
            commit.logs.push(LogRow {
                task_run: Some(node.run_id(run)),
                at: NOW.plus_ms(ms as u64),
                level: 20,
                logger: "plugin.celery".into(),
                message: message.into(),
            });
        }
        self.store.commit(commit).await.expect("kept");
    }

    /// A task run that waits; its id.
    pub(super) async fn put_waiting_task(&self, run: FlowRunId) -> grepx_engine::TaskRunId {
        let node = NodeId::task(0);
        let mut commit = Commit::new(run);
        commit.tasks.push(TaskRow {
            node,
            name: "sign_off".into(),
            kind: "approval".into(),
            attempt: 1,
            state: state(StateType::Running, "Running"),
            expected_start: Some(NOW),
            start_time: Some(NOW),
            end_time: None,
            total_run_time_ms: 0,
            reason: None,
            status: Some("waits for approval".into()),
            external_id: None,
            tags: Vec::new(),
            result_bytes: None,
            input: None,
        });
        self.store.commit(commit).await.expect("kept");
        node.run_id(run)
    }

    pub(super) fn refuse_with(&self, error: crate::runner::Error) {
        *self.runner.refusal.lock().expect("not poisoned") = Some(error);
    }

    pub(super) fn rejection() -> crate::runner::Error {
        Rejected::Terminal("Completed").into()
    }
}

fn catalog() -> Catalog {
    let files = Files::parse(Path::new("test.yaml"), DEFINITIONS).expect("valid YAML");
    compile(
        &rows_of(&files).expect("rows"),
        &AnyKind,
        &crate::definitions::Timings::default(),
    )
}

fn settings(dir: &Path, database: &str, more: &str) -> config::Settings {
    let file = dir.join("config.yaml");
    let url = format!("sqlite:///{}", dir.join("master.db").display());
    std::fs::write(&file, format!("database: {{db_url: '{url}', {database}}}\n{more}\n")).expect("written");
    let options = config::Options {
        config: Some(file),
        ..config::Options::default()
    };
    config::Settings::load(&options).expect("valid settings")
}

fn state(state_type: StateType, name: &'static str) -> State {
    State {
        state_type,
        name,
        message: None,
        since: NOW,
    }
}
