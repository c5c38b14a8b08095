//! The definitions: ours. The catalog as it is in force with what is wrong in it, the rows as a
//! file, and a way to change them for hosts whose operator has opened it.
//!
//! Absent on purpose: making a database or a table (`grepx-host apply --create` does), and removing
//! rows: a file says what there is, and what it does not name is not touched.

use std::path::Path as FilePath;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::door::Noted;
use super::error::Error;
use super::{ApiState, body, wire};
use crate::config::mask_url;
use crate::definitions::{self, ApplyError, Change, Files, Plan, Problem, SourceError};

/// The registered type (RFC 9512).
const YAML: &str = "application/yaml";
/// What stands for the name of a file in messages.
const SENT: &str = "definitions";
const CLOSED: &str = "this host only reads its definitions: set database.api_apply to true in its configuration, or use \
     `grepx-host apply` where the database is";

pub(super) async fn problems(State(state): State<ApiState>) -> Json<Vec<Value>> {
    let catalog = state.catalog.load();
    Json(catalog.problems.iter().map(problem).collect())
}

fn problem(one: &Problem) -> Value {
    let mut problem = serde_json::to_value(one).unwrap_or_default();
    problem["text"] = one.to_string().into();
    problem
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct Wanted {
    format: Option<String>,
}

/// JSON: the catalog that is in force. YAML: the rows of the database, as `export` writes them.
pub(super) async fn read(
    State(state): State<ApiState>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    match wanted.format.as_deref() {
        Some("yaml") => rows(&state).await,
        None if accepted.is_some_and(wants_yaml) => rows(&state).await,
        Some("json") | None => Ok(Json(catalog(&state).await?).into_response()),
        Some(_) => Err(Error::Invalid("format should be json or yaml".to_owned())),
    }
}

/// Whoever takes JSON too gets JSON.
fn wants_yaml(accept: &str) -> bool {
    let yaml = ["application/yaml", "application/x-yaml", "text/yaml"];
    let mut types = accept.split(',').map(|one| one.split(';').next().unwrap_or(one).trim());
    types.clone().any(|one| yaml.contains(&one)) && !types.any(|one| one == "application/json")
}

async fn catalog(state: &ApiState) -> Result<Value, Error> {
    let catalog = state.catalog.load_full();
    let switches = state.store.deployment_switches().await?;
    let flows = catalog.flows.values().map(|one| wire::flow_with_tasks(one));
    let deployments = catalog.deployments.iter().map(|one| wire::deployment(one, &switches));
    let pools = catalog.pools.values().map(|one| wire::pool_with_queues(one));
    Ok(json!({
        "database": mask_url(&state.settings.database.db_url),
        "writable": state.settings.database.api_apply,
        "flows": flows.collect::<Vec<_>>(),
        "deployments": deployments.collect::<Vec<_>>(),
        "work_pools": pools.collect::<Vec<_>>(),
        "problems": catalog.problems.iter().map(problem).collect::<Vec<_>>(),
    }))
}

async fn rows(state: &ApiState) -> Result<Response, Error> {
    let url = state.settings.database.db_url.clone();
    let yaml = aside(move || Ok(definitions::export(&definitions::current(&url, false)?))).await?;
    Ok(([(header::CONTENT_TYPE, YAML)], yaml).into_response())
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct Manner {
    #[serde(default)]
    dry_run: bool,
}

/// The body is a definition file, YAML or JSON. One transaction; the difference is the answer. The
/// host sees the change as it sees anybody's: within `scheduler.definitions_poll_ms`.
pub(super) async fn apply(
    State(state): State<ApiState>,
    Query(manner): Query<Manner>,
    sent: Result<Bytes, BytesRejection>,
) -> Result<(Extension<Noted>, Json<Value>), Error> {
    let sent = body::raw(sent)?;
    if !manner.dry_run && !state.settings.database.api_apply {
        return Err(Error::Conflict(CLOSED.to_owned()));
    }
    let text = std::str::from_utf8(&sent).map_err(|_| Error::Invalid(format!("{SENT}: is no UTF-8")))?;
    let files = Files::parse(FilePath::new(SENT), text).map_err(|mistakes| Error::Invalid(mistakes.to_string()))?;
    let url = state.settings.database.db_url.clone();
    let plan = aside(move || {
        let plan = definitions::plan(&files, &definitions::current(&url, false)?).map_err(ApplyError::Mistakes)?;
        if !manner.dry_run && !plan.is_empty() {
            definitions::apply(&url, &files, &plan, false)?;
        }
        Ok(plan)
    })
    .await?;
    let word = if manner.dry_run { "dry run" } else { "applied" };
    let noted = format!("{word}: {} changed, {} unchanged", plan.changes.len(), plan.unchanged);
    Ok((Extension(Noted(noted)), Json(difference(&plan, manner.dry_run))))
}

/// Databases block; a writer of another program may be waited for.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, ApplyError> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(refused),
        Err(_) => Err(Error::Unavailable("the host is stopping".to_owned())),
    }
}

fn refused(error: ApplyError) -> Error {
    let text = crate::report::chain(&error);
    match &error {
        ApplyError::Mistakes(_) => Error::Invalid(text),
        ApplyError::Source(SourceError::Read { .. }) => Error::Unavailable(text),
        ApplyError::Write { .. } if error.is_busy() => {
            Error::Unavailable(format!("{text}; another program writes there, try again"))
        }
        ApplyError::Write { .. } if error.is_read_only() => Error::Conflict(format!(
            "{text}; give the host's user the right to write the file and its directory, or use `grepx-host apply` \
             as somebody who has it"
        )),
        _ => Error::Conflict(text),
    }
}

/// Also what the command says.
pub(crate) fn difference(plan: &Plan, dry_run: bool) -> Value {
    let changes = plan.changes.iter().map(|change| match change {
        Change::Insert { table, name, values } => {
            json!({"change": "insert", "table": table, "name": name, "values": values})
        }
        Change::Update {
            table,
            name,
            row_id,
            fields,
        } => {
            let fields = fields.iter().map(|one| json!({"column": one.column, "old": one.old, "new": one.new}));
            json!({"change": "update", "table": table, "name": name, "row_id": row_id, "fields": fields.collect::<Vec<_>>()})
        }
    });
    let columns = plan
        .new_columns
        .iter()
        .map(|(table, column)| json!({"table": table, "column": column}));
    json!({
        "dry_run": dry_run,
        "new_tables": plan.new_tables,
        "new_columns": columns.collect::<Vec<_>>(),
        "changes": changes.collect::<Vec<_>>(),
        "unchanged": plan.unchanged,
    })
}
