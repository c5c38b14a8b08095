//! The kind `kind-name`: waits without holding anything, also over restarts of the host.

use std::time::Duration;

use grepx_plugin_sdk::prelude::*;

/// The task's keyword arguments.
#[data]
pub struct Input {
    /// What is to be decided
    question: String,
}

/// The task's `task_config`.
#[data(strict)]
pub struct Config {
    /// Seconds before anybody is asked
    #[serde(default)]
    delay_seconds: u32,
    /// Seconds that there are to answer; a day without it
    #[serde(default)]
    patience_seconds: Option<u32>,
}

/// What the signal `answer` carries.
#[data]
pub struct Answer {
    yes: bool,
}

/// Waits, then asks for a decision
#[durable(kind = "kind-name", state_version = 1)]
pub async fn kind_name(ctx: AsyncCtx, input: Input, config: Config) -> Result<bool, Error> {
    if config.delay_seconds > 0 {
        ctx.sleep(Duration::from_secs(config.delay_seconds.into())).await?;
    }
    ctx.status(format!("waits for an answer to: {}", input.question));
    let patience = Duration::from_secs(config.patience_seconds.unwrap_or(86_400).into());
    match ctx.timeout(patience, ctx.signal::<Answer>("answer")).await {
        Ok(answer) => Ok(answer?.yes),
        Err(elapsed) => Err(Error::timed_out("no-answer", elapsed.to_string())),
    }
}

grepx_plugin_sdk::export_durable!(kind_name);

#[cfg(test)]
mod tests;
