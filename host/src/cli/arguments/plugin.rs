//! Words about task kinds and the components that have them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::pair;

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List task kinds: those of the server, or of the plugin folder when no server answers
    Ls,
    /// Show a task kind
    Inspect { kind: String },
    /// Make a crate for a new task kind, with the guest crate beside it
    New(crate::cli::commands::plugin::new::New),
    /// Check a component and put it into the plugin folder
    Install {
        file: PathBuf,
        /// Name in the folder [default: the file that has its kind, else KIND.wasm]
        #[arg(long)]
        name: Option<String>,
    },
    /// Let the build serve again that served a task kind before; done twice, the present one is back
    Rollback { kind: String },
    /// Show what a component is, what it imports, and what it would need granted
    Check { file: PathBuf },
    /// Call a task kind once, or play a durable one to its end in virtual time
    Run(PluginRun),
    /// Call every kind of a component with inputs that it was not made for
    Test {
        file: PathBuf,
        /// A further input, as a JSON document
        #[arg(long, value_name = "JSON")]
        input: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PluginRun {
    pub(crate) kind: String,
    /// The component that has the kind [default: the plugin folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The task's document: {"kwargs": {…}, "config": {…}}
    #[arg(long, value_name = "JSON")]
    pub(crate) input: Option<String>,
    /// A signal that comes when it is waited for
    #[arg(long, value_name = "NAME=JSON", value_parser = pair)]
    pub(crate) signal: Vec<(String, String)>,
    /// What a reply or a child run of that command's key brings
    #[arg(long, value_name = "KEY=JSON", value_parser = pair)]
    pub(crate) answer: Vec<(String, String)>,
}
