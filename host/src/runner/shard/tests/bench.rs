//! A shard with a real store, whose mail a test hands over.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use grepx_engine::{
    Bytes, Call, Command, Definition, ErrorClass, FlowRunId, Json, Op, Snapshot, Step, StopReason, Suspended, Task,
    TaskError, Verdict, Wake,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::super::super::kinds::{Kinds, Script};
use super::super::super::live::Live;
use super::super::super::mail::Mail;
use super::super::super::tags::{Place, TagSlots};
use super::super::super::{Runner, Settings, Triggered, World, children, load, outbox};
use super::super::Shard;
use crate::broker::{Broker, ConnectionSettings, SendError, Whereabouts, simulated::Played};
use crate::clock;
use crate::definitions::Catalog;
use crate::plugins::{Ctx, Failure};
use crate::store::{self, NewRun, Store};

/// How long mail may take that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Bench {
    pub(super) shard: Shard,
    pub(super) kinds: Arc<Written>,
    pub(super) woken: mpsc::UnboundedReceiver<Place>,
    /// Posted, and not taken yet.
    mail: mpsc::Receiver<Mail>,
    /// Of these, what came first.
    kept: VecDeque<Mail>,
    _dir: tempfile::TempDir,
}

/// One call of a kind.
#[derive(Debug, Clone)]
pub(super) struct Called {
    pub(super) attempt: u32,
    pub(super) input: Value,
}

/// Kinds by their names: `pure` and `effect` are done at once, `fails` fails, `asks` fails the first
/// time and waits for the signal `go` the second time.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// No plugin provides `effect`.
    pub(super) missing: AtomicBool,
    calls: Mutex<Vec<Called>>,
}

pub(super) fn task(name: &str, kind: &str) -> Task {
    Task::new(name, kind)
}

impl Script for Written {
    fn is_pure(&self, kind: &str) -> bool {
        kind != "effect"
    }

    fn step(&self, kind: String, ctx: Ctx, call: Call) -> BoxFuture<'static, Result<Step, Failure>> {
        let missing = kind == "effect" && self.missing.load(Ordering::Relaxed);
        self.calls().push(Called {
            attempt: ctx.attempt,
            input: call.input.to_value(),
        });
        let step = match kind.as_str() {
            "fails" => failed(),
            "asks" if ctx.attempt == 1 => failed(),
            "asks" if ctx.step == 0 => asks(),
            _ => Step::Done(Json::from(&json!(ctx.attempt))),
        };
        let answer = match missing {
            true => Err(Failure::NoPlugin { kind }),
            false => Ok(step),
        };
        async move { answer }.boxed()
    }

    fn judge(&self, ctx: &Ctx, _error: &TaskError, config: &Json) -> Verdict {
        let config = config.to_value();
        let number = |name: &str| config[name].as_u64().unwrap_or(0);
        match u64::from(ctx.attempt) <= number("retries") {
            true => Verdict::RetryInMs(number("ms")),
            false => Verdict::GiveUp("no more retries".to_owned()),
        }
    }

    fn stop(&self, _kind: &str, _ctx: &Ctx, _state: &Snapshot, _reason: StopReason) -> Vec<Command> {
        Vec::new()
    }
}

impl Written {
    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<Called>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed() -> Step {
    Step::Failed(TaskError::new(ErrorClass::Retryable, "bad", "bad"))
}

fn asks() -> Step {
    Step::Suspended(Suspended {
        state: Snapshot {
            version: 1,
            data: Bytes::from(Vec::new()),
        },
        commands: vec![Command {
            key: "go".to_owned(),
            op: Op::Signal("go".to_owned()),
        }],
        wake: Wake::Any(vec!["go".to_owned()]),
        status: None,
    })
}

impl Bench {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let opened = Store::open(&store::Settings::new(dir.path())).expect("the store opens");
        let (notices, _) = mpsc::channel(1);
        let (broker, _) = Broker::simulated(ConnectionSettings::new("none", "simulated"), Arc::new(Nobody), notices);
        let kinds = Arc::new(Written::default());
        let (posted, mail) = mpsc::channel(1_024);
        let (tags, woken) = TagSlots::new();
        let runner = Runner {
            shards: Arc::from([posted]),
            store: opened.store.clone(),
            draining: CancellationToken::new(),
            kept: Arc::default(),
            children: children::Children::default(),
            tags: tags.clone(),
            line: load::Line::default(),
            lateness: load::lateness(),
        };
        let world = World {
            outbox: outbox::Outbox::new(opened.store.clone(), broker.clone(), runner.clone()),
            store: opened.store,
            kinds: Kinds::Script(kinds.clone()),
            broker,
            settings: Arc::new(Settings::default()),
            tags,
            catalog: Arc::new(ArcSwap::from_pointee(Catalog::default())),
            traces: None,
        };
        Self {
            shard: Shard::new(world, runner, mpsc::channel(1).1),
            kinds,
            woken,
            mail,
            kept: VecDeque::new(),
            _dir: dir,
        }
    }

