//! The command line: parse, do one thing, exit with a code that means something (`exit`).
//!
//! Commands about runs talk to a server over its HTTP API, as any other client would; commands
//! about definitions, configuration and plugin files work without one. Nothing but `out` prints.
//!
//! Absent on purpose: a way to the run store beside a server that serves it (keys, the audit log and
//! `store verify` have one where none does), and interaction: every command can run in a script.

mod arguments;
mod client;
mod commands;
mod credentials;
mod exit;
mod out;
mod show;
mod suggest;
mod wanted;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};

use arguments::{
    AuditCommand, Command, DeploymentCommand, DeploymentScheduleCommand, FlowCommand, FlowRunCommand, Global,
    KeyCommand, PluginCommand, ScheduleCommand, ServerCommand, StoreCommand, TaskRunCommand, WorkPoolCommand,
    WorkQueueCommand,
};
use client::Client;
use commands::{
    audit, definitions, deployment, doctor, flow, flow_run, flow_runs, key, logs, plan, plugin, plugin_file,
    plugin_run, schedule, serve, server, service, settings, shell, store, task_run, upkeep, work_pool, work_queue,
};
use exit::{Done, Exit};

/// Runs the flows of grepx-master.db: schedules, DAGs, Celery dispatch, sandboxed task kinds.
#[derive(Debug, Parser)]
#[command(name = "grepx-host", version, max_term_width = 100, propagate_version = true, after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The whole program.
#[must_use]
pub fn parse_and_run() -> ExitCode {
    run(std::env::args_os()).into()
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    out::set_colour(cli.global.color);
    match dispatch(&cli) {
        Ok(exit) => exit,
        Err(failure) => {
            out::failure(&failure);
            failure.exit
        }
    }
}

/// `--help` and `--version` are no errors, but come as one.
fn refused(error: &clap::Error) -> Exit {
    out::set_colour(None);
    let text = out::styled(&error.render());
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            out::line(text.trim_end());
            Exit::Ok
        }
        _ => {
            out::note(text.trim_end());
            Exit::Usage
        }
    }
}

fn dispatch(cli: &Cli) -> Done {
    let global = &cli.global;
    let json = global.json;
    match &cli.command {
        Command::Serve(arguments) => serve::serve(global, arguments),
        Command::Start(arguments) => service::start::start(global, arguments),
        Command::Stop(arguments) => service::stop(global, arguments),
        Command::Restart(arguments) => service::restart(global, arguments),
        Command::Status => service::status(global),
        Command::Doctor(arguments) => doctor::doctor(global, arguments),
        Command::SystemdUnit(arguments) => service::unit::print(global, arguments),
        Command::Apply(arguments) => definitions::apply(global, arguments),
        Command::Check(arguments) => definitions::check(global, arguments),
        Command::Export(arguments) => definitions::export(global, arguments),
        Command::Backup(arguments) => upkeep::backup(global, arguments),
        Command::Restore(arguments) => upkeep::restore(global, arguments),
        Command::Gc(arguments) => upkeep::gc(global, arguments),
        Command::Key(KeyCommand::Create(asked)) => key::create(global, asked),
        Command::Key(KeyCommand::Ls) => key::ls(global),
        Command::Key(KeyCommand::Revoke { key: which }) => key::revoke(global, which),
        Command::Audit(AuditCommand::Ls { limit }) => audit::ls(global, *limit),
        Command::Config(_) => settings::show(global),
        Command::Version => settings::version(json),
        Command::Store(StoreCommand::Verify) => store::verify(global),
        Command::Failpoints => store::failpoints(),
        Command::Schedule(ScheduleCommand::Preview(arguments)) => schedule::preview(global, arguments),
        Command::Plugin(PluginCommand::Ls) => plugin::ls(global),
        Command::Plugin(PluginCommand::Inspect { kind }) => plugin::inspect(global, kind),
        Command::Plugin(PluginCommand::Install { file, name }) => plugin::install(global, file, name.as_deref()),
        Command::Plugin(PluginCommand::Rollback { kind }) => plugin::roll_back(global, kind),
        Command::Plugin(PluginCommand::Check { file }) => plugin_file::check(global, file),
        Command::Plugin(PluginCommand::Run(asked)) => plugin_run::run(global, asked),
        Command::Plugin(PluginCommand::Test { file, input }) => plugin_file::test(global, file, input.as_deref()),
        Command::Plugin(PluginCommand::New(arguments)) => plugin::new::new(arguments, json),
        Command::Completion { shell: wanted } => shell::completion(Cli::command(), *wanted, json),
        Command::Man { dir } => shell::man(Cli::command(), dir, json),
        Command::Deployment(DeploymentCommand::Run(arguments)) if arguments.dry_run => plan::plan(global, arguments),
        online => ask(&Client::new(global)?, json, online),
    }
}

