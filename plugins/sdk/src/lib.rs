//! Write task kinds for grepx-host in plain Rust.
//!
//! A component holds one or several kinds of one sort:
//!
//! * [`activity`]: one call, input → output. Exported with [`export_activity!`].
//! * [`durable`]: never blocks; answers done, failed or suspended and is called again when an
//!   event wakes it, maybe after a restart of the host. Exported with [`export_durable!`].
//! * [`policy`]: decides on retries and time limits. Exported with [`export_policy!`].
//!
//! The attributes implement the traits [`Activity`], [`Durable`], [`Journaled`] and [`Policy`],
//! which can be implemented by hand as well. All of it is ordinary Rust without any WebAssembly:
//! `cargo test` runs it on the machine of the author, with `testing` (a feature) in the place of
//! the host, and [`log`] collects lines there.
//!
//! Deliberately absent: clocks and randomness. A call is tried again after a crash of the host
//! and must then do the same, so take the time from [`Ctx::now_ms`] and chance from [`Ctx::rng`].
//!
//! ```
//! use grepx_plugin_sdk::prelude::*;
//!
//! #[data]
//! struct Shout {
//!     text: String,
//! }
//!
//! /// Writes a text in capitals
//! #[activity]
//! fn shout(_ctx: &Ctx, input: Shout) -> Result<String, Error> {
//!     Ok(input.text.to_uppercase())
//! }
//!
//! grepx_plugin_sdk::export_activity!(shout);
//! # fn main() {}
//! ```

// The export macros name this crate by its own name, inside of it as well.
extern crate self as grepx_plugin_sdk;

mod activity;
#[doc(hidden)]
pub mod bindings;
mod command;
mod ctx;
mod durable;
mod error;
#[doc(hidden)]
pub mod glue;
mod input;
mod journal;
mod journaled;
pub mod log;
mod policy;
pub mod schema;
mod step;
#[cfg(feature = "testing")]
pub mod testing;

pub use activity::Activity;
pub use command::{ChildRun, Command, Message, Op};
pub use ctx::{Ctx, Rng};
pub use durable::{Durable, Event, Outcome, Snapshot, StopReason};
pub use error::{Error, ErrorClass, OrFail};
pub use glue::Descriptor;
pub use grepx_plugin_sdk_macros::{activity, data, durable, policy};
pub use input::{NoConfig, TaskInput};
pub use journal::Journal;
pub use journaled::{All, AsyncCtx, Either, Elapsed, FlowRunEnd, Journaled, Pending, Race, Sent, race};
pub use policy::{Policy, Verdict};
pub use step::{Step, Suspended, Wake};

pub use schemars;
pub use serde;
pub use serde_json;

/// All that most kinds need.
pub mod prelude {
    pub use crate::{
        Activity, AsyncCtx, ChildRun, Command, Ctx, Durable, Either, Error, ErrorClass, Event, FlowRunEnd, Journaled,
        Message, NoConfig, OrFail, Outcome, Policy, Step, StopReason, TaskInput, Verdict, activity, data, durable, log,
        policy, race, schema,
    };
    pub use serde_json::{Value, json};
}
