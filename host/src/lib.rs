//! grepx-host: runs the flows of `grepx-master.db`.
//!
//! In reading order, from the outside in; nothing points back (`cargo xtask tidy` keeps watch):
//!
//! - [`cli`] parses, talks to a server, or becomes one through [`app`], which puts everything together
//! - [`api`] is the HTTP face: it reads the store's views and writes through the runner only
//! - [`runner`] moves flow runs: event → decide → commit → due → dispatch
//! - [`store`] is the only module with SQL on the run database
//! - [`plugins`] is the only module with wasmtime
//! - [`broker`] is the only module with Redis; it also has the embedded worker of `memory://`
//! - [`traces`] sends spans of flow runs to a collector, when one is configured
//! - [`definitions`] turns rows and YAML into flows, deployments and pools, [`config`] a file into settings
//!
//! What a run *is* stands in `grepx-engine`, what Celery says in `grepx-celery`: both pure.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests open databases and spawn as they need")
)]

pub mod api;
pub mod app;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod definitions;
pub mod expressions;
mod failpoint;
mod names;
pub mod plugins;
mod report;
pub mod runner;
pub mod scheduler;
pub mod store;
mod task;
pub mod telemetry;
pub mod traces;
mod yaml;
