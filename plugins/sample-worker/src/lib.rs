//! The tasks of the sample flows, under their Celery names, for the worker inside the host: so
//! that a stock pipeline runs end to end with nothing installed. Prices are synthetic and say
//! so; the indicators are the real ones.
//!
//! Each task takes its arguments by position or by name, as a Python function would.

mod calendar;
mod call;
mod checks;
mod indicators;
mod market;
mod report;

pub use checks::{Add, Fail, Noop};
pub use indicators::{CalculateRsi, MovingAverage};
pub use market::DownloadHistorical;
pub use report::Summarise;

grepx_plugin_sdk::export_activity!(
    DownloadHistorical,
    CalculateRsi,
    MovingAverage,
    Summarise,
    Add,
    Fail,
    Noop,
);

#[cfg(test)]
mod tests;
