//! Logging of the server to stderr: text for people, JSON for collectors. Standard output stays
//! free for what a command answers.
//!
//! Absent on purpose: log files and rotation (the business of the service manager, or of `grepx-host
//! start`), logs of task runs (the run store has them).

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, Logging};

/// Wins over the configured level.
const VARIABLE: &str = "RUST_LOG";
const SETTING: &str = "logging.level";
const QUIET: &str = "refinery_core=warn";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{origin} is no log filter: {value:?}; write a level such as `info`, or `info,grepx_host::runner=debug`")]
    Filter {
        origin: &'static str,
        value: String,
        source: tracing_subscriber::filter::ParseError,
    },
    /// As a filter it would name a module, and nothing would be logged.
    #[error("logging.level is no level: {value:?}; write error, warn, info, debug or trace")]
    Level { value: String },
    #[error("logging is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends log lines of the whole process to stderr. `RUST_LOG` wins over `logging.level`.
///
/// # Errors
/// For a filter that cannot be read, or when logging is set up already.
pub fn init(logging: &Logging) -> Result<(), Error> {
    let filter = match std::env::var(VARIABLE) {
        Ok(value) if !value.trim().is_empty() => parse(VARIABLE, &value)?,
        _ => configured(&logging.level)?,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    match logging.format {
        LogFormat::Text => builder.finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
    .map_err(Error::Twice)
}

/// A level alone is about us: crates that tell their steps at `info` are held to warnings.
fn configured(level: &str) -> Result<EnvFilter, Error> {
    if level.contains(['=', ',']) {
        return parse(SETTING, level);
    }
    if level.parse::<LevelFilter>().is_err() {
        return Err(Error::Level {
            value: level.to_owned(),
        });
    }
    parse(SETTING, &format!("{level},{QUIET}"))
}

fn parse(origin: &'static str, value: &str) -> Result<EnvFilter, Error> {
    EnvFilter::try_new(value).map_err(|source| Error::Filter {
        origin,
        value: value.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
