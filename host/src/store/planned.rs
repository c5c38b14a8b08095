//! Runs that are planned: what a schedule will do, as rows that people see. A planned run has no
//! log. It becomes a run when it is created under its id, which is derived from schedule and
//! instant: so a planned time gives one run, ever.

use std::sync::Arc;

use grepx_engine::{FlowRunId, Timestamp};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use uuid::Uuid;

use super::changes::Changed;
use super::create;
use super::model::{NewRun, Progress, SchedulePlan};
use super::rows::{ScheduleRow, blob};
use super::tallies::Of;
use super::writer::Writing;
use super::{Error, retention};

/// Writes down how far a schedule has come, and its next runs. A run that exists already stays.
pub(super) fn plan(writing: &mut Writing<'_>, plans: &[SchedulePlan]) -> Result<(), Error> {
    for plan in plans {
        if plan.anew {
            remove_planned(writing, plan.id, Timestamp(i64::MAX))?;
        }
        let mut put = writing.sql.prepare_cached(
            "INSERT INTO schedules (id, deployment_id, rule, handled_until, next_at, planned_until) \
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET rule = excluded.rule, \
             handled_until = excluded.handled_until, next_at = excluded.next_at, planned_until = excluded.planned_until",
        )?;
        put.execute(params![
            blob(&plan.id),
            blob(&plan.deployment_id),
            plan.rule,
            plan.progress.handled_until.0,
            plan.progress.next_at.map(|at| at.0),
            plan.planned_until.0
        ])?;
        for run in &plan.runs {
            if exists(writing.sql, run)? {
                continue;
            }
            match create::insert(writing, run, true) {
                // The key of this instant is taken by a run that somebody made by hand.
                Err(source) if source.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {}
                other => {
                    other?;
                    writing.tell(|| Changed::Planned(Arc::new(run.into())));
                }
            }
        }
    }
    Ok(())
}

/// Also what has run and is being removed: its remains would go on under the new one.
fn exists(sql: &Connection, run: &NewRun) -> Result<bool, Error> {
    let mut select = sql.prepare_cached("SELECT 1 FROM flow_runs WHERE id = ?")?;
    Ok(select.exists([blob(&run.id.0)])? || retention::is_begun(sql, blob(&run.id.0))?)
}

/// `None` when there is no such run, else whether it is only planned.
pub(super) fn is_planned(sql: &Connection, run: Uuid) -> Result<Option<bool>, Error> {
    let mut select = sql.prepare_cached("SELECT planned FROM flow_runs WHERE id = ?")?;
    Ok(select.query_row([blob(&run)], |row| row.get(0)).optional()?)
}

/// Instants are dealt with; planned runs that should have started by `expected_until` go.
pub(super) fn pass(
    writing: &mut Writing<'_>,
    schedule: Uuid,
    progress: Progress,
    expected_until: Timestamp,
) -> Result<(), Error> {
    remove_planned(writing, schedule, expected_until)?;
    handled(writing, schedule, progress)
}

/// Never back: an older instant may be caught up after a newer one.
pub(super) fn handled(writing: &Writing<'_>, schedule: Uuid, progress: Progress) -> Result<(), Error> {
    let mut update = writing
        .sql
        .prepare_cached("UPDATE schedules SET handled_until = ?1, next_at = ?2 WHERE id = ?3 AND handled_until < ?1")?;
    update.execute(params![
        progress.handled_until.0,
        progress.next_at.map(|at| at.0),
        blob(&schedule)
    ])?;
    Ok(())
}

/// Forgets schedules that are gone or do not run any more, with their planned runs.
pub(super) fn forget(writing: &mut Writing<'_>, schedules: &[Uuid]) -> Result<(), Error> {
    for schedule in schedules {
        remove_planned(writing, *schedule, Timestamp(i64::MAX))?;
        let mut delete = writing.sql.prepare_cached("DELETE FROM schedules WHERE id = ?")?;
        delete.execute([blob(schedule)])?;
    }
    Ok(())
}

fn remove_planned(writing: &mut Writing<'_>, schedule: Uuid, expected_until: Timestamp) -> Result<(), Error> {
    let mut inputs = writing.sql.prepare_cached(
        "DELETE FROM run_inputs WHERE run_id IN \
         (SELECT id FROM flow_runs WHERE planned = 1 AND schedule_id = ?1 AND expected_start <= ?2)",
    )?;
    inputs.execute(params![blob(&schedule), expected_until.0])?;
    let mut tags = writing.sql.prepare_cached(
        "DELETE FROM flow_run_tags WHERE run_id IN \
         (SELECT id FROM flow_runs WHERE planned = 1 AND schedule_id = ?1 AND expected_start <= ?2 AND tags <> '[]')",
    )?;
    tags.execute(params![blob(&schedule), expected_until.0])?;
    let mut runs = writing.sql.prepare_cached(
        "DELETE FROM flow_runs WHERE planned = 1 AND schedule_id = ?1 AND expected_start <= ?2 \
         RETURNING id, origin, state_type, state_name",
    )?;
    let mut gone = runs.query(params![blob(&schedule), expected_until.0])?;
    while let Some(row) = gone.next()? {
        let run = FlowRunId(Uuid::from_bytes(row.get(0)?));
        let (state_type, name): (String, String) = (row.get(2)?, row.get(3)?);
        writing.tallies.add(Of::FlowRuns, row.get(1)?, (&state_type, &name), -1);
        writing.tell(|| Changed::Removed(run));
    }
    Ok(())
}

pub(super) fn schedules(sql: &Connection) -> Result<Vec<ScheduleRow>, Error> {
    let mut select =
        sql.prepare("SELECT id, deployment_id, rule, handled_until, next_at, planned_until FROM schedules")?;
    let found = select.query_map([], |row| {
        Ok(ScheduleRow {
            // By number: at a hundred thousand rows the search for names is what takes the time.
            id: Uuid::from_bytes(row.get(0)?),
            deployment_id: Uuid::from_bytes(row.get(1)?),
            rule: row.get(2)?,
            progress: Progress {
                handled_until: Timestamp(row.get(3)?),
                next_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            },
            planned_until: Timestamp(row.get(5)?),
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
