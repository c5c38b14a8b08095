mod files;
mod guests;
mod kept;
mod real;

use std::path::PathBuf;
use std::sync::Mutex as StdMutex;
use std::time::{Duration, Instant};

use grepx_engine::{ErrorClass, FlowRunId, Json, Step, TaskError, TaskRunId, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::settings::MIB;
use super::*;
use guests::{Guest, OK};

/// A directory with plugins, a cache and a key, removed at the end.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(dir.path().join("plugins")).expect("plugins directory");
        Self { dir }
    }

    fn plugins(&self) -> PathBuf {
        self.dir.path().join("plugins")
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.plugins(), self.cache(), self.dir.path().join("plugin.key"));
        settings.concurrent_calls = 4;
        settings.memory_bytes = 16 * MIB;
        settings
    }
}

fn ctx() -> Ctx {
    Ctx {
        flow_run: FlowRunId(Uuid::from_u128(1)),
        task_run: TaskRunId(Uuid::from_u128(2)),
        task: "task".to_owned(),
        flow: "flow".to_owned(),
        attempt: 1,
        step: 0,
        now: Timestamp(1_700_000_000_000),
        seed: 7,
        idempotency_key: Uuid::from_u128(3),
        deadline: None,
        traceparent: None,
        meta: grepx_engine::Meta::new(),
    }
}

fn empty() -> Json {
    Json::from(&json!({}))
}

fn silent() -> Arc<dyn LogSink> {
    Arc::new(|_: Level, _: &str| {})
}

#[derive(Default)]
struct Lines(StdMutex<Vec<(Level, String)>>);

impl LogSink for Lines {
    fn line(&self, level: Level, message: &str) {
        self.0.lock().expect("not poisoned").push((level, message.to_owned()));
    }
}

/// Loads `guest` as the only plugin, and calls it once.
async fn run(guest: Guest<'_>, change: impl FnOnce(&mut Settings)) -> (Result<Step, Failure>, Plugins, Place) {
    let place = Place::new();
    guest.write(&place.plugins(), "guest.wasm");
    let mut settings = place.settings();
    change(&mut settings);
    let (plugins, problems) = Plugins::load(settings).await.expect("plugins start");
    assert_eq!(problems, []);
    let result = plugins.run_activity("guest", &ctx(), &empty(), silent()).await;
    (result, plugins, place)
}

#[tokio::test]
async fn a_kind_is_loaded_described_and_called() {
    let (result, plugins, _place) = run(Guest::default(), |_| {}).await;
    assert_eq!(result, Ok(Step::Done(empty())));
    let kinds = plugins.kinds();
    let info = kinds.get("guest").expect("the kind");
    assert_eq!((info.role, info.version.as_str()), (Role::Activity, "1.0.0"));
    assert_eq!(info.file.digest.len(), 64);
    assert!(
        info.file
            .imports
            .iter()
            .any(|import| import.starts_with("grepx:plugin/log"))
    );
    assert!(plugins.is_pure("guest"));
    assert!(!plugins.is_pure("missing"));
    assert_eq!(plugins.validate("guest", &json!({})), Ok(()));
    assert!(plugins.validate("guest", &json!(1)).is_err());
    let counts = kinds.counts("guest").expect("counted");
    assert_eq!((counts.started, counts.finished, counts.failed), (1, 1, 0));
}

#[tokio::test]
async fn unknown_kinds_and_wrong_roles_are_named() {
    let (_, plugins, _place) = run(Guest::default(), |_| {}).await;
    let missing = plugins.run_activity("missing", &ctx(), &empty(), silent()).await;
    assert_eq!(
        missing,
        Err(Failure::NoPlugin {
            kind: "missing".to_owned()
        })
    );
    let wrong = plugins
        .start("guest", &ctx(), &empty(), silent())
        .await
        .expect_err("an activity");
    assert!(matches!(
        wrong,
        Failure::WrongRole {
            is: Role::Activity,
            wanted: Role::Durable,
            ..
        }
    ));
}

#[tokio::test]
async fn an_endless_loop_is_stopped_at_its_limit() {
    let endless = Guest {
        run: "(loop $again (br $again)) (unreachable)",
        ..Guest::default()
    };
    let limit = Duration::from_millis(100);
    let started = Instant::now();
    let (result, plugins, _place) = run(endless, |settings| settings.call_timeout = limit).await;
    let kind = "guest".to_owned();
    assert_eq!(result, Err(Failure::TimedOut { kind, limit }));
    assert!(started.elapsed() >= limit);
    let error = TaskError::from(result.expect_err("timed out"));
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Retryable, "plugin-timed-out")
    );
    assert_eq!(plugins.kinds().counts("guest").expect("counted").timed_out, 1);
}

/// One worker thread: an endless guest must let others run, and dropping the call must end it.
#[tokio::test]
async fn a_busy_guest_blocks_nobody_and_can_be_dropped() {
    let endless = Guest {
        run: "(loop $again (br $again)) (unreachable)",
        ..Guest::default()
    };
    let place = Place::new();
    endless.write(&place.plugins(), "endless.wasm");
    let other = Guest {
        kind: "other",
        ..Guest::default()
    };
    other.write(&place.plugins(), "other.wasm");
    let (plugins, problems) = Plugins::load(place.settings()).await.expect("plugins start");
    assert_eq!(problems, []);
    let (ctx, input) = (ctx(), empty());
    let endless = plugins.run_activity("guest", &ctx, &input, silent());
    let quick = async {
        for _ in 0..10 {
            let result = plugins.run_activity("other", &ctx, &input, silent()).await;
            assert_eq!(result, Ok(Step::Done(empty())));
        }
    };
    tokio::select! {
        biased;
        ended = endless => panic!("the endless call ended: {ended:?}"),
        () = quick => {}
    }
    assert_eq!(plugins.free_turns(), 4);
}

