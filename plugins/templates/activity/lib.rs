//! The kind `kind-name`: one call, one answer.

use grepx_plugin_sdk::prelude::*;

/// The task's keyword arguments.
#[data]
pub struct Input {
    /// Whom to greet
    name: String,
}

/// The task's `task_config`.
#[data(strict)]
pub struct Config {
    /// How to greet; `hello` without it
    #[serde(default)]
    greeting: Option<String>,
}

#[data]
pub struct Output {
    text: String,
}

/// Greets somebody
#[activity(kind = "kind-name")]
pub fn kind_name(ctx: &Ctx, input: Input, config: Config) -> Result<Output, Error> {
    if input.name.trim().is_empty() {
        return Err(Error::invalid_input("kwargs.name is empty: say whom to greet"));
    }
    log::info!("attempt {} of {}", ctx.attempt, ctx.task);
    let greeting = config.greeting.unwrap_or_else(|| "hello".to_owned());
    Ok(Output {
        text: format!("{greeting}, {}", input.name),
    })
}

grepx_plugin_sdk::export_activity!(kind_name);

#[cfg(test)]
mod tests;
