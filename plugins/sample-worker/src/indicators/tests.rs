use super::*;

fn input(kwargs: Value) -> TaskInput {
    serde_json::from_value(json!({ "args": [], "kwargs": kwargs })).expect("reads")
}

fn calculate(kwargs: Value) -> Result<RsiResult, Error> {
    CalculateRsi::run(&Ctx::for_tests(), input(kwargs))
}

fn average(kwargs: Value) -> Result<AverageResult, Error> {
    MovingAverage::run(&Ctx::for_tests(), input(kwargs))
}

/// A series with a known index, worked through by hand in many textbooks.
const KNOWN: [f64; 20] = [
    44.34, 44.09, 44.15, 43.61, 44.33, 44.83, 45.10, 45.42, 45.84, 46.08, 45.89, 46.03, 45.61, 46.28, 46.28, 46.00,
    46.03, 46.41, 46.22, 45.64,
];

#[test]
fn the_index_is_wilders() {
    let result = calculate(json!({ "ticker": "T", "prices": KNOWN })).expect("enough prices");
    assert_eq!(result.values, [70.46, 66.25, 66.48, 69.35, 66.29, 57.92]);
    assert_eq!((result.rsi, result.signal, result.source), (57.92, "neutral", "input"));
}

#[test]
fn prices_may_be_numbers_rows_or_a_whole_download() {
    let rows: Vec<Value> = KNOWN
        .iter()
        .map(|close| json!({ "date": "d", "close": close }))
        .collect();
    let numbers = calculate(json!({ "ticker": "T", "prices": KNOWN }));
    assert_eq!(calculate(json!({ "ticker": "T", "prices": rows })), numbers);
    assert_eq!(
        calculate(json!({ "ticker": "T", "prices": { "prices": rows, "source": "x" } })),
        numbers
    );
}

#[test]
fn without_prices_the_series_is_the_downloaded_one() {
    let alone = calculate(json!({ "ticker": "AAPL" })).expect("runs");
    assert_eq!(alone.source, "synthetic");
    let history = market::default_history("AAPL").expect("runs");
    let download = serde_json::to_value(history).expect("writes");
    let fed = calculate(json!({ "ticker": "AAPL", "prices": download })).expect("runs");
    assert_eq!(alone.values, fed.values);
}

#[test]
fn the_ends_of_the_scale() {
    let only = |prices: &[f64]| calculate(json!({ "ticker": "T", "prices": prices, "window": 2 })).expect("runs");
    let (up, down, still) = (only(&[1.0, 2.0, 3.0]), only(&[3.0, 2.0, 1.0]), only(&[2.0, 2.0, 2.0]));
    assert_eq!((up.rsi, up.signal), (100.0, "overbought"));
    assert_eq!((down.rsi, down.signal), (0.0, "oversold"));
    assert_eq!((still.rsi, still.signal), (50.0, "neutral"));
}

#[test]
fn averages() {
    let prices = json!([1, 2, 3, 4, 10]);
    let simple = average(json!({ "ticker": "T", "prices": prices, "window": 2 })).expect("runs");
    assert_eq!(simple.values, [1.5, 2.5, 3.5, 7.0]);
    assert_eq!((simple.average, simple.close), (7.0, 10.0));
    let exponential =
        average(json!({ "ticker": "T", "prices": prices, "window": 3, "kind": "exponential" })).expect("runs");
    // Mean of 1, 2, 3; then half of the way to 4 and to 10.
    assert_eq!(exponential.values, [2.0, 3.0, 6.5]);
}

#[test]
fn too_few_prices_and_impossible_windows_are_refused() {
    let few = calculate(json!({ "ticker": "T", "prices": [1, 2, 3] })).expect_err("three prices");
    assert_eq!(
        few.message,
        "ValueError: there are 3 prices, but at least 15 are needed"
    );
    assert!(
        average(json!({ "ticker": "T", "prices": [] }))
            .expect_err("none")
            .message
            .contains("0 prices")
    );
    assert!(
        average(json!({ "ticker": "T", "window": 0 }))
            .expect_err("zero")
            .message
            .contains("at least 1")
    );
    let huge = json!({ "ticker": "T", "window": u64::from(u32::MAX) });
    assert!(calculate(huge).expect_err("huge").message.contains("21 prices"));
    let odd = calculate(json!({ "ticker": "T", "prices": "44.3" })).expect_err("a text");
    assert!(odd.message.contains("a list of rows with `close`"), "{odd}");
}
