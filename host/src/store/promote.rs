//! A planned run becomes one: with what the definitions say now, not when it was planned. Thousands
//! may do so in one second, so the row is read once and what is the same is left alone.

use grepx_engine::{FlowRunId, Json};
use rusqlite::{Connection, OptionalExtension, named_params, params};
use uuid::Uuid;

use super::commit::{RunBefore, to_json};
use super::create::set_tags;
use super::model::NewRun;
use super::origins;
use super::rows::blob;
use super::tallies::Of;
use super::writer::Writing;

/// What the row of a run says that may be only planned.
pub(super) struct Standing {
    pub(super) planned: bool,
    origin: i64,
    tags: String,
    flow_id: Uuid,
    flow_name: String,
    deployment_name: Option<String>,
    work_pool: Option<String>,
    work_queue: Option<String>,
    idempotency_key: Option<String>,
    expected_start: i64,
}

impl Standing {
    /// `None` when there is no such run.
    pub(super) fn read(sql: &Connection, run: FlowRunId) -> rusqlite::Result<Option<Self>> {
        let mut select = sql.prepare_cached(
            "SELECT planned, origin, tags, flow_id, flow_name, deployment_name, work_pool, work_queue, \
             idempotency_key, expected_start FROM flow_runs WHERE id = ?",
        )?;
        let found = select.query_row([blob(&run.0)], |row| {
            Ok(Self {
                planned: row.get(0)?,
                origin: row.get(1)?,
                tags: row.get(2)?,
                flow_id: Uuid::from_bytes(row.get(3)?),
                flow_name: row.get(4)?,
                deployment_name: row.get(5)?,
                work_pool: row.get(6)?,
                work_queue: row.get(7)?,
                idempotency_key: row.get(8)?,
                expected_start: row.get(9)?,
            })
        });
        found.optional()
    }

    fn is_of(&self, run: &NewRun) -> bool {
        self.flow_id == run.flow_id
            && self.flow_name == run.flow_name
            && self.deployment_name == run.deployment_name
            && self.work_pool == run.work_pool
            && self.work_queue == run.work_queue
            && self.idempotency_key == run.idempotency_key
            && self.expected_start == run.expected_start.0
    }
}

/// All but the column `planned`, which goes with the first state of the run.
pub(super) fn promote(writing: &mut Writing<'_>, run: &NewRun, row: &Standing) -> rusqlite::Result<RunBefore> {
    let origin = if row.is_of(run) {
        row.origin
    } else {
        relocate(writing, run, row.origin)?
    };
    let tags = to_json(&run.tags);
    if row.tags != tags {
        set_tags(writing, run.id, &run.tags)?;
        let mut update = writing
            .sql
            .prepare_cached("UPDATE flow_runs SET tags = ? WHERE id = ?")?;
        update.execute(params![tags, blob(&run.id.0)])?;
    }
    let mut inputs = writing.sql.prepare_cached(
        "UPDATE run_inputs SET parameters = ?1, created_by = ?2, labels = ?3 WHERE run_id = ?4 \
         AND (parameters IS NOT ?1 OR created_by IS NOT ?2 OR labels IS NOT ?3)",
    )?;
    inputs.execute(params![
        run.parameters.as_str(),
        run.created_by.as_ref().map(Json::as_str),
        run.labels.as_str(),
        blob(&run.id.0)
    ])?;
    Ok(RunBefore::planned(origin, run.definition.clone()))
}

/// The definitions say otherwise by now where the run comes from or when it starts.
fn relocate(writing: &mut Writing<'_>, run: &NewRun, before: i64) -> rusqlite::Result<i64> {
    let origin = origins::of(writing.sql, run)?;
    let mut update = writing.sql.prepare_cached(
        "UPDATE flow_runs SET origin = :origin, flow_id = :flow_id, flow_name = :flow_name, \
         deployment_name = :deployment_name, work_pool = :work_pool, work_queue = :work_queue, \
         idempotency_key = :idempotency_key, expected_start = :expected_start WHERE id = :id",
    )?;
    update.execute(named_params! {
        ":id": blob(&run.id.0),
        ":origin": origin,
        ":flow_id": blob(&run.flow_id),
        ":flow_name": run.flow_name,
        ":deployment_name": run.deployment_name,
        ":work_pool": run.work_pool,
        ":work_queue": run.work_queue,
        ":idempotency_key": run.idempotency_key,
        ":expected_start": run.expected_start.0,
    })?;
    if origin != before {
        let planned = ("SCHEDULED", "Scheduled");
        writing.tallies.add(Of::FlowRuns, before, planned, -1);
        writing.tallies.add(Of::FlowRuns, origin, planned, 1);
    }
    Ok(origin)
}