#[tokio::test]
async fn a_memory_hog_is_stopped_at_its_limit() {
    let hog = Guest {
        run: "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) (unreachable)",
        ..Guest::default()
    };
    let (result, plugins, _place) = run(hog, |_| {}).await;
    let kind = "guest".to_owned();
    assert_eq!(result, Err(Failure::OutOfMemory { kind, limit: 16 * MIB }));
    assert_eq!(plugins.kinds().counts("guest").expect("counted").out_of_memory, 1);
}

#[tokio::test]
async fn a_trap_tells_the_guests_last_words() {
    let words = "the plugin panicked at src/lib.rs:1:1: no such thing";
    let call = format!(
        "(call $log (i32.const 4) (i32.const {}) (i32.const {})) (unreachable)",
        guests::FREE,
        words.len()
    );
    let trap = Guest {
        run: &call,
        data: words,
        ..Guest::default()
    };
    let (result, plugins, _place) = run(trap, |_| {}).await;
    let failure = result.expect_err("trapped");
    let (kind, message) = ("guest".to_owned(), words.to_owned());
    assert_eq!(failure, Failure::Trapped { kind, message });
    assert_eq!(TaskError::from(failure).code, "plugin-trapped");
    let again = plugins.run_activity("guest", &ctx(), &empty(), silent()).await;
    assert!(
        matches!(again, Err(Failure::Trapped { .. })),
        "a fresh instance traps the same: {again:?}"
    );

    let silent_trap = Guest {
        run: "(unreachable)",
        ..Guest::default()
    };
    let (result, ..) = run(silent_trap, |_| {}).await;
    assert!(result.expect_err("trapped").to_string().contains("unreachable"));
}

#[tokio::test]
async fn endless_recursion_is_a_trap() {
    // The function has no name in the text; it is the fourth of the module.
    let run_text = "(call 3 (local.get 0))";
    let (result, ..) = run(
        Guest {
            run: run_text,
            ..Guest::default()
        },
        |_| {},
    )
    .await;
    assert!(result.expect_err("trapped").to_string().contains("stack"));
}

#[tokio::test]
async fn answers_and_inputs_are_bounded_and_checked() {
    let large = OK.replace("(i32.const 2)", "(i32.const 100000)");
    let (result, ..) = run(
        Guest {
            run: &large,
            ..Guest::default()
        },
        |s| s.max_output_bytes = 99_999,
    )
    .await;
    let kind = "guest".to_owned();
    assert_eq!(
        result,
        Err(Failure::OutputTooLarge {
            kind,
            limit: 99_999,
            size: 100_000
        })
    );

    let (result, ..) = run(
        Guest {
            data: "{]",
            ..Guest::default()
        },
        |_| {},
    )
    .await;
    let failure = result.expect_err("not JSON");
    assert!(failure.to_string().contains("the result is not JSON"), "{failure}");

    let (result, ..) = run(Guest::default(), |s| s.max_input_bytes = 1).await;
    let kind = "guest".to_owned();
    assert_eq!(
        result,
        Err(Failure::InputTooLarge {
            kind,
            limit: 1,
            size: 2
        })
    );
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut() {
    let flood = format!(
        "(loop $again (call $log (i32.const 2) (i32.const {}) (i32.const 2)) \
         (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $again (i32.lt_u (local.get $i) (i32.const 5000)))) {OK}",
        guests::FREE
    );
    let (_, plugins, _place) = run(
        Guest {
            run: &flood,
            ..Guest::default()
        },
        |s| s.log_lines_per_call = 50,
    )
    .await;
    let lines = Arc::new(Lines::default());
    let result = plugins
        .run_activity("guest", &ctx(), &empty(), Arc::clone(&lines) as Arc<dyn LogSink>)
        .await;
    assert_eq!(result, Ok(Step::Done(empty())));
    let lines = lines.0.lock().expect("not poisoned");
    assert_eq!(lines.len(), 50);
    assert_eq!(lines[0], (Level::Info, "{}".to_owned()));
    assert!(lines[49].1.contains("limit of 50 log lines"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_turns_wait_and_all_succeed() {
    let (_, plugins, _place) = run(Guest::default(), |settings| settings.concurrent_calls = 2).await;
    let calls = (0..200).map(|_| {
        let plugins = plugins.clone();
        tokio::spawn(async move { plugins.run_activity("guest", &ctx(), &empty(), silent()).await })
    });
    for call in futures_util::future::join_all(calls).await {
        assert_eq!(call.expect("no panic"), Ok(Step::Done(empty())));
    }
    assert_eq!(plugins.free_turns(), 2);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let refused = async |change: fn(&mut Settings)| {
        let place = Place::new();
        let mut settings = place.settings();
        change(&mut settings);
        Plugins::load(settings).await.expect_err("refused").to_string()
    };
    assert!(
        refused(|s| s.concurrent_calls = 0)
            .await
            .contains("plugins.concurrent_calls")
    );
    assert!(
        refused(|s| s.memory_bytes = 5000 * MIB)
            .await
            .contains("plugins.memory_bytes")
    );
    let list = |s: &mut Settings| {
        let settings = json!([]);
        s.per_plugin.insert(
            "a".to_owned(),
            PluginSettings {
                settings,
                ..PluginSettings::default()
            },
        );
    };
    assert!(refused(list).await.contains("plugins.a.settings: must be a table"));
}
