use super::*;

fn classified(name: &str) -> Failure {
    let path = format!("{}/tests/golden/results/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let result = TaskResult::decode(&bytes).expect(name);
    classify(&result, "tasks.add", "gpu").expect(name)
}

#[test]
fn failures_of_a_python_worker_are_told_apart() {
    use Class::{Cancelled, Permanent, Retryable, TimedOut};
    let cases = [
        ("failure", "celery-task-failed", Retryable, "ValueError: m"),
        (
            "failure-two",
            "celery-task-failed",
            Retryable,
            "ValueError: ('m', {'a': 1})",
        ),
        ("failure-none", "celery-task-failed", Retryable, "ValueError"),
        ("keyerror", "celery-task-failed", Retryable, "KeyError: 'a b'"),
        ("odd", "celery-task-failed", Retryable, "Odd: 'x'"),
        (
            "not-registered",
            "celery-not-registered",
            Permanent,
            "the worker of queue gpu that took it has no task named tasks.add: deploy the task to every worker of the \
             queue, or correct celery_task_name",
        ),
        (
            "arity",
            "celery-bad-arguments",
            Permanent,
            "the arguments do not fit tasks.add; correct the task's inputs: TypeError: add() missing 1 required \
             positional argument: 'y'",
        ),
        (
            "arity-inner",
            "celery-task-failed",
            Retryable,
            "TypeError: add() missing 1 required positional argument: 'y'",
        ),
        (
            "encode-error",
            "celery-result-not-serializable",
            Permanent,
            "tasks.add ran, but its return value is no JSON: return dict, list, str, int, float, bool or None \
             (EncodeError: TypeError('Object of type object is not JSON serializable'))",
        ),
        (
            "time-limit",
            "celery-time-limit",
            TimedOut,
            "the worker killed tasks.add at its hard time limit of 1 s",
        ),
        (
            "soft-time-limit",
            "celery-soft-time-limit",
            TimedOut,
            "tasks.add ran past its soft time limit",
        ),
        (
            "lost",
            "celery-worker-lost",
            Retryable,
            "the worker process died while it ran tasks.add (out of memory, or killed): WorkerLostError: Worker exited \
             prematurely: signal 9 (SIGKILL) Job: 15.",
        ),
        (
            "revoked",
            "celery-revoked",
            Cancelled,
            "tasks.add was revoked before it ran",
        ),
        (
            "terminated",
            "celery-terminated",
            Cancelled,
            "tasks.add was terminated while it ran",
        ),
    ];
    for (name, code, class, message) in cases {
        let failure = classified(name);
        assert_eq!(
            (failure.code, failure.class, failure.message.as_str()),
            (code, class, message),
            "{name}"
        );
    }
}

#[test]
fn details_hold_the_exception() {
    let failure = classified("odd");
    assert_eq!(failure.details["exc_type"], "Odd");
    assert_eq!(failure.details["exc_module"], "tasks");
    assert!(
        failure.details["traceback"]
            .as_str()
            .is_some_and(|text| text.starts_with("Traceback"))
    );
    assert_eq!(classified("lost").details["traceback"], Value::Null);
}

fn stored(status: &str, exc_type: &str, exc_message: &Value, traceback: &Value) -> Option<Failure> {
    let result = json!({"exc_type": exc_type, "exc_message": exc_message, "exc_module": "builtins"});
    let meta = json!({"status": status, "result": result, "traceback": traceback});
    classify(
        &TaskResult::decode(meta.to_string().as_bytes()).expect("readable"),
        "t",
        "q",
    )
}

#[test]
fn states_that_are_no_failure_have_no_class() {
    for status in ["SUCCESS", "RETRY", "STARTED", "PROGRESS"] {
        assert_eq!(stored(status, "E", &json!([]), &Value::Null), None, "{status}");
    }
}

#[test]
fn rare_forms_are_classified() {
    let expired = stored("REVOKED", "TaskRevokedError", &json!(["expired"]), &Value::Null).expect("final");
    assert_eq!((expired.code, expired.class), ("celery-expired", Class::TimedOut));
    let mystery = stored("REVOKED", "TaskRevokedError", &json!([{"a": 1}]), &Value::Null).expect("final");
    assert_eq!(mystery.code, "celery-revoked");
    let windows = json!("  File \"C:\\lib\\celery\\app\\autoretry.py\", line 1, in run\n    x\nTypeError: x");
    let arguments = stored("FAILURE", "TypeError", &json!(["x"]), &windows).expect("final");
    assert_eq!(arguments.code, "celery-bad-arguments");
    let own = stored("FAILURE", "NotRegistered", &json!(["x"]), &Value::Null).expect("final");
    assert_eq!(
        own.code, "celery-task-failed",
        "a class of that name in another module is the task's own"
    );
    let short = stored("FAILURE", "UnpickleableExceptionWrapper", &json!(["a"]), &Value::Null).expect("final");
    assert_eq!(short.message, "UnpickleableExceptionWrapper: a");
}

#[test]
fn everything_is_bounded_and_on_one_line() {
    let long = json!("ž\n".repeat(100_000));
    let failure = stored("FAILURE", "ValueError", &json!([long]), &long).expect("final");
    assert!(failure.message.starts_with("ValueError: ž ž ") && failure.message.ends_with('…'));
    assert_eq!(failure.message.chars().count(), MAX_TEXT + 1);
    assert!(failure.details.to_string().len() < 64 << 10);
    assert!(
        failure.details["traceback"]
            .as_str()
            .is_some_and(|text| text.len() <= MAX_TRACEBACK)
    );
    let shown = failure.details["exc_message"][0].as_str().expect("shortened");
    assert!(shown.starts_with("['ž") && shown.ends_with("..."));
}
