//! Creating and deleting flow runs, and putting definitions.

use grepx_engine::{FlowRunId, Json, Timestamp};
use rusqlite::{ErrorCode, OptionalExtension, named_params, params};
use uuid::Uuid;

use crate::failpoint::{self, Point};

use super::changes::Changed;
use super::commit::{Prepared, to_json};
use super::model::{Created, NewRun, Planned};
use super::rows::{blob, item};
use super::tallies::Of;
use super::writer::Writing;
use super::{Error, deployments, origins, planned, retention};

/// Decides inside the transaction whether the run exists already.
pub(super) fn create(
    writing: &mut Writing<'_>,
    run: &NewRun,
    planned: Option<Planned>,
    first: &Prepared,
) -> Result<Created, Error> {
    if let (Some(planned), Some(schedule)) = (planned, run.schedule_id) {
        return create_planned(writing, run, schedule, planned, first);
    }
    if let Some(existing) = by_key(writing, run)? {
        return Ok(Created::Existing(existing));
    }
    insert(writing, run, false).map_err(|source| match source.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Error::RunExists(run.id),
        _ => source.into(),
    })?;
    first.apply_first(writing, run.created_at)?;
    Ok(Created::New)
}

/// The run that was made before with the same flow and idempotency key.
fn by_key(writing: &Writing<'_>, run: &NewRun) -> rusqlite::Result<Option<FlowRunId>> {
    let Some(key) = &run.idempotency_key else {
        return Ok(None);
    };
    let mut select = writing
        .sql
        .prepare_cached("SELECT id FROM flow_runs WHERE flow_id = ? AND idempotency_key = ?")?;
    let found = select.query_row(params![blob(&run.flow_id), key], |row| row.get(0));
    Ok(found.optional()?.map(|id| FlowRunId(Uuid::from_bytes(id))))
}

/// The id says schedule and instant, so the row itself says whether the run was made before.
fn create_planned(
    writing: &mut Writing<'_>,
    run: &NewRun,
    schedule: Uuid,
    planned: Planned,
    first: &Prepared,
) -> Result<Created, Error> {
    let mut known = planned::is_planned(writing.sql, run.id.0)?;
    if known.is_none() && retention::is_begun(writing.sql, blob(&run.id.0))? {
        // It was made, and has ended so long ago that it is being removed.
        known = Some(false);
    }
    if known == Some(false) {
        if let Some(progress) = planned.progress {
            planned::handled(writing, schedule, progress)?;
        }
        return Ok(Created::Existing(run.id));
    }
    if planned.skip_if_busy
        && let Some(deployment) = run.deployment_id
        && deployments::is_busy(writing.sql, deployment)?
    {
        if known.is_some() {
            retention::remove_planned(writing, run.id)?;
        }
        if let Some(progress) = planned.progress {
            planned::handled(writing, schedule, progress)?;
        }
        return Ok(Created::Skipped);
    }
    let made = match known {
        Some(_) => promote(writing, run),
        None => insert(writing, run, false),
    };
    let existing = match made {
        Err(source) if source.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            // Somebody has used the key of this instant for a run of their own.
            Some(by_key(writing, run)?.ok_or(source)?)
        }
        other => other.map(|()| None)?,
    };
    if let Some(progress) = planned.progress {
        planned::handled(writing, schedule, progress)?;
    }
    if let Some(existing) = existing {
        if known.is_some() {
            retention::remove_planned(writing, run.id)?;
        }
        return Ok(Created::Existing(existing));
    }
    first.apply_first(writing, run.created_at)?;
    failpoint::reach(Point::PlannedRun);
    Ok(Created::New)
}

/// A planned run becomes one: with what the definitions say now, not when it was planned.
fn promote(writing: &mut Writing<'_>, run: &NewRun) -> rusqlite::Result<()> {
    move_to_origin(writing, run)?;
    let mut update = writing
        .sql
        .prepare_cached("UPDATE flow_runs SET planned = 0, definition = ?, tags = ?, work_queue = ? WHERE id = ?")?;
    update.execute(params![
        run.definition,
        to_json(&run.tags),
        run.work_queue,
        blob(&run.id.0)
    ])?;
    // What has indexes is written only where it differs.
    let mut moved = writing.sql.prepare_cached(
        "UPDATE flow_runs SET flow_id = :flow_id, flow_name = :flow_name, deployment_name = :deployment_name, work_pool = :work_pool, \
         idempotency_key = :idempotency_key, expected_start = :expected_start WHERE id = :id AND \
         (flow_id IS NOT :flow_id OR flow_name IS NOT :flow_name OR deployment_name IS NOT :deployment_name OR work_pool IS NOT :work_pool \
         OR idempotency_key IS NOT :idempotency_key OR expected_start IS NOT :expected_start)",
    )?;
    moved.execute(named_params! {
        ":id": blob(&run.id.0),
        ":flow_id": blob(&run.flow_id),
        ":flow_name": run.flow_name,
        ":deployment_name": run.deployment_name,
        ":work_pool": run.work_pool,
        ":idempotency_key": run.idempotency_key,
        ":expected_start": run.expected_start.0,
    })?;
    let mut inputs = writing
        .sql
        .prepare_cached("UPDATE run_inputs SET parameters = ?, created_by = ?, labels = ? WHERE run_id = ?")?;
    inputs.execute(params![
        run.parameters.as_str(),
        run.created_by.as_ref().map(Json::as_str),
        run.labels.as_str(),
        blob(&run.id.0)
    ])?;
    Ok(())
}

