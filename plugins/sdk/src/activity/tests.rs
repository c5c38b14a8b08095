use serde::Deserialize;

use super::*;
use crate::TaskInput;

struct Double;

#[derive(Debug, Default, Deserialize)]
struct Kwargs {
    n: i64,
}

impl Activity for Double {
    const KIND: &'static str = "double";
    const SUMMARY: &'static str = "Twice the number";
    type Input = TaskInput<Kwargs>;
    type Output = i64;

    fn input_schema() -> Value {
        crate::schema::task(json!({ "n": { "type": "integer" } }), &["n"], json!({}))
    }

    fn run(_ctx: &Ctx, input: Self::Input) -> Result<i64, Error> {
        Ok(input.kwargs.n * 2)
    }
}

struct Half;

impl Activity for Half {
    const KIND: &'static str = "half";
    const SUMMARY: &'static str = "Half the number";
    const CAPABILITIES: &'static [&'static str] = &["http"];
    type Input = TaskInput<Kwargs>;
    type Output = i64;

    fn input_schema() -> Value {
        Double::input_schema()
    }

    fn run(_ctx: &Ctx, input: Self::Input) -> Result<i64, Error> {
        if input.kwargs.n % 2 == 1 {
            return Err(Error::permanent("odd", "the number is odd"));
        }
        Ok(input.kwargs.n / 2)
    }
}

crate::export_activity!(Double, Half);

#[test]
fn a_component_holds_several_kinds() {
    let described = Plugin::describe();
    let kinds: Vec<&str> = described.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(kinds, ["double", "half"]);
    assert_eq!(described[1].capabilities, ["http"]);
    assert_eq!(described[0].version, env!("CARGO_PKG_VERSION"));

    let ctx = Ctx::for_tests();
    let input = br#"{"name":null,"args":[],"kwargs":{"n":4,"other":true},"config":{}}"#;
    assert_eq!(Plugin::run("double", &ctx, input).expect("runs"), b"8");
    assert_eq!(Plugin::run("half", &ctx, input).expect("runs"), b"2");
}

#[test]
fn failures_reach_the_host_with_their_class_and_place() {
    let ctx = Ctx::for_tests();
    let odd = Plugin::run("half", &ctx, br#"{"kwargs":{"n":3}}"#).expect_err("odd");
    assert_eq!(odd.code, "odd");

    let unfit = Plugin::run("half", &ctx, br#"{"kwargs":{"n":"3"}}"#).expect_err("a text");
    assert_eq!(unfit.class, crate::ErrorClass::InvalidInput);
    assert!(unfit.message.contains("kind half: kwargs.n: "), "{}", unfit.message);

    let config = Plugin::run("half", &ctx, br#"{"kwargs":{"n":2},"config":{"speed":1}}"#).expect_err("a key");
    assert!(config.message.contains("unknown field `speed`"), "{}", config.message);

    let unknown = Plugin::run("third", &ctx, b"{}").expect_err("no such kind");
    assert_eq!(unknown.message, "this component has no kind third; it has double, half");
}
