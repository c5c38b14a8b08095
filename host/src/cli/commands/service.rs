//! `start`, `stop`, `restart`, `status`: a host in the background, without a service manager.
//!
//! Whether one runs is asked of the lock of the state directory, which the kernel gives back however
//! a process ends. The pid file is for scripts: a number in it proves nothing, because numbers are
//! given away again.
//!
//! Absent on purpose: starting again after a crash (a service manager does that, see
//! `systemd-unit`), and SIGKILL: a person decides that.

#![allow(
    clippy::disallowed_methods,
    reason = "a command waits for another process, which has no event to wait for"
)]

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use super::server::{live_flow_runs, live_in_words};
use crate::api::VERSION;
use crate::cli::arguments::{Global, Stop};
use crate::cli::client::{Client, Probe, load_settings};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{ago, date_time};
use crate::clock;
use crate::config::Settings;
use crate::store::{self, Holder};

pub(crate) mod files;
pub(crate) mod ports;
pub(crate) mod start;
pub(crate) mod unit;

use files::Files;

/// Between two looks at another process.
const LOOK: Duration = Duration::from_millis(50);
/// After the grace that the host gives itself.
const STOP_MARGIN: Duration = Duration::from_secs(5);
/// Last lines of the log that are shown when something is wrong.
const LOG_LINES: usize = 15;

/// Asks until there is an answer or the time is over.
fn wait<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() >= limit {
            return None;
        }
        thread::sleep(LOOK);
    }
}

pub(crate) fn stop(global: &Global, arguments: &Stop) -> Done {
    let settings = load_settings(global, Vec::new())?;
    let stopped = end(&settings, arguments.wait)?;
    let process = stopped.and_then(|holder| holder.process);
    match (global.json, process) {
        (true, _) => out::json(&json!({"status": "stopped", "process": process})),
        (false, None) => out::line("grepx-host is not running."),
        (false, Some(process)) => out::line(format!("grepx-host is stopped (process {process}).")),
    }
    Ok(Exit::Ok)
}

/// Who was stopped; `None` when nobody ran.
fn end(settings: &Settings, wait_s: Option<u64>) -> Result<Option<Holder>, Failure> {
    let files = Files::of(&settings.store.dir);
    let Some(holder) = store::holder(&settings.store.dir) else {
        files.forget();
        return Ok(None);
    };
    let pid = of_this_machine(&holder)?;
    let raw = pid.as_raw_nonzero();
    rustix::process::kill_process(pid, Signal::TERM).map_err(|error| {
        Failure::says(
            Exit::Failed,
            format!("process {raw} cannot be told to stop: {error}; it belongs to another user, who may stop it"),
        )
    })?;
    let limit = match wait_s {
        Some(seconds) => Duration::from_secs(seconds),
        None => settings.server.shutdown_grace + STOP_MARGIN,
    };
    let gone = wait(limit, || {
        let held = store::holder(&settings.store.dir).is_some_and(|now| now.process == holder.process);
        (!held && !is_there(pid)).then_some(())
    });
    if gone.is_none() {
        files.show_log(LOG_LINES);
        return Err(Failure::says(
            Exit::Failed,
            format!(
                "process {raw} has not ended within {} s: wait for it with `grepx-host stop`, or end it with \
                 `kill -9 {raw}`; nothing is lost by that, the next start goes on where it was",
                limit.as_secs()
            ),
        ));
    }
    files.forget();
    Ok(Some(holder))
}

/// Whether the process has not ended; one that only waits for its parent to look at it has.
fn is_there(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // proc_pid_stat(5): the state follows the name, which is in parentheses and may hold some.
    let state = stat
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('Z')));
    rustix::process::test_kill_process(pid).is_ok() && state != Some(true)
}

/// The process to be signalled. One that serves nowhere is a command and ends by itself.
fn of_this_machine(holder: &Holder) -> Result<Pid, Failure> {
    let here = store::this_machine();
    if holder.machine.is_some() && here.is_some() && holder.machine != here {
        return Err(Failure::says(
            Exit::Failed,
            format!("the state directory is used by {holder}: stop it there"),
        ));
    }
    if holder.address.is_none() {
        return Err(Failure::says(
            Exit::Failed,
            format!("the state directory is used by {holder}, which is a command and no server: it ends by itself"),
        ));
    }
    let pid = holder.process.and_then(|pid| Pid::from_raw(pid.cast_signed()));
    pid.ok_or_else(|| {
        Failure::says(
            Exit::Failed,
            "the lock file does not say which process it is: `fuser` on the lock file in the state directory does",
        )
    })
}

