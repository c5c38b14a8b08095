//! Technical indicators over daily prices: Wilder's relative strength index and moving averages.
//! Prices come from an upstream task; without any, the ticker's synthetic series is used.

use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use crate::call::{self, value_error};
use crate::market;

/// Above, a ticker counts as overbought; below 100 minus it, as oversold. Wilder's own numbers.
const OVERBOUGHT: f64 = 70.0;

/// Prices as an upstream task gives them, oldest first.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a list of numbers, a list of rows with `close`, or an object with `prices`"
)]
enum Prices {
    Numbers(Vec<f64>),
    Rows(Vec<ClosingRow>),
    History { prices: Vec<ClosingRow> },
}

#[derive(Debug, Deserialize)]
struct ClosingRow {
    close: f64,
}

impl Prices {
    fn closes(self) -> Vec<f64> {
        match self {
            Self::Numbers(numbers) => numbers,
            Self::Rows(rows) | Self::History { prices: rows } => rows.into_iter().map(|row| row.close).collect(),
        }
    }
}

/// Closing prices of the ticker, and where they are from.
fn closes(ticker: &str, prices: Option<Prices>) -> Result<(Vec<f64>, &'static str), Error> {
    if let Some(prices) = prices {
        return Ok((prices.closes(), "input"));
    }
    let history = market::default_history(ticker)?;
    Ok((history.prices.iter().map(|row| row.close).collect(), history.source))
}

fn prices_schema() -> Value {
    json!({
        "anyOf": [
            { "type": "array", "items": { "type": "number" } },
            { "type": "array", "items": { "type": "object", "required": ["close"] } },
            { "type": "object", "required": ["prices"] },
            { "type": "null" },
        ],
    })
}

fn at_least(window: usize, least: usize) -> Result<usize, Error> {
    if window < least {
        return Err(value_error(format!("window is {window}, but must be at least {least}")));
    }
    Ok(window)
}

#[derive(Debug)]
pub struct CalculateRsi;

#[derive(Debug, Deserialize)]
struct RsiArguments {
    ticker: String,
    prices: Option<Prices>,
    window: Option<usize>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct RsiResult {
    ticker: String,
    window: usize,
    /// The latest value, 0 to 100.
    rsi: f64,
    signal: &'static str,
    source: &'static str,
    /// One for each price from number `window` + 1 on, oldest first.
    values: Vec<f64>,
}

impl Activity for CalculateRsi {
    const KIND: &'static str = "indicators.calculate_rsi";
    const SUMMARY: &'static str = "Wilder's relative strength index of a ticker";
    type Input = TaskInput;
    type Output = RsiResult;

    fn input_schema() -> Value {
        let kwargs = json!({
            "ticker": { "type": "string", "minLength": 1 },
            "prices": prices_schema(),
            "window": { "type": ["integer", "null"], "minimum": 2, "default": 14 },
        });
        call::schema(kwargs, &["ticker", "prices", "window"])
    }

