use grepx_plugin_sdk::prelude::*;
use grepx_plugin_sdk::testing;

use super::*;

#[test]
fn it_would_load() {
    testing::check(&Plugin::describe());
}

#[test]
fn the_sample_flow_runs_from_prices_to_summary() {
    let call = |kind: &str, document: Value| -> Value {
        let output = Plugin::run(kind, &Ctx::for_tests(), document.to_string().as_bytes());
        serde_json::from_slice(&output.expect("the task runs")).expect("JSON")
    };
    let results: Vec<Value> = ["AAPL", "MSFT", "GOOG"]
        .iter()
        .map(|ticker| {
            let kwargs = json!({ "ticker": ticker, "period": "3mo" });
            let prices = call("data.download_historical", json!({ "args": [], "kwargs": kwargs }));
            let kwargs = json!({ "ticker": ticker, "prices": prices["prices"] });
            call("indicators.calculate_rsi", json!({ "args": [], "kwargs": kwargs }))
        })
        .collect();
    let summary = call(
        "report.summarise",
        json!({ "args": [], "kwargs": { "results": results } }),
    );
    assert_eq!(summary["tickers"], json!(["AAPL", "MSFT", "GOOG"]));
    assert!(
        summary["rsi"]["mean"]
            .as_f64()
            .is_some_and(|mean| (0.0..=100.0).contains(&mean)),
        "{summary}"
    );
    assert_eq!(summary["left_out"], 0);
}

#[test]
fn schemas_take_positional_and_named_arguments_and_refuse_too_many() {
    for descriptor in Plugin::describe() {
        let schema = &descriptor.input_schema;
        assert_eq!(
            testing::problems(schema, &json!({ "args": [], "kwargs": {} })),
            [""; 0],
            "{}",
            descriptor.kind
        );
    }
    let described = Plugin::describe();
    let download = described
        .iter()
        .find(|it| it.kind == "data.download_historical")
        .expect("there");
    let problems = |document: Value| testing::problems(&download.input_schema, &document).len();
    assert_eq!(problems(json!({ "args": ["AAPL", "1mo"], "kwargs": {} })), 0);
    assert_eq!(
        problems(json!({ "args": ["AAPL", "1mo", "2025-12-31", 4], "kwargs": {} })),
        1
    );
    assert_eq!(
        problems(json!({ "args": [], "kwargs": { "ticker": "AAPL", "period": "7w" } })),
        1
    );
}
