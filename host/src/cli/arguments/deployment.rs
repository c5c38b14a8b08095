//! Words about deployments and their schedules.

use clap::{ArgAction, Args, Subcommand};

use super::pair;

#[derive(Debug, Subcommand)]
pub(crate) enum DeploymentCommand {
    /// Start a flow run
    Run(Run),
    /// List deployments
    Ls {
        /// Name of the flow; may be given again
        #[arg(long, visible_alias = "flow-name")]
        flow: Vec<String>,
        /// From 1 to 10000
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        limit: u16,
    },
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
    /// Show the plan and start nothing: order, kinds, queues, inputs as far as they are known. Without
    /// a server, from the definitions database
    #[arg(long, conflicts_with = "watch")]
    pub(crate) dry_run: bool,
}