    fn run(_ctx: &Ctx, input: TaskInput) -> Result<RsiResult, Error> {
        let arguments: RsiArguments = call::bind(input, &["ticker", "prices", "window"])?;
        let window = at_least(arguments.window.unwrap_or(14), 2)?;
        let (closes, source) = closes(&arguments.ticker, arguments.prices)?;
        let values = rsi(&closes, window);
        let &latest = values
            .last()
            .ok_or_else(|| too_few(closes.len(), window.saturating_add(1)))?;
        let signal = match latest {
            high if high >= OVERBOUGHT => "overbought",
            low if low <= 100.0 - OVERBOUGHT => "oversold",
            _ => "neutral",
        };
        Ok(RsiResult {
            ticker: arguments.ticker,
            window,
            rsi: latest,
            signal,
            source,
            values,
        })
    }
}

fn too_few(there: usize, needed: usize) -> Error {
    value_error(format!("there are {there} prices, but at least {needed} are needed"))
}

/// Wilder's index: the first average is a plain mean of `window` changes, each later one moves
/// by 1/window towards the new change.
fn rsi(closes: &[f64], window: usize) -> Vec<f64> {
    if closes.len() <= window {
        return Vec::new();
    }
    let changes: Vec<f64> = closes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (first, rest) = changes.split_at(window);
    let count = window as f64;
    let mut gain = first.iter().map(|change| change.max(0.0)).sum::<f64>() / count;
    let mut loss = first.iter().map(|change| (-change).max(0.0)).sum::<f64>() / count;
    let mut values = vec![strength(gain, loss)];
    for change in rest {
        gain += (change.max(0.0) - gain) / count;
        loss += ((-change).max(0.0) - loss) / count;
        values.push(strength(gain, loss));
    }
    values
}

/// 50 without any movement.
fn strength(gain: f64, loss: f64) -> f64 {
    let moved = gain + loss;
    if moved == 0.0 {
        50.0
    } else {
        rounded(100.0 * gain / moved, 100.0)
    }
}

fn rounded(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

#[derive(Debug)]
pub struct MovingAverage;

#[derive(Debug, Deserialize)]
struct AverageArguments {
    ticker: String,
    prices: Option<Prices>,
    window: Option<usize>,
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Simple,
    Exponential,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct AverageResult {
    ticker: String,
    window: usize,
    kind: Kind,
    /// The latest value.
    average: f64,
    /// The latest closing price.
    close: f64,
    source: &'static str,
    /// One for each price from number `window` on, oldest first.
    values: Vec<f64>,
}

impl Activity for MovingAverage {
    const KIND: &'static str = "indicators.moving_average";
    const SUMMARY: &'static str = "Simple or exponential moving average of a ticker";
    type Input = TaskInput;
    type Output = AverageResult;

    fn input_schema() -> Value {
        let kwargs = json!({
            "ticker": { "type": "string", "minLength": 1 },
            "prices": prices_schema(),
            "window": { "type": ["integer", "null"], "minimum": 1, "default": 20 },
            "kind": { "enum": ["simple", "exponential", null], "default": "simple" },
        });
        call::schema(kwargs, &["ticker", "prices", "window", "kind"])
    }

    fn run(_ctx: &Ctx, input: TaskInput) -> Result<AverageResult, Error> {
        let arguments: AverageArguments = call::bind(input, &["ticker", "prices", "window", "kind"])?;
        let window = at_least(arguments.window.unwrap_or(20), 1)?;
        let kind = arguments.kind.unwrap_or(Kind::Simple);
        let (closes, source) = closes(&arguments.ticker, arguments.prices)?;
        let values = match kind {
            Kind::Simple => simple(&closes, window),
            Kind::Exponential => exponential(&closes, window),
        };
        let (Some(&average), Some(&close)) = (values.last(), closes.last()) else {
            return Err(too_few(closes.len(), window));
        };
        let ticker = arguments.ticker;
        Ok(AverageResult {
            ticker,
            window,
            kind,
            average,
            close,
            source,
            values,
        })
    }
}

fn simple(closes: &[f64], window: usize) -> Vec<f64> {
    let mean = |slice: &[f64]| slice.iter().sum::<f64>() / window as f64;
    closes.windows(window).map(|slice| rounded(mean(slice), 1e4)).collect()
}

/// Starts with the simple average of the first window.
fn exponential(closes: &[f64], window: usize) -> Vec<f64> {
    if closes.len() < window {
        return Vec::new();
    }
    let (first, rest) = closes.split_at(window);
    let weight = 2.0 / (window as f64 + 1.0);
    let mut average = first.iter().sum::<f64>() / window as f64;
    let mut values = vec![rounded(average, 1e4)];
    for close in rest {
        average += (close - average) * weight;
        values.push(rounded(average, 1e4));
    }
    values
}

#[cfg(test)]
mod tests;
