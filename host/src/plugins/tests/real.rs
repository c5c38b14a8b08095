//! The plugins of this repository, as they are shipped.

use std::path::PathBuf;

use grepx_engine::{Op, Outcome, Verdict};

use super::*;

async fn load(grants: Grants) -> (Plugins, Vec<Problem>, Place) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let built = dir.join("noop.wasm").is_file();
    assert!(
        built,
        "there is no component in {}: run `cargo xtask build-plugins`",
        dir.display()
    );
    let place = Place::new();
    let mut settings = place.settings();
    settings.dir = dir;
    // Compiling all of them takes seconds, so they are kept from run to run; the cache itself
    // notices when a component or the engine is another one.
    let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/test-plugins");
    settings.cache_dir = kept.join("cache");
    settings.key_file = kept.join("key");
    let own = PluginSettings {
        grants,
        ..PluginSettings::default()
    };
    settings.per_plugin.insert("celery".to_owned(), own);
    for (kind, grants) in [("http", asks_nobody()), ("subflow", starts_flows())] {
        let own = PluginSettings {
            grants,
            ..PluginSettings::default()
        };
        settings.per_plugin.insert(kind.to_owned(), own);
    }
    let (plugins, problems) = Plugins::load(settings).await.expect("plugins start");
    (plugins, problems, place)
}

fn asks_nobody() -> Grants {
    Grants {
        http: Some(HttpGrant {
            hosts: vec![],
            methods: vec![],
        }),
        ..Grants::default()
    }
}

fn starts_flows() -> Grants {
    Grants {
        start_flow: true,
        ..Grants::default()
    }
}

fn celery() -> Grants {
    Grants::of_connections(["celery"])
}

#[tokio::test]
async fn all_load_when_celery_is_granted_its_connection() {
    let (plugins, problems, _place) = load(celery()).await;
    assert_eq!(problems, []);
    let kinds = plugins.kinds();
    let role = |kind: &str| kinds.get(kind).map(|info| info.role);
    for (kind, expected) in [
        ("noop", Role::Activity),
        ("transform", Role::Activity),
        ("sleep", Role::Durable),
        ("celery", Role::Durable),
        ("retry", Role::Policy),
    ] {
        assert_eq!(role(kind), Some(expected), "{kind}");
        assert!(kinds.is_pure(kind), "{kind}");
    }
}

#[tokio::test]
async fn celery_does_not_load_without_its_connection() {
    let (plugins, problems, _place) = load(Grants::default()).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].file.ends_with("celery.wasm"));
    assert!(
        problems[0]
            .advice
            .contains("add under plugins.grants: `celery: {connections: [celery]}`"),
        "{}",
        problems[0]
    );
    assert!(plugins.kinds().get("celery").is_none());
    assert!(plugins.kinds().get("sleep").is_some());
}

#[tokio::test]
async fn noop_gives_its_arguments_back() {
    let (plugins, _, _place) = load(celery()).await;
    let input = Json::from(&json!({"args": [], "kwargs": {"a": [1, 2]}}));
    let result = plugins.run_activity("noop", &ctx(), &input, silent()).await;
    assert_eq!(result, Ok(Step::Done(Json::from(&json!({"a": [1, 2]})))));
}

#[tokio::test]
async fn sleep_suspends_with_a_timer_and_ends_when_it_fires() {
    let (plugins, _, _place) = load(celery()).await;
    let input = json!({"args": [], "kwargs": {}, "config": {"seconds": 90}});
    assert_eq!(plugins.validate("sleep", &input), Ok(()));
    let step = plugins
        .start("sleep", &ctx(), &Json::from(&input), silent())
        .await
        .expect("an answer");
    let Step::Suspended(suspended) = step else {
        panic!("not suspended: {step:?}")
    };
    assert_eq!(suspended.commands.len(), 1);
    assert_eq!(suspended.commands[0].op, Op::TimerAt(ctx().now.plus_ms(90_000)));

    let event = KeyedOutcome {
        key: suspended.commands[0].key.clone(),
        outcome: Outcome::Fired,
    };
    let done = plugins
        .resume("sleep", &ctx(), &suspended.state, &[event], silent())
        .await;
    assert_eq!(done, Ok(Step::Done(Json::from(&json!({"slept_seconds": 90})))));
    let stopped = plugins
        .stop(
            "sleep",
            &ctx(),
            &suspended.state,
            grepx_engine::StopReason::Cancelled,
            silent(),
        )
        .await;
    assert!(stopped.is_ok(), "{stopped:?}");

    let mut foreign = suspended.state;
    foreign.version = 99;
    let refused = plugins.resume("sleep", &ctx(), &foreign, &[], silent()).await;
    assert!(
        matches!(refused, Err(Failure::StateUnsupported { found: 99, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_policy_answers_the_same_for_the_same_context() {
    let (plugins, _, _place) = load(celery()).await;
    let error = TaskError::new(ErrorClass::Retryable, "test", "it failed");
    let config = Json::from(&json!({"max_retries": 2, "retry_delay_seconds": 100, "retry_jitter_factor": 1.0}));
    let judge = async |ctx: Ctx| {
        plugins
            .judge("retry", &ctx, &error, &config, silent())
            .await
            .expect("a verdict")
    };
    let first = judge(ctx()).await;
    assert!(matches!(first, Verdict::RetryInMs(1..)), "{first:?}");
    assert_eq!(judge(ctx()).await, first);
    assert_ne!(judge(Ctx { seed: 8, ..ctx() }).await, first);
    let last = judge(Ctx { attempt: 3, ..ctx() }).await;
    assert!(
        matches!(&last, Verdict::GiveUp(why) if why.contains("2 of 2")),
        "{last:?}"
    );

    let minute = Some(Duration::from_secs(60));
    let limit = plugins.time_limit("retry", &ctx(), minute, &empty(), silent()).await;
    assert_eq!(limit, Ok(minute));
}
