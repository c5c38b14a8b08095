//! grepx-host: runs the flows of `grepx-master.db`.

pub mod api;
pub mod app;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod definitions;
pub mod expressions;
mod names;
pub mod plugins;
pub mod runner;
pub mod store;
mod task;
pub mod telemetry;
mod yaml;
