//! Rows → catalog. Every row is judged, every fault is noted with its table, row and column, and
//! costs no more than the flow or the deployment that it stands in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use super::row::{Row, Rows};
use super::{Catalog, Flow, Problem, Severity, Table, Timings};

mod deployment;
mod flow;
mod kind;
mod pool;
mod schedule;
mod task;

/// What the plugins know about kinds.
pub trait Kinds {
    /// Whether `input` fits the kind. With `dynamic_inputs` a part of `/kwargs` is not known yet,
    /// so what is missing or wrong there does not count.
    ///
    /// # Errors
    /// When nobody has the kind, or the input does not fit.
    fn check(&self, kind: &str, input: &Value, dynamic_inputs: bool) -> Result<(), KindProblem>;

    /// What the policy that judges failures finds wrong with a `retry_config`, one sentence each.
    fn check_retry(&self, _config: &Value) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindProblem {
    Unknown {
        known: Vec<String>,
    },
    /// One sentence for each fault.
    Input(Vec<String>),
}

/// Judges all rows. `timings` remembers schedules from one reading to the next.
#[must_use]
pub fn compile(rows: &Rows, kinds: &dyn Kinds, timings: &Timings) -> Catalog {
    let mut compiler = Compiler::new(rows, kinds, timings);
    compiler.missing_tables();
    let queues = compiler.queues_in_use();
    let pools = compiler.pools(&queues);
    let flows = compiler.flows();
    let deployments = compiler.deployments(&flows, &pools);
    timings.tidy();
    let mut problems = compiler.problems;
    problems.sort_by_key(|problem| (problem.table, problem.row_id));
    Catalog::new(flows, deployments, pools, problems)
}

/// What the compilation of one part sees of all the others.
struct Compiler<'a> {
    rows: &'a Rows,
    kinds: &'a dyn Kinds,
    timings: &'a Timings,
    /// Flows by `id`.
    flow_rows: BTreeMap<i64, &'a Row>,
    /// Tasks by name, inactive ones too.
    task_rows: HashMap<&'a str, Vec<&'a Row>>,
    problems: Vec<Problem>,
}

/// Whose fault it is.
struct Blame {
    table: Table,
    row_id: Option<i64>,
    name: Option<String>,
    flow: Option<String>,
    errors: usize,
}

impl Blame {
    fn row(table: Table, row: &Row, flow: Option<&str>) -> Self {
        Self {
            table,
            row_id: row.id(),
            name: row.name().map(str::to_owned),
            flow: flow.map(str::to_owned),
            errors: 0,
        }
    }
}

impl<'a> Compiler<'a> {
    fn new(rows: &'a Rows, kinds: &'a dyn Kinds, timings: &'a Timings) -> Self {
        let by_id = |row: &'a Row| Some((row.id()?, row));
        let mut task_rows: HashMap<&str, Vec<&Row>> = HashMap::new();
        for row in rows.table(Table::Tasks) {
            if let Some(name) = row.name() {
                task_rows.entry(name).or_default().push(row);
            }
        }
        Self {
            rows,
            kinds,
            timings,
            flow_rows: rows.table(Table::Flows).iter().filter_map(by_id).collect(),
            task_rows,
            problems: Vec::new(),
        }
    }

    fn missing_tables(&mut self) {
        for table in Table::ALL {
            if !self.rows.has_table(table) {
                self.problems.push(Problem {
                    severity: Severity::Warning,
                    table,
                    row_id: None,
                    name: None,
                    column: None,
                    flow: None,
                    message: "the table does not exist".to_owned(),
                    help: "create it, or run `grepx-host apply --create`".to_owned(),
                });
            }
        }
    }

    fn error(&mut self, blame: &mut Blame, column: &str, message: impl Into<String>, help: impl Into<String>) {
        blame.errors += 1;
        self.note(Severity::Error, blame, column, message, help);
    }

    fn warning(&mut self, blame: &Blame, column: &str, message: impl Into<String>, help: impl Into<String>) {
        self.note(Severity::Warning, blame, column, message, help);
    }

