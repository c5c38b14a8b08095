//! Write task kinds for grepx-host in plain Rust.
//!
//! A component holds one or several kinds of one sort:
//!
//! * [`Activity`]: one call, input → output. Exported with [`export_activity!`].
//! * [`Durable`]: never blocks; answers done, failed or suspended and is called again when an
//!   event wakes it, maybe after a restart of the host. Exported with [`export_durable!`].
//! * [`Policy`]: decides on retries and time limits. Exported with [`export_policy!`].
//!
//! The traits are ordinary Rust without any WebAssembly: `cargo test` runs them on the machine
//! of the author with [`Ctx::for_tests`], and [`log`] collects lines there.
//!
//! Deliberately absent: clocks and randomness. A call is tried again after a crash of the host
//! and must then do the same, so take the time from [`Ctx::now_ms`] and chance from [`Ctx::rng`].
//!
//! ```
//! use grepx_plugin_sdk::prelude::*;
//!
//! struct Shout;
//!
//! #[derive(serde::Deserialize)]
//! struct Kwargs {
//!     text: String,
//! }
//!
//! impl Activity for Shout {
//!     const KIND: &'static str = "shout";
//!     const SUMMARY: &'static str = "Writes a text in capitals";
//!     type Input = TaskInput<Kwargs>;
//!     type Output = String;
//!
//!     fn input_schema() -> Value {
//!         schema::task(json!({ "text": { "type": "string" } }), &["text"], json!({}))
//!     }
//!
//!     fn run(_ctx: &Ctx, input: Self::Input) -> Result<String, Error> {
//!         Ok(input.kwargs.text.to_uppercase())
//!     }
//! }
//!
//! grepx_plugin_sdk::export_activity!(Shout);
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
pub use input::{NoConfig, TaskInput};
pub use policy::{Policy, Verdict};
pub use step::{Step, Suspended, Wake};

pub use serde_json;

/// All that most kinds need.
pub mod prelude {
    pub use crate::{
        Activity, Command, Ctx, Durable, Error, ErrorClass, Event, Message, NoConfig, OrFail, Outcome, Policy, Step,
        StopReason, TaskInput, Verdict, log, schema,
    };
    pub use serde_json::{Value, json};
}
