//! `backup`, `restore`, `gc`: the run store as a whole. They know from the state directory whether a
//! server works on it, and what they then may do themselves.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{describe_collected, describe_space};
use crate::app::store_settings;
use crate::cli::arguments::{Backup, Gc, Global, Restore};
use crate::cli::client::{Client, load_settings};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::size;
use crate::clock;
use crate::config::Settings;
use crate::failpoint;
use crate::store::{self, BackupError, Collected, Copied, Cutoffs, FILE_NAME, Found, Store};

/// Nobody else waits for the store.
const ROWS_PER_STEP: u32 = 10_000;
const TIME_MAX: Duration = Duration::from_secs(24 * 3_600);

pub(crate) fn backup(global: &Global, arguments: &Backup) -> Done {
    failpoint::arm().map_err(Failure::usage)?;
    let settings = load_settings(global, Vec::new())?;
    let copied = store::backup(&settings.store.dir, &arguments.file, arguments.force).map_err(failure)?;
    if global.json {
        out::json(&described(&copied));
    } else {
        out::line(format!(
            "{}: {} with {} flow runs",
            arguments.file.display(),
            size(copied.bytes),
            copied.flow_runs
        ));
    }
    Ok(Exit::Ok)
}

pub(crate) fn restore(global: &Global, arguments: &Restore) -> Done {
    failpoint::arm().map_err(Failure::usage)?;
    let settings = load_settings(global, Vec::new())?;
    let dir = &settings.store.dir;
    let copied = store::restore(dir, &arguments.file, clock::now()).map_err(failure)?;
    if global.json {
        out::json(&described(&copied));
        return Ok(Exit::Ok);
    }
    out::line(format!(
        "{}: restored, {} with {} flow runs",
        dir.join(FILE_NAME).display(),
        size(copied.bytes),
        copied.flow_runs
    ));
    if let Some(before) = &copied.before {
        out::line(format!("what was there before is {}", before.display()));
    }
    Ok(Exit::Ok)
}

pub(crate) fn gc(global: &Global, arguments: &Gc) -> Done {
    failpoint::arm().map_err(Failure::usage)?;
    let settings = load_settings(global, Vec::new())?;
    let dir = &settings.store.dir;
    if !dir.join(FILE_NAME).exists() {
        return Err(failure(BackupError::NoStore { dir: dir.clone() }));
    }
    if arguments.check {
        return check(global, &settings);
    }
    let server = store::holder(dir).map(|holder| (holder.address.clone(), holder));
    let answer = match server {
        Some((Some(address), _)) => of_server(&Client::of_server(global, &address)?, arguments)?,
        Some((None, holder)) => {
            return Err(Failure::broken(store::Error::Locked {
                dir: dir.clone(),
                holder: Box::new(holder),
            }));
        }
        None => alone(&settings, arguments)?,
    };
    if global.json {
        out::json(&answer);
    } else {
        show(&answer, arguments);
    }
    Ok(Exit::Ok)
}

fn check(global: &Global, settings: &Settings) -> Done {
    let dir = &settings.store.dir;
    let (findings, verdict) = match store::check(dir).map_err(Failure::broken)? {
        Found::Sound | Found::SoundSoFar => (
            store::miscounted(dir).map_err(Failure::broken)?,
            "The rows of the run store are sound, but lists and counts go by other numbers than there are.",
        ),
        Found::Damage(findings) => (
            findings.lines().map(str::to_owned).collect(),
            "The run store is damaged: stop the server, then `grepx-host restore FILE` with the newest backup.",
        ),
    };
    if global.json {
        out::json(&json!({"ok": findings.is_empty(), "findings": findings}));
    } else if findings.is_empty() {
        out::line("The run store is sound.");
    } else {
        findings.iter().for_each(out::line);
        out::line(verdict);
    }
    Ok(if findings.is_empty() { Exit::Ok } else { Exit::Failed })
}

/// The server does it, as often as it says that there is more.
fn of_server(client: &Client, arguments: &Gc) -> Result<Value, Failure> {
    let body = json!({"dry_run": arguments.dry_run});
    let mut all = client.post("/store/gc", &body)?;
    while all["more"] == true {
        let mut next = client.post("/store/gc", &body)?;
        for key in ["flow_runs", "rows", "orphaned"] {
            let sum = all[key].as_u64().unwrap_or(0) + next[key].as_u64().unwrap_or(0);
            next[key] = sum.into();
        }
        all = next;
    }
    Ok(all)
}

fn alone(settings: &Settings, arguments: &Gc) -> Result<Value, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::broken(anyhow::Error::new(error).context("cannot start threads")))?;
    let opened = store_settings(settings);
    let cutoffs = Cutoffs::of(&settings.retention, clock::now());
    let answer = runtime.block_on(async {
        let store = Store::open(&opened)?.store;
        if arguments.dry_run {
            let mut answer = describe_space(store.space().await?);
            answer["flow_runs"] = store.count_due(cutoffs).await?.into();
            answer["orphaned"] = store.orphans().await?.len().into();
            return Ok(answer);
        }
        let done: Collected = store.collect(cutoffs, ROWS_PER_STEP, TIME_MAX).await?;
        let definitions = store.forget_definitions().await?;
        let mut answer = describe_collected(&done);
        answer["definitions"] = definitions.into();
        Ok(answer)
    });
    let mut answer = answer.map_err(|error: store::Error| Failure::broken(error))?;
    if arguments.vacuum {
        let before = answer["bytes"].as_u64().unwrap_or(0);
        store::vacuum(&opened).map_err(Failure::broken)?;
        let now = std::fs::metadata(opened.dir.join(FILE_NAME)).map_or(before, |file| file.len());
        answer["bytes_given_back"] = before.saturating_sub(now).into();
        answer["bytes"] = now.into();
        answer["free_bytes"] = 0.into();
    }
    Ok(answer)
}

fn show(answer: &Value, arguments: &Gc) {
    let number = |key: &str| answer[key].as_u64().unwrap_or(0);
    let removed = if arguments.dry_run {
        "would be removed"
    } else {
        "removed"
    };
    let mut rows = vec![
        ("flow runs", format!("{} {removed}", number("flow_runs"))),
        (
            "rows without a flow run",
            format!("of {} {removed}", number("orphaned")),
        ),
    ];
    if !arguments.dry_run {
        rows.push(("all in all", format!("{} rows removed", number("rows"))));
    }
    let given_back = answer["bytes_given_back"].as_u64();
    rows.extend(given_back.map(|bytes| ("given back", size(bytes))));
    let (bytes, free) = (number("bytes"), number("free_bytes"));
    rows.push(("file", format!("{}, {} of it free", size(bytes), size(free))));
    out::pairs(&rows);
    if arguments.vacuum && given_back.is_none() {
        out::note(
            "A server uses the file: what is free in it is used again. Stop the server and repeat this to make it smaller.",
        );
    }
}

fn described(copied: &Copied) -> Value {
    let before = copied.before.as_ref().map(|path| path.display().to_string());
    json!({"bytes": copied.bytes, "flow_runs": copied.flow_runs, "before": before})
}

fn failure(error: BackupError) -> Failure {
    let exit = match &error {
        BackupError::Exists { .. } | BackupError::Same { .. } | BackupError::Unfit { .. } => Exit::Usage,
        BackupError::NoStore { .. } => Exit::NotFound,
        _ => Exit::Broken,
    };
    Failure::new(exit, error)
}
