use super::*;

fn value_error() -> Error {
    Error::retryable("celery-failure", "bad value")
        .details(json!({ "exc_type": "ValueError", "exc_module": "builtins" }))
}

fn config(retry_on: Option<&[&str]>, never: &[&str]) -> Config {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Config {
        retry_on: retry_on.map(owned),
        never_retry_on: Some(owned(never)),
        ..Config::default()
    }
}

#[test]
fn by_default_the_class_decides() {
    let plain = config(None, &[]);
    for class in BY_DEFAULT {
        assert_eq!(is_retried(&Error::new(class, "c", "m"), &plain), Match::Yes);
    }
    for class in [
        ErrorClass::Permanent,
        ErrorClass::InvalidInput,
        ErrorClass::Unauthorised,
        ErrorClass::Cancelled,
    ] {
        let failure = Error::new(class, "some-code", "m");
        let Match::No(why) = is_retried(&failure, &plain) else {
            panic!("{class:?} is retried")
        };
        let class = failure.class_name();
        assert_eq!(
            why,
            format!("some-code is not retried: its class is {class}; name it in retry_on to retry it")
        );
    }
}

#[test]
fn a_failure_answers_to_its_class_code_exception_and_qualified_exception() {
    for name in ["retryable", "celery-failure", "ValueError", "builtins.ValueError"] {
        assert_eq!(
            is_retried(&value_error(), &config(Some(&["x", name]), &[])),
            Match::Yes,
            "{name}"
        );
    }
    let permanent = Error::permanent("http-404", "gone");
    assert_eq!(is_retried(&permanent, &config(Some(&["permanent"]), &[])), Match::Yes);
}

#[test]
fn the_reason_names_what_is_allowed() {
    let no = |retry_on: &[&str]| is_retried(&value_error(), &config(Some(retry_on), &[]));
    assert_eq!(
        no(&["TimeoutError"]),
        Match::No("ValueError is not retried: retry_on names only TimeoutError".into())
    );
    assert_eq!(
        no(&[]),
        Match::No("ValueError is not retried: retry_on is empty".into())
    );
}

#[test]
fn never_wins_over_retry_on() {
    let both = config(Some(&["retryable"]), &["builtins.ValueError"]);
    assert_eq!(
        is_retried(&value_error(), &both),
        Match::No("builtins.ValueError is not retried: never_retry_on names it".into())
    );
}

#[test]
fn a_class_may_have_underscores_and_codes_may_be_a_family() {
    let retried = |failure: &Error, name: &str| is_retried(failure, &config(Some(&[name]), &[])) == Match::Yes;
    let limited = Error::rate_limited("http-429", "slow down");
    assert!(retried(&limited, "rate_limited") && retried(&limited, "rate-limited"));
    assert!(retried(&limited, "http-4xx"));
    for name in ["http-5xx", "http-42x", "xx", "429xx", "http-429xx", "rate_limit"] {
        assert!(!retried(&limited, name), "{name}");
    }
}
