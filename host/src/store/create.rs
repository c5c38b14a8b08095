//! Creating and deleting flow runs, and putting definitions.

use grepx_engine::{FlowRunId, Json, Timestamp};
use rusqlite::{ErrorCode, OptionalExtension, named_params, params};
use uuid::Uuid;

use crate::failpoint::{self, Point};

use super::changes::Changed;
use super::commit::{Prepared, RunBefore, to_json};
use super::model::{Created, NewRun, Planned};
use super::promote::{self, Standing};
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
    let origin = insert(writing, run, false).map_err(|source| match source.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Error::RunExists(run.id),
        _ => source.into(),
    })?;
    first.apply_first(writing, RunBefore::new(origin), run.created_at)?;
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
    let known = Standing::read(writing.sql, run.id)?;
    // What has ended so long ago that it is being removed was made, too.
    let made = match &known {
        Some(row) => !row.planned,
        None => retention::is_begun(writing.sql, blob(&run.id.0))?,
    };
    if made {
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
    let made = match &known {
        Some(row) => promote::promote(writing, run, row),
        None => insert(writing, run, false).map(RunBefore::new),
    };
    if let Some(progress) = planned.progress {
        planned::handled(writing, schedule, progress)?;
    }
    let before = match made {
        Err(source) if source.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            // Somebody has used the key of this instant for a run of their own.
            let existing = by_key(writing, run)?.ok_or(source)?;
            if known.is_some() {
                retention::remove_planned(writing, run.id)?;
            }
            return Ok(Created::Existing(existing));
        }
        other => other?,
    };
    first.apply_first(writing, before, run.created_at)?;
    failpoint::reach(Point::PlannedRun);
    Ok(Created::New)
}

/// The number of its origin.
pub(super) fn insert(writing: &mut Writing<'_>, run: &NewRun, planned: bool) -> rusqlite::Result<i64> {
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
    Ok(origin)
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
