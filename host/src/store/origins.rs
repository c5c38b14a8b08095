//! Where flow runs come from: flow, deployment, work pool and work queue as they were when the run
//! was made. There are few, so a filter by any of them chooses some numbers instead of reading runs.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::model::NewRun;
use super::rows::blob;

/// The number of a run's origin, which is written down when it is new.
pub(super) fn of(sql: &Connection, run: &NewRun) -> rusqlite::Result<i64> {
    // The expressions of the index `origins_once`.
    let mut known = sql.prepare_cached(
        "SELECT id FROM origins WHERE flow_id = :flow_id AND flow_name = :flow_name \
         AND ifnull(deployment_id, x'') = ifnull(:deployment_id, x'') \
         AND ifnull(deployment_name, '') = ifnull(:deployment_name, '') \
         AND ifnull(work_pool, '') = ifnull(:work_pool, '') AND ifnull(work_queue, '') = ifnull(:work_queue, '')",
    )?;
    let origin = named_params! {
        ":flow_id": blob(&run.flow_id),
        ":flow_name": run.flow_name,
        ":deployment_id": run.deployment_id.as_ref().map(blob),
        ":deployment_name": run.deployment_name,
        ":work_pool": run.work_pool,
        ":work_queue": run.work_queue,
    };
    if let Some(id) = known.query_row(origin, |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let mut put = sql.prepare_cached(
        "INSERT INTO origins (flow_id, flow_name, deployment_id, deployment_name, work_pool, work_queue) \
         VALUES (:flow_id, :flow_name, :deployment_id, :deployment_name, :work_pool, :work_queue)",
    )?;
    put.insert(origin)
}
