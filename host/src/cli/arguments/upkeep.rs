//! Words about the run store, the keys of the API and the configuration.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Backup {
    pub(crate) file: PathBuf,
    /// Overwrite the file
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// What `backup` has written
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "How long flow runs stay is in the configuration: retention.completed_days, failed_days, \
    cancelled_days."
)]
pub(crate) struct Gc {
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also write the file anew, without what is free in it; only while no server uses it
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) vacuum: bool,
    /// Only read the whole file and report what is damaged; exit 1 when something is
    #[arg(long, conflicts_with_all = ["dry_run", "vacuum"])]
    pub(crate) check: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Replay the log of every flow run and compare it with what is shown; no host may be serving
    Verify,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and show it, once
    Create(KeyCreate),
    /// List the keys
    Ls,
    /// Let no request with a key be answered any more
    Revoke {
        /// Name or id
        key: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KeyCreate {
    /// Whose, or what for
    pub(crate) name: String,
    /// read sees everything; run starts, steers and switches too; admin everything
    #[arg(long, value_parser = ["read", "run", "admin"])]
    pub(crate) scope: String,
    /// How long it is good for: `12h`, `30d` [default: until it is revoked]
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires_in: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List changes, latest first
    Ls {
        /// From 1 to 1000
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every setting in force with its origin; secrets are masked
    Show,
}
