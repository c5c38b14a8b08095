//! What may change of a flow run beside its state: what people call it. Nothing of it is in the
//! log, and the engine never sees it.

use grepx_engine::{FlowRunId, Json};
use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value};

use super::Error;
use super::commit::to_json;
use super::create;
use super::rows::{blob, parse_json};
use super::writer::Writing;

/// What is `Some` takes the place of what was; labels are set one by one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Amendment {
    pub name: Option<String>,
    pub tags: Option<Vec<String>>,
    pub labels: Map<String, Value>,
}

/// False when there is no such run.
pub(super) fn amend(writing: &Writing<'_>, run: FlowRunId, amendment: &Amendment) -> Result<bool, Error> {
    let mut select = writing
        .sql
        .prepare_cached("SELECT labels FROM run_inputs WHERE run_id = ?")?;
    let labels: Option<String> = select.query_row([blob(&run.0)], |row| row.get(0)).optional()?;
    let Some(labels) = labels else {
        return Ok(false);
    };
    if let Some(name) = &amendment.name {
        let mut update = writing
            .sql
            .prepare_cached("UPDATE flow_runs SET name = ? WHERE id = ?")?;
        update.execute(params![name, blob(&run.0)])?;
    }
    if let Some(tags) = &amendment.tags {
        let mut update = writing
            .sql
            .prepare_cached("UPDATE flow_runs SET tags = ? WHERE id = ?")?;
        update.execute(params![to_json(tags), blob(&run.0)])?;
        create::set_tags(writing, run, tags)?;
    }
    if !amendment.labels.is_empty() {
        let mut update = writing
            .sql
            .prepare_cached("UPDATE run_inputs SET labels = ? WHERE run_id = ?")?;
        update.execute(params![with(&parse_json(labels)?, &amendment.labels), blob(&run.0)])?;
    }
    Ok(true)
}

fn with(labels: &Json, more: &Map<String, Value>) -> String {
    let mut all: Map<String, Value> = serde_json::from_str(labels.as_str()).unwrap_or_default();
    all.extend(more.clone());
    to_json(&all)
}

#[cfg(test)]
mod tests;
