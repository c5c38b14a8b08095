use super::*;

fn input(document: Value) -> TaskInput {
    serde_json::from_value(document).expect("reads")
}

fn add(args: Value) -> Result<String, Error> {
    Add::run(&Ctx::for_tests(), input(json!({ "args": args }))).map(|sum| sum.to_string())
}

#[test]
fn sums_stay_whole_while_they_can() {
    assert_eq!(add(json!([2, 3])).as_deref(), Ok("5"));
    assert_eq!(add(json!([2, 0.5])).as_deref(), Ok("2.5"));
    assert_eq!(add(json!([i64::MAX, 1])).as_deref(), Ok("9.223372036854776e+18"));
    assert!(
        add(json!([1e308, 1e308]))
            .expect_err("infinite")
            .message
            .contains("too large")
    );
    assert!(
        add(json!(["2", 3]))
            .expect_err("a text")
            .message
            .starts_with("TypeError: ")
    );
}

#[test]
fn a_failure_is_the_one_that_was_asked_for() {
    let document = json!({ "args": ["no prices"], "kwargs": { "exc_type": "LookupError" } });
    let error = Fail::run(&Ctx::for_tests(), input(document)).expect_err("fails");
    assert_eq!(error.message, "LookupError: no prices");
    let details = error.details.expect("as Celery says it");
    assert_eq!(
        *details,
        json!({ "exc_type": "LookupError", "exc_message": ["no prices"], "exc_module": "builtins" })
    );
    let plain = Fail::run(&Ctx::for_tests(), input(json!({}))).expect_err("fails");
    assert_eq!(plain.message, "RuntimeError: tests.fail was called");
}

#[test]
fn nothing_takes_anything() {
    let document = json!({ "args": [1, 2], "kwargs": { "any": "thing" } });
    assert_eq!(Noop::run(&Ctx::for_tests(), input(document)), Ok(()));
}
