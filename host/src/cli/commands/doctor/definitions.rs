//! The definitions database and the plugins: what is there, what is wrong with it, and whether each
//! kind that a flow names has a plugin.

use std::collections::BTreeMap;

use super::Finding;
use super::patient::Patient;
use crate::config;
use crate::definitions::{Catalog, Severity, Table};
use crate::runner::POLICY;

const TABLES: [Table; 4] = [Table::Flows, Table::Tasks, Table::Deployments, Table::WorkPools];

pub(super) fn definitions(patient: &Patient) -> Vec<Finding> {
    let url = &patient.settings.database.db_url;
    let place = config::sqlite_path(url).map_or_else(|_| config::mask_url(url), |path| path.display().to_string());
    let rows = match patient.rows() {
        Ok(rows) => rows,
        Err(error) => {
            return vec![Finding::error(
                place,
                error,
                "set database.db_url (GREPX_MASTER_DB_URL) to the database, or create it with `grepx-host apply --create`",
            )];
        }
    };
    let counts = TABLES.map(|table| format!("{} rows in {}", rows.table(table).len(), table.name()));
    let mut findings = vec![Finding::ok(&place, counts.join(", "))];
    if rows.table(Table::Flows).is_empty() {
        findings.push(Finding::warning(
            &place,
            "there is no flow",
            "`grepx-host apply FILE…` writes flows into it, or the program does that made them before",
        ));
    }
    match patient.catalog() {
        Err(error) => findings.push(Finding::error(
            place,
            format!("cannot be checked: {error}"),
            "see what is said of the plugins",
        )),
        Ok(catalog) => {
            findings.extend(problems(catalog));
            findings.push(Finding::ok(
                place,
                format!(
                    "{} flows, {} deployments and {} work pools are in force",
                    catalog.flows.len(),
                    catalog.deployments.len(),
                    catalog.pools.len()
                ),
            ));
            findings.extend(paused(catalog));
        }
    }
    findings
}

fn problems(catalog: &Catalog) -> impl Iterator<Item = Finding> {
    catalog.problems.iter().map(|problem| {
        let mut place = problem.table.name().to_owned();
        if let Some(id) = problem.row_id {
            place.push_str(&format!(" id={id}"));
        }
        if let Some(name) = &problem.name {
            place.push_str(&format!(" name={name:?}"));
        }
        if let Some(column) = &problem.column {
            place.push_str(&format!(" column {column}"));
        }
        match problem.severity {
            Severity::Error => Finding::error(place, &problem.message, &problem.help),
            Severity::Warning => Finding::warning(place, &problem.message, &problem.help),
        }
    })
}

/// What starts nothing because somebody wanted it so.
fn paused(catalog: &Catalog) -> Vec<Finding> {
    let pools = catalog.pools.values().filter(|pool| pool.paused).map(|pool| {
        Finding::warning(
            format!("work pool {:?}", pool.name),
            "is not active in the database: its flow runs wait",
            format!(
                "set is_active of its row, or `grepx-host work-pool resume {}`",
                pool.name
            ),
        )
    });
    let stuck = catalog
        .pools
        .values()
        .filter(|pool| pool.concurrency_limit == Some(0))
        .map(|pool| {
            Finding::warning(
                format!("work pool {:?}", pool.name),
                "has the limit 0: its flow runs wait",
                format!(
                    "raise concurrency_limit of its row, or `grepx-host work-pool set-concurrency-limit {} N`",
                    pool.name
                ),
            )
        });
    pools.chain(stuck).collect()
}

pub(super) fn plugins(patient: &Patient) -> Vec<Finding> {
    let dir = patient.settings.plugins.dir.display().to_string();
    let loaded = match patient.plugins() {
        Ok(loaded) => loaded,
        Err(error) => {
            return vec![Finding::error(
                dir,
                format!("no plugin can run: {error}"),
                "the message names what WebAssembly lacks here, or the setting to correct",
            )];
        }
    };
    let mut findings: Vec<Finding> = loaded
        .problems
        .iter()
        .map(|problem| {
            Finding::error(
                &dir,
                problem,
                "`grepx-host plugin check FILE` looks closer; the other kinds are not touched by it",
            )
        })
        .collect();
    let used = used(patient);
    let registry = loaded.plugins.kinds();
    for (kind, tasks) in &used {
        let place = format!("kind {kind:?}");
        match registry.kind(kind) {
            Some(found) => findings.push(Finding::ok(
                place,
                format!(
                    "version {} of {}, used by {tasks}",
                    found.info.version,
                    found.info.file.path.display()
                ),
            )),
            None => findings.push(Finding::error(
                place,
                format!("no plugin has it, and {tasks} need it"),
                format!("put its .wasm into {dir} (`cargo xtask build-plugins` builds the shipped ones)"),
            )),
        }
    }
    let idle: Vec<&str> = registry
        .iter()
        .map(|kind| kind.info.kind.as_str())
        .filter(|kind| !used.contains_key(*kind))
        .collect();
    if !idle.is_empty() {
        findings.push(Finding::ok(
            dir,
            format!("also there and used by no task: {}", idle.join(", ")),
        ));
    }
    findings
}

/// Each kind that is needed, and by what. Read from the rows: a flow whose kind is missing is in no
/// catalog.
fn used(patient: &Patient) -> BTreeMap<String, String> {
    const DEFAULT: &str = "celery";
    let mut tasks: BTreeMap<String, usize> = BTreeMap::new();
    let rows = patient.rows();
    let rows = rows.as_ref().map(|rows| rows.table(Table::Tasks)).unwrap_or_default();
    for row in rows.iter().filter(|row| row.is_active()) {
        let kind = row
            .text("task_kind")
            .ok()
            .flatten()
            .unwrap_or_else(|| DEFAULT.to_owned());
        *tasks.entry(kind).or_default() += 1;
    }
    let any = !tasks.is_empty();
    let mut used: BTreeMap<String, String> = tasks
        .into_iter()
        .map(|(kind, count)| match count {
            1 => (kind, "1 task".to_owned()),
            count => (kind, format!("{count} tasks")),
        })
        .collect();
    if any {
        used.insert(POLICY.to_owned(), "every task that fails".to_owned());
    }
    used
}
