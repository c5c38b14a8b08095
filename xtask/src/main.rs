//! The project's own commands, run as `cargo xtask <command>`.
//!
//! They need nothing but cargo: no make, no task runner, no container. Deliberately absent:
//! anything that the host can do itself. `xtask` never reads the run database, never speaks
//! Celery, and knows of the host only its command line and `GET /api/ready`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod components;
mod examples;
mod fuzz;
mod scaffold;
mod shell;
mod suite;
mod tidy;
mod up;
mod workspace;

use workspace::Workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's own commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the task kinds for wasm32-wasip2 and put them into plugins/
    BuildPlugins {
        /// Also the examples in Python and JavaScript, beside their sources; needs PyPI and npm
        #[arg(long)]
        examples: bool,
    },
    /// Make a crate for a new task kind in plugins/ and add it to the workspace
    NewPlugin(scaffold::Args),
    /// Build everything, create the sample database if there is none, serve, and run one flow
    Up(up::Args),
    /// Set up what the tests need, then run all of them
    Test {
        /// Passed on to `cargo nextest run`; with any, only the root workspace is tested
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure the release binary on this machine: start, memory, latency, throughput
    Bench {
        /// Which: `runs`, `schedules`, `plugins`, `restart`, `store`, `burst`, `pressure`
        #[arg(default_value = "runs")]
        what: String,
    },
    /// Kill the host again and again under load, at random instants and failpoints, and judge what it leaves
    Torture {
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
        minutes: u64,
        /// Repeats a series [default: another one each time]
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Let libFuzzer look for inputs that hurt (needs cargo-fuzz)
    Fuzz(fuzz::Args),
    /// Check the rules of the house that the compiler does not know
    Tidy {
        /// Check another checkout
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
    /// Used by `up`: wait until the host is ready, then run the sample deployment
    #[command(hide = true)]
    RunWhenReady(up::trigger::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => shell::report(&error),
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::BuildPlugins { examples } => {
            let workspace = Workspace::find()?;
            components::build(&workspace)?;
            if examples { examples::build(&workspace) } else { Ok(()) }
        }
        Command::NewPlugin(args) => scaffold::new_plugin(&Workspace::find()?, &args),
        Command::Up(args) => up::run(&Workspace::find()?, &args),
        Command::Test { args } => suite::run(&Workspace::find()?, &args),
        Command::Bench { what } => suite::bench(&Workspace::find()?, &what),
        Command::Torture { minutes, seed } => suite::torture(&Workspace::find()?, minutes, seed),
        Command::Fuzz(args) => fuzz::run(&Workspace::find()?, &args),
        Command::Tidy { root: Some(root) } => tidy::run(&root),
        Command::Tidy { root: None } => tidy::run(&workspace::root()),
        Command::RunWhenReady(args) => up::trigger::run(&args),
    }
}
