use super::*;

fn summarise(document: Value) -> Result<Summary, Error> {
    Summarise::run(&Ctx::for_tests(), serde_json::from_value(document).expect("reads"))
}

#[test]
fn tickers_are_gathered_in_order_with_the_spread_of_their_index() {
    let results = json!([
        { "ticker": "AAPL", "rsi": 72.5, "signal": "overbought" },
        null,
        { "ticker": "MSFT", "rsi": 20, "signal": "oversold" },
        { "ticker": "GOOG", "average": 1.0 },
        { "note": "no ticker" },
    ]);
    let summary = summarise(json!({ "args": [results, "Friday"] })).expect("runs");
    assert_eq!(summary.title, "Friday");
    assert_eq!(summary.tickers, ["AAPL", "MSFT", "GOOG"]);
    assert_eq!(summary.overbought, ["AAPL"]);
    assert_eq!(summary.oversold, ["MSFT"]);
    assert_eq!(summary.left_out, 2);
    assert_eq!(
        summary.rsi,
        Some(Spread {
            lowest: 20.0,
            mean: 46.25,
            highest: 72.5
        })
    );
}

#[test]
fn nothing_to_summarise_is_a_summary_too() {
    let summary = summarise(json!({ "kwargs": { "results": [] } })).expect("runs");
    assert_eq!((summary.tickers.len(), summary.rsi), (0, None));
}
