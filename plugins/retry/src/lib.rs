//! Decides after a failed attempt whether and when there is another one, from the task's
//! `retry_config`. Prefect's keys keep their meaning (`max_retries`, `retry_delay_seconds` as
//! a number or a list, `retry_jitter_factor`); the others grow from there.
//!
//! Keys that it does not know are left alone: rows of an existing database may hold keys of
//! other tools. The ones that it knows must have the right type and range, or the task is not retried.

mod config;
mod delay;
mod matching;

use grepx_plugin_sdk::prelude::*;

pub use config::Config;
use matching::Match;

/// In `ctx.meta`: when the first attempt began, milliseconds since 1970.
const FIRST_ATTEMPT: &str = "first-attempt-ms";

#[derive(Debug)]
pub struct Retry;

impl Policy for Retry {
    const KIND: &'static str = "retry";
    const SUMMARY: &'static str = "Retries with fixed, listed or growing delays, for chosen errors, within a budget";
    type Config = Config;

    fn config_schema() -> Value {
        config::schema()
    }

    fn on_failure(ctx: &Ctx, failure: &Error, config: Config) -> Verdict {
        if let Err(wrong) = config.check() {
            return Verdict::GiveUp(format!("the task's retry_config does not fit: {wrong}"));
        }
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
        let delay = delay.max(failure.retry_after_ms.unwrap_or(0));
        match over_budget(ctx, delay, &config) {
            Some(why) => Verdict::GiveUp(why),
            None => Verdict::RetryIn(delay),
        }
    }
}

/// Why a retry after `delay` milliseconds would begin too late.
fn over_budget(ctx: &Ctx, delay: u64, config: &Config) -> Option<String> {
    let budget = config.max_total_seconds?;
    let Some(started) = ctx.meta(FIRST_ATTEMPT).and_then(|text| text.parse::<u64>().ok()) else {
        log::warn("max_total_seconds is not looked at: this host does not say when the first attempt began");
        return None;
    };
    let until = ctx.now_ms.saturating_sub(started).saturating_add(delay);
    // The conversion saturates.
    if until <= (budget * 1000.0) as u64 {
        return None;
    }
    let until = until.div_ceil(1000);
    Some(format!(
        "the next attempt would begin {until} s after the first one, max_total_seconds is {budget}"
    ))
}

grepx_plugin_sdk::export_policy!(Retry);

#[cfg(test)]
mod tests;
