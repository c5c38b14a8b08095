//! Durable kinds as an `async fn`: waiting, replay, and code that goes another way than before.

use std::cell::Cell;
use std::time::Duration;

use grepx_plugin_sdk::log;
use grepx_plugin_sdk::prelude::*;
use grepx_plugin_sdk::testing::{self, TestRun};
use grepx_plugin_sdk::{ChildRun, Op};

const MINUTE: Duration = Duration::from_secs(60);

#[data]
struct Order {
    item: String,
}

#[data]
struct Approval {
    by: String,
}

/// Asks for an approval, has a worker do it, starts a flow
#[durable(capabilities("connection:celery", "start-flow"))]
async fn order(ctx: AsyncCtx, input: Order) -> Result<Value, Error> {
    log::info(format!("order of {}", input.item));
    ctx.sleep(MINUTE).await?;
    let began = ctx.now_ms();
    ctx.status("waits for a person");
    let approval = match ctx.timeout(MINUTE * 60, ctx.signal::<Approval>("approve")).await {
        Ok(approval) => approval?,
        Err(elapsed) => return Err(Error::timed_out("not-approved", elapsed.to_string())),
    };
    let waited = ctx.now_ms() - began;
    let key = ctx.idempotency_key();
    let mut replies = ctx.request(Message::new("celery", "gpu", "{}"), &key);
    let first = replies.next().await?;
    let second = replies.next().await?;
    let child = ctx.start_flow("ship/now", json!({ "item": input.item })).await?;
    log::info("shipped");
    Ok(json!({
        "by": approval.by, "waited_ms": waited, "dice": ctx.random(|rng| rng.next_u64() % 6),
        "replies": [String::from_utf8_lossy(&first), String::from_utf8_lossy(&second)],
        "completed": child.completed, "flow_run": child.name, "started_with": ctx.started_with(),
    }))
}

fn ordered() -> TestRun<order> {
    log::taken();
    testing::start(json!({ "kwargs": { "item": "book" } }))
}

#[test]
fn everything_can_be_awaited_and_the_lines_are_written_once() {
    let mut run = ordered();
    assert_eq!(run.status(), Some("waits for timer"));
    run.advance(MINUTE);
    assert_eq!(run.status(), Some("waits for a person"));
    run.advance(MINUTE * 2);
    run.signal("approve", json!({ "by": "Ada" }));
    assert_eq!(run.sent(), [Message::new("celery", "gpu", "{}")]);
    let key = Ctx::for_tests().idempotency_key;
    run.reply(&key, "half");
    run.reply(&key, "whole");
    assert_eq!(
        run.flow_runs(),
        [&ChildRun {
            deployment: "ship/now".into(),
            parameters: json!({ "item": "book" }),
            idempotency_key: format!("{key}-5"),
        }]
    );
    run.flow_run_ended(
        "ship/now",
        json!({ "name": "swift-bison", "completed": true, "other": 1 }),
    );
    let result = run.ended().cloned().expect("it has ended").expect("it is done");
    assert_eq!(
        result,
        json!({
            "by": "Ada", "waited_ms": 120_000, "dice": result["dice"], "replies": ["half", "whole"],
            "completed": true, "flow_run": "swift-bison", "started_with": 1,
        })
    );
    let lines: Vec<String> = log::taken().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["order of book", "shipped"]);
}

#[test]
fn a_race_ends_in_replay_as_it_ended_live() {
    let mut run = ordered();
    run.advance(MINUTE);
    run.advance(MINUTE * 60);
    let error = run
        .ended()
        .cloned()
        .expect("the hour is over")
        .expect_err("nobody approved");
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("not-approved", "no answer within 3600s")
    );
}

#[test]
fn failures_reach_the_await_that_they_are_for() {
    let mut run = ordered();
    run.advance(MINUTE);
    run.signal("approve", json!({ "by": "Ada" }));
    run.fail("4-enqueue", Error::retryable("broker-away", "no connection"));
    let error = run.ended().cloned().expect("ended").expect_err("failed");
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Retryable, "broker-away")
    );

    let mut run = ordered();
    run.advance(MINUTE);
    run.signal("approve", json!({ "from": "Ada" }));
    let error = run.ended().cloned().expect("ended").expect_err("failed");
    assert!(
        error.message.contains("the signal does not fit: missing field `by`"),
        "{error}"
    );
}

