use grepx_plugin_sdk::{Op, Suspended, Wake, testing};

use super::*;

fn start(document: Value) -> Result<Step<Ran, State>, Error> {
    let input = serde_json::from_value(document).expect("the test's input reads");
    Subflow::start(&Ctx::for_tests(), input)
}

fn suspended(step: Result<Step<Ran, State>, Error>) -> Suspended<State> {
    match step {
        Ok(Step::Suspended(suspended)) => suspended,
        other => panic!("it does not wait: {other:?}"),
    }
}

fn state(wait: bool) -> State {
    suspended(start(json!({ "config": { "deployment": "f/d", "wait": wait } }))).state
}

fn resume(state: State, key: &str, outcome: Outcome) -> Result<Step<Ran, State>, Error> {
    let event = Event {
        key: key.into(),
        outcome,
    };
    Subflow::resume(&Ctx::for_tests(), state, vec![event])
}

fn report(state_type: &str, state_name: &str, message: Value) -> Outcome {
    Outcome::Child(json!({
        "flow_run_id": "01900000-0000-7000-8000-000000000009", "name": "brave-otter", "state_type": state_type,
        "state_name": state_name, "message": message, "completed": state_type == "COMPLETED",
        "results": { "last": { "n": 1 } }, "more": "of a later host",
    }))
}

fn started() -> Outcome {
    Outcome::Signal(json!({ "flow_run_id": "01900000-0000-7000-8000-000000000009", "name": "brave-otter" }))
}

fn result(step: Result<Step<Ran, State>, Error>) -> Value {
    let Ok(Step::Done(ran)) = step else {
        panic!("it is not done: {step:?}")
    };
    let written = serde_json::to_value(ran).expect("JSON");
    assert_eq!(
        testing::problems(&Plugin::describe()[0].output_schema, &written),
        [""; 0]
    );
    written
}

#[test]
fn it_starts_the_run_under_the_attempts_own_key() {
    let waiting = suspended(start(json!({
        "kwargs": { "parameters": { "a": 1, "b": 1 }, "other": 1 },
        "config": { "deployment": "f/d", "parameters": { "b": 2 } },
    })));
    let child = ChildRun {
        deployment: "f/d".into(),
        parameters: json!({ "a": 1, "b": 2 }),
        idempotency_key: Ctx::for_tests().idempotency_key,
    };
    assert_eq!(
        waiting.commands,
        [
            Command::signal(STARTED, "started:child"),
            Command::start_flow("child", child)
        ]
    );
    assert_eq!(waiting.wake, Some(Wake::Any(vec![STARTED.into(), CHILD.into()])));
    assert_eq!(waiting.status.as_deref(), Some("starting f/d"));
    assert!(waiting.state.wait);
}

#[test]
fn it_waits_for_the_end_and_gives_the_results() {
    let waiting = suspended(resume(state(true), STARTED, started()));
    assert!(waiting.commands.is_empty());
    assert_eq!(
        waiting.status.as_deref(),
        Some("waits for flow run brave-otter of f/d (01900000-0000-7000-8000-000000000009)")
    );
    let done = resume(waiting.state, CHILD, report("COMPLETED", "Completed", Value::Null));
    assert_eq!(
        result(done),
        json!({
            "flow_run_id": "01900000-0000-7000-8000-000000000009", "name": "brave-otter",
            "state_type": "COMPLETED", "state_name": "Completed", "results": { "last": { "n": 1 } },
        })
    );
}

#[test]
fn a_run_that_nobody_waits_for_only_has_to_exist() {
    let scheduled = json!({
        "flow_run_id": "01900000-0000-7000-8000-000000000009", "name": "brave-otter",
        "state_type": "SCHEDULED", "state_name": "Scheduled", "results": null,
    });
    assert_eq!(result(resume(state(false), STARTED, started())), scheduled);
    // It may end before anybody has heard that it began.
    assert_eq!(
        result(resume(state(false), CHILD, report("FAILED", "Failed", json!("no")))),
        scheduled
    );
}

#[test]
fn an_end_that_is_no_success_fails_with_the_runs_own_words() {
    for (state_type, state_name, class, code) in [
        ("FAILED", "Failed", ErrorClass::Retryable, "subflow-failed"),
        ("FAILED", "TimedOut", ErrorClass::TimedOut, "subflow-timed-out"),
        ("CANCELLED", "Cancelled", ErrorClass::Cancelled, "subflow-cancelled"),
        ("CRASHED", "Crashed", ErrorClass::Retryable, "subflow-failed"),
    ] {
        let outcome = report(state_type, state_name, json!("1 of 2 task runs failed: load"));
        let error = resume(state(true), CHILD, outcome).expect_err("it fails");
        assert_eq!((error.class, error.code.as_str()), (class, code));
        assert_eq!(
            error.message,
            format!("flow run brave-otter of f/d ended as {state_name}: 1 of 2 task runs failed: load")
        );
        let details = error.details.expect("details");
        assert_eq!(details["flow_run_id"], "01900000-0000-7000-8000-000000000009");
    }
    let silent = resume(state(true), CHILD, report("FAILED", "Failed", Value::Null)).expect_err("it fails");
    assert!(silent.message.ends_with("says nothing about it"), "{silent}");
}

#[test]
fn a_run_that_cannot_be_started_fails_with_the_hosts_reason() {
    let refused = Error::permanent("no-such-deployment", "there is no deployment");
    let step = resume(state(true), CHILD, Outcome::Failed(refused.clone()));
    assert_eq!(step, Err(refused));
    let cancelled = resume(state(true), CHILD, Outcome::Cancelled).expect_err("it fails");
    assert_eq!(cancelled.class, ErrorClass::Cancelled);
    let odd = resume(state(true), CHILD, Outcome::Child(json!("?"))).expect_err("it fails");
    assert_eq!(odd.code, "subflow-unreadable");
}

#[test]
fn a_stop_takes_the_run_along() {
    for wait in [true, false] {
        for reason in [StopReason::Cancelled, StopReason::TimedOut, StopReason::FlowFailed] {
            let commands = Subflow::stop(&Ctx::for_tests(), state(wait), reason);
            assert!(matches!(&commands[..], [Command { op: Op::Cancel(key), .. }] if key == CHILD));
        }
    }
}

#[test]
fn without_a_deployment_it_is_refused() {
    for document in [json!({}), json!({ "config": { "deployment": "  " } })] {
        let error = start(document).expect_err("refused");
        assert!(error.message.contains("set config.deployment"), "{error}");
    }
}

#[test]
fn it_would_load_and_its_schema_refuses_what_it_refuses() {
    let described = Plugin::describe();
    testing::check(&described);
    assert_eq!(described[0].capabilities, ["start-flow"]);
    let schema = &described[0].input_schema;
    for fits in [
        json!({ "config": { "deployment": "f/d" } }),
        json!({ "kwargs": { "deployment": "d", "parameters": { "n": [] }, "other": 1 }, "config": { "wait": false } }),
    ] {
        assert_eq!(testing::problems(schema, &fits), [""; 0], "{fits}");
    }
    for (config, at) in [
        (json!({ "deployment": "" }), "/config/deployment"),
        (json!({ "parameters": [] }), "/config/parameters"),
        (json!({ "wait": "no" }), "/config/wait"),
        (json!({ "flow": "f" }), "/config"),
    ] {
        let problems = testing::problems(schema, &json!({ "config": config }));
        assert!(
            problems.first().is_some_and(|it| it.starts_with(at)),
            "{config}: {problems:?}"
        );
    }
}
