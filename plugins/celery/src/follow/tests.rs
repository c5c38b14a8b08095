use grepx_plugin_sdk::{Suspended, Wake};

use super::*;

fn state() -> State {
    State {
        id: "id-1".into(),
        task: "tasks.add".into(),
        queue: "gpu".into(),
        connection: "celery".into(),
        when_lost: crate::WhenLost::default(),
        key_prefix: String::new(),
        result_key: None,
    }
}

fn read_text(stored: &str) -> Result<Step<Value, State>, Error> {
    read(state(), stored.as_bytes())
}

fn stored(status: &str, result: Value) -> String {
    json!({ "status": status, "result": result, "traceback": null, "children": [], "task_id": "id-1" }).to_string()
}

fn status(word: &str, result: Value) -> String {
    let step = read_text(&stored(word, result)).expect("waits on");
    let Step::Suspended(Suspended {
        state: kept,
        commands,
        wake,
        status,
    }) = step
    else {
        panic!("suspended")
    };
    assert_eq!(
        (kept, commands, wake),
        (state(), vec![], Some(Wake::Any(vec!["result".into()])))
    );
    status.expect("a status")
}

fn failure(word: &str, exception: Value) -> Error {
    read_text(&stored(word, exception)).expect_err("failed")
}

#[test]
fn success_gives_the_result() {
    assert_eq!(
        read_text(&stored("SUCCESS", json!({ "n": [1, 2.5] }))),
        Ok(Step::done(json!({ "n": [1, 2.5] })))
    );
    assert_eq!(read_text(&stored("SUCCESS", Value::Null)), Ok(Step::done(Value::Null)));
}

#[test]
fn what_json_cannot_hold_is_replaced_and_said() {
    log::taken();
    let step = read_text(r#"{"status":"SUCCESS","result":[NaN,1],"task_id":"id-1"}"#);
    assert_eq!(step, Ok(Step::done(json!([null, 1]))));
    let lines = log::taken();
    assert!(lines[0].1.contains("/result/0: NaN became null"), "{lines:?}");
}

#[test]
fn states_on_the_way_change_the_status_only() {
    assert_eq!(
        status("STARTED", json!({ "pid": 7, "hostname": "w1@vm" })),
        "running on worker w1@vm"
    );
    assert_eq!(status("RECEIVED", Value::Null), "received");
    let retry = json!({ "exc_type": "RuntimeError", "exc_message": ["attempt 1\nfails"], "exc_module": "builtins" });
    assert_eq!(
        status("RETRY", retry),
        "retrying in the worker: RuntimeError: attempt 1 fails"
    );
    assert_eq!(
        status("LOADING", json!({ "file": "a.csv" })),
        r#"LOADING: {"file":"a.csv"}"#
    );
}

#[test]
fn progress_is_forwarded() {
    log::taken();
    assert_eq!(
        status("PROGRESS", json!({ "step": 1, "of": 2 })),
        r#"PROGRESS 50 %: {"step":1,"of":2}"#
    );
    assert_eq!(log::taken()[0].1, "50 %: PROGRESS");
}

#[test]
fn a_status_has_bounded_length() {
    let text = status("LOADING", json!("é".repeat(10_000)));
    assert_eq!(text.chars().count(), MOST_CHARS + 1);
}

#[test]
fn a_failure_carries_the_exception_and_its_class() {
    let error = failure(
        "FAILURE",
        json!({ "exc_type": "ValueError", "exc_message": ["m"], "exc_module": "builtins" }),
    );
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Retryable, "celery-task-failed")
    );
    assert_eq!(error.message, "ValueError: m");
    assert_eq!(error.details.expect("the exception")["exc_type"], "ValueError");

    let unknown =
        json!({ "exc_type": "NotRegistered", "exc_message": ["tasks.add"], "exc_module": "celery.exceptions" });
    let error = failure("FAILURE", unknown);
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains("queue gpu"), "{error}");
}

#[test]
fn a_foreign_revocation_may_be_retried_and_a_termination_not() {
    let revoked =
        |why: &str| json!({ "exc_type": "TaskRevokedError", "exc_message": [why], "exc_module": "celery.exceptions" });
    let error = failure("REVOKED", revoked("revoked"));
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Retryable, "celery-revoked")
    );
    assert!(
        error.message.contains("may still be running") && error.message.contains("id-1"),
        "{error}"
    );
    assert_eq!(failure("REVOKED", revoked("terminated")).class, ErrorClass::Cancelled);
    assert_eq!(failure("REVOKED", revoked("expired")).class, ErrorClass::TimedOut);
}

#[test]
fn an_unreadable_result_fails_with_the_setting_to_change() {
    let error = read(state(), b"\x80\x04\x95").expect_err("pickle");
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Permanent, "celery-unreadable-result")
    );
    assert!(
        error
            .message
            .starts_with("tasks.add was run, but its result is of no use: "),
        "{error}"
    );
    assert!(error.message.contains("result_serializer = \"json\""), "{error}");
}
