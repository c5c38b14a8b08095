//! Words about work pools and work queues.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkPoolCommand {
    /// List work pools
    Ls,
    /// Show a work pool and its queues
    Inspect { name: String },
    /// Let no further flow run of the work pool start
    Pause { name: String },
    /// Let flow runs of the work pool start again
    Resume { name: String },
    /// Let at most so many flow runs of the work pool run at once
    #[command(name = "set-concurrency-limit")]
    SetConcurrencyLimit {
        name: String,
        /// From 0
        limit: u32,
    },
    /// Let any number of flow runs of the work pool run at once
    #[command(name = "clear-concurrency-limit")]
    ClearConcurrencyLimit { name: String },
    /// Show the flow runs that are planned
    Preview {
        /// All work pools when left out
        name: Option<String>,
        /// How far ahead
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=8_760))]
        hours: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkQueueCommand {
    /// List work queues
    Ls {
        /// Of this work pool only
        #[arg(long, short)]
        pool: Option<String>,
    },
    /// Show a work queue
    Inspect(OneQueue),
    /// Let no further flow run of the work queue start
    Pause(OneQueue),
    /// Let flow runs of the work queue start again
    Resume(OneQueue),
    /// Let at most so many flow runs of the work queue run at once
    #[command(name = "set-concurrency-limit")]
    SetConcurrencyLimit {
        #[command(flatten)]
        queue: OneQueue,
        /// From 0
        limit: u32,
    },
    /// Let any number of flow runs of the work queue run at once
    #[command(name = "clear-concurrency-limit")]
    ClearConcurrencyLimit(OneQueue),
}

#[derive(Debug, Args)]
pub(crate) struct OneQueue {
    /// Name, or id
    pub(crate) name: String,
    /// Its work pool; not needed when only one has a queue of that name
    #[arg(long, short)]
    pub(crate) pool: Option<String>,
}
