use serde_json::json;

use super::{arguments, condition, place, retries};

#[test]
fn slots_are_told_in_words() {
    let slots = json!({"limit": 10, "held": 7, "free": 3, "waiting": 2, "paused": false});
    assert_eq!(
        place(&json!({"name": "p", "slots": slots})),
        "p: 3 of 10 slots free, 2 flow runs wait"
    );
    let paused = json!({"limit": null, "held": 0, "free": null, "waiting": 0, "paused": true});
    assert_eq!(
        place(&json!({"name": "p", "slots": paused})),
        "p: no limit, paused: nothing starts"
    );
    assert_eq!(place(&json!({"name": "p", "slots": null})), "p");
}

#[test]
fn a_condition_says_what_follows_from_it() {
    let skipped = json!({"expression": "params.n > 3", "value": false});
    assert_eq!(condition("run_if", &skipped), "params.n > 3  (false: it is skipped)");
    let items = json!({"expression": "params.t", "value": ["A", "B"]});
    assert_eq!(condition("for_each", &items), "params.t  (2 items: [\"A\",\"B\"])");
    let open = json!({"expression": "results.x"});
    assert_eq!(condition("for_each", &open), "results.x  (known when it runs)");
}

#[test]
fn inputs_win_over_keyword_arguments_of_the_row() {
    let task = json!({
        "args": [],
        "kwargs": {"a": 1, "b": 2},
        "inputs": {"b": {"expression": "results.x"}, "c": {"expression": "params.c", "value": 5}},
        "config": {},
    });
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        arguments(&task),
        [
            pair("a =", "1"),
            pair("b =", "results.x  (known when it runs)"),
            pair("c =", "5")
        ]
    );
}

#[test]
fn retries_are_told_as_the_row_has_them() {
    assert_eq!(retries(&json!({})), None);
    assert_eq!(
        retries(&json!({"max_retries": 3, "retry_delay_seconds": 30})).as_deref(),
        Some("up to 3, 30 s apart")
    );
    assert_eq!(
        retries(&json!({"max_retries": 2, "retry_delay_seconds": [1, 5], "backoff": "fixed"})).as_deref(),
        Some("up to 2, after 1, 5 s, backoff \"fixed\"")
    );
}
