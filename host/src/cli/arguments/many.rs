//! Which flow runs are meant: one by its id, or many by what they have in common.

use std::time::Duration;

use clap::Args;

use crate::cli::show;

/// One flow run, or all that the options name.
#[derive(Debug, Args)]
pub(crate) struct Which {
    pub(crate) id: Option<String>,
    /// State type (FAILED) or state name (AwaitingRetry); may be given again
    #[arg(long, conflicts_with = "id")]
    pub(crate) state: Vec<String>,
    /// Name of the flow; may be given again
    #[arg(long, visible_alias = "flow-name", conflicts_with = "id")]
    pub(crate) flow: Vec<String>,
    /// `flow/deployment`, or the deployment's name; may be given again
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pub(crate) deployment: Vec<String>,
    /// Ended, or of those that have not: due, so long ago, such as 90s, 30m, 12h, 7d
    #[arg(long, value_name = "AGE", value_parser = show::age, conflicts_with = "id")]
    pub(crate) older_than: Option<Duration>,
    /// Only say how many and which
    #[arg(long, conflicts_with = "id")]
    pub(crate) dry_run: bool,
    /// Do it to all that are named by options
    #[arg(long, conflicts_with = "id")]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Cancels {
    #[command(flatten)]
    pub(crate) which: Which,
    /// What is cancelling already: end it without the rest of its clean-up
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retries {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Begin with this task and everything downstream of it
    #[arg(long, value_name = "TASK", conflicts_with_all = ["only_task", "from_start"])]
    pub(crate) from_task: Option<String>,
    /// Run this task alone once more
    #[arg(long, value_name = "TASK", conflicts_with = "from_start")]
    pub(crate) only_task: Option<String>,
    /// Run everything once more, also what has completed
    #[arg(long)]
    pub(crate) from_start: bool,
}
