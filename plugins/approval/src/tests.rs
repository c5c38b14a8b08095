use grepx_plugin_sdk::{Op, Suspended, Wake, testing};

use super::*;

fn start(config: Value) -> Result<Step<Decision, State>, Error> {
    let input = serde_json::from_value(json!({ "config": config })).expect("the test's input reads");
    Approval::start(&Ctx::for_tests(), input)
}

fn suspended(step: Result<Step<Decision, State>, Error>) -> Suspended<State> {
    match step {
        Ok(Step::Suspended(suspended)) => suspended,
        other => panic!("it does not wait: {other:?}"),
    }
}

fn signal(key: &str, payload: Value) -> Event {
    Event {
        key: key.into(),
        outcome: Outcome::Signal(payload),
    }
}

fn expired() -> Event {
    Event {
        key: EXPIRY.into(),
        outcome: Outcome::Fired,
    }
}

fn resume(state: &State, events: Vec<Event>) -> Result<Step<Decision, State>, Error> {
    let mut ctx = Ctx::for_tests();
    ctx.now_ms += 60_000;
    Approval::resume(&ctx, state.clone(), events)
}

fn commands(suspended: &Suspended<State>) -> Vec<(&str, &Op)> {
    suspended.commands.iter().map(|it| (it.key.as_str(), &it.op)).collect()
}

#[test]
fn it_waits_for_three_signals_and_the_expiry() {
    let waiting = suspended(start(
        json!({ "message": "sell?", "approvers": "the desk", "expires_in_seconds": 90 }),
    ));
    let names = ["approve", "reject", "decide"].map(|name| (name, Op::Signal(name.into())));
    let timer = Op::TimerAt(Ctx::for_tests().now_ms + 90_000);
    let mut wanted: Vec<(&str, &Op)> = names.iter().map(|(name, op)| (*name, op)).collect();
    wanted.push((EXPIRY, &timer));
    assert_eq!(commands(&waiting), wanted);
    assert_eq!(
        waiting.wake,
        Some(Wake::Any(
            ["approve", "reject", "decide", "expiry"].map(str::to_owned).into()
        ))
    );
    assert_eq!(
        waiting.status.as_deref(),
        Some("waits for approval: sell? (by the desk), until 2026-03-02T12:01:30Z")
    );
}

#[test]
fn without_an_expiry_there_is_no_timer() {
    let waiting = suspended(start(json!({})));
    assert_eq!(waiting.commands.len(), 3);
    assert_eq!(waiting.status.as_deref(), Some("waits for approval: approve a_task"));
}

#[test]
fn an_approval_is_the_result() {
    let state = suspended(start(json!({}))).state;
    let payload = json!({ "by": "ann", "note": "fine", "form": { "n": 1 } });
    let Ok(Step::Done(decision)) = resume(&state, vec![signal("approve", payload)]) else {
        panic!("done")
    };
    let written = serde_json::to_value(&decision).expect("JSON");
    assert_eq!(
        written,
        json!({
            "approved": true, "by": "ann", "at": "2026-03-02T12:01:00Z", "note": "fine", "form": { "n": 1 },
            "expired": false,
        })
    );
    assert_eq!(
        testing::problems(&Plugin::describe()[0].output_schema, &written),
        [""; 0]
    );
}

#[test]
fn a_rejection_fails_for_good() {
    let state = suspended(start(json!({ "message": "sell?" }))).state;
    for event in [
        signal("reject", json!({ "by": "ann", "note": "too much" })),
        signal("decide", json!({ "approved": false, "by": "ann", "note": "too much" })),
    ] {
        let error = resume(&state, vec![event]).expect_err("it fails");
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Permanent, "rejected"));
        assert_eq!(error.message, "rejected by ann: too much (sell?)");
        assert_eq!(error.details.expect("details")["by"], "ann");
    }
}

