//! Words of the command line. Prefect's verbs where it has them, ours beside them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::out::When;

mod deployment;
mod many;
mod plugin;
mod pools;
mod upkeep;

pub(crate) use deployment::{DeploymentCommand, DeploymentScheduleCommand, OneSchedule, Preview, Run, ScheduleCommand};
pub(crate) use many::{Cancels, Retries, Which};
pub(crate) use plugin::{PluginCommand, PluginRun};
pub(crate) use pools::{OneQueue, WorkPoolCommand, WorkQueueCommand};
pub(crate) use upkeep::{AuditCommand, Backup, ConfigCommand, Gc, KeyCommand, KeyCreate, Restore, StoreCommand};

#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file [default: config/config.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// File of environment variables; real ones win over it [default: env.common, when there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// API of the server [default: GREPX_API_URL, PREFECT_API_URL, prefect.api_url of the
    /// configuration, or where the host of its state directory serves]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) api_url: Option<String>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours [default: auto, unless NO_COLOR is set]
    #[arg(long, global = true, value_name = "WHEN")]
    pub(crate) color: Option<When>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: schedules, runs, API
    Serve(Serve),
    /// Run the server in the background and wait until it takes work
    #[command(
        after_help = "Its pid file and its log are grepx-host.pid and grepx-host.log in the state directory \
        (store.dir).\n\nExit codes: 0 it takes work, also when it did before; 1 it does not; 2 the configuration is \
        wrong."
    )]
    Start(Start),
    /// Stop the server that runs in the background, or anywhere on this state directory
    #[command(after_help = "Exit codes: 0 it is stopped, also when it was before; 1 it goes on.")]
    Stop(Stop),
    /// Stop the server and start it again; a broken configuration leaves it alone
    Restart(Start),
    /// Show whether a server runs on this state directory, where, since when, and what it does
    #[command(
        after_help = "Exit codes, as the LSB has them: 0 it runs, 1 it ended by force (its pid file is still \
        there), 3 it does not run."
    )]
    Status,
    /// Find out what is wrong: configuration, port, database, Redis, workers, plugins, disk ...
    #[command(after_help = "Exit codes: 0 no error, warnings or not; 1 errors.")]
    Doctor(Doctor),
    /// Print a systemd unit for this program and this configuration
    #[command(name = "systemd-unit")]
    SystemdUnit(Unit),
    /// Write definitions from YAML files into the definitions database
    Apply(Apply),
    /// Report everything that is wrong with the definitions
    Check(Check),
    /// Write the definitions database as YAML
    Export(Export),
    /// Start and show deployments
    #[command(subcommand)]
    Deployment(DeploymentCommand),
    /// Try schedules out
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Show flows
    #[command(subcommand)]
    Flow(FlowCommand),
    /// Show and steer flow runs
    #[command(subcommand, name = "flow-run")]
    FlowRun(FlowRunCommand),
    /// Show task runs and send them signals
    #[command(subcommand, name = "task-run")]
    TaskRun(TaskRunCommand),
    /// Show, pause, resume and limit work pools
    #[command(subcommand, name = "work-pool")]
    WorkPool(WorkPoolCommand),
    /// Show, pause, resume and limit work queues
    #[command(subcommand, name = "work-queue")]
    WorkQueue(WorkQueueCommand),
    /// Ask the server how it is
    #[command(subcommand)]
    Server(ServerCommand),
    /// Show task kinds
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Copy the run store into a file, also while a server runs
    Backup(Backup),
    /// Put a copy in the place of the run store; no server may run
    Restore(Restore),
    /// Remove flow runs that ended long ago, check the run store, make it smaller
    Gc(Gc),
    /// Look after the run store
    #[command(subcommand)]
    Store(StoreCommand),
    /// Make, list and revoke keys of the API
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show who changed what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List the points at which a test can let a debug build die
    #[command(hide = true)]
    Failpoints,
    /// Show the version
    Version,
    /// Write the completion script of a shell to standard output
    #[command(after_help = "Where it belongs:\n  \
        bash  ~/.local/share/bash-completion/completions/grepx-host\n  \
        zsh   a folder of $fpath, as _grepx-host\n  \
        fish  ~/.config/fish/completions/grepx-host.fish")]
    Completion { shell: Shell },
    /// Write the manual pages into a folder
    Man {
        /// Made when it is not there
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) serve: Serve,
    /// Seconds until it has to take work
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) wait: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Seconds until it has to have ended [default: server.shutdown_grace_seconds and 5]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) wait: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Only what is wrong
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Seconds that each check may take
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Unit {
    /// Whose processes they are [default: USER]
    #[arg(long)]
    pub(crate) user: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on, instead of server.host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Port to listen on, instead of server.port; 0 takes a free one
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Listen where others reach the host although it would ask nobody for a key
    #[arg(long)]
    pub(crate) allow_unauthenticated: bool,
    /// Another setting, such as logging.level=debug
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Leave the terminal; standard output and error are this file, which is kept small
    #[arg(long, hide = true, value_name = "LOG")]
    pub(crate) detached: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// YAML files with prefect_flows, prefect_tasks, prefect_deployments, prefect_work_pools
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Create the database, its tables and columns where they are missing
    #[arg(long)]
    pub(crate) create: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// YAML files; without one, the definitions database is checked
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// File to write, which must not exist; else standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlowCommand {
    /// List flows
    Ls {
        /// From 1 to 10000
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        limit: u16,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlowRunCommand {
    /// List flow runs, latest first
    Ls(FlowRuns),
    /// Show a flow run and its task runs
    Inspect { id: String },
    /// Show the log of a flow run
    Logs(Logs),
    /// Show what happens until the flow run has ended; exit 1 when it did not complete
    Watch { id: String },
    /// Stop a flow run and what its tasks do, or many of them
    Cancel(Cancels),
    /// Let a flow run that has ended go on with what failed, or many of them
    Retry(Retries),
    /// Delete a flow run that has ended, with its logs and results, or many of them
    Delete(Which),
    /// Let no further task of a flow run start
    Pause { id: String },
    /// Go on with a paused flow run
    Resume { id: String },
}

#[derive(Debug, Args)]
pub(crate) struct FlowRuns {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// From 1 to 200
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) limit: u16,
}

/// Which runs are meant.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// State type (FAILED) or state name (AwaitingRetry); may be given again
    #[arg(long, visible_alias = "state-type")]
    pub(crate) state: Vec<String>,
    /// Name of the flow; may be given again
    #[arg(long, visible_alias = "flow-name")]
    pub(crate) flow: Vec<String>,
    /// `flow/deployment`, or the deployment's name; may be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) deployment: Vec<String>,
    /// Expected to start since then: a duration such as `2h` or `1 day`, or a time, RFC 3339
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    pub(crate) id: String,
    /// Until the run has ended
    #[arg(long, short, conflicts_with_all = ["head", "tail", "reverse", "num_lines"])]
    pub(crate) follow: bool,
    /// So many lines; the first ones, unless --tail says otherwise
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) num_lines: Option<u32>,
    /// The first 20 lines, or as many as --num-lines says
    #[arg(long, conflicts_with = "tail")]
    pub(crate) head: bool,
    /// The last 20 lines, or as many as --num-lines says
    #[arg(long, short)]
    pub(crate) tail: bool,
    /// Newest first
    #[arg(long, short)]
    pub(crate) reverse: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskRunCommand {
    /// List task runs, latest first
    Ls(TaskRuns),
    /// Show a task run, with its result
    Inspect { id: String },
    /// Show the log of a task run
    Logs(Logs),
    /// Send a signal to a task run that waits for it, such as an approval
    Signal {
        id: String,
        /// approve, reject, decide, or what else its kind waits for
        name: String,
        /// What goes with it, as JSON
        #[arg(long, value_name = "JSON", default_value = "{}")]
        data: String,
    },
    /// Complete a task run by hand; what waits for it goes on, also after the flow run has ended
    MarkDone {
        id: String,
        /// Why it is done, for whoever reads the log
        #[arg(long)]
        note: String,
        /// What other tasks get as its result, as JSON
        #[arg(long, value_name = "JSON", default_value = "null")]
        result: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TaskRuns {
    /// Of this flow run only
    #[arg(long, value_name = "ID")]
    pub(crate) flow_run: Option<String>,
    /// Name of the task; may be given again
    #[arg(long, visible_alias = "task-run-name", value_name = "NAME")]
    pub(crate) task: Vec<String>,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// From 1 to 200
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) limit: u16,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Show whether the server answers and takes work, and what it is
    #[command(after_help = "Exit codes: 0 it takes work, 1 it answers and takes none, 3 it does not answer.")]
    Status,
}

/// Shells that a completion script is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
