//! Kinds by attribute, seen from a crate that has only the guest crate: activities, policies and
//! durables with a state of their own.

use std::time::Duration;

use grepx_plugin_sdk::Op;
use grepx_plugin_sdk::log;
use grepx_plugin_sdk::prelude::*;
use grepx_plugin_sdk::testing::{self, TestRun};

#[data]
struct Text {
    /// What to write
    text: String,
}

#[data(strict)]
struct Loud {
    #[serde(default)]
    marks: usize,
}

/// Writes a text in capitals.
///
/// More than the summary.
#[activity(version = "3.1.0", capabilities("http"))]
fn shout_it(_ctx: &Ctx, input: Text, config: Loud) -> Result<Text, Error> {
    log::info!("{} letters", input.text.len());
    Ok(Text {
        text: input.text.to_uppercase() + &"!".repeat(config.marks),
    })
}

#[activity(kind = "tasks.count", summary = "Counts the arguments")]
fn count(_ctx: &Ctx, input: TaskInput) -> Result<usize, Error> {
    match input.args.len() {
        0 => Err(Error::permanent("none", "there is nothing to count")),
        many => Ok(many),
    }
}

mod both {
    use super::{count, shout_it};
    grepx_plugin_sdk::export_activity!(shout_it, count);
}

#[test]
fn a_function_is_a_kind_and_stays_a_function() {
    let described = both::Plugin::describe();
    testing::check(&described);
    assert_eq!(
        (described[0].kind.as_str(), described[0].summary.as_str()),
        ("shout-it", "Writes a text in capitals")
    );
    assert_eq!(
        (described[0].version.as_str(), described[1].version.as_str()),
        ("3.1.0", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(described[0].capabilities, ["http"]);
    assert_eq!(described[1].kind, "tasks.count");
    assert_eq!(described[0].output_schema["required"], json!(["text"]));

    let ctx = Ctx::for_tests();
    let (text, marks) = ("a".to_owned(), 1);
    assert_eq!(
        shout_it(&ctx, Text { text }, Loud { marks }),
        Ok(Text { text: "A!".into() })
    );
    log::taken();
    let input = json!({ "kwargs": { "text": "hi", "more": 1 }, "config": { "marks": 2 } });
    assert_eq!(testing::call::<shout_it>(&ctx, &input), Ok(json!({ "text": "HI!!" })));
    assert_eq!(log::taken()[0].1, "2 letters");
    assert_eq!(
        both::Plugin::run("tasks.count", &ctx, br#"{"args":[1,2]}"#).expect("runs"),
        b"2"
    );
}

#[test]
fn what_does_not_fit_is_refused_by_the_schema_as_the_host_would() {
    let ctx = Ctx::for_tests();
    for (input, place) in [
        (json!({ "kwargs": {} }), "/kwargs"),
        (json!({}), "kwargs"),
        (json!({ "kwargs": { "text": "a" }, "config": { "mark": 1 } }), "/config"),
    ] {
        let error = testing::call::<shout_it>(&ctx, &input).expect_err("does not fit");
        assert_eq!(error.class, ErrorClass::InvalidInput);
        assert!(error.message.contains(place), "{error}");
    }
    let error = testing::call::<count>(&ctx, &json!({ "args": [] })).expect_err("fails");
    assert_eq!(error.code, "none");
}

#[data]
struct Patience {
    #[serde(default)]
    wait_ms: u64,
}

/// Retries what may get better.
#[policy(time_limit = twice)]
fn patient(ctx: &Ctx, failure: &Error, config: Patience) -> Verdict {
    match failure.class {
        ErrorClass::Retryable => Verdict::RetryIn(config.wait_ms * u64::from(ctx.attempt)),
        _ => Verdict::GiveUp(format!("{} will not get better", failure.code)),
    }
}

fn twice(_ctx: &Ctx, timeout_seconds: Option<u64>, _config: Patience) -> Option<u64> {
    timeout_seconds.map(|seconds| seconds * 2000)
}

mod judging {
    use super::patient;
    grepx_plugin_sdk::export_policy!(patient);
}

#[test]
fn a_function_is_a_policy() {
    testing::check(&judging::Plugin::describe());
    let ctx = Ctx::for_tests();
    let away = Error::retryable("away", "nobody is there");
    assert_eq!(
        testing::judge::<patient>(&ctx, &away, &json!({ "wait_ms": 5 })),
        Verdict::RetryIn(5)
    );
    let wrong = Error::permanent("wrong", "no");
    let verdict = testing::judge::<patient>(&ctx, &wrong, &json!(null));
    assert_eq!(verdict, Verdict::GiveUp("wrong will not get better".into()));
    assert_eq!(
        <patient as Policy>::time_limit(&ctx, Some(3), Patience { wait_ms: 0 }),
        Some(6000)
    );
}

#[derive(Debug)]
struct Vote;

#[data]
enum Poll {
    Open { yes: u32 },
    Counting { yes: u32, waited: u32 },
}

/// Waits for two votes, then counts for a minute
#[durable(state_version = 2, oldest_state = 1)]
impl Vote {
    fn start(_ctx: &Ctx, _input: TaskInput) -> Result<Step<u32, Poll>, Error> {
        Ok(Step::suspend(Poll::Open { yes: 0 }).signal("vote 0", "vote"))
    }

    fn resume(_ctx: &Ctx, state: Poll, events: Vec<Event>) -> Result<Step<u32, Poll>, Error> {
        match state {
            Poll::Open { yes: 1 } => Ok(Step::suspend(Poll::Counting { yes: 2, waited: 0 })
                .timer_in("count", Duration::from_secs(60))
                .status("counting")),
            Poll::Open { yes } => {
                let more = events
                    .iter()
                    .filter(|event| matches!(event.outcome, Outcome::Signal(_)))
                    .count();
                let yes = yes + u32::try_from(more).or_permanent("votes")?;
                Ok(Step::suspend(Poll::Open { yes }).signal(format!("vote {yes}"), "vote"))
            }
            Poll::Counting { yes, .. } => Ok(Step::done(yes)),
        }
    }

    fn stop(_ctx: &Ctx, state: Poll, _reason: StopReason) -> Vec<Command> {
        match state {
            Poll::Open { .. } => Vec::new(),
            Poll::Counting { .. } => vec![Command::cancel("count")],
        }
    }

    fn migrate(_version: u32, state: Value) -> Result<Poll, Error> {
        let yes = state.as_u64().and_then(|yes| u32::try_from(yes).ok()).unwrap_or(0);
        Ok(Poll::Open { yes })
    }
}

grepx_plugin_sdk::export_durable!(Vote);

#[test]
fn an_explicit_state_runs_in_virtual_time() {
    let described = Plugin::describe();
    testing::check(&described);
    assert_eq!(
        (described[0].kind.as_str(), described[0].state_versions),
        ("Vote", Some((1, 2)))
    );

    let mut run: TestRun<Vote> = testing::start(json!({}));
    let began = run.now_ms();
    run.advance(Duration::from_secs(5));
    run.signal("vote", json!(true));
    run.signal("vote", json!(true));
    assert_eq!(run.status(), Some("counting"));
    assert!(matches!(run.open()[0].op, Op::TimerIn(_)), "{run:?}");
    assert_eq!(run.finish(), Ok(json!(2)));
    assert_eq!(run.now_ms() - began, 65_000);
}

#[test]
fn stopping_gives_the_commands_of_the_state() {
    let mut run: TestRun<Vote> = testing::start(json!({}));
    run.signal("vote", json!(1));
    run.signal("vote", json!(1));
    assert_eq!(run.stop(StopReason::Cancelled), [Command::cancel("count")]);
}

/// Gives each call another answer.
#[derive(Debug)]
struct Fickle;

/// Counts its calls
#[durable]
impl Fickle {
    fn start(_ctx: &Ctx, _input: TaskInput) -> Result<Step<u32, u32>, Error> {
        static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        Ok(Step::done(CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
    }

    fn resume(_ctx: &Ctx, state: u32, _events: Vec<Event>) -> Result<Step<u32, u32>, Error> {
        Ok(Step::done(state))
    }
}

#[test]
#[should_panic(expected = "the same step answered differently")]
fn a_step_that_is_no_function_of_its_arguments_is_found() {
    let _: TestRun<Fickle> = testing::start(json!({}));
}
