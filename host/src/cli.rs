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

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use arguments::{
    AuditCommand, Command, DeploymentCommand, DeploymentScheduleCommand, FlowCommand, FlowRunCommand, Global,
    KeyCommand, PluginCommand, ScheduleCommand, StoreCommand, TaskRunCommand, WorkPoolCommand,
};
use client::Client;
use commands::{
    audit, definitions, deployment, flow, flow_run, flow_runs, key, plugin, plugin_file, plugin_run, schedule, serve,
    settings, store, task_run, upkeep, work_pool,
};
use exit::{Done, Exit};

/// Runs the flows of grepx-master.db: schedules, DAGs, Celery dispatch, sandboxed task kinds.
#[derive(Debug, Parser)]
#[command(name = "grepx-host", version, max_term_width = 100, propagate_version = true)]
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
    let text = error.render().to_string();
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
        online => ask(&Client::new(global)?, json, online),
    }
}

/// Commands that only a server can answer.
fn ask(client: &Client, json: bool, command: &Command) -> Done {
    match command {
        Command::Deployment(DeploymentCommand::Run(arguments)) => deployment::run(client, json, arguments),
        Command::Deployment(DeploymentCommand::Ls) => deployment::ls(client, json),
        Command::Deployment(DeploymentCommand::Inspect { name }) => deployment::inspect(client, json, name),
        Command::Deployment(DeploymentCommand::Pause { name }) => deployment::switch(client, json, name, false),
        Command::Deployment(DeploymentCommand::Resume { name }) => deployment::switch(client, json, name, true),
        Command::Deployment(DeploymentCommand::Schedule(command)) => match command {
            DeploymentScheduleCommand::Ls { name } => schedule::ls(client, json, name.as_deref()),
            DeploymentScheduleCommand::Pause(which) => schedule::switch(client, json, which, false),
            DeploymentScheduleCommand::Resume(which) => schedule::switch(client, json, which, true),
        },
        Command::Flow(FlowCommand::Ls) => flow::ls(client, json),
        Command::FlowRun(FlowRunCommand::Ls(arguments)) => flow_run::ls(client, json, arguments),
        Command::FlowRun(FlowRunCommand::Inspect { id }) => flow_run::inspect(client, json, id),
        Command::FlowRun(FlowRunCommand::Logs { id, follow }) => flow_run::logs(client, json, id, *follow),
        Command::FlowRun(FlowRunCommand::Watch { id }) => flow_run::watch(client, json, id),
        Command::FlowRun(FlowRunCommand::Cancel(which)) => flow_runs::cancel(client, json, which),
        Command::FlowRun(FlowRunCommand::Retry(asked)) => flow_runs::retry(client, json, asked),
        Command::FlowRun(FlowRunCommand::Delete(which)) => flow_runs::delete(client, json, which),
        Command::FlowRun(FlowRunCommand::Pause { id }) => flow_run::set_state(client, json, id, "PAUSED"),
        Command::FlowRun(FlowRunCommand::Resume { id }) => flow_run::resume(client, json, id),
        Command::TaskRun(TaskRunCommand::Ls(arguments)) => task_run::ls(client, json, arguments),
        Command::TaskRun(TaskRunCommand::Inspect { id }) => task_run::inspect(client, json, id),
        Command::TaskRun(TaskRunCommand::Signal { id, name, data }) => task_run::signal(client, json, id, name, data),
        Command::TaskRun(TaskRunCommand::MarkDone { id, note, result }) => {
            task_run::mark_done(client, json, id, note, result)
        }
        Command::WorkPool(WorkPoolCommand::Ls) => work_pool::ls(client, json),
        Command::WorkPool(WorkPoolCommand::Inspect { name }) => work_pool::inspect(client, json, name),
        Command::WorkPool(WorkPoolCommand::Pause { name }) => work_pool::set_paused(client, json, name, true),
        Command::WorkPool(WorkPoolCommand::Resume { name }) => work_pool::set_paused(client, json, name, false),
        _ => Err(exit::Failure::usage(
            "this command needs no server; please report this message",
        )),
    }
}

#[cfg(test)]
mod tests;
