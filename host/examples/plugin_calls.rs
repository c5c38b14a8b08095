//! `cargo xtask bench plugins`: what a call of a plugin costs here, and what the same call costs
//! with wasmtime alone, side by side in one run on one machine.
//!
//! Bare: the same engine settings, one export called, nothing checked, counted, limited or logged.
//! Fresh: an instance for each call, as the host does it. Reused: one for many, as the host does it
//! where `calls_per_instance` says so.
//! Printed, not asserted: the figures depend on the machine; their quotient says how much the host
//! adds. The guest is the shipped kind `noop`, which reads its input and gives a part of it back.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a program that prints measurements"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grepx_engine::{FlowRunId, Json, Meta, NodeId, Timestamp};
use grepx_host::plugins::{Ctx, Grants, Level, PluginSettings, Plugins, Settings};
use serde_json::json;
use uuid::Uuid;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod bindings {
    #![allow(missing_debug_implementations, unreachable_pub, reason = "generated")]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "activity-plugin",
        exports: { default: async },
    });
}

use bindings::grepx::plugin::{log, types};
use bindings::{ActivityPlugin, ActivityPluginPre};

/// Time of one call: a macro, because a closure that borrows across an await is not `Send`.
macro_rules! measure {
    ($call:expr) => {{
        for _ in 0..50 {
            $call
        }
        let (started, mut calls) = (Instant::now(), 0_u32);
        while started.elapsed() < FOR {
            for _ in 0..16 {
                $call
            }
            calls += 16;
        }
        started.elapsed() / calls
    }};
}

/// How long each figure is measured for.
const FOR: Duration = Duration::from_millis(700);
const ROUNDS: usize = 3;

