//! Joins the results of a fan-out: one indicator result for each ticker becomes one summary.

use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use crate::call;

#[derive(Debug)]
pub struct Summarise;

#[derive(Debug, Deserialize)]
struct Arguments {
    results: Vec<Value>,
    title: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Summary {
    title: String,
    tickers: Vec<String>,
    rsi: Option<Spread>,
    overbought: Vec<String>,
    oversold: Vec<String>,
    /// Entries without a ticker, such as the null of an upstream task that failed.
    left_out: usize,
}

#[derive(Debug, PartialEq, Serialize)]
struct Spread {
    lowest: f64,
    mean: f64,
    highest: f64,
}

impl Activity for Summarise {
    const KIND: &'static str = "report.summarise";
    const SUMMARY: &'static str = "Summary of the indicators of several tickers";
    type Input = TaskInput;
    type Output = Summary;

    fn input_schema() -> Value {
        let kwargs = json!({
            "results": { "type": "array", "description": "Results of indicator tasks" },
            "title": { "type": ["string", "null"] },
        });
        call::schema(kwargs, &["results", "title"])
    }

    fn run(_ctx: &Ctx, input: TaskInput) -> Result<Summary, Error> {
        let Arguments { results, title } = call::bind(input, &["results", "title"])?;
        let with_ticker: Vec<(&str, &Value)> = results
            .iter()
            .filter_map(|result| Some((result.get("ticker")?.as_str()?, result)))
            .collect();
        let signalled = |signal: &str| -> Vec<String> {
            let matching = with_ticker.iter().filter(|(_, result)| result["signal"] == signal);
            matching.map(|(ticker, _)| (*ticker).to_owned()).collect()
        };
        let indices = with_ticker.iter().filter_map(|(_, result)| result.get("rsi")?.as_f64());
        Ok(Summary {
            title: title.unwrap_or_else(|| "Summary".to_owned()),
            rsi: spread(&indices.collect::<Vec<f64>>()),
            overbought: signalled("overbought"),
            oversold: signalled("oversold"),
            left_out: results.len() - with_ticker.len(),
            tickers: with_ticker.iter().map(|(ticker, _)| (*ticker).to_owned()).collect(),
        })
    }
}

fn spread(values: &[f64]) -> Option<Spread> {
    let lowest = values.iter().copied().reduce(f64::min)?;
    let highest = values.iter().copied().reduce(f64::max)?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Some(Spread {
        lowest,
        mean: (mean * 100.0).round() / 100.0,
        highest,
    })
}

#[cfg(test)]
mod tests;
