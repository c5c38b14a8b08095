//! `plugin ls`, `inspect`, `install` and `rollback`: of the server when one answers, else of the
//! plugin folder.

use std::path::Path;

pub(crate) mod new;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::offline;
use crate::api::describe_plugins;
use crate::app::kinds::plugin_settings;
use crate::cli::arguments::Global;
use crate::cli::client::{Client, load_settings, segment};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{list, short, text};
use crate::plugins::{FileInfo, Plugins};

pub(crate) fn ls(global: &Global) -> Done {
    let kinds = match Client::new(global).and_then(|client| client.get("/plugins")) {
        Ok(kinds) => kinds.as_array().cloned().unwrap_or_default(),
        Err(failure) => offline(global, failure)?,
    };
    let refused = kinds.iter().any(|one| one["state"] == "refused");
    if global.json {
        out::json(&Value::Array(kinds));
    } else {
        let rows = kinds.iter().map(|one| {
            [
                text(one, "kind"),
                text(one, "role"),
                text(one, "version"),
                text(one, "state"),
                text(&one["file"], "digest").chars().take(12).collect(),
                text(one, "since"),
                list(one, "may"),
                text(&one["file"], "path"),
                text(one, "reason"),
            ]
        });
        out::table(
            [
                "KIND", "ROLE", "VERSION", "STATE", "BUILD", "SINCE", "MAY", "FILE", "REASON",
            ],
            rows.collect(),
            "No task kinds.",
        );
    }
    Ok(if refused { Exit::Failed } else { Exit::Ok })
}

/// Verified, then written into the plugin folder; a server does it when one answers.
pub(crate) fn install(global: &Global, file: &Path, name: Option<&str>) -> Done {
    let bytes = std::fs::read(file).map_err(|error| {
        let message = format!("{} cannot be read: {error}", file.display());
        Failure::says(Exit::Usage, message)
    })?;
    let query = name.map_or_else(String::new, |name| format!("?name={}", segment(name)));
    let asked = Client::new(global).and_then(|client| client.post_bytes(&format!("/plugins{query}"), &bytes));
    let kinds = match asked {
        Ok(kinds) => kinds.as_array().cloned().unwrap_or_default(),
        Err(failure) => {
            let (runtime, plugins) = unreached(global, failure)?;
            let done = runtime.block_on(plugins.install_bytes(bytes, name));
            let done = done.map_err(|problem| Failure::says(Exit::Usage, problem))?;
            note(global, "plugin install", &done)?;
            serving(&plugins, &done.path.display().to_string())
        }
    };
    Ok(told(global, &kinds, "installed"))
}

/// The build that served before takes the place of the file.
pub(crate) fn roll_back(global: &Global, kind: &str) -> Done {
    let path = format!("/plugins/{}/rollback", segment(kind));
    let asked = Client::new(global).and_then(|client| client.post(&path, &json!({})));
    let kinds = match asked {
        Ok(kinds) => kinds.as_array().cloned().unwrap_or_default(),
        Err(failure) => {
            let (runtime, plugins) = unreached(global, failure)?;
            let done = runtime.block_on(plugins.roll_back(kind));
            let done = done.map_err(|problem| Failure::says(Exit::Usage, problem))?;
            note(global, "plugin rollback", &done)?;
            serving(&plugins, &done.path.display().to_string())
        }
    };
    Ok(told(global, &kinds, "rolled back"))
}

fn note(global: &Global, command: &str, file: &FileInfo) -> Result<(), Failure> {
    let settings = load_settings(global, Vec::new())?;
    offline::note(
        &settings,
        command,
        &format!("{} is {}", file.path.display(), file.digest),
    );
    Ok(())
}

fn serving(plugins: &Plugins, path: &str) -> Vec<Value> {
    let all = describe_plugins(&plugins.kinds());
    all.into_iter().filter(|one| one["file"]["path"] == path).collect()
}

fn told(global: &Global, kinds: &[Value], what: &str) -> Exit {
    if global.json {
        out::json(&Value::Array(kinds.to_vec()));
        return Exit::Ok;
    }
    for kind in kinds {
        out::line(format!(
            "{what}: {} {} ({}), {}: {}",
            text(kind, "kind"),
            text(kind, "version"),
            text(&kind["file"], "digest").chars().take(12).collect::<String>(),
            text(kind, "state"),
            text(&kind["file"], "path"),
        ));
    }
    Exit::Ok
}

pub(crate) fn inspect(global: &Global, name: &str) -> Done {
    let asked = Client::new(global).and_then(|client| client.get(&format!("/plugins/{}", segment(name))));
    let kind = match asked {
        Ok(kind) => kind,
        Err(failure) => {
            let kinds = offline(global, failure)?;
            let found = kinds.into_iter().find(|kind| kind["kind"] == name);
            found.ok_or_else(|| {
                Failure::says(
                    Exit::NotFound,
                    format!("no file in the plugin folder has the kind {name:?}: `grepx-host plugin ls` lists them"),
                )
            })?
        }
    };
    if global.json {
        out::json(&kind);
        return Ok(Exit::Ok);
    }
    let mut rows = vec![
        ("kind", text(&kind, "kind")),
        ("role", text(&kind, "role")),
        ("version", text(&kind, "version")),
        ("summary", text(&kind, "summary")),
        ("may", list(&kind, "may")),
        ("state", text(&kind, "state")),
        ("reason", text(&kind, "reason")),
        ("file", text(&kind["file"], "path")),
        ("sha256", text(&kind["file"], "digest")),
        ("bytes", text(&kind["file"], "size_bytes")),
        ("limits", kind["limits"].to_string()),
        ("calls", short(&kind["calls"])),
        ("input schema", kind["input_schema"].to_string()),
        ("output schema", kind["output_schema"].to_string()),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    out::pairs(&rows);
    Ok(Exit::Ok)
}

/// Kinds of the folder, and what does not load. `failure` is why the server was not asked.
fn offline(global: &Global, failure: Failure) -> Result<Vec<Value>, Failure> {
    let (_runtime, plugins) = unreached(global, failure)?;
    let mut all = describe_plugins(&plugins.kinds());
    for one in &mut all {
        one["calls"] = json!(null);
    }
    Ok(all)
}

/// The plugin folder, where no server answers and none was named.
fn unreached(global: &Global, failure: Failure) -> Result<(Runtime, Plugins), Failure> {
    if failure.exit != Exit::Unreachable || global.api_url.is_some() {
        return Err(failure);
    }
    let settings = load_settings(global, Vec::new())?;
    out::note(format!(
        "no server answers: this is about the files in {}",
        settings.plugins.dir.display()
    ));
    let (runtime, plugins, _) = open(&settings)?;
    Ok((runtime, plugins))
}

/// The plugin folder as the server would load it, with what is wrong in it.
pub(super) fn load(settings: &crate::config::Settings) -> Result<(Plugins, Vec<String>), Failure> {
    let (_, plugins, problems) = open(settings)?;
    Ok((plugins, problems))
}

pub(super) fn open(settings: &crate::config::Settings) -> Result<(Runtime, Plugins, Vec<String>), Failure> {
    let wanted = plugin_settings(settings).map_err(|error| Failure::new(Exit::Usage, error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    let (plugins, problems) = runtime.block_on(Plugins::load(wanted)).map_err(Failure::broken)?;
    Ok((runtime, plugins, problems.iter().map(ToString::to_string).collect()))
}
