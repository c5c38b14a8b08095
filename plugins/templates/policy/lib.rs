//! The policy `kind-name`: what follows a failure.

use grepx_plugin_sdk::prelude::*;

/// The task's `retry_config`.
#[data]
pub struct Config {
    #[serde(default)]
    max_retries: u32,
    /// Before the first retry; every further one waits twice as long
    #[serde(default)]
    first_delay_seconds: u32,
}

/// Retries what may get better, each time after a longer wait
#[policy(kind = "kind-name")]
pub fn kind_name(ctx: &Ctx, failure: &Error, config: Config) -> Verdict {
    if !matches!(failure.class, ErrorClass::Retryable | ErrorClass::RateLimited | ErrorClass::TimedOut) {
        return Verdict::GiveUp(format!("{} will not get better by itself", failure.code));
    }
    if ctx.attempt > config.max_retries {
        return Verdict::GiveUp(format!("failed {} times", ctx.attempt));
    }
    let doubled = 1u64.checked_shl(ctx.attempt - 1).unwrap_or(u64::MAX);
    let delay_ms = u64::from(config.first_delay_seconds).saturating_mul(1000).saturating_mul(doubled);
    Verdict::RetryIn(delay_ms.max(failure.retry_after_ms.unwrap_or(0)))
}

grepx_plugin_sdk::export_policy!(kind_name);

#[cfg(test)]
mod tests;
