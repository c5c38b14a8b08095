//! The host itself: does one run, does it take work, may one listen, is its store sound, and why do
//! flow runs wait.

use serde_json::{Value, json};

use super::Finding;
use super::patient::Patient;
use crate::api::VERSION;
use crate::cli::client::Client;
use crate::cli::commands::service::files::Files;
use crate::cli::commands::service::ports::{self, Port};
use crate::cli::show::{ago, size, text, why};
use crate::clock;
use crate::store::{self, FILE_NAME, Found};

/// Flow runs that wait and are named.
const WAITING_SHOWN: usize = 10;

pub(super) fn host(patient: &Patient) -> Vec<Finding> {
    let settings = &patient.settings;
    let files = Files::of(&settings.store.dir);
    let Some(running) = patient.running() else {
        return match files.pid() {
            None => vec![Finding::ok(
                "grepx-host",
                "no host runs on this state directory (`grepx-host start` starts one)",
            )],
            Some(pid) => vec![Finding::warning(
                files.pid.display().to_string(),
                format!("no host runs, and process {pid}, which it names, did not end by itself"),
                format!(
                    "`grepx-host start` goes on where it was; its last words are in {}",
                    files.log.display()
                ),
            )],
        };
    };
    let mut findings = Vec::new();
    let address = running
        .holder
        .address
        .clone()
        .unwrap_or_else(|| "grepx-host".to_owned());
    match &running.probe {
        Err(error) => findings.push(Finding::error(
            address.clone(),
            format!(
                "{} holds the state directory and does not answer: {error}",
                running.holder
            ),
            "look at its log; if it hangs, `grepx-host restart`",
        )),
        Ok(probe) => {
            match &probe.why_not {
                None => findings.push(Finding::ok(&address, format!("{} takes work", running.holder))),
                Some(why) => findings.push(Finding::error(
                    &address,
                    format!("it runs and takes no work: {why}"),
                    "the reason says what to do; it goes on by itself when that is done",
                )),
            }
            if probe.version != VERSION {
                findings.push(Finding::warning(
                    &address,
                    format!("it is version {}, this program is {VERSION}", probe.version),
                    "`grepx-host restart` puts the new one to work",
                ));
            }
        }
    }
    findings.extend(other_url(patient, &address));
    findings
}

/// Commands would ask another server than the one that runs.
fn other_url(patient: &Patient, address: &str) -> Option<Finding> {
    let client = Client::new(&patient.global).ok()?;
    let asked = client.shown_url().trim_end_matches("/api").to_owned();
    let same = asked == address || client.probe().is_ok();
    (!same).then(|| {
        Finding::warning(
            asked,
            format!("commands ask here, and nobody answers: the host serves on {address}"),
            format!("set GREPX_API_URL={address}/api, or prefect.api_url in the configuration"),
        )
    })
}

pub(super) fn port(patient: &Patient) -> Vec<Finding> {
    let server = &patient.settings.server;
    let place = format!("{}:{}", server.host, server.port);
    if server.port == 0 {
        return vec![Finding::ok(place, "any free port is taken (server.port is 0)")];
    }
    let ours = patient.running().and_then(|running| running.holder.process);
    vec![match ports::look(&server.host, server.port) {
        Port::Free => Finding::ok(place, "free"),
        Port::Taken(by) if ours.is_some_and(|pid| by.starts_with(&format!("process {pid} "))) => {
            Finding::ok(place, format!("held by the host itself, {by}"))
        }
        Port::Taken(by) => Finding::error(
            place,
            format!("taken by {by}"),
            "stop that one, or choose another port with --port or server.port",
        ),
        Port::Unusable(error) => Finding::error(
            place,
            format!("nobody can listen there: {error}"),
            "server.host has to be an address of this machine, and ports below 1024 are for root",
        ),
    }]
}

pub(super) fn store(patient: &Patient) -> Vec<Finding> {
    let dir = &patient.settings.store.dir;
    let path = dir.join(FILE_NAME);
    let place = path.display().to_string();
    let Ok(file) = std::fs::metadata(&path) else {
        return vec![Finding::ok(
            place,
            "not there yet: a host makes it when it first serves",
        )];
    };
    let mut findings = vec![match store::check_within(dir, patient.limit / 2) {
        Ok(Found::Sound) => Finding::ok(&place, format!("sound, {}", size(file.len()))),
        Ok(Found::SoundSoFar) => Finding::ok(
            &place,
            format!(
                "{}; what was read in time is sound (`grepx-host gc --check` reads everything)",
                size(file.len())
            ),
        ),
        Ok(Found::Damage(what)) => Finding::error(
            &place,
            format!("damaged: {what}"),
            "stop the host, then `grepx-host restore FILE` with the newest backup",
        ),
        Err(error) => Finding::error(
            &place,
            format!("cannot be read: {}", crate::report::chain(&error)),
            "it has to belong to the user that the host runs as",
        ),
    }];
    if let Some(running) = patient.running() {
        findings.push(Finding::ok(
            dir.display().to_string(),
            format!("held by {}", running.holder),
        ));
    }
    findings
}

/// Why flow runs wait, if a host can be asked.
pub(super) fn flow_runs(patient: &Patient) -> Vec<Finding> {
    let Some(address) = patient.running().and_then(|running| running.holder.address.clone()) else {
        return vec![Finding::ok("flow runs", "not looked at: no host runs")];
    };
    let waiting = Client::of_server(&patient.global, &address).and_then(|client| {
        let names = ["Late", "AwaitingConcurrencySlot"];
        client.all(
            "/flow_runs/filter",
            &json!({
                "flow_runs": {
                    "state": {"name": {"any_": names}},
                    "expected_start_time": {"before_": clock::rfc3339(clock::now())},
                },
                "sort": "EXPECTED_START_TIME_ASC",
            }),
            WAITING_SHOWN,
        )
    });
    match waiting {
        Err(failure) => vec![Finding::warning(
            address,
            format!("cannot be asked for flow runs: {}", failure.error),
            "give a key of the scope read in GREPX_API_KEY",
        )],
        Ok(runs) if runs.is_empty() => vec![Finding::ok(address, "none waits for a slot")],
        Ok(runs) => runs.iter().map(waits).collect(),
    }
}

fn waits(run: &Value) -> Finding {
    let reason = match why(run) {
        reason if reason.is_empty() => "no reason is given".to_owned(),
        reason => reason,
    };
    Finding::warning(
        format!("{} {}", text(run, "flow_name"), text(run, "id")),
        format!(
            "{} since {}: {reason}",
            text(run, "state_name"),
            ago(run, "expected_start_time")
        ),
        "raise the limit, resume what is paused, or cancel what holds the slots (`grepx-host work-pool inspect NAME`)",
    )
}