    fn note(
        &mut self,
        severity: Severity,
        blame: &Blame,
        column: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem {
            severity,
            table: blame.table,
            row_id: blame.row_id,
            name: blame.name.clone(),
            column: (!column.is_empty()).then(|| column.to_owned()),
            flow: blame.flow.clone(),
            message: message.into(),
            help: help.into(),
        });
    }

    /// A cell, or its default after a note on why it cannot be read.
    fn cell<T: Default>(&mut self, blame: &mut Blame, column: &str, read: Result<T, String>) -> T {
        read.unwrap_or_else(|message| {
            self.error(blame, column, message, format!("correct {column}"));
            T::default()
        })
    }

    /// `name`, which every table has and needs.
    fn name(&mut self, blame: &mut Blame, row: &Row) -> Option<String> {
        let name = self.cell(blame, "name", row.text("name"));
        if name.is_none() && blame.errors == 0 {
            self.error(blame, "name", "the row has no name", "give it one, or remove the row");
        }
        name
    }

    /// `is_active`, with a note when it is neither 0 nor 1.
    fn active(&mut self, blame: &mut Blame, row: &Row) -> bool {
        self.cell(blame, "is_active", row.flag("is_active")).unwrap_or(true)
    }

    /// `created_at` in UTC. A wrong one is not worth a flow.
    fn created_at(&mut self, blame: &Blame, row: &Row) -> Option<DateTime<Utc>> {
        let text = row.text("created_at").ok().flatten()?;
        let found = timestamp(text.trim());
        if found.is_none() {
            let message = format!("{text:?} is no time");
            self.warning(blame, "created_at", message, "write it as 2026-01-31 12:00:00, in UTC");
        }
        found
    }

    fn flow_of(&mut self, blame: &mut Blame, row: &Row) -> Option<i64> {
        let id = self.cell(blame, "flow_id", row.integer("flow_id"));
        if id.is_none() && blame.errors == 0 {
            self.error(
                blame,
                "flow_id",
                "the row names no flow",
                "set flow_id to the id of a row of prefect_flows",
            );
        }
        id
    }

    fn flows(&mut self) -> BTreeMap<String, Arc<Flow>> {
        let tasks = self.tasks_by_flow();
        let mut flows: BTreeMap<String, Arc<Flow>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let rows = self.rows;
        for row in rows.table(Table::Flows) {
            let mut blame = Blame::row(Table::Flows, row, row.name());
            if !self.active(&mut blame, row) {
                continue;
            }
            let Some(name) = self.name(&mut blame, row) else {
                continue;
            };
            blame.flow = Some(name.clone());
            if !seen.insert(name.clone()) {
                let message = format!("another row before it is named {name:?} too");
                self.error(&mut blame, "name", message, "rename or deactivate one of them");
                continue;
            }
            let own = row.id().and_then(|id| tasks.get(&id)).map_or(&[][..], Vec::as_slice);
            if let Some(flow) = self.flow(&mut blame, &name, row, own) {
                flows.insert(name, Arc::new(flow));
            }
        }
        flows
    }

    /// Active tasks by flow. A task whose flow is not there costs no flow.
    fn tasks_by_flow(&mut self) -> BTreeMap<i64, Vec<&'a Row>> {
        let mut tasks: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
        let rows = self.rows;
        for row in rows.table(Table::Tasks) {
            let mut blame = Blame::row(Table::Tasks, row, None);
            if !row.is_active() {
                continue;
            }
            let Some(id) = self.flow_of(&mut blame, row) else {
                continue;
            };
            match self.flow_rows.get(&id) {
                Some(flow) if flow.is_active() => tasks.entry(id).or_default().push(row),
                Some(flow) => {
                    let message = format!(
                        "its flow {:?} is inactive, so the task never runs",
                        flow.name().unwrap_or_default()
                    );
                    self.warning(&blame, "flow_id", message, "activate the flow, or deactivate the task");
                }
                None => {
                    let message = format!("there is no flow with the id {id}");
                    self.error(
                        &mut blame,
                        "flow_id",
                        message,
                        "set it to the id of a row of prefect_flows, or remove the task",
                    );
                }
            }
        }
        tasks
    }
}

fn timestamp(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| time.and_utc())
}

/// `value` as a list of texts of a message: `"a", "b"`.
fn quoted<'t>(names: impl IntoIterator<Item = &'t str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("{name:?}")).collect();
    if names.len() > 12 {
        return format!("{}, … ({} in all)", names[..12].join(", "), names.len());
    }
    names.join(", ")
}

#[cfg(test)]
mod tests;
