//! One flow: its own columns, its tasks, their edges.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use grepx_engine::{Definition, InvalidDefinition};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::task::Draft;
use super::{Blame, Compiler, quoted};
use crate::definitions::catalog::flow_id;
use crate::definitions::row::Row;
use crate::definitions::{Flow, Table};
use crate::yaml::nearest;

impl Compiler<'_> {
    /// The flow, unless something in it is wrong.
    pub(super) fn flow(&mut self, blame: &mut Blame, name: &str, row: &Row, task_rows: &[&Row]) -> Option<Flow> {
        let timeout = self.cell(blame, "timeout_seconds", row.count("timeout_seconds"));
        let tags = self.cell(blame, "tags", row.texts("tags"));
        let description = self.cell(blame, "description", row.text("description"));
        let flow_type = self.cell(blame, "flow_type", row.text("flow_type"));
        let parameters_schema = self.cell(blame, "parameters_schema", row.object("parameters_schema"));
        let parameters_schema = parameters_schema.map(Value::Object);
        if let Some(error) = parameters_schema
            .as_ref()
            .and_then(|schema| jsonschema::validator_for(schema).err())
        {
            let message = format!("is no JSON Schema: {error}");
            self.error(blame, "parameters_schema", message, "correct the schema");
        }
        let definition = self.definition(blame, name, timeout.filter(|seconds| *seconds > 0), task_rows);
        if task_rows.is_empty() {
            self.warning(
                blame,
                "",
                "the flow has no active task",
                "add tasks with this flow_id; a run completes at once",
            );
        }
        let created_at = self.created_at(blame, row);
        let definition = definition.filter(|_| blame.errors == 0)?;
        let digest = digest(&definition);
        Some(Flow {
            id: flow_id(name),
            row_id: row.id()?,
            name: name.to_owned(),
            description,
            flow_type,
            tags,
            created_at,
            definition: Arc::new(definition),
            digest,
            parameters: parameters(parameters_schema.as_ref()),
            parameters_schema,
        })
    }

    fn definition(
        &mut self,
        blame: &mut Blame,
        flow: &str,
        timeout_seconds: Option<u64>,
        task_rows: &[&Row],
    ) -> Option<Definition> {
        let mut drafts: Vec<Draft> = Vec::with_capacity(task_rows.len());
        for row in task_rows {
            let mut own = Blame::row(Table::Tasks, row, Some(flow));
            let draft = self.task(&mut own, row);
            blame.errors += own.errors;
            drafts.extend(draft);
        }
        self.edges(blame, flow, &mut drafts);
        if blame.errors > 0 {
            return None;
        }
        let tasks = drafts.iter().map(|draft| draft.task.clone()).collect();
        let timeout_ms = timeout_seconds.map(|seconds| seconds.saturating_mul(1000));
        match Definition::new(flow, timeout_ms, tasks) {
            Ok(definition) => {
                self.references(blame, &definition, &drafts);
                Some(definition)
            }
            Err(InvalidDefinition::Cycle { path }) => {
                let message = format!(
                    "tasks depend on each other in a circle, each on the next: {}",
                    path.join(" → ")
                );
                let first = drafts.iter().find(|draft| Some(&draft.task.name) == path.first());
                let mut own = first.map_or_else(
                    || Blame {
                        name: None,
                        ..copy(blame)
                    },
                    |draft| copy(&draft.blame),
                );
                self.error(&mut own, "depends_on", message, "remove one of these dependencies");
                blame.errors += 1;
                None
            }
            Err(other) => {
                self.error(blame, "", other.to_string(), "correct the tasks of the flow");
                None
            }
        }
    }

    /// `depends_on` → indexes.
    fn edges(&mut self, blame: &mut Blame, flow: &str, drafts: &mut [Draft]) {
        let mut places: HashMap<String, u32> = HashMap::with_capacity(drafts.len());
        for (place, draft) in (0_u32..).zip(drafts.iter()) {
            if places.insert(draft.task.name.clone(), place).is_some() {
                let message = format!("another task of the flow {flow:?} is named {:?} too", draft.task.name);
                self.error(
                    &mut copy(&draft.blame),
                    "name",
                    message,
                    "rename or deactivate one of them",
                );
                blame.errors += 1;
            }
        }
        for draft in drafts {
            for upstream in std::mem::take(&mut draft.depends_on) {
                if let Some(place) = places.get(&upstream) {
                    draft.task.upstreams.push(*place);
                    continue;
                }
                let (message, help) = self.no_such_upstream(&upstream, flow, places.keys().map(String::as_str));
                self.error(&mut copy(&draft.blame), "depends_on", message, help);
                blame.errors += 1;
            }
        }
    }

    /// Why `upstream` is no task of this flow.
    fn no_such_upstream<'n>(&self, upstream: &str, flow: &str, own: impl Iterator<Item = &'n str>) -> (String, String) {
        for row in self.task_rows.get(upstream).into_iter().flatten() {
            let id = row.integer("flow_id").ok().flatten();
            let other = id.and_then(|id| self.flow_rows.get(&id)).and_then(|row| row.name());
            if other != Some(flow) {
                let other = other.map_or_else(|| "a missing flow".to_owned(), |other| format!("the flow {other:?}"));
                return (
                    format!("the task {upstream:?} belongs to {other}"),
                    format!("name a task of {flow:?}, or start the other flow with a task of kind subflow"),
                );
            }
            if !row.is_active() {
                return (
                    format!("the task {upstream:?} is inactive"),
                    "activate it, or remove it from depends_on".to_owned(),
                );
            }
        }
        let mut own: Vec<&str> = own.collect();
        own.sort_unstable();
        let near = nearest(upstream, own.iter().copied());
        let message = format!("there is no task {upstream:?}");
        let help = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("the tasks of the flow are {}", quoted(own)),
        };
        (message, help)
    }

    /// `results.<task>` in expressions has to be upstream, else it may not be there yet.
    fn references(&mut self, blame: &mut Blame, definition: &Definition, drafts: &[Draft]) {
        for (place, draft) in (0_u32..).zip(drafts) {
            if draft.references.is_empty() {
                continue;
            }
            let above: Vec<&str> = definition
                .ancestors(place)
                .into_iter()
                .map(|task| definition.task(task).name.as_str())
                .collect();
            for (column, name) in &draft.references {
                if above.contains(&name.as_str()) {
                    continue;
                }
                let message = if definition.find(name).is_some() {
                    format!("results.{name} is used, but {name:?} is not upstream of this task")
                } else {
                    format!("results.{name} is used, but the flow has no task {name:?}")
                };
                let help = if above.is_empty() {
                    format!("add {name:?} to depends_on; this task has no upstream yet")
                } else {
                    format!("add it to depends_on, or use one of {}", quoted(above.iter().copied()))
                };
                self.error(&mut copy(&draft.blame), column, message, help);
                blame.errors += 1;
            }
        }
    }
}

pub(super) fn copy(blame: &Blame) -> Blame {
    Blame {
        table: blame.table,
        row_id: blame.row_id,
        name: blame.name.clone(),
        flow: blame.flow.clone(),
        errors: 0,
    }
}

fn digest(definition: &Definition) -> String {
    let text = serde_json::to_vec(definition).expect("a definition has text keys only");
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn parameters(schema: Option<&Value>) -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert("environment".to_owned(), json!("production"));
    parameters.insert("debug".to_owned(), json!(false));
    let properties = schema
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(default) = property.get("default") {
            parameters.insert(name.clone(), default.clone());
        }
    }
    parameters
}
