//! The attributes of `grepx-plugin-sdk`: from a function to a kind.
//!
//! They write what an author would write against the traits of the guest crate, and nothing that
//! could not be written by hand. An enum without cases and with the function's name becomes the
//! type that implements the trait: functions and types do not share a namespace, so the function
//! can still be called by its name. Deliberately absent: exporting, which `export_activity!` and
//! its like do for all kinds of a component together.

use proc_macro::TokenStream;

mod activity;
mod arguments;
mod data;
mod durable;
mod policy;
mod signature;
#[cfg(test)]
mod tests;

/// An activity from `fn(ctx: &Ctx, input: T) -> Result<U, Error>`.
///
/// * `T` is read from the task's keyword arguments. Written `TaskInput<…>` it is the whole
///   document, as it is with the argument `document`.
/// * A third parameter is read from `task_config`.
/// * `kind = "…"`: what `task_kind` says; else the function's name with `-` for `_`.
/// * `summary = "…"`: else the first line of the function's documentation.
/// * `version = "…"`: else the crate's.
/// * `capabilities("…", …)`: what the operator has to grant.
///
/// Schemas come from the types, which have to be `JsonSchema`; see `data`.
#[proc_macro_attribute]
pub fn activity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(activity::expand(arguments.into(), item.into()))
}

/// A durable kind, in one of two shapes. The arguments are those of `activity` and
/// `state_version = n`, `oldest_state = n` (both 1 when absent).
///
/// * On an `impl` block with `start(ctx, input)`, `resume(ctx, state, events)` and, if wanted,
///   `stop` and `migrate`: the state is a type of the author, best an enum.
/// * On an `async fn(ctx: AsyncCtx, input: T) -> Result<U, Error>`: the state is a journal.
#[proc_macro_attribute]
pub fn durable(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(durable::expand(arguments.into(), item.into()))
}

/// A policy from `fn(ctx: &Ctx, failure: &Error, config: T) -> Verdict`. Arguments: `kind`,
/// `summary`, `version` as for `activity`, and `time_limit = function`.
#[proc_macro_attribute]
pub fn policy(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(policy::expand(arguments.into(), item.into()))
}

/// Derives what inputs, outputs and states need: `Debug`, `Clone`, `PartialEq`, `Serialize`,
/// `Deserialize`, `JsonSchema`. With `strict`, unknown members are refused.
#[proc_macro_attribute]
pub fn data(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(data::expand(arguments.into(), item.into()))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(|error| error.to_compile_error()).into()
}