    /// A flow run without a work pool. It is kept, and what it has posted was not taken.
    pub(super) async fn create(&mut self, tasks: Vec<Task>) -> FlowRunId {
        let definition = Arc::new(Definition::new("flow", None, tasks).expect("a DAG"));
        let id = FlowRunId(crate::names::new_id());
        let json = Json::from(&serde_json::to_value(&*definition).expect("a definition is JSON"));
        let store = self.shard.world.store.clone();
        let put = store.put_definition(id.to_string(), "flow".to_owned(), json, clock::now());
        put.await.expect("the definition is kept");
        let (reply, mut answer) = oneshot::channel();
        self.shard.take(Mail::Create {
            new: Box::new(new_run(id)),
            planned: None,
            definition,
            reply,
        });
        let mut before = VecDeque::new();
        loop {
            match self.next().await {
                created @ Mail::Created { .. } => break self.shard.take(created),
                other => before.push_back(other),
            }
        }
        self.kept = before;
        let answer = answer.try_recv().expect("it is answered");
        assert!(matches!(answer, Ok(Triggered::New(run)) if run == id), "{answer:?}");
        id
    }

    /// Takes mail until one comes that is like this; that one is not taken.
    pub(super) async fn until(&mut self, like: impl Fn(&Mail) -> bool) -> Mail {
        loop {
            match self.next().await {
                mail if like(&mail) => return mail,
                other => self.shard.take(other),
            }
        }
    }

    pub(super) async fn next(&mut self) -> Mail {
        if let Some(mail) = self.kept.pop_front() {
            return mail;
        }
        let next = tokio::time::timeout(PATIENCE, self.mail.recv()).await;
        next.expect("mail comes").expect("the runner lives")
    }

    pub(super) async fn until_finished(&mut self, run: FlowRunId) {
        while !self.live(run).run.is_finished() {
            let mail = self.next().await;
            self.shard.take(mail);
        }
    }

    pub(super) fn live(&mut self, run: FlowRunId) -> &mut Live {
        self.shard.live.get_mut(&run).expect("it is in memory")
    }

    /// What kinds were called with, in order.
    pub(super) fn calls(&self) -> Vec<Called> {
        self.kinds.calls().clone()
    }

    pub(super) fn slots(&self) -> TagSlots {
        self.shard.world.tags.clone()
    }

    pub(super) fn limit(&self, tag: &str, slots: u32) {
        self.slots().limit(HashMap::from([(tag.to_owned(), slots)]));
    }
}

fn new_run(id: FlowRunId) -> NewRun {
    let now = clock::now();
    NewRun {
        id,
        name: "run".to_owned(),
        flow_id: uuid::Uuid::nil(),
        flow_name: "flow".to_owned(),
        deployment_id: None,
        deployment_name: None,
        definition: id.to_string(),
        parameters: Json::from(&json!({})),
        tags: Vec::new(),
        idempotency_key: None,
        work_pool: None,
        work_queue: None,
        created_at: now,
        expected_start: now,
        auto_scheduled: false,
        schedule_id: None,
        created_by: None,
        parent: None,
        labels: Json::from(&json!({})),
    }
}

/// A server that nobody asks.
#[derive(Debug)]
struct Nobody;

impl Played for Nobody {
    fn enqueue(&self, _: grepx_engine::Message, _: String) -> BoxFuture<'_, Result<(), SendError>> {
        std::future::pending().boxed()
    }

    fn withdraw(&self, _: grepx_engine::Message, _: String, _: bool) -> BoxFuture<'_, Result<bool, SendError>> {
        std::future::pending().boxed()
    }

    fn revoke(&self, _: Vec<String>, _: bool) -> BoxFuture<'_, Result<u64, SendError>> {
        std::future::pending().boxed()
    }

    fn read(&self, _: String) -> BoxFuture<'_, Option<Bytes>> {
        std::future::pending().boxed()
    }

    fn whereabouts(&self, _: Vec<grepx_engine::Message>) -> BoxFuture<'_, Result<Vec<Whereabouts>, SendError>> {
        std::future::pending().boxed()
    }

    fn give_up(&self, _: Vec<grepx_engine::Message>) -> BoxFuture<'_, Result<(), SendError>> {
        std::future::pending().boxed()
    }
}
