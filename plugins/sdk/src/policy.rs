//! What happens after a failure, and how long an attempt may take. A component holds one policy,
//! because the host asks it without naming a kind.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bindings::base::grepx::plugin::types;
use crate::bindings::policy::exports::grepx::plugin::policy as raw;
use crate::glue::{self, Descriptor};
use crate::{Ctx, Error};

/// Decides on retries and time limits.
pub trait Policy {
    const KIND: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// `None`: the version of the crate that exports the kind.
    const VERSION: Option<&'static str> = None;

    /// The task's `retry_config`.
    type Config: DeserializeOwned;

    fn config_schema() -> Value;

    /// `ctx.attempt` is the attempt that failed, from 1.
    fn on_failure(ctx: &Ctx, failure: &Error, config: Self::Config) -> Verdict;

    /// Milliseconds that this attempt may take, `None` for no limit. 0 seconds mean no limit.
    fn time_limit(_ctx: &Ctx, timeout_seconds: Option<u64>, _config: Self::Config) -> Option<u64> {
        default_time_limit(timeout_seconds)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Milliseconds from now.
    RetryIn(u64),
    /// Why, for people.
    GiveUp(String),
}

fn default_time_limit(timeout_seconds: Option<u64>) -> Option<u64> {
    timeout_seconds
        .filter(|&seconds| seconds > 0)
        .map(|seconds| seconds.saturating_mul(1000))
}

fn read_config<P: Policy>(config: &[u8]) -> Result<P::Config, String> {
    // A row without a retry_config says null.
    let config = if config.is_empty() || config == b"null" {
        b"{}"
    } else {
        config
    };
    glue::parse(config)
}

#[doc(hidden)]
pub fn descriptor<P: Policy>(version: &str) -> Descriptor {
    Descriptor {
        kind: P::KIND.into(),
        version: P::VERSION.unwrap_or(version).into(),
        summary: P::SUMMARY.into(),
        input_schema: P::config_schema(),
        output_schema: json!({}),
        capabilities: Vec::new(),
        state_versions: None,
    }
}

pub(crate) fn judge<P: Policy>(ctx: &Ctx, failure: &Error, config: &[u8]) -> Verdict {
    match read_config::<P>(config) {
        Ok(config) => P::on_failure(ctx, failure, config),
        Err(problem) => Verdict::GiveUp(format!("the task's retry_config does not fit: {problem}")),
    }
}

#[doc(hidden)]
pub fn on_failure<P: Policy>(ctx: &Ctx, failure: types::Error, config: &[u8]) -> raw::Verdict {
    match judge::<P>(ctx, &failure.into(), config) {
        Verdict::RetryIn(ms) => raw::Verdict::RetryIn(ms),
        Verdict::GiveUp(why) => raw::Verdict::GiveUp(why),
    }
}

#[doc(hidden)]
pub fn time_limit<P: Policy>(ctx: &Ctx, timeout_seconds: Option<u64>, config: &[u8]) -> Option<u64> {
    match read_config::<P>(config) {
        Ok(config) => P::time_limit(ctx, timeout_seconds, config),
        Err(problem) => {
            crate::log::warn(format!("the task's retry_config does not fit: {problem}"));
            default_time_limit(timeout_seconds)
        }
    }
}

/// Exports the named [`Policy`] as this component: once in a crate.
///
/// Makes a type `Plugin` whose `describe` native tests may call.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        /// What the host calls.
        #[derive(Debug)]
        #[allow(unreachable_pub, reason = "private where a test module exports its kinds")]
        pub enum Plugin {}

        #[allow(unreachable_pub, reason = "private where a test module exports its kinds")]
        impl Plugin {
            pub fn describe() -> Vec<$crate::Descriptor> {
                vec![$crate::glue::policy_descriptor::<$policy>(env!(
                    "CARGO_PKG_VERSION"
                ))]
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the component boundary")]
        const _: () = {
            use $crate::bindings::base::exports::grepx::plugin::describe;
            use $crate::bindings::base::grepx::plugin::types;
            use $crate::bindings::policy::exports::grepx::plugin as exports;

            impl describe::Guest for Plugin {
                fn describe() -> Vec<types::Descriptor> {
                    $crate::glue::enter();
                    Plugin::describe().into_iter().map(Into::into).collect()
                }
            }

            impl exports::policy::Guest for Plugin {
                fn on_failure(ctx: types::Ctx, failure: types::Error, config: Vec<u8>) -> exports::policy::Verdict {
                    $crate::glue::enter();
                    $crate::glue::policy_on_failure::<$policy>(&ctx.into(), failure, &config)
                }

                fn time_limit(ctx: types::Ctx, timeout_seconds: Option<u64>, config: Vec<u8>) -> Option<u64> {
                    $crate::glue::enter();
                    $crate::glue::policy_time_limit::<$policy>(&ctx.into(), timeout_seconds, &config)
                }
            }

    $crate::bindings::base::export_describe!(Plugin with_types_in $crate::bindings::base);
    $crate::bindings::policy::export_policy_interface!(Plugin with_types_in $crate::bindings::policy);
        };
    };
}

#[cfg(test)]
mod tests;
