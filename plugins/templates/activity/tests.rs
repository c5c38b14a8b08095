use grepx_plugin_sdk::testing;

use super::*;

fn run(input: &Value) -> Result<Value, Error> {
    testing::call::<kind_name>(&Ctx::for_tests(), input)
}

#[test]
fn it_would_load() {
    testing::check(&Plugin::describe());
}

#[test]
fn it_greets() {
    let input = json!({ "kwargs": { "name": "Ada" }, "config": { "greeting": "good morning" } });
    assert_eq!(run(&input), Ok(json!({ "text": "good morning, Ada" })));
    assert_eq!(run(&json!({ "kwargs": { "name": "Ada" } })), Ok(json!({ "text": "hello, Ada" })));
}

#[test]
fn what_does_not_fit_is_refused() {
    for (input, part) in [
        (json!({ "kwargs": {} }), "name"),
        (json!({ "kwargs": { "name": " " } }), "whom to greet"),
        (json!({ "kwargs": { "name": "Ada" }, "config": { "greting": "hi" } }), "/config"),
    ] {
        let error = run(&input).expect_err("it is refused");
        assert_eq!(error.class, ErrorClass::InvalidInput);
        assert!(error.message.contains(part), "{error}");
    }
}
