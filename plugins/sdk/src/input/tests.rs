use serde_json::json;

use super::*;
use crate::glue::parse;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    program: String,
    #[serde(default)]
    many: bool,
}

type Input = TaskInput<Map<String, Value>, Config>;

fn read(document: Value) -> Result<Input, String> {
    parse(document.to_string().as_bytes())
}

#[test]
fn absent_parts_are_empty() {
    let input: TaskInput = parse(b"{}").expect("everything has a default");
    assert_eq!(input, TaskInput::default());
    let input: TaskInput = parse(br#"{"args":null,"kwargs":null,"config":null,"name":null}"#).expect("null is absent");
    assert_eq!(input, TaskInput::default());
}

#[test]
fn a_missing_key_is_named_with_its_part() {
    assert_eq!(
        read(json!({ "kwargs": {} })),
        Err("config: missing field `program`".into())
    );
    let problem = read(json!({ "config": {} })).expect_err("no program");
    assert!(problem.starts_with("config: missing field `program`"), "{problem}");
}

#[test]
fn members_that_a_kind_does_not_know_are_left_alone_but_keys_of_config_are_not() {
    let input = read(json!({ "map_index": 3, "config": { "program": "." } })).expect("reads");
    assert_eq!(
        input.config,
        Config {
            program: ".".into(),
            many: false
        }
    );
    let problem = read(json!({ "config": { "program": ".", "mny": true } })).expect_err("a typing error");
    assert!(problem.contains("unknown field `mny`"), "{problem}");
}

#[test]
fn args_may_have_a_shape() {
    let two: TaskInput<Map<String, Value>, NoConfig, (i64, i64)> = parse(br#"{"args":[2,3]}"#).expect("two numbers");
    assert_eq!(two.args, (2, 3));
    let none = parse::<TaskInput<Map<String, Value>, NoConfig, (i64, i64)>>(b"{}").expect_err("none");
    assert!(none.starts_with("args: invalid length 0"), "{none}");
}
