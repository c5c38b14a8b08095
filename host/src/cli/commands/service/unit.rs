//! `systemd-unit`: a unit for this program, this configuration and a user, to be looked at and put
//! into /etc/systemd/system. Nothing is installed: that is the administrator's to do.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::STOP_MARGIN;
use crate::cli::arguments::{Global, Unit};
use crate::cli::client::load_settings;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::config::{self, CONFIG_FILE_DEFAULT, Settings};

pub(crate) fn print(global: &Global, arguments: &Unit) -> Done {
    let settings = load_settings(global, Vec::new())?;
    let text = unit(global, arguments, &settings).map_err(Failure::broken)?;
    match global.json {
        true => out::json(&json!({"unit": text})),
        false => out::line(text.trim_end()),
    }
    Ok(Exit::Ok)
}

fn unit(global: &Global, arguments: &Unit, settings: &Settings) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let folder = std::env::current_dir().context("there is no working directory")?;
    let at = |path: &Path| folder.join(path);
    let config = at(global.config.as_deref().unwrap_or(Path::new(CONFIG_FILE_DEFAULT)));
    let mut start = vec![argument(&program), "--config".to_owned(), argument(&config)];
    if let Some(file) = &global.env_file {
        start.extend(["--env-file".to_owned(), argument(&at(file))]);
    }
    start.push("serve".to_owned());
    Ok(render(&Facts {
        user: arguments.user.clone().or_else(|| std::env::var("USER").ok()),
        start: start.join(" "),
        folder: folder.clone(),
        writes: folders(settings).iter().map(|path| at(path)).collect(),
        stop_s: (settings.server.shutdown_grace + STOP_MARGIN).as_secs(),
    }))
}

/// Reading a database in WAL mode writes beside it, too (<https://sqlite.org/wal.html>, "read-only").
fn folders(settings: &Settings) -> Vec<PathBuf> {
    let definitions = config::sqlite_path(&settings.database.db_url).ok();
    let files = [definitions.as_deref(), Some(settings.plugins.key_file.as_path())];
    let plugins = &settings.plugins;
    [
        &settings.store.dir,
        &plugins.dir,
        &plugins.cache_dir,
        &plugins.archive_dir,
    ]
    .into_iter()
    .map(PathBuf::as_path)
    .chain(files.into_iter().flatten().filter_map(Path::parent))
    .map(Path::to_owned)
    .collect()
}

struct Facts {
    user: Option<String>,
    start: String,
    folder: PathBuf,
    /// What it has to be able to write.
    writes: Vec<PathBuf>,
    stop_s: u64,
}

/// See systemd.service(5) and systemd.exec(5).
fn render(facts: &Facts) -> String {
    let user = match &facts.user {
        Some(user) => format!("User={user}\n"),
        None => String::new(),
    };
    let mut writes: Vec<String> = facts.writes.iter().map(|path| format!("-{}", quoted(path))).collect();
    writes.sort();
    writes.dedup();
    format!(
        "# Put this into /etc/systemd/system/grepx-host.service, then:
#   systemctl daemon-reload && systemctl enable --now grepx-host
# Its log: journalctl -u grepx-host

[Unit]
Description=grepx-host: runs the flows of grepx-master.db
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
{user}WorkingDirectory={folder}
ExecStart={start}
Restart=on-failure
RestartSec=2
TimeoutStopSec={stop_s}
UMask=0077
# It only writes into its own folders.
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writes}

[Install]
WantedBy=multi-user.target
",
        folder = literal(&facts.folder),
        start = facts.start,
        stop_s = facts.stop_s,
        writes = writes.join(" "),
    )
}

/// `%` starts a specifier.
fn literal(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// A path as an argument of a command, where `$` starts a variable.
fn argument(path: &Path) -> String {
    quoted(path).replace('$', "$$")
}

/// A path as one word of a unit.
fn quoted(path: &Path) -> String {
    let text = literal(path);
    match text
        .chars()
        .any(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '\\'))
    {
        false => text,
        true => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests;
