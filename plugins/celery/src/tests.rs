use grepx_plugin_sdk::{Op, Suspended, Wake, testing};

use super::*;

fn started() -> Suspended<State> {
    let input = json!({ "name": "tasks.add", "args": [2, 3], "kwargs": {}, "config": {} });
    let ctx = Ctx::for_tests().with_meta("work-queue", "gpu");
    let step = Celery::start(&ctx, serde_json::from_value(input).expect("reads")).expect("starts");
    let Step::Suspended(suspended) = step else {
        panic!("suspended")
    };
    suspended
}

fn event(key: &str, outcome: Outcome) -> Event {
    Event {
        key: key.into(),
        outcome,
    }
}

fn resume(events: Vec<Event>) -> Result<Step<Value, State>, Error> {
    Celery::resume(&Ctx::for_tests(), started().state, events)
}

#[test]
fn it_listens_before_it_sends_and_wakes_on_the_result() {
    let suspended = started();
    let key = format!("celery-task-meta-{}", Ctx::for_tests().idempotency_key);
    let [reply, task] = suspended.commands.as_slice() else {
        panic!("two commands")
    };
    assert_eq!(reply, &Command::reply("result", "celery", key));
    assert_eq!(task.key, "task");
    assert!(
        matches!(&task.op, Op::Enqueue(message) if message.destination == "gpu"),
        "{task:?}"
    );
    assert_eq!(suspended.wake, Some(Wake::Any(vec!["result".into()])));
    assert_eq!(suspended.status.as_deref(), Some("queued on gpu"));
}

