use serde_json::json;

use super::*;

fn eval(source: &str) -> Result<Value, ExpressionError> {
    let results = |task: &str| match task {
        "load" => Some(json!({"z": 1, "a": [1, 2.0, null], "big": 9007199254740993_i64, "rows": [{"n": 1}, {"n": 2}]})),
        "a-b" => Some(json!(null)),
        _ => None,
    };
    let (params, run, task) = (
        json!({"debug": false, "ticker": "AAPL"}),
        json!({"id": "r1"}),
        json!({"name": "t"}),
    );
    Expression::compile(source)?.eval(&Context {
        results: &results,
        params: &params,
        run: &run,
        task: &task,
        item: Some(&json!(7)),
    })
}

fn value(source: &str) -> Value {
    eval(source).unwrap_or_else(|error| panic!("{error}"))
}

fn error(source: &str) -> String {
    eval(source).expect_err("fails").to_string()
}

#[test]
fn values_keep_their_json_type() {
    assert_eq!(value("results.load.z"), json!(1));
    assert_eq!(value("results.load.big"), json!(9007199254740993_i64));
    assert_eq!(
        value("results.load").to_string(),
        r#"{"z":1,"a":[1,2.0,null],"big":9007199254740993,"rows":[{"n":1},{"n":2}]}"#
    );
    assert_eq!(value("results['a-b']"), Value::Null);
    assert_eq!(
        value("[item, params.ticker ~ '.csv', none, 1.5]"),
        json!([7, "AAPL.csv", null, 1.5])
    );
    assert_eq!(
        value("{'n': results.load.a|length, 'ok': not params.debug}"),
        json!({"n": 3, "ok": true})
    );
    assert_eq!(value("results.load.rows|map(attribute='n')|list"), json!([1, 2]));
    assert_eq!(value("results.gone is defined"), json!(false));
    assert_eq!(value("results.gone|default('none')"), json!("none"));
    assert_eq!(value("range(3)"), json!([0, 1, 2]));
    assert_eq!(value("18446744073709551615"), json!(18446744073709551615_u64));
}

#[test]
fn what_is_not_there_is_an_error() {
    assert!(error("results.gone").contains("the task \"gone\" has no result"));
    assert!(error("results.gone.x + 1").contains("the task \"gone\" has no result"));
    assert!(error("results.load.nope").contains("is not there"));
    assert!(error("[results.load.nope]").contains("is not there"));
    assert!(error("params.nope.deep").contains("failed"));
    assert!(error("params.ticker + 1").contains("failed"));
    assert!(error("1 / 0").contains("\"1 / 0\""), "{}", error("1 / 0"));
}

#[test]
fn only_known_names_and_named_results_are_allowed() {
    assert!(error("env.HOME").contains("uses \"env\""));
    assert!(error("reslts.load").contains("uses \"reslts\""));
    for whole in [
        "results",
        "results[item]",
        "results.items()",
        "results|length",
        "[results . load, results]",
    ] {
        assert!(error(whole).contains("results as a whole"), "{whole}: {}", error(whole));
    }
    assert!(error("1 +").contains("is not valid"));
    assert!(error("{% include 'x' %}").contains("is not valid"));
    assert!(error(&"1+".repeat(9000)).contains("bytes long"));
}

#[test]
fn references_are_read_from_names_only() {
    let references = |source| {
        let found = Expression::compile(source).unwrap_or_else(|error| panic!("{error}"));
        found.references().iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        references("results.a + results [ 'b c' ] + results.a.results.x"),
        ["a", "b c"]
    );
    assert_eq!(
        references("params.results ~ 'results.no' ~ \"it\\\"s results.no\""),
        [] as [&str; 0]
    );
    assert_eq!(references("dict(results=results.a)"), ["a"]);
}

#[test]
fn conditions_and_lists_want_their_type() {
    let nothing = |_: &str| None;
    let empty = json!({});
    let context = Context {
        results: &nothing,
        params: &empty,
        run: &empty,
        task: &empty,
        item: None,
    };
    let compiled = |source| Expression::compile(source).expect("compiles");
    assert_eq!(compiled("1 < 2").eval_bool(&context), Ok(true));
    assert!(
        compiled("'false'")
            .eval_bool(&context)
            .expect_err("a text")
            .to_string()
            .contains("true or false")
    );
    assert_eq!(compiled("[1]").eval_list(&context), Ok(vec![json!(1)]));
    assert!(compiled("'ab'").eval_list(&context).is_err());
    assert!(compiled("item").eval(&context).is_err());
}

#[test]
fn evaluation_is_bounded() {
    let deep = "range(10000)|map('string')|list";
    assert!(eval(deep).is_ok());
    let endless = format!("[{}]", vec!["range(100000)|list"; 20].join(","));
    assert!(eval(&endless).is_err(), "more than a million values");
}
