use super::*;

fn download(kwargs: Value) -> Result<History, Error> {
    let input = serde_json::from_value(json!({ "args": [], "kwargs": kwargs })).expect("reads");
    DownloadHistorical::run(&Ctx::for_tests(), input)
}

#[test]
fn the_same_question_has_the_same_answer_and_others_differ() {
    let closes = |ticker: &str, period: &str| -> Vec<f64> {
        let history = download(json!({ "ticker": ticker, "period": period })).expect("known period");
        history.prices.iter().map(|row| row.close).collect()
    };
    assert_eq!(closes("AAPL", "1mo"), closes("AAPL", "1mo"));
    assert_ne!(closes("AAPL", "1mo"), closes("MSFT", "1mo"));
    assert_ne!(closes("AAPL", "1mo"), closes("AAPL", "3mo")[..21]);
}

#[test]
fn days_are_weekdays_in_order_up_to_the_end() {
    let history = download(json!({ "ticker": "AAPL", "period": "5d", "end": "2025-12-28" })).expect("runs");
    let days: Vec<&str> = history.prices.iter().map(|row| row.date.as_str()).collect();
    assert_eq!(
        days,
        ["2025-12-22", "2025-12-23", "2025-12-24", "2025-12-25", "2025-12-26"]
    );
}

#[test]
fn each_day_is_a_possible_one() {
    let history = download(json!({ "ticker": "AAPL", "period": "max" })).expect("runs");
    assert_eq!((history.prices.len(), history.source), (5040, "synthetic"));
    for row in &history.prices {
        let inside = row.low <= row.open.min(row.close) && row.open.max(row.close) <= row.high;
        assert!(inside && row.low > 0.0 && row.volume > 0, "{row:?}");
    }
}

#[test]
fn the_default_is_a_month() {
    let history = download(json!({ "ticker": "AAPL" })).expect("runs");
    assert_eq!((history.period.as_str(), history.prices.len()), ("1mo", 21));
    assert_eq!(history, default_history("AAPL").expect("runs"));
}

#[test]
fn what_there_is_not_is_refused() {
    for (kwargs, says) in [
        (json!({ "ticker": " " }), "the ticker is empty"),
        (
            json!({ "ticker": "A", "period": "7w" }),
            "no period 7w; there are 1d, 5d,",
        ),
        (json!({ "ticker": "A", "end": "tomorrow" }), "end is tomorrow"),
    ] {
        let error = download(kwargs).expect_err("refused");
        assert!(error.message.contains(says), "{error}");
    }
}