#[test]
fn stopping_withdraws_what_lies_in_a_queue() {
    let mut run = ordered();
    run.advance(MINUTE);
    assert_eq!(run.stop(StopReason::Cancelled), []);
    let mut run = ordered();
    run.advance(MINUTE);
    run.signal("approve", json!({ "by": "Ada" }));
    assert_eq!(run.stop(StopReason::TimedOut), [Command::cancel("4-enqueue")]);
}

/// Waits for all of many
#[durable]
async fn many(ctx: &AsyncCtx) -> Result<u64, Error> {
    let began = ctx.now_ms();
    let timers: Vec<_> = (1..=500u64)
        .map(|n| ctx.sleep(MINUTE * u32::try_from(n).unwrap_or(1)))
        .collect();
    ctx.all(timers).await?;
    Ok((ctx.now_ms() - began) / 60_000)
}

#[test]
fn a_fan_out_is_woken_once() {
    let mut run: TestRun<many> = testing::start(json!({}));
    assert_eq!(run.open().len(), 500);
    assert_eq!(run.finish(), Ok(json!(500)));
}

/// Tells somebody, and ends
#[durable(capabilities("connection:celery"))]
async fn tell(ctx: AsyncCtx) -> Result<&'static str, Error> {
    let number = ctx.on_stop(Command::broadcast("undo", Message::new("celery", "control", "{}")));
    ctx.signal::<Value>("go").await?;
    ctx.forget_on_stop(number);
    ctx.enqueue(Message::new("celery", "celery", "{}"));
    Ok("told")
}

#[test]
fn last_messages_go_out_before_the_end() {
    let mut run: TestRun<tell> = testing::start(json!({}));
    run.signal("go", json!(null));
    assert!(run.ended().is_none(), "{run:?}");
    assert_eq!(run.sent().len(), 1);
    assert_eq!(run.finish(), Ok(json!("told")));

    let mut run: TestRun<tell> = testing::start(json!({}));
    run.signal("go", json!(null));
    run.fail("1-enqueue", Error::retryable("broker-away", "no connection"));
    assert_eq!(run.finish().expect_err("it was never sent").code, "broker-away");
}

#[test]
fn what_was_asked_for_is_cleaned_up() {
    let mut run: TestRun<tell> = testing::start(json!({}));
    let commands = run.stop(StopReason::FlowFailed);
    assert_eq!(
        commands,
        [Command::broadcast("undo", Message::new("celery", "control", "{}"))]
    );
}

thread_local! {
    /// How the code of `changing` is: stands for builds of different days.
    static BUILD: Cell<u32> = const { Cell::new(0) };
}

/// Changes between its calls
#[durable(state_version = 4, oldest_state = 3)]
async fn changing(ctx: AsyncCtx) -> Result<u32, Error> {
    let build = BUILD.get();
    if build == 1 {
        ctx.signal::<Value>("first").await?;
    }
    ctx.sleep(MINUTE * if build == 2 { 9 } else { 1 }).await?;
    if build == 3 {
        return Ok(3);
    }
    if build == 4 {
        ctx.enqueue(Message::new("celery", "celery", "{}"));
    }
    let go = ctx.signal::<Value>("go");
    if build == 5 {
        std::future::pending::<()>().await;
    }
    go.await?;
    ctx.sleep(MINUTE).await?;
    Ok(build)
}

/// Runs the code as it was, changes it when `go` is awaited, and goes on.
fn changed(build: u32) -> Result<Value, Error> {
    BUILD.set(0);
    let mut run: TestRun<changing> = testing::start(json!({}));
    run.advance(MINUTE);
    BUILD.set(build);
    run.signal("go", json!(null));
    run.finish()
}

#[test]
fn another_way_through_the_code_is_told_with_its_place() {
    assert_eq!(changed(0), Ok(json!(0)));
    assert_eq!(changed(2), Ok(json!(2)), "another pause is no other way");
    for (build, difference) in [
        (1, "command 0 was `timer`, now it is `signal first`"),
        (3, "command 1 was `signal go`; it is not given any more"),
        (4, "command 1 was `signal go`, now it is `enqueue celery celery`"),
    ] {
        let error = changed(build).expect_err("the way is another one");
        assert_eq!(error.code, "journal-mismatch");
        assert!(error.message.contains(difference), "{build}: {error}");
        assert!(error.message.contains("state version 4"), "{error}");
    }
    let error = changed(5).expect_err("waits for nothing");
    assert_eq!(error.code, "journal-idle");
}

