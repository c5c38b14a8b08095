//! Decides after a failed attempt whether and when there is another one, from the task's
//! `retry_config`. Prefect's keys keep their meaning (`max_retries`, `retry_delay_seconds` as
//! a number or a list, `retry_jitter_factor`); the others grow from there.
//!
//! Keys that it does not know are left alone: rows of an existing database may hold keys of
//! other tools. The ones that it knows must have the right type, or the task is not retried.

mod config;
mod delay;
mod matching;

use grepx_plugin_sdk::prelude::*;

pub use config::Config;
use matching::Match;

#[derive(Debug)]
pub struct Retry;

impl Policy for Retry {
    const KIND: &'static str = "retry";
    const SUMMARY: &'static str = "Retries with fixed, listed or growing delays, for chosen errors";
    type Config = Config;

    fn config_schema() -> Value {
        config::schema()
    }

    fn on_failure(ctx: &Ctx, failure: &Error, config: Config) -> Verdict {
        if config.max_retries == 0 {
            return Verdict::GiveUp("no retries are configured".into());
        }
        if let Match::No(why) = matching::is_retried(failure, &config) {
            return Verdict::GiveUp(why);
        }
        let used = ctx.attempt.saturating_sub(1);
        if used >= config.max_retries {
            let most = config.max_retries;
            return Verdict::GiveUp(format!("{used} of {most} retries used"));
        }
        let delay = delay::before_retry(used, &config, &mut ctx.rng());
        Verdict::RetryIn(delay.max(failure.retry_after_ms.unwrap_or(0)))
    }
}

grepx_plugin_sdk::export_policy!(Retry);

#[cfg(test)]
mod tests;
