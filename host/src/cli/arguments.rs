//! Words of the command line. Prefect's verbs where it has them, ours beside them.

mod many;

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};

pub(crate) use many::{Retries, Which};

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file [default: config/config.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// File of environment variables; real ones win over it [default: env.common, when there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// API of the server [default: PREFECT_API_URL, then prefect.api_url of the configuration]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) api_url: Option<String>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: schedules, runs, API
    Serve(Serve),
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
    /// Show, pause and resume work pools
    #[command(subcommand, name = "work-pool")]
    WorkPool(WorkPoolCommand),
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
pub(crate) enum DeploymentCommand {
    /// Start a flow run
    Run(Run),
    /// List deployments
    Ls,
    /// Show a deployment
    Inspect {
        /// `flow/deployment`, or the deployment's name
        name: String,
    },
    /// Let the schedules of a deployment start nothing; it can still be started by hand
    Pause {
        /// `flow/deployment`, or the deployment's name
        name: String,
    },
    /// Let the schedules of a deployment start runs again, from now on
    Resume {
        /// `flow/deployment`, or the deployment's name
        name: String,
    },
    /// Show, pause and resume single schedules
    #[command(subcommand)]
    Schedule(DeploymentScheduleCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeploymentScheduleCommand {
    /// List the schedules of a deployment, or of all
    Ls {
        /// `flow/deployment`, or the deployment's name
        name: Option<String>,
    },
    /// Let a schedule start nothing
    Pause(OneSchedule),
    /// Let a schedule start runs again, from now on
    Resume(OneSchedule),
}

#[derive(Debug, Args)]
pub(crate) struct OneSchedule {
    /// `flow/deployment`, or the deployment's name
    pub(crate) name: String,
    /// Slug or id; not needed when the deployment has one schedule
    pub(crate) schedule: Option<String>,
    /// Every schedule of the deployment
    #[arg(long, conflicts_with = "schedule")]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Show when a rule, or a deployment, starts runs
    Preview(Preview),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    grepx-host schedule preview cron \"30 15 * * 1-5\" --timezone Asia/Kolkata\n  \
    grepx-host schedule preview interval 15m --anchor 2026-01-01T09:00:00Z\n  \
    grepx-host schedule preview rrule \"FREQ=WEEKLY;BYDAY=MO,FR\" -n 5\n  \
    grepx-host schedule preview nightly/nightly-deployment\n  \
    grepx-host schedule preview --type cron --config '{\"cron_string\": \"0 9 * * 1\"}'")]
pub(crate) struct Preview {
    /// cron, interval or rrule; or the name of a deployment
    #[arg(required_unless_present = "type")]
    pub(crate) what: Option<String>,
    /// The rule: a cron expression, seconds or a duration such as 15m, or a recurrence rule
    pub(crate) rule: Option<String>,
    /// Name of the time zone database [default: UTC]
    #[arg(long, short = 'z', value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
    /// What an interval counts from [default: 2020-01-01T00:00 in the zone]
    #[arg(long, value_name = "TIME")]
    pub(crate) anchor: Option<String>,
    /// Whether day of month and day of week of a cron rule are alternatives [default: true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) day_or: Option<bool>,
    /// First moment, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// How many
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) n: u16,
    /// schedule_type of a row; --config is then its schedule_config, as JSON
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["what", "rule", "timezone", "anchor", "day_or"])]
    pub(crate) r#type: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// `flow/deployment`, or the deployment's name
    pub(crate) name: String,
    /// A parameter; the value is JSON, or else text
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) param: Vec<(String, String)>,
    /// Parameters as a JSON object; --param wins over it
    #[arg(long, value_name = "JSON")]
    pub(crate) params: Option<String>,
    /// A further tag of the flow run
    #[arg(long, short, action = ArgAction::Append)]
    pub(crate) tag: Vec<String>,
    /// Name of the flow run [default: a random one]
    #[arg(long)]
    pub(crate) flow_run_name: Option<String>,
    /// Start later: `30s`, `10 minutes`, `2h`, `1 day`
    #[arg(long, value_name = "DURATION", conflicts_with = "start_at")]
    pub(crate) start_in: Option<String>,
    /// Start at a time, RFC 3339: 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) start_at: Option<String>,
    /// With the same key, the same flow run is answered instead of a second one
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Show what happens until the flow run has ended; exit 1 when it did not complete
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlowCommand {
    /// List flows
    Ls,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlowRunCommand {
    /// List flow runs, latest first
    Ls(FlowRuns),
    /// Show a flow run and its task runs
    Inspect { id: String },
    /// Show the log of a flow run
    Logs {
        id: String,
        /// Until the flow run has ended
        #[arg(long, short)]
        follow: bool,
    },
    /// Show what happens until the flow run has ended; exit 1 when it did not complete
    Watch { id: String },
    /// Stop a flow run and what its tasks do, or many of them
    Cancel(Which),
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
    /// State type (FAILED) or state name (AwaitingRetry); may be given again
    #[arg(long)]
    pub(crate) state: Vec<String>,
    /// Name of the flow; may be given again
    #[arg(long, visible_alias = "flow-name")]
    pub(crate) flow: Vec<String>,
    /// From 1 to 200
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) limit: u16,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskRunCommand {
    /// List task runs, latest first
    Ls(TaskRuns),
    /// Show a task run, with its result
    Inspect { id: String },
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
    /// State type (FAILED) or state name (AwaitingRetry); may be given again
    #[arg(long)]
    pub(crate) state: Vec<String>,
    /// From 1 to 200
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) limit: u16,
}

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
}

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

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
