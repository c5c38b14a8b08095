use grepx_plugin_sdk::testing::{self, TestRun};

use super::*;

fn asked() -> TestRun<kind_name> {
    let config = json!({ "delay_seconds": 60, "patience_seconds": 3600 });
    testing::start(json!({ "kwargs": { "question": "ship it?" }, "config": config }))
}

#[test]
fn it_would_load() {
    testing::check(&Plugin::describe());
}

#[test]
fn an_answer_ends_the_wait() {
    let mut run = asked();
    run.advance(Duration::from_secs(60));
    assert_eq!(run.status(), Some("waits for an answer to: ship it?"));
    run.advance(Duration::from_secs(3599));
    run.signal("answer", json!({ "yes": true }));
    assert_eq!(run.ended(), Some(&Ok(json!(true))));
}

#[test]
fn nobody_answers() {
    let error = asked().finish().expect_err("the hour is over");
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::TimedOut, "no-answer"));
}