fn main() {
    let folder = PathBuf::from(std::env::var_os("GREPX_TEST_PLUGINS").expect("GREPX_TEST_PLUGINS"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let place = tempfile::tempdir().unwrap();
        let plugins = load(&folder, place.path()).await;
        let keeping = keeping(&folder, place.path()).await;
        let bare = Bare::new(&std::fs::read(folder.join("noop.wasm")).unwrap());
        println!(
            "{:<8} {:>7} {:>14} {:>14} {:>9} {:>14} {:>14} {:>9}",
            "input", "threads", "bare fresh", "host fresh", "host/bare", "bare reused", "host reused", "host/bare"
        );
        for (name, bytes) in [("no-op", 2), ("1 KB", 1_024), ("100 KB", 102_400)] {
            let input = document(bytes);
            for threads in [1, 2] {
                let mut best = [Duration::MAX; 4];
                for _ in 0..ROUNDS {
                    // One after the other in each round, so that the machine's moods hit all of them.
                    best[0] = best[0].min(bare.fresh(&input, threads).await);
                    best[1] = best[1].min(host(&plugins, &input, threads).await);
                    best[2] = best[2].min(bare.reused(&input, threads).await);
                    best[3] = best[3].min(host(&keeping, &input, threads).await);
                }
                let quotient = |bare: usize| best[bare + 1].as_secs_f64() / best[bare].as_secs_f64();
                println!(
                    "{name:<8} {threads:>7} {:>11.1} µs {:>11.1} µs {:>9.2} {:>11.1} µs {:>11.1} µs {:>9.2}",
                    micros(best[0]),
                    micros(best[1]),
                    quotient(0),
                    micros(best[2]),
                    micros(best[3]),
                    quotient(2)
                );
            }
        }
    });
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A document whose `kwargs` have that many bytes.
fn document(bytes: usize) -> Json {
    let kwargs = match bytes {
        0..10 => json!({}),
        _ => json!({"text": "x".repeat(bytes.saturating_sub(11))}),
    };
    Json::from(&json!({"name": "noop", "args": [], "kwargs": kwargs, "config": {}}))
}

/// All shipped kinds: compiled, then from the cache, which is timed.
async fn load(folder: &std::path::Path, place: &std::path::Path) -> Plugins {
    let settings = || {
        let mut settings = Settings::new(folder, place.join("cache"), place.join("key"));
        let mut grant = |kind: &str, grants: Grants| {
            let own = PluginSettings {
                grants,
                ..PluginSettings::default()
            };
            settings.per_plugin.insert(kind.to_owned(), own);
        };
        grant("celery", Grants::of_connections(["celery"]));
        grant(
            "subflow",
            Grants {
                start_flow: true,
                ..Grants::default()
            },
        );
        grant(
            "http",
            Grants {
                http: Some(grepx_host::plugins::HttpGrant {
                    hosts: Vec::new(),
                    methods: Vec::new(),
                }),
                ..Grants::default()
            },
        );
        settings
    };
    drop(Plugins::load(settings()).await.unwrap());
    let mut best = Duration::MAX;
    let mut last = None;
    for _ in 0..5 {
        let started = Instant::now();
        let (plugins, problems) = Plugins::load(settings()).await.unwrap();
        best = best.min(started.elapsed());
        assert_eq!(problems, []);
        last = Some(plugins);
    }
    let plugins = last.unwrap();
    println!(
        "start from the cache, {} files: {:.1} ms",
        plugins.kinds().files().count(),
        best.as_secs_f64() * 1e3
    );
    for file in plugins.kinds().files() {
        println!(
            "  {:<20} {:>6.2} ms",
            file.path.file_name().unwrap().to_string_lossy(),
            file.load_time.as_secs_f64() * 1e3
        );
    }
    plugins
}

/// The kind that is measured, with instances that answer many calls.
async fn keeping(folder: &std::path::Path, place: &std::path::Path) -> Plugins {
    let one = place.join("keeping");
    std::fs::create_dir(&one).unwrap();
    std::fs::copy(folder.join("noop.wasm"), one.join("noop.wasm")).unwrap();
    let mut settings = Settings::new(one, place.join("cache"), place.join("key"));
    settings.archive_dir = place.join("keeping-builds");
    settings.calls_per_instance = 1_000;
    let (plugins, problems) = Plugins::load(settings).await.unwrap();
    assert_eq!(problems, []);
    plugins
}

async fn host(plugins: &Plugins, input: &Json, threads: usize) -> Duration {
    let sink = Arc::new(|_: Level, _: &str| {});
    run(threads, move || {
        let (plugins, input, sink) = (plugins.clone(), input.clone(), sink.clone());
        async move {
            let ctx = ctx();
            measure!({
                plugins.run_activity("noop", &ctx, &input, sink.clone()).await.unwrap();
            })
        }
    })
    .await
}

fn ctx() -> Ctx {
    let run = FlowRunId(Uuid::from_u128(1));
    let task_run = NodeId::task(0).run_id(run);
    Ctx {
        flow_run: run,
        task_run,
        task: "task".to_owned(),
        flow: "flow".to_owned(),
        attempt: 1,
        step: 0,
        now: Timestamp(1_767_225_600_000),
        seed: 1,
        idempotency_key: task_run.attempt_key(1),
        deadline: None,
        traceparent: None,
        meta: Meta::new(),
    }
}

/// Time of one call, averaged over all threads: two threads halve it where nothing is shared.
async fn run<F>(threads: usize, work: impl Fn() -> F) -> Duration
where
    F: Future<Output = Duration> + Send + 'static,
{
    let tasks: Vec<_> = (0..threads).map(|_| tokio::spawn(work())).collect();
    let mut rate = 0.0;
    for task in tasks {
        rate += 1.0 / task.await.unwrap().as_secs_f64();
    }
    Duration::from_secs_f64(1.0 / rate)
}

struct Bare {
    pre: ActivityPluginPre<Guest>,
}

struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl types::Host for Guest {}

impl log::Host for Guest {
    fn log(&mut self, _: log::Level, _: String) {}
    fn progress(&mut self, _: f64, _: String) {}
}

impl Bare {
    fn new(component: &[u8]) -> Self {
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(64)
            .total_core_instances(640)
            .total_memories(128)
            .total_tables(640)
            .total_stacks(64)
            .max_component_instance_size(4 << 20)
            .max_core_instance_size(4 << 20)
            .max_memory_size(256 << 20)
            .linear_memory_keep_resident(256 << 10)
            .table_keep_resident(16 << 10)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .concurrency_support(false)
            .epoch_interruption(true)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        ActivityPlugin::add_to_linker::<_, wasmtime::component::HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
        let component = Component::from_binary(&engine, component).unwrap();
        let pre = ActivityPluginPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self { pre }
    }

    fn store(&self) -> Store<Guest> {
        let guest = Guest {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(self.pre.engine(), guest);
        store.set_epoch_deadline(u64::MAX / 2);
        store
    }

    async fn fresh(&self, input: &Json, threads: usize) -> Duration {
        run(threads, || {
            let (bare, input) = (Self { pre: self.pre.clone() }, input.as_str().as_bytes().to_vec());
            async move {
                let given = given();
                measure!({
                    let mut store = bare.store();
                    let plugin = bare.pre.instantiate_async(&mut store).await.unwrap();
                    let activity = plugin.grepx_plugin_activity();
                    let answer = activity.call_run(&mut store, "noop", &given, &input).await;
                    answer.unwrap().unwrap();
                })
            }
        })
        .await
    }

    async fn reused(&self, input: &Json, threads: usize) -> Duration {
        run(threads, || {
            let (bare, input) = (Self { pre: self.pre.clone() }, input.as_str().as_bytes().to_vec());
            async move {
                let given = given();
                let mut store = bare.store();
                let plugin = bare.pre.instantiate_async(&mut store).await.unwrap();
                measure!({
                    let activity = plugin.grepx_plugin_activity();
                    let answer = activity.call_run(&mut store, "noop", &given, &input).await;
                    answer.unwrap().unwrap();
                })
            }
        })
        .await
    }
}

fn given() -> types::Ctx {
    types::Ctx {
        flow_run: Uuid::nil().to_string(),
        task_run: Uuid::nil().to_string(),
        task: "task".to_owned(),
        flow: "flow".to_owned(),
        attempt: 1,
        step: 0,
        now_ms: 1_767_225_600_000,
        seed: 1,
        idempotency_key: Uuid::nil().to_string(),
        deadline_ms: None,
        traceparent: None,
        settings: b"{}".to_vec(),
        meta: Vec::new(),
    }
}
