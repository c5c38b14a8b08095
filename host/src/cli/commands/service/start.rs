//! `start`: a second process serves, this one waits until it does and says how it went.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::files::Files;
use super::ports::{self, Port};
use super::{LOG_LINES, wait};
use crate::cli::arguments::{Global, Start};
use crate::cli::client::{Client, load_settings};
use crate::cli::commands::serve::overrides;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::config::Settings;
use crate::store;

pub(crate) fn settings(global: &Global, arguments: &Start) -> Result<Settings, Failure> {
    load_settings(global, overrides(&arguments.serve))
}

pub(crate) fn start(global: &Global, arguments: &Start) -> Done {
    let settings = settings(global, arguments)?;
    let files = Files::of(&settings.store.dir);
    if let Some(holder) = store::holder(&settings.store.dir) {
        if holder.address.is_none() {
            return Err(Failure::says(
                Exit::Failed,
                format!(
                    "the state directory {} is used by {holder}: start when it has ended",
                    settings.store.dir.display()
                ),
            ));
        }
        return already(global, &holder, &files);
    }
    port(&settings)?;
    let (log, from) = files
        .open_log()
        .with_context(|| format!("cannot write the log {}", files.log.display()))
        .map_err(Failure::broken)?;
    let mut child = command(global, arguments, &files)
        .and_then(|mut command| {
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
            Ok(command.spawn()?)
        })
        .context("cannot start the server")
        .map_err(Failure::broken)?;
    let limit = Duration::from_secs(arguments.wait);
    match wait(limit, || look(global, &settings, &mut child)) {
        Some(Came::Up { address, version }) => {
            if let Err(error) = files.note(child.id()) {
                out::note(format!("{} is not written: {error}", files.pid.display()));
            }
            up(global, &child, &address, &version, &files);
            Ok(Exit::Ok)
        }
        Some(Came::Ended(status)) => {
            files.show_log_from(from, LOG_LINES);
            Err(ended(status, &files))
        }
        None => {
            files.show_log_from(from, LOG_LINES);
            let _ = files.note(child.id());
            Err(Failure::says(
                Exit::Failed,
                format!(
                    "the server (process {}) takes no work after {} s and goes on trying: look at {}, or stop it with \
                     `grepx-host stop`",
                    child.id(),
                    arguments.wait,
                    files.log.display()
                ),
            ))
        }
    }
}

enum Came {
    Up { address: String, version: String },
    Ended(ExitStatus),
}

fn look(global: &Global, settings: &Settings, child: &mut Child) -> Option<Came> {
    if let Ok(Some(status)) = child.try_wait() {
        return Some(Came::Ended(status));
    }
    let holder = store::holder(&settings.store.dir)?;
    let address = holder.address.filter(|_| holder.process == Some(child.id()))?;
    let probe = Client::of_server(global, &address)
        .and_then(|client| client.probe())
        .ok()?;
    probe.why_not.is_none().then_some(Came::Up {
        address,
        version: probe.version,
    })
}

/// This program again, with the same configuration.
fn command(global: &Global, arguments: &Start, files: &Files) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let mut command = Command::new(program);
    for (name, value) in [("--config", &global.config), ("--env-file", &global.env_file)] {
        if let Some(value) = value {
            command.arg(name).arg(value);
        }
    }
    command.arg("serve").arg("--detached").arg(&files.log);
    let serve = &arguments.serve;
    if let Some(host) = &serve.host {
        command.arg("--host").arg(host);
    }
    if let Some(port) = serve.port {
        command.arg("--port").arg(port.to_string());
    }
    if serve.allow_unauthenticated {
        command.arg("--allow-unauthenticated");
    }
    for (key, value) in &serve.set {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    Ok(command)
}

/// Said before anything is started, because here it can be said who it is.
fn port(settings: &Settings) -> Result<(), Failure> {
    let (host, port) = (settings.server.host.as_str(), settings.server.port);
    let why = match ports::look(host, port) {
        Port::Free => return Ok(()),
        Port::Taken(by) => format!(
            "port {port} on {host} is taken by {by}: stop that one, or choose another port with --port or server.port"
        ),
        Port::Unusable(why) => format!("cannot listen on {host}:{port} (server.host, server.port): {why}"),
    };
    Err(Failure::says(Exit::Failed, why))
}

fn already(global: &Global, holder: &store::Holder, files: &Files) -> Done {
    if global.json {
        out::json(&json!({"status": "running", "process": holder.process, "address": holder.address}));
        return Ok(Exit::Ok);
    }
    out::line(format!("grepx-host is running already: {holder}"));
    if files.pid() != holder.process {
        out::note("It was not started by `grepx-host start`, and `grepx-host stop` stops it all the same.");
    }
    Ok(Exit::Ok)
}

fn up(global: &Global, child: &Child, address: &str, version: &str, files: &Files) {
    if global.json {
        return out::json(&json!({
            "status": "running",
            "process": child.id(),
            "address": address,
            "version": version,
            "log": files.log,
        }));
    }
    out::line(format!(
        "grepx-host {version} serves on {address} (process {}, log {})",
        child.id(),
        files.log.display()
    ));
}

fn ended(status: ExitStatus, files: &Files) -> Failure {
    let (exit, how) = match status.code() {
        // The configuration or an argument.
        Some(2) => (Exit::Usage, "exit code 2".to_owned()),
        Some(code) => (Exit::Failed, format!("exit code {code}")),
        None => (Exit::Failed, status.to_string()),
    };
    Failure::says(
        exit,
        format!("the server did not come up ({how}): its log is {}", files.log.display()),
    )
}