/// What runs in the background, as `status` and `doctor` see it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) holder: Holder,
    /// Of what answers at its address.
    pub(crate) probe: Result<Probe, String>,
    pub(crate) live: Option<Value>,
}

impl Running {
    pub(crate) fn find(global: &Global, settings: &Settings) -> Option<Self> {
        let holder = store::holder(&settings.store.dir)?;
        let client = match &holder.address {
            Some(address) => Client::of_server(global, address).map_err(|failure| failure.error.to_string()),
            None => Err("it is a command and serves nowhere".to_owned()),
        };
        let probe = client
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|client| client.probe().map_err(|failure| failure.error.to_string()));
        let live = client.ok().and_then(|client| live_flow_runs(&client).ok());
        Some(Self { holder, probe, live })
    }
}

pub(crate) fn status(global: &Global) -> Done {
    let settings = load_settings(global, Vec::new())?;
    let files = Files::of(&settings.store.dir);
    match Running::find(global, &settings) {
        Some(running) => {
            show_running(global, &running, &files.log);
            Ok(Exit::Ok)
        }
        None => Ok(show_stopped(global, &files)),
    }
}

fn show_running(global: &Global, running: &Running, log: &std::path::Path) {
    let holder = &running.holder;
    let since = json!({"since": holder.since.map(clock::rfc3339)});
    let (ready, why_not, version) = match &running.probe {
        Ok(probe) => (
            probe.why_not.is_none(),
            probe.why_not.clone(),
            Some(probe.version.clone()),
        ),
        Err(error) => (false, Some(error.clone()), None),
    };
    if global.json {
        return out::json(&json!({
            "status": "running",
            "process": holder.process,
            "machine": holder.machine,
            "since": since["since"],
            "address": holder.address,
            "version": version,
            "ready": ready,
            "why_not": why_not,
            "flow_runs": running.live,
            "log": log.exists().then_some(log),
        }));
    }
    let state = match &why_not {
        None => "running, ready".to_owned(),
        Some(why) => format!("running, takes no work: {why}"),
    };
    let other = version.as_deref().filter(|version| *version != VERSION);
    let version = version.clone().unwrap_or_default();
    let version = match other {
        Some(_) => format!("{version} (this program is {VERSION}: `grepx-host restart` puts it to work)"),
        None => version,
    };
    let mut rows = vec![
        ("grepx-host", state),
        ("process", holder.process.map(|pid| pid.to_string()).unwrap_or_default()),
        ("machine", holder.machine.clone().unwrap_or_default()),
        (
            "since",
            format!("{} ({})", date_time(&since, "since"), ago(&since, "since")),
        ),
        ("address", holder.address.clone().unwrap_or_default()),
        ("version", version),
        (
            "flow runs",
            running.live.as_ref().map(live_in_words).unwrap_or_default(),
        ),
    ];
    if log.exists() {
        rows.push(("log", log.display().to_string()));
    }
    rows.retain(|(_, value)| !value.is_empty());
    out::pairs(&rows);
}

/// Codes of the LSB: 1 for a pid file without its process, 3 for not running.
fn show_stopped(global: &Global, files: &Files) -> Exit {
    let stale = files.pid();
    if global.json {
        out::json(&json!({"status": "stopped", "stale_pid_file": stale.map(|_| &files.pid)}));
    } else {
        match stale {
            None => out::line("grepx-host is not running: `grepx-host start` starts it."),
            Some(pid) => out::line(format!(
                "grepx-host is not running; it did not end by itself: {} still names process {pid}. \
                 `grepx-host start` starts it, and it goes on where it was.",
                files.pid.display()
            )),
        }
    }
    match stale {
        None => Exit::Unreachable,
        Some(_) => Exit::Failed,
    }
}

/// The configuration is read first: one that is broken leaves what runs alone.
pub(crate) fn restart(global: &Global, arguments: &crate::cli::arguments::Start) -> Done {
    let settings = start::settings(global, arguments)?;
    end(&settings, None)?;
    start::start(global, arguments)
}

#[cfg(test)]
mod tests;
