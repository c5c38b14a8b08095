//! Deployments: the flow and the pool that they name, and what they say of their runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::pool::QUEUE_DEFAULT;
use super::{Blame, Compiler, quoted};
use crate::definitions::catalog::deployment_id;
use crate::definitions::row::Row;
use crate::definitions::{CatchUp, Deployment, Flow, Overlap, Pool, Table};
use crate::yaml::{did_you_mean, nearest};

const CATCH_UPS: &[&str] = &["latest", "all", "none"];
const OVERLAPS: &[&str] = &["enqueue", "cancel_new", "cancel_running", "skip"];

impl Compiler<'_> {
    pub(super) fn deployments(
        &mut self,
        flows: &BTreeMap<String, Arc<Flow>>,
        pools: &BTreeMap<String, Arc<Pool>>,
    ) -> Vec<Arc<Deployment>> {
        let mut deployments: BTreeMap<String, Arc<Deployment>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let rows = self.rows;
        for row in rows.table(Table::Deployments) {
            let mut blame = Blame::row(Table::Deployments, row, None);
            if !self.active(&mut blame, row) {
                continue;
            }
            let Some(name) = self.name(&mut blame, row) else {
                continue;
            };
            if !seen.insert(name.clone()) {
                let message = format!("another row before it is named {name:?} too");
                self.error(&mut blame, "name", message, "rename or deactivate one of them");
                continue;
            }
            if let Some(deployment) = self.deployment(&mut blame, &name, row, flows, pools) {
                deployments.insert(name, Arc::new(deployment));
            }
        }
        deployments.into_values().collect()
    }

    fn deployment(
        &mut self,
        blame: &mut Blame,
        name: &str,
        row: &Row,
        flows: &BTreeMap<String, Arc<Flow>>,
        pools: &BTreeMap<String, Arc<Pool>>,
    ) -> Option<Deployment> {
        let flow = self.usable_flow(blame, row, flows);
        let work_pool = self.usable_pool(blame, row, pools);
        let work_queue = self.cell(blame, "work_queue_name", row.text("work_queue_name"));
        let id = deployment_id(name);
        let description = self.cell(blame, "description", row.text("description"));
        let tags = self.cell(blame, "tags", row.texts("tags"));
        let parameters = self
            .cell(blame, "parameters", row.object("parameters"))
            .unwrap_or_default();
        let paused = self.cell(blame, "paused", row.flag("paused")).unwrap_or(false);
        let concurrency_limit = self.limit(blame, row, "concurrency_limit");
        if concurrency_limit == Some(0) {
            let help = "write at least 1, or NULL for no limit; to stop the deployment set paused";
            self.error(blame, "concurrency_limit", "with 0 no run could ever start", help);
        }
        let overlap: Overlap = self.word(blame, row, "overlap", OVERLAPS);
        let catch_up: CatchUp = self.word(blame, row, "catch_up", CATCH_UPS);
        let window = self.cell(blame, "catch_up_window_seconds", row.count("catch_up_window_seconds"));
        let created_at = self.created_at(blame, row);
        let schedules = self.schedules(blame, row, id, created_at);
        if let Some(flow) = &flow {
            self.parameters_fit(blame, flow, &parameters);
        }
        let (Some(flow), Some(work_pool), 0) = (flow, work_pool, blame.errors) else {
            return None;
        };
        Some(Deployment {
            id,
            row_id: row.id()?,
            name: name.to_owned(),
            flow,
            description,
            tags,
            created_at,
            work_pool,
            work_queue: work_queue.unwrap_or_else(|| QUEUE_DEFAULT.to_owned()),
            parameters,
            schedules,
            paused,
            concurrency_limit,
            overlap,
            catch_up,
            catch_up_window_seconds: window,
        })
    }

    fn usable_flow(&mut self, blame: &mut Blame, row: &Row, flows: &BTreeMap<String, Arc<Flow>>) -> Option<Arc<Flow>> {
        let id = self.flow_of(blame, row)?;
        let Some(flow) = self.flow_rows.get(&id).copied() else {
            let message = format!("there is no flow with the id {id}");
            self.error(
                blame,
                "flow_id",
                message,
                "set it to the id of a row of prefect_flows, or remove the deployment",
            );
            return None;
        };
        let name = flow.name().unwrap_or_default();
        blame.flow = Some(name.to_owned());
        if !flow.is_active() {
            let message = format!("its flow {name:?} is inactive");
            self.error(
                blame,
                "flow_id",
                message,
                "activate the flow, or deactivate the deployment",
            );
            return None;
        }
        let usable = flows.get(name).filter(|found| found.row_id == id).cloned();
        if usable.is_none() {
            let message = format!("its flow {name:?} cannot be used");
            self.error(
                blame,
                "flow_id",
                message,
                "see the problems of the flow and of its tasks",
            );
        }
        usable
    }

    fn usable_pool(&mut self, blame: &mut Blame, row: &Row, pools: &BTreeMap<String, Arc<Pool>>) -> Option<String> {
        const COLUMN: &str = "work_pool_name";
        let before = blame.errors;
        let Some(name) = self.cell(blame, COLUMN, row.text(COLUMN)) else {
            if blame.errors == before {
                self.error(
                    blame,
                    COLUMN,
                    "the deployment names no work pool",
                    "name one of prefect_work_pools",
                );
            }
            return None;
        };
        if pools.contains_key(&name) {
            return Some(name);
        }
        let pool_row = self
            .rows
            .table(Table::WorkPools)
            .iter()
            .find(|row| row.name() == Some(&name));
        let (message, help) = match pool_row {
            Some(row) if !row.is_active() => (
                format!("the work pool {name:?} is inactive"),
                "activate it, or name another one".to_owned(),
            ),
            Some(_) => (
                format!("the work pool {name:?} cannot be used"),
                "see the problems of the work pool".to_owned(),
            ),
            None => (
                format!("there is no work pool {name:?}"),
                match nearest(&name, pools.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None if pools.is_empty() => "add one to prefect_work_pools".to_owned(),
                    None => format!("there are {}", quoted(pools.keys().map(String::as_str))),
                },
            ),
        };
        self.error(blame, COLUMN, message, help);
        None
    }

    /// Only what is given is judged: a run may bring what is missing.
    fn parameters_fit(&mut self, blame: &mut Blame, flow: &Flow, parameters: &Map<String, Value>) {
        if flow.parameters_schema.is_none() {
            return;
        }
        let schema = flow.parameter_schema();
        let Ok(validator) = jsonschema::validator_for(&schema) else {
            return;
        };
        let document = Value::Object(parameters.clone());
        for fault in validator.iter_errors(&document) {
            if matches!(fault.kind(), jsonschema::error::ValidationErrorKind::Required { .. }) {
                continue;
            }
            let path = fault.instance_path().to_string();
            let place = if path.is_empty() {
                String::new()
            } else {
                format!("{path}: ")
            };
            let message = format!("do not fit parameters_schema of the flow: {place}{fault}");
            self.error(blame, "parameters", message, "correct the parameters or the schema");
        }
    }

    /// One word of a fixed set, spelled as serde does.
    fn word<T: DeserializeOwned + Default>(&mut self, blame: &mut Blame, row: &Row, column: &str, known: &[&str]) -> T {
        let Some(word) = self.cell(blame, column, row.text(column)) else {
            return T::default();
        };
        match parse_word(&word, known) {
            Ok(value) => value,
            Err(message) => {
                self.error(
                    blame,
                    column,
                    message,
                    format!("write one of {}", quoted(known.iter().copied())),
                );
                T::default()
            }
        }
    }
}

pub(super) fn parse_word<T: DeserializeOwned>(word: &str, known: &[&str]) -> Result<T, String> {
    let lower = word.trim().to_ascii_lowercase();
    serde_json::from_value(Value::String(lower))
        .map_err(|_| format!("{word:?} is not known{}", did_you_mean(word, known.iter().copied())))
}