#[test]
fn a_bad_answer_is_told_and_the_same_signal_waits_again() {
    let _ = log::taken();
    let config = json!({ "message": "sell?", "form": { "required": ["amount"] } });
    let state = suspended(start(config)).state;
    let _ = log::taken();
    let waiting = suspended(resume(&state, vec![signal("approve", json!({ "by": "ann" }))]));
    assert_eq!(commands(&waiting), [("approve 2", &Op::Signal("approve".into()))]);
    assert_eq!(
        waiting.wake,
        Some(Wake::Any(["approve 2", "reject", "decide"].map(str::to_owned).into()))
    );
    let status = waiting.status.expect("a status");
    assert!(
        status.starts_with("the last answer was not taken: form.amount: is missing"),
        "{status}"
    );
    let lines = log::taken();
    assert!(lines[0].1.contains("an answer (approve) is not taken"), "{lines:?}");

    let waiting = suspended(resume(&waiting.state, vec![signal("approve 2", json!({}))]));
    assert_eq!(commands(&waiting)[0].0, "approve 3");
    let step = resume(&waiting.state, vec![signal("approve 3", json!({ "amount": 1 }))]);
    assert!(
        matches!(step, Ok(Step::Done(Decision { approved: true, .. }))),
        "{step:?}"
    );
}

#[test]
fn the_first_answer_that_fits_counts() {
    let state = suspended(start(json!({ "expires_in_seconds": 60 }))).state;
    let both = vec![
        signal("decide", json!({})),
        signal("reject", json!({})),
        signal("approve", json!({})),
    ];
    assert_eq!(resume(&state, both).expect_err("rejected").code, "rejected");
    let late = vec![signal("approve", json!({})), expired()];
    assert!(matches!(
        resume(&state, late),
        Ok(Step::Done(Decision { expired: false, .. }))
    ));
}

#[test]
fn the_expiry_fails_approves_or_rejects() {
    let ends = |on_expiry: Value| {
        let state = suspended(start(json!({ "expires_in_seconds": 60, "on_expiry": on_expiry }))).state;
        resume(&state, vec![expired()])
    };
    for (on_expiry, class, code) in [
        (Value::Null, ErrorClass::TimedOut, "approval-expired"),
        (json!("fail"), ErrorClass::TimedOut, "approval-expired"),
        (json!("reject"), ErrorClass::Permanent, "rejected"),
    ] {
        let error = ends(on_expiry).expect_err("it fails");
        assert_eq!((error.class, error.code.as_str()), (class, code));
    }
    let Ok(Step::Done(decision)) = ends(json!("approve")) else {
        panic!("done")
    };
    assert_eq!((decision.approved, decision.expired, decision.by), (true, true, None));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    for (config, part) in [
        (json!({ "form": { "type": "integr" } }), "config.form"),
        (json!({ "expires_in_seconds": -1 }), "expires_in_seconds"),
        (json!({ "expires_in_seconds": 1e12 }), "expires_in_seconds"),
    ] {
        let error = start(config).expect_err("refused");
        assert_eq!(error.class, ErrorClass::InvalidInput);
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn a_status_is_one_line_of_bounded_length() {
    let status = suspended(start(json!({ "message": format!("a\nb{}", "ü".repeat(4000)) }))).status;
    let status = status.expect("a status");
    assert!(!status.contains('\n') && status.chars().count() <= 301, "{status}");
}

#[test]
fn it_would_load_and_its_schema_refuses_what_it_refuses() {
    let described = Plugin::describe();
    testing::check(&described);
    assert!(described[0].capabilities.is_empty());
    let schema = &described[0].input_schema;
    for fits in [
        json!({ "config": {} }),
        json!({ "kwargs": { "message": "x", "expires_in_seconds": 1.5, "other": [] } }),
        json!({ "config": { "message": "x", "approvers": "y", "form": {}, "expires_in_seconds": 0, "on_expiry": "approve" } }),
    ] {
        assert_eq!(testing::problems(schema, &fits), [""; 0], "{fits}");
    }
    for (config, at) in [
        (json!({ "on_expiry": "wait" }), "/config/on_expiry"),
        (json!({ "form": "x" }), "/config/form"),
        (json!({ "expires_in": 3 }), "/config"),
        (json!({ "expires_in_seconds": "3" }), "/config/expires_in_seconds"),
    ] {
        let problems = testing::problems(schema, &json!({ "config": config }));
        assert!(
            problems.first().is_some_and(|it| it.starts_with(at)),
            "{config}: {problems:?}"
        );
    }
}