pub(super) fn insert(writing: &mut Writing<'_>, run: &NewRun, planned: bool) -> rusqlite::Result<()> {
    let parent = run.parent.as_ref();
    let origin = origins::of(writing.sql, run)?;
    let mut put = writing.sql.prepare_cached(
        "INSERT INTO flow_runs (id, name, flow_id, flow_name, deployment_id, deployment_name, definition, tags, \
         idempotency_key, work_pool, work_queue, auto_scheduled, parent_run, parent_task, parent_item, \
         parent_attempt, parent_key, parent_task_run, created_at, expected_start, schedule_id, planned, origin, state_type, \
         state_name, state_since) VALUES (:id, :name, :flow_id, :flow_name, :deployment_id, :deployment_name, :definition, \
         :tags, :idempotency_key, :work_pool, :work_queue, :auto_scheduled, :parent_run, :parent_task, \
         :parent_item, :parent_attempt, :parent_key, :parent_task_run, :created_at, :expected_start, \
         :schedule_id, :planned, :origin, 'SCHEDULED', 'Scheduled', :created_at)",
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
        ":schedule_id": run.schedule_id.as_ref().map(blob),
        ":planned": planned,
        ":origin": origin,
    })?;
    writing.tallies.add(Of::FlowRuns, origin, ("SCHEDULED", "Scheduled"), 1);
    put_tags(writing, run.id, &run.tags)?;
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

fn move_to_origin(writing: &mut Writing<'_>, run: &NewRun) -> rusqlite::Result<()> {
    let mut select = writing
        .sql
        .prepare_cached("SELECT origin, tags, state_type, state_name FROM flow_runs WHERE id = ?")?;
    let (before, tags, state_type, name): (i64, String, String, String) = select
        .query_row([blob(&run.id.0)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let origin = origins::of(writing.sql, run)?;
    if origin != before {
        let mut update = writing
            .sql
            .prepare_cached("UPDATE flow_runs SET origin = ? WHERE id = ?")?;
        update.execute(params![origin, blob(&run.id.0)])?;
        writing.tallies.add(Of::FlowRuns, before, (&state_type, &name), -1);
        writing.tallies.add(Of::FlowRuns, origin, (&state_type, &name), 1);
    }
    if tags != to_json(&run.tags) {
        set_tags(writing, run.id, &run.tags)?;
    }
    Ok(())
}

/// Instead of what the run had.
pub(super) fn set_tags(writing: &Writing<'_>, run: FlowRunId, tags: &[String]) -> rusqlite::Result<()> {
    let mut old = writing
        .sql
        .prepare_cached("DELETE FROM flow_run_tags WHERE run_id = ?")?;
    old.execute([blob(&run.0)])?;
    put_tags(writing, run, tags)
}

fn put_tags(writing: &Writing<'_>, run: FlowRunId, tags: &[String]) -> rusqlite::Result<()> {
    for tag in tags {
        let mut put = writing
            .sql
            .prepare_cached("INSERT OR IGNORE INTO flow_run_tags (tag, run_id) VALUES (?, ?)")?;
        put.execute(params![tag, blob(&run.0)])?;
    }
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
pub(super) fn delete(writing: &mut Writing<'_>, run: FlowRunId) -> Result<bool, Error> {
    let mut select = writing
        .sql
        .prepare_cached("SELECT terminal, state_type, planned FROM flow_runs WHERE id = ?")?;
    let found: Option<(bool, String, bool)> = select
        .query_row([blob(&run.0)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match found {
        None => return Ok(false),
        Some((_, _, true)) => return Err(Error::Planned(run)),
        Some((false, state, _)) => return Err(Error::NotTerminal { run, state }),
        Some((true, ..)) => {}
    }
    retention::remove_run(writing, blob(&run.0))?;
    writing.tell(|| Changed::Removed(run));
    Ok(true)
}
