//! Daily prices without a market: a random walk whose seed is made from ticker and period, so
//! every run, retry and machine sees the same series. Each answer says `"source": "synthetic"`.

use grepx_plugin_sdk::Rng;
use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::call::{self, value_error};

/// The last day of a series, unless `end` says another. Fixed, so that answers repeat.
const DEFAULT_END: &str = "2025-12-31";
pub(crate) const DEFAULT_PERIOD: &str = "1mo";

/// Trading days in each period.
const PERIODS: [(&str, usize); 10] = [
    ("1d", 1),
    ("5d", 5),
    ("1mo", 21),
    ("3mo", 63),
    ("6mo", 126),
    ("1y", 252),
    ("2y", 504),
    ("5y", 1260),
    ("10y", 2520),
    ("max", 5040),
];

/// One trading day, in units of the currency with two decimals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub date: String,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct History {
    pub ticker: String,
    pub period: String,
    pub source: &'static str,
    /// Oldest first.
    pub prices: Vec<Row>,
}

#[derive(Debug)]
pub struct DownloadHistorical;

#[derive(Debug, Deserialize)]
struct Arguments {
    ticker: String,
    period: Option<String>,
    end: Option<String>,
}

impl Activity for DownloadHistorical {
    const KIND: &'static str = "data.download_historical";
    const SUMMARY: &'static str = "Daily prices of a ticker (synthetic)";
    type Input = TaskInput;
    type Output = History;

    fn input_schema() -> Value {
        let kwargs = json!({
            "ticker": { "type": "string", "minLength": 1 },
            "period": { "enum": PERIODS.map(|(name, _)| name), "default": DEFAULT_PERIOD },
            "end": { "type": "string", "format": "date", "default": DEFAULT_END },
        });
        call::schema(kwargs, &["ticker", "period", "end"])
    }

    fn output_schema() -> Value {
        json!({
            "type": "object",
            "required": ["ticker", "period", "source", "prices"],
            "properties": {
                "source": { "const": "synthetic" },
                "prices": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["date", "open", "high", "low", "close", "volume"],
                    },
                },
            },
        })
    }

    fn run(_ctx: &Ctx, input: TaskInput) -> Result<History, Error> {
        let arguments: Arguments = call::bind(input, &["ticker", "period", "end"])?;
        let period = arguments.period.as_deref().unwrap_or(DEFAULT_PERIOD);
        let end = arguments.end.as_deref().unwrap_or(DEFAULT_END);
        let history = history(&arguments.ticker, period, end)?;
        log::info(format!("{} synthetic days of {}", history.prices.len(), history.ticker));
        Ok(history)
    }
}

/// The synthetic series that [`DownloadHistorical`] gives by default.
pub(crate) fn default_history(ticker: &str) -> Result<History, Error> {
    history(ticker, DEFAULT_PERIOD, DEFAULT_END)
}

fn history(ticker: &str, period: &str, end: &str) -> Result<History, Error> {
    if ticker.trim().is_empty() {
        return Err(value_error("the ticker is empty"));
    }
    let Some(&(_, days)) = PERIODS.iter().find(|(name, _)| *name == period) else {
        let known = PERIODS.map(|(name, _)| name).join(", ");
        return Err(value_error(format!("there is no period {period}; there are {known}")));
    };
    let end = Date::parse(end)
        .ok_or_else(|| value_error(format!("end is {end}, but should be a date such as {DEFAULT_END}")))?;
    let mut walk = Walk::new(&format!("{ticker}\n{period}"));
    let prices = trading_days(end, days)
        .iter()
        .map(|date| walk.day(date.to_string()))
        .collect();
    Ok(History {
        ticker: ticker.to_owned(),
        period: period.to_owned(),
        source: "synthetic",
        prices,
    })
}

/// The last `count` weekdays up to `end`, oldest first; fewer at the beginning of the calendar.
fn trading_days(end: Date, count: usize) -> Vec<Date> {
    let backwards = std::iter::successors(Some(end), |date| date.yesterday());
    let mut days: Vec<Date> = backwards.filter(|date| !date.is_weekend()).take(count).collect();
    days.reverse();
    days
}

/// A random walk with a daily change of about 1.5 %.
struct Walk {
    rng: Rng,
    close: f64,
    /// Typical shares in a day.
    turnover: f64,
}

impl Walk {
    fn new(name: &str) -> Self {
        let mut rng = Rng::seeded(hash(name));
        let close = 20.0 + rng.fraction() * 480.0;
        let turnover = 1e6 * (1.0 + rng.fraction() * 49.0);
        Self {
            rng,
            close: cents(close),
            turnover,
        }
    }

    fn day(&mut self, date: String) -> Row {
        let open = cents(self.close * (1.0 + 0.004 * self.bell()));
        let close = cents(open * (1.0 + 0.0003 + 0.015 * self.bell()));
        let (low, high) = (open.min(close), open.max(close));
        let high = cents(high * (1.0 + 0.006 * self.rng.fraction()));
        let low = cents(low * (1.0 - 0.006 * self.rng.fraction()));
        let volume = (self.turnover * (0.6 + 0.8 * self.rng.fraction())) as u64;
        self.close = close;
        Row {
            date,
            open,
            high,
            low,
            close,
            volume,
        }
    }

    /// About normally distributed, at most 6 either way: twelve uniforms, so that no function
    /// with platform-dependent digits is involved.
    fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.rng.fraction()).sum::<f64>() - 6.0
    }
}

/// To whole cents, and never below one.
fn cents(price: f64) -> f64 {
    (price * 100.0).round().max(1.0) / 100.0
}

/// FNV-1a: stable over builds, unlike the hashes of the standard library.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests;