#[test]
fn the_last_of_several_states_counts() {
    let value = |text: &str| event("result", Outcome::Reply(text.into()));
    let step = resume(vec![
        value(r#"{"status":"STARTED","result":{"hostname":"w1@vm"}}"#),
        value(r#"{"status":"SUCCESS","result":5}"#),
    ]);
    assert_eq!(step, Ok(Step::done(json!(5))));
}

#[test]
fn the_acknowledgement_of_the_sending_changes_nothing() {
    let step = resume(vec![event("task", Outcome::Fired)]);
    let Ok(Step::Suspended(suspended)) = step else {
        panic!("suspended: {step:?}")
    };
    assert_eq!(
        (suspended.commands.len(), suspended.wake),
        (0, Some(Wake::Any(vec!["result".into()])))
    );
}

#[test]
fn a_message_that_cannot_be_sent_fails_the_attempt() {
    let away = Error::retryable("broker-away", "no connection");
    assert_eq!(resume(vec![event("task", Outcome::Failed(away.clone()))]), Err(away));
    let withdrawn = resume(vec![event("task", Outcome::Cancelled)]).expect_err("fails");
    assert_eq!(
        (withdrawn.class, withdrawn.code.as_str()),
        (ErrorClass::Cancelled, "celery-withdrawn")
    );
}

#[test]
fn stopping_withdraws_the_message_and_revokes_until_a_final_state_stands() {
    let state = started().state;
    let (id, key) = (state.id.clone(), state.result_key());
    let commands = Celery::stop(&Ctx::for_tests(), state, StopReason::TimedOut);
    let [cancel, revoke] = commands.as_slice() else {
        panic!("two commands: {commands:?}")
    };
    assert_eq!(cancel.op, Op::Cancel("task".into()));
    let Op::Broadcast(message) = &revoke.op else {
        panic!("a broadcast: {revoke:?}")
    };
    assert_eq!(
        (message.connection.as_str(), message.destination.as_str()),
        ("celery", "control")
    );
    let meta = [
        ("control".to_owned(), "revoke".to_owned()),
        ("until-reply".to_owned(), key),
    ];
    assert_eq!(message.meta, meta);
    let body: Value = serde_json::from_slice(&message.body).expect("JSON");
    let arguments = json!({ "task_id": id, "terminate": true, "signal": "SIGTERM" });
    assert_eq!(body, json!({ "method": "revoke", "arguments": arguments }));
}

#[test]
fn settings_that_do_not_fit_are_the_operators_business() {
    let ctx = Ctx::for_tests().with_settings(json!({ "queues": ["gpu"] }));
    let input = serde_json::from_value(json!({ "name": "t" })).expect("reads");
    let error = Celery::start(&ctx, input).expect_err("refused");
    assert_eq!(error.code, "plugin-settings");
    assert!(error.message.contains("queues: "), "{error}");
}

#[test]
fn it_would_load_and_its_schema_refuses_what_it_refuses() {
    let described = Plugin::describe();
    testing::check(&described);
    let schema = &described[0].input_schema;
    let document = |config: Value| json!({ "name": "tasks.add", "args": [], "kwargs": {}, "config": config });
    for config in [
        json!({}),
        json!({ "queue": "gpu", "priority": 9, "headers": { "x-team": 1 }, "shadow": null }),
    ] {
        assert_eq!(testing::problems(schema, &document(config)), [""; 0]);
    }
    for config in [
        json!({ "priority": 10 }),
        json!({ "queue": "" }),
        json!({ "expires": 60 }),
        json!({ "soft_time_limit_seconds": 0 }),
    ] {
        let problems = testing::problems(schema, &document(config.clone()));
        assert!(
            problems.first().is_some_and(|it| it.starts_with("/config")),
            "{config}: {problems:?}"
        );
    }
    assert_eq!(testing::problems(schema, &json!({ "name": null })).len(), 1);
}

fn lost() -> Vec<Event> {
    vec![event(
        "task",
        Outcome::Failed(Error::retryable("lost", "tasks.add is lost")),
    )]
}

fn with_rule(rule: &str, events: Vec<Event>) -> Result<Step<Value, State>, Error> {
    let mut state = started().state;
    state.when_lost = serde_json::from_value(json!(rule)).expect("a rule");
    Celery::resume(&Ctx::for_tests(), state, events)
}

#[test]
fn a_lost_message_fails_the_attempt_as_the_task_says() {
    for (rule, class) in [("retry", ErrorClass::Retryable), ("fail", ErrorClass::Permanent)] {
        let error = with_rule(rule, lost()).expect_err("fails");
        assert_eq!((error.class, error.code.as_str()), (class, "celery-lost"));
    }
    assert_eq!(started().state.when_lost, WhenLost::Retry);
}

#[test]
fn a_person_decides_about_a_lost_message_when_asked_to() {
    let Ok(Step::Suspended(asking)) = with_rule("ask", lost()) else {
        panic!("suspended")
    };
    assert_eq!(asking.commands, [Command::signal("lost", "lost")]);
    assert_eq!(asking.wake, Some(Wake::Any(vec!["result".into(), "lost".into()])));
    for (answer, class) in [("retry", ErrorClass::Retryable), ("fail", ErrorClass::Permanent)] {
        let decided = with_rule("ask", vec![event("lost", Outcome::Signal(json!(answer)))]);
        assert_eq!(decided.expect_err("fails").class, class);
    }
    let again = with_rule("ask", vec![event("lost", Outcome::Signal(json!("perhaps")))]);
    assert!(matches!(again, Ok(Step::Suspended(_))), "{again:?}");
}

#[test]
fn a_result_says_more_than_its_absence() {
    let mut events = lost();
    events.push(event(
        "result",
        Outcome::Reply(r#"{"status":"SUCCESS","result":5}"#.into()),
    ));
    assert_eq!(with_rule("retry", events), Ok(Step::done(json!(5))));
}

#[test]
fn a_state_of_an_older_build_is_read() {
    let old = json!({"id": "i", "task": "t", "queue": "q", "connection": "c", "result_key": "k"});
    let state = Celery::migrate(1, old).expect("reads");
    assert_eq!(state.when_lost, WhenLost::Retry);
    assert_eq!(state.result_key(), "k");
    let kept = serde_json::to_value(&state).expect("JSON");
    assert_eq!(kept["result_key"], "k", "also when it waits on");
}

#[test]
fn a_state_holds_nothing_that_follows_from_the_rest() {
    let kept = serde_json::to_value(started().state).expect("JSON");
    let fields: Vec<&String> = kept.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["id", "task", "queue", "connection"]);
}
