use grepx_plugin_sdk::{Op, testing};

use super::*;

fn start(document: Value) -> Result<Step<Slept, State>, Error> {
    let input = serde_json::from_value(document).expect("the test's input reads");
    Sleep::start(&Ctx::for_tests(), input)
}

fn timer(document: Value) -> Duration {
    let Ok(Step::Suspended(suspended)) = start(document) else {
        panic!("suspended")
    };
    let [
        Command {
            key,
            op: Op::TimerIn(after),
        },
    ] = suspended.commands.as_slice()
    else {
        panic!("one timer: {:?}", suspended.commands);
    };
    assert_eq!(key, "awake");
    *after
}

#[test]
fn config_wins_over_the_keyword_argument() {
    assert_eq!(
        timer(json!({ "config": { "seconds": 2 }, "kwargs": { "seconds": 9 } })),
        Duration::from_secs(2)
    );
    assert_eq!(
        timer(json!({ "kwargs": { "seconds": 9, "other": 1 } })),
        Duration::from_secs(9)
    );
}

#[test]
fn a_fraction_is_rounded_up_to_milliseconds() {
    assert_eq!(
        timer(json!({ "config": { "seconds": 0.0001 } })),
        Duration::from_millis(1)
    );
    assert_eq!(
        timer(json!({ "config": { "seconds": 1.25 } })),
        Duration::from_millis(1250)
    );
}

#[test]
fn zero_finishes_at_once() {
    let step = start(json!({ "config": { "seconds": 0 } }));
    assert_eq!(
        step,
        Ok(Step::done(Slept {
            slept_seconds: 0.into()
        }))
    );
}

#[test]
fn the_timer_ends_the_sleep() {
    let fired = Event {
        key: "awake".into(),
        outcome: Outcome::Fired,
    };
    let step = Sleep::resume(&Ctx::for_tests(), State { seconds: 90.into() }, vec![fired]);
    assert_eq!(
        step,
        Ok(Step::done(Slept {
            slept_seconds: 90.into()
        }))
    );
}

#[test]
fn a_timer_that_cannot_run_fails_the_sleep() {
    let broken = Error::retryable("store", "no space left");
    let failed = Event {
        key: "awake".into(),
        outcome: Outcome::Failed(broken.clone()),
    };
    assert_eq!(
        Sleep::resume(&Ctx::for_tests(), State { seconds: 1.into() }, vec![failed]),
        Err(broken)
    );
    let cancelled = Event {
        key: "awake".into(),
        outcome: Outcome::Cancelled,
    };
    let error = Sleep::resume(&Ctx::for_tests(), State { seconds: 1.into() }, vec![cancelled]).expect_err("fails");
    assert_eq!(error.class, ErrorClass::Cancelled);
}

#[test]
fn a_missing_or_impossible_duration_is_refused() {
    let missing = start(json!({ "kwargs": {} })).expect_err("no seconds");
    assert!(
        missing.message.contains("set config.seconds or kwargs.seconds"),
        "{missing}"
    );
    for seconds in [-1.0, 4e9] {
        let error = start(json!({ "config": { "seconds": seconds } })).expect_err("out of range");
        assert_eq!(error.class, ErrorClass::InvalidInput);
    }
}

#[test]
fn it_would_load_and_its_schema_refuses_what_it_refuses() {
    let described = Plugin::describe();
    testing::check(&described);
    let schema = &described[0].input_schema;
    assert_eq!(
        testing::problems(
            schema,
            &json!({ "args": [], "kwargs": {}, "config": { "seconds": 1.5 } })
        ),
        [""; 0]
    );
    for config in [
        json!({ "seconds": -1 }),
        json!({ "seconds": "1" }),
        json!({ "secs": 1 }),
    ] {
        let problems = testing::problems(schema, &json!({ "config": config }));
        assert!(
            problems.first().is_some_and(|it| it.starts_with("/config")),
            "{config}: {problems:?}"
        );
    }
}