/// As it was
#[durable(kind = "versioned", state_version = 1)]
async fn version_1(ctx: AsyncCtx) -> Result<u32, Error> {
    ctx.sleep(MINUTE).await?;
    ctx.sleep(MINUTE).await?;
    Ok(1)
}

/// Keeps the old way open
#[durable(kind = "versioned", state_version = 2, oldest_state = 1)]
async fn version_2(ctx: AsyncCtx) -> Result<u32, Error> {
    ctx.sleep(MINUTE).await?;
    if ctx.started_with() >= 2 {
        ctx.signal::<Value>("go").await?;
        return Ok(2);
    }
    ctx.sleep(MINUTE).await?;
    Ok(1)
}

/// Reads its own journals only
#[durable(kind = "versioned", state_version = 3)]
async fn version_3(ctx: AsyncCtx) -> Result<u32, Error> {
    ctx.sleep(MINUTE).await?;
    Ok(3)
}

#[test]
fn a_newer_build_goes_the_old_way_of_an_old_attempt() {
    let mut old: TestRun<version_1> = testing::start(json!({}));
    old.advance(MINUTE);
    let mut run: TestRun<version_2> = old.resumed_by();
    assert_eq!(run.finish(), Ok(json!(1)));
    let mut new: TestRun<version_2> = testing::start(json!({}));
    new.advance(MINUTE);
    new.signal("go", json!(null));
    assert_eq!(new.finish(), Ok(json!(2)));
}

#[test]
#[should_panic(expected = "the host keeps the old build: 1 is not in 3..=3")]
fn a_build_that_does_not_read_a_version_is_not_asked() {
    let old: TestRun<version_1> = testing::start(json!({}));
    let _: TestRun<version_3> = old.resumed_by();
}

/// Races two signals
#[durable]
async fn duel(ctx: AsyncCtx) -> Result<String, Error> {
    let winner = match race(ctx.signal::<Value>("left"), ctx.signal::<Value>("right")).await {
        Either::First(left) => left.map(|_| "left")?,
        Either::Second(right) => right.map(|_| "right")?,
    };
    ctx.sleep(MINUTE).await?;
    Ok(winner.to_owned())
}

#[test]
fn who_came_first_stays_first_when_both_are_there() {
    let mut run: TestRun<duel> = testing::start(json!({}));
    run.signal("right", json!(1));
    run.signal("left", json!(1));
    assert_eq!(run.finish(), Ok(json!("right")));
}

#[test]
fn commands_are_counted() {
    let run: TestRun<bounded> = testing::start(json!({}));
    let error = run.ended().cloned().expect("ended").expect_err("too many");
    assert_eq!(error.code, "journal-full");
}

/// Gives too many commands
#[durable]
async fn bounded(ctx: AsyncCtx) -> Result<(), Error> {
    let timers: Vec<_> = (0..10_001).map(|_| ctx.sleep(MINUTE)).collect();
    ctx.all(timers).await?;
    Ok(())
}

#[test]
fn open_operations_have_keys_that_people_can_read() {
    let run: TestRun<duel> = testing::start(json!({}));
    let keys: Vec<&str> = run.open().iter().map(|command| command.key.as_str()).collect();
    assert_eq!(keys, ["0-signal", "1-signal"]);
    assert!(run.open().iter().all(|command| matches!(command.op, Op::Signal(_))));
}

/// Waits again and again
#[durable]
async fn patient(ctx: AsyncCtx) -> Result<u64, Error> {
    let mut dice = 0;
    for _ in 0..300 {
        ctx.sleep(MINUTE).await?;
        dice += ctx.random(|rng| rng.next_u64() % 6);
    }
    Ok(dice)
}

#[test]
fn chance_is_the_same_in_every_replay_of_a_long_journal() {
    let mut run: TestRun<patient> = testing::start(json!({}));
    let dice = run.finish().expect("it ends");
    let mut rng = Ctx::for_tests().rng();
    let expected: u64 = (0..300).map(|_| rng.next_u64() % 6).sum();
    assert_eq!(dice, json!(expected));
}
