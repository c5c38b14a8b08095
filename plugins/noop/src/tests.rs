use grepx_plugin_sdk::testing;

use super::*;

#[test]
fn the_arguments_come_back_byte_for_byte() {
    let input = br#"{"name":null,"args":[1],"kwargs":{"b":1.50,"a":[{"z":null}, 2]},"config":{}}"#;
    let output = Plugin::run("noop", &Ctx::for_tests(), input).expect("runs");
    assert_eq!(output, br#"{"b":1.50,"a":[{"z":null}, 2]}"#);
}

#[test]
fn without_arguments_there_is_an_empty_object() {
    assert_eq!(Plugin::run("noop", &Ctx::for_tests(), b"{}").expect("runs"), b"{}");
}

#[test]
fn it_would_load_and_refuses_a_configuration() {
    let described = Plugin::describe();
    testing::check(&described);
    let schema = &described[0].input_schema;
    assert_eq!(testing::problems(schema, &json!({ "args": [], "kwargs": {} })), [""; 0]);
    let problems = testing::problems(schema, &json!({ "kwargs": {}, "config": { "speed": 1 } }));
    assert!(problems[0].starts_with("/config: "), "{problems:?}");
}
