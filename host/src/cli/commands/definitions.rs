//! `apply`, `check`, `export`: work on the definitions database and on YAML files, without a server.
//! A server that runs sees what was applied by itself.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{offline, plugin};
use crate::api::describe_plan;
use crate::app::kinds::LoadedKinds;
use crate::cli::arguments::{Apply, Check, Export, Global};
use crate::cli::client::load_settings;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::config::Settings;
use crate::definitions::{
    self, ApplyError, Catalog, Change, FileError, Files, Plan, Rows, Severity, Source, SourceError, Timings, compile,
};

pub(crate) fn apply(global: &Global, arguments: &Apply) -> Done {
    let settings = load_settings(global, Vec::new())?;
    let url = &settings.database.db_url;
    let files = read(&arguments.files)?;
    let rows = definitions::current(url, arguments.create).map_err(source_failure)?;
    let plan = definitions::plan(&files, &rows).map_err(|mistakes| Failure::new(Exit::Usage, mistakes))?;
    if !arguments.dry_run && !plan.is_empty() {
        definitions::apply(url, &files, &plan, arguments.create).map_err(apply_failure)?;
        let names: Vec<String> = arguments.files.iter().map(|file| file.display().to_string()).collect();
        offline::note(&settings, "apply", &names.join(" "));
    }
    if global.json {
        out::json(&describe_plan(&plan, arguments.dry_run));
    } else {
        show(&plan, arguments.dry_run);
    }
    Ok(Exit::Ok)
}

pub(crate) fn check(global: &Global, arguments: &Check) -> Done {
    let settings = load_settings(global, Vec::new())?;
    let rows = if arguments.files.is_empty() {
        let mut source = Source::open(&settings.database.db_url).map_err(source_failure)?;
        source.load().map_err(source_failure)?
    } else {
        definitions::rows_of(&read(&arguments.files)?).map_err(apply_failure)?
    };
    let (catalog, plugin_problems) = judge(&settings, &rows)?;
    let failed = !plugin_problems.is_empty() || catalog.problems.iter().any(|one| one.severity == Severity::Error);
    if global.json {
        out::json(&json!({
            "ok": !failed,
            "flows": catalog.flows.len(),
            "deployments": catalog.deployments.len(),
            "work_pools": catalog.pools.len(),
            "problems": catalog.problems,
            "plugin_problems": plugin_problems,
        }));
    } else {
        for problem in &catalog.problems {
            out::line(format!("{}: {problem}", severity(problem.severity)));
        }
        plugin_problems
            .iter()
            .for_each(|problem| out::line(format!("error: {problem}")));
        out::line(format!(
            "{} flows, {} deployments, {} work pools; {} problems",
            catalog.flows.len(),
            catalog.deployments.len(),
            catalog.pools.len(),
            catalog.problems.len() + plugin_problems.len()
        ));
    }
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

pub(crate) fn export(global: &Global, arguments: &Export) -> Done {
    let settings = load_settings(global, Vec::new())?;
    let rows = definitions::current(&settings.database.db_url, false).map_err(source_failure)?;
    let yaml = definitions::export(&rows);
    // Every JSON document is YAML: `apply` takes this one, too.
    let yaml = match global.json {
        false => yaml,
        true => {
            let document: Value = serde_saphyr::from_str(&yaml).map_err(Failure::broken)?;
            format!("{document:#}\n")
        }
    };
    match &arguments.output {
        None => out::line(yaml.trim_end()),
        Some(path) => {
            write_new(path, &yaml).map_err(Failure::broken)?;
            out::note(format!("wrote {}", path.display()));
        }
    }
    Ok(Exit::Ok)
}

/// The definitions as the database has them, whatever is wrong beside what is asked for.
pub(super) fn catalog(settings: &Settings) -> Result<Catalog, Failure> {
    let rows = definitions::current(&settings.database.db_url, false).map_err(source_failure)?;
    judge(settings, &rows).map(|(catalog, _)| catalog)
}

/// The catalog with the kinds of the plugin folder, and what is wrong in that folder.
fn judge(settings: &Settings, rows: &Rows) -> Result<(Catalog, Vec<String>), Failure> {
    let (plugins, problems) = plugin::load(settings)?;
    let kinds = LoadedKinds {
        plugins,
        lenient: false,
    };
    Ok((compile(rows, &kinds, &Timings::default()), problems))
}

fn read(paths: &[PathBuf]) -> Result<Files, Failure> {
    Files::read(paths).map_err(|error| {
        let exit = match error {
            FileError::Read { .. } | FileError::Empty { .. } => Exit::NotFound,
            _ => Exit::Usage,
        };
        Failure::new(exit, error)
    })
}

fn source_failure(error: SourceError) -> Failure {
    let exit = match error {
        SourceError::Missing { .. } | SourceError::NoTables { .. } => Exit::NotFound,
        SourceError::Read { .. } => Exit::Broken,
        _ => Exit::Usage,
    };
    Failure::new(exit, error)
}

fn apply_failure(error: ApplyError) -> Failure {
    match error {
        ApplyError::Source(error) => source_failure(error),
        ApplyError::Mistakes(_) => Failure::new(Exit::Usage, error),
        error => Failure::broken(error),
    }
}

/// A file that is there already belongs to somebody.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

fn show(plan: &Plan, dry_run: bool) {
    for table in &plan.new_tables {
        out::line(format!("+ table {}", table.name()));
    }
    for (table, column) in &plan.new_columns {
        out::line(format!("+ column {}.{column}", table.name()));
    }
    for change in &plan.changes {
        match change {
            Change::Insert { table, name, .. } => out::line(format!("+ {} {name}", table.name())),
            Change::Update {
                table, name, fields, ..
            } => {
                out::line(format!("~ {} {name}", table.name()));
                for field in fields {
                    out::line(format!("    {}: {} → {}", field.column, field.old, field.new));
                }
            }
        }
    }
    let (inserts, updates): (Vec<&Change>, Vec<&Change>) = plan
        .changes
        .iter()
        .partition(|change| matches!(change, Change::Insert { .. }));
    let counts = format!(
        "{} new, {} changed, {} unchanged",
        inserts.len(),
        updates.len(),
        plan.unchanged
    );
    let ending = if dry_run {
        "; nothing was written (--dry-run)"
    } else {
        ""
    };
    out::line(format!("{counts}{ending}"));
}

fn severity(one: Severity) -> &'static str {
    match one {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
