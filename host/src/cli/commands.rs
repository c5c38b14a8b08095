//! One file a command group.

pub(crate) mod audit;
pub(crate) mod definitions;
pub(crate) mod deployment;
pub(crate) mod flow;
pub(crate) mod flow_run;
pub(crate) mod flow_runs;
pub(crate) mod key;
mod offline;
pub(crate) mod plugin;
pub(crate) mod plugin_file;
pub(crate) mod plugin_run;
pub(crate) mod schedule;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod start;
pub(crate) mod store;
pub(crate) mod task_run;
pub(crate) mod upkeep;
pub(crate) mod watch;
pub(crate) mod work_pool;
mod workbench;
