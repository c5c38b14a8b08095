//! Creating and deleting flow runs, and putting definitions.

use grepx_engine::{FlowRunId, Json, Timestamp};
use rusqlite::{ErrorCode, OptionalExtension, named_params, params};

use super::Error;
use super::commit::{Prepared, to_json};
use super::model::{Created, NewRun};
use super::rows::{blob, item};
use super::writer::Writing;

/// Decides inside the transaction whether the run exists already.
pub(super) fn create(writing: &mut Writing<'_>, run: &NewRun, first: &Prepared) -> Result<Created, Error> {
    if let Some(key) = &run.idempotency_key {
        let mut select = writing
            .sql
            .prepare_cached("SELECT id FROM flow_runs WHERE flow_id = ? AND idempotency_key = ?")?;
        let found: Option<[u8; 16]> = select
            .query_row(params![blob(&run.flow_id), key], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            return Ok(Created::Existing(FlowRunId(uuid::Uuid::from_bytes(id))));
        }
    }
    insert(writing, run).map_err(|source| match source.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Error::RunExists(run.id),
        _ => source.into(),
    })?;
    first.apply_first(writing, run.created_at)?;
    Ok(Created::New)
}

fn insert(writing: &Writing<'_>, run: &NewRun) -> rusqlite::Result<()> {
    let parent = run.parent.as_ref();
    let mut put = writing.sql.prepare_cached(
        "INSERT INTO flow_runs (id, name, flow_id, flow_name, deployment_id, deployment_name, definition, tags, \
         idempotency_key, work_pool, work_queue, auto_scheduled, parent_run, parent_task, parent_item, \
         parent_attempt, parent_key, parent_task_run, created_at, expected_start, state_type, state_name, \
         state_since) VALUES (:id, :name, :flow_id, :flow_name, :deployment_id, :deployment_name, :definition, \
         :tags, :idempotency_key, :work_pool, :work_queue, :auto_scheduled, :parent_run, :parent_task, \
         :parent_item, :parent_attempt, :parent_key, :parent_task_run, :created_at, :expected_start, \
         'SCHEDULED', 'Scheduled', :created_at)",
    )?;
    put.execute(named_params! {
        ":id": blob(&run.id.0),
        ":name": run.name,
        ":flow_id": blob(&run.flow_id),
        ":flow_name": run.flow_name,
        ":deployment_id": run.deployment_id.as_ref().map(blob),
        ":deployment_name": run.deployment_name,
        ":definition": run.definition,
        ":tags": to_json(&run.tags),
        ":idempotency_key": run.idempotency_key,
        ":work_pool": run.work_pool,
        ":work_queue": run.work_queue,
        ":auto_scheduled": run.auto_scheduled,
        ":parent_run": parent.map(|parent| blob(&parent.run.0)),
        ":parent_task": parent.map(|parent| parent.node.task),
        ":parent_item": parent.map(|parent| item(parent.node)),
        ":parent_attempt": parent.map(|parent| parent.attempt),
        ":parent_key": parent.map(|parent| parent.key.as_str()),
        ":parent_task_run": parent.map(|parent| *parent.task_run().0.as_bytes()),
        ":created_at": run.created_at.0,
        ":expected_start": run.expected_start.0,
    })?;
    let mut inputs = writing
        .sql
        .prepare_cached("INSERT INTO run_inputs (run_id, parameters, created_by, labels) VALUES (?, ?, ?, ?)")?;
    inputs.execute(params![
        blob(&run.id.0),
        run.parameters.as_str(),
        run.created_by.as_ref().map(Json::as_str),
        run.labels.as_str()
    ])?;
    Ok(())
}

/// The same digest is the same definition: a second put changes nothing.
pub(super) fn put_definition(
    writing: &Writing<'_>,
    digest: &str,
    flow: &str,
    json: &Json,
    at: Timestamp,
) -> Result<(), Error> {
    let mut put = writing
        .sql
        .prepare_cached("INSERT OR IGNORE INTO definitions (digest, flow, json, created_at) VALUES (?, ?, ?, ?)")?;
    put.execute(params![digest, flow, json.as_str(), at.0])?;
    Ok(())
}

/// False when there is none.
pub(super) fn delete(writing: &Writing<'_>, run: FlowRunId) -> Result<bool, Error> {
    let mut select = writing
        .sql
        .prepare_cached("SELECT terminal, state_type FROM flow_runs WHERE id = ?")?;
    let found: Option<(bool, String)> = select
        .query_row([blob(&run.0)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        None => return Ok(false),
        Some((false, state)) => return Err(Error::NotTerminal { run, state }),
        Some((true, _)) => {}
    }
    for delete in [
        "DELETE FROM facts WHERE run_id = ?",
        "DELETE FROM results WHERE run_id = ?",
        "DELETE FROM states WHERE run_id = ?",
        "DELETE FROM outbox WHERE run_id = ?",
        "DELETE FROM logs WHERE run_id = ?",
        "DELETE FROM slots WHERE run_id = ?",
        "DELETE FROM task_runs WHERE run_id = ?",
        "DELETE FROM run_inputs WHERE run_id = ?",
        "DELETE FROM flow_runs WHERE id = ?",
    ] {
        writing.sql.prepare_cached(delete)?.execute([blob(&run.0)])?;
    }
    Ok(true)
}