/// Commands that only a server can answer.
fn ask(client: &Client, json: bool, command: &Command) -> Done {
    match command {
        Command::Deployment(command) => ask_deployment(client, json, command),
        Command::Flow(FlowCommand::Ls { limit }) => flow::ls(client, json, *limit),
        Command::FlowRun(command) => ask_flow_run(client, json, command),
        Command::TaskRun(TaskRunCommand::Ls(arguments)) => task_run::ls(client, json, arguments),
        Command::TaskRun(TaskRunCommand::Inspect { id }) => task_run::inspect(client, json, id),
        Command::TaskRun(TaskRunCommand::Logs(asked)) => logs::logs(client, json, logs::Of::TaskRun, asked),
        Command::TaskRun(TaskRunCommand::Signal { id, name, data }) => task_run::signal(client, json, id, name, data),
        Command::TaskRun(TaskRunCommand::MarkDone { id, note, result }) => {
            task_run::mark_done(client, json, id, note, result)
        }
        Command::WorkPool(command) => ask_work_pool(client, json, command),
        Command::WorkQueue(command) => ask_work_queue(client, json, command),
        Command::Server(ServerCommand::Status) => server::status(client, json),
        _ => Err(exit::Failure::usage(
            "this command needs no server; please report this message",
        )),
    }
}

fn ask_deployment(client: &Client, json: bool, command: &DeploymentCommand) -> Done {
    match command {
        DeploymentCommand::Run(arguments) => deployment::run(client, json, arguments),
        DeploymentCommand::Ls { flow, limit } => deployment::ls(client, json, flow, *limit),
        DeploymentCommand::Inspect { name } => deployment::inspect(client, json, name),
        DeploymentCommand::Pause { name } => deployment::switch(client, json, name, false),
        DeploymentCommand::Resume { name } => deployment::switch(client, json, name, true),
        DeploymentCommand::Schedule(command) => match command {
            DeploymentScheduleCommand::Ls { name } => schedule::ls(client, json, name.as_deref()),
            DeploymentScheduleCommand::Pause(which) => schedule::switch(client, json, which, false),
            DeploymentScheduleCommand::Resume(which) => schedule::switch(client, json, which, true),
        },
    }
}

fn ask_flow_run(client: &Client, json: bool, command: &FlowRunCommand) -> Done {
    match command {
        FlowRunCommand::Ls(arguments) => flow_run::ls(client, json, arguments),
        FlowRunCommand::Inspect { id } => flow_run::inspect(client, json, id),
        FlowRunCommand::Logs(asked) => logs::logs(client, json, logs::Of::FlowRun, asked),
        FlowRunCommand::Watch { id } => flow_run::watch(client, json, id),
        FlowRunCommand::Cancel(which) => flow_runs::cancel(client, json, which),
        FlowRunCommand::Retry(asked) => flow_runs::retry(client, json, asked),
        FlowRunCommand::Delete(which) => flow_runs::delete(client, json, which),
        FlowRunCommand::Pause { id } => flow_run::set_state(client, json, id, "PAUSED"),
        FlowRunCommand::Resume { id } => flow_run::resume(client, json, id),
    }
}

fn ask_work_pool(client: &Client, json: bool, command: &WorkPoolCommand) -> Done {
    match command {
        WorkPoolCommand::Ls => work_pool::ls(client, json),
        WorkPoolCommand::Inspect { name } => work_pool::inspect(client, json, name),
        WorkPoolCommand::Pause { name } => work_pool::set_paused(client, json, name, true),
        WorkPoolCommand::Resume { name } => work_pool::set_paused(client, json, name, false),
        WorkPoolCommand::SetConcurrencyLimit { name, limit } => work_pool::set_limit(client, json, name, Some(*limit)),
        WorkPoolCommand::ClearConcurrencyLimit { name } => work_pool::set_limit(client, json, name, None),
        WorkPoolCommand::Preview { name, hours } => work_pool::preview(client, json, name.as_deref(), *hours),
    }
}

fn ask_work_queue(client: &Client, json: bool, command: &WorkQueueCommand) -> Done {
    match command {
        WorkQueueCommand::Ls { pool } => work_queue::ls(client, json, pool.as_deref()),
        WorkQueueCommand::Inspect(which) => work_queue::inspect(client, json, which),
        WorkQueueCommand::Pause(which) => work_queue::set_paused(client, json, which, true),
        WorkQueueCommand::Resume(which) => work_queue::set_paused(client, json, which, false),
        WorkQueueCommand::SetConcurrencyLimit { queue, limit } => {
            work_queue::set_limit(client, json, queue, Some(*limit))
        }
        WorkQueueCommand::ClearConcurrencyLimit(which) => work_queue::set_limit(client, json, which, None),
    }
}

#[cfg(test)]
mod tests;
