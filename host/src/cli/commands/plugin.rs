//! `plugin ls` and `plugin inspect`: of the server when one answers, else of the plugin folder.

use serde_json::{Value, json};

use crate::api::describe_kind;
use crate::app::kinds::plugin_settings;
use crate::cli::arguments::Global;
use crate::cli::client::{Client, load_settings, segment};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{list, short, text};
use crate::plugins::Plugins;

pub(crate) fn ls(global: &Global) -> Done {
    let (kinds, problems) = match Client::new(global).and_then(|client| client.get("/plugins")) {
        Ok(kinds) => (kinds.as_array().cloned().unwrap_or_default(), Vec::new()),
        Err(failure) => offline(global, failure)?,
    };
    if global.json {
        out::json(&Value::Array(kinds));
    } else {
        let rows = kinds.iter().map(|kind| {
            [
                text(kind, "kind"),
                text(kind, "role"),
                text(kind, "version"),
                list(kind, "capabilities"),
                text(kind, "summary"),
            ]
        });
        out::table(
            ["KIND", "ROLE", "VERSION", "MAY", "SUMMARY"],
            rows.collect(),
            "No task kinds.",
        );
    }
    problems.iter().for_each(out::note);
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::Failed })
}

pub(crate) fn inspect(global: &Global, name: &str) -> Done {
    let asked = Client::new(global).and_then(|client| client.get(&format!("/plugins/{}", segment(name))));
    let kind = match asked {
        Ok(kind) => kind,
        Err(failure) => {
            let (kinds, problems) = offline(global, failure)?;
            problems.iter().for_each(out::note);
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
        ("may", list(&kind, "capabilities")),
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
fn offline(global: &Global, failure: Failure) -> Result<(Vec<Value>, Vec<String>), Failure> {
    if failure.exit != Exit::Unreachable || global.api_url.is_some() {
        return Err(failure);
    }
    let settings = load_settings(global, Vec::new())?;
    let (plugins, problems) = load(&settings)?;
    let registry = plugins.kinds();
    let kinds = registry.iter().map(|one| {
        let mut kind = describe_kind(&registry, &one.info);
        kind["calls"] = json!(null);
        kind
    });
    out::note(format!(
        "no server answers: these are the files in {}",
        settings.plugins.dir.display()
    ));
    Ok((kinds.collect(), problems))
}

/// The plugin folder as the server would load it, with what is wrong in it.
pub(super) fn load(settings: &crate::config::Settings) -> Result<(Plugins, Vec<String>), Failure> {
    let wanted = plugin_settings(settings).map_err(|error| Failure::new(Exit::Usage, error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    let (plugins, problems) = runtime.block_on(Plugins::load(wanted)).map_err(Failure::broken)?;
    Ok((plugins, problems.iter().map(ToString::to_string).collect()))
}
