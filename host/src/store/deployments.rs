//! Limits of deployments, and what was set at run time over their definitions. A run of a limited
//! deployment first gets a place of its deployment and then waits for its pool, so that one
//! deployment's queue never holds up another's.

use std::collections::BTreeMap;

use grepx_engine::FlowRunId;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::changes::Changed;
use super::model::{DeploymentLimit, SlotNews, WhenBusy};
use super::rows::blob;
use super::writer::Writing;
use super::{Error, slots};

/// Replaces every limit. Deployments with live runs then let on whom they may.
pub(super) fn sync(writing: &mut Writing<'_>, limits: &[DeploymentLimit]) -> Result<(), Error> {
    writing.sql.execute_batch("DELETE FROM deployments")?;
    for limit in limits {
        let mut put = writing.sql.prepare_cached(
            "INSERT OR REPLACE INTO deployments (id, name, concurrency_limit, when_busy) VALUES (?, ?, ?, ?)",
        )?;
        put.execute(params![
            blob(&limit.id),
            limit.name,
            limit.concurrency_limit,
            limit.when_busy.as_str()
        ])?;
    }
    let mut live = writing
        .sql
        .prepare("SELECT DISTINCT deployment_id FROM slots WHERE deployment_id IS NOT NULL")?;
    let live = live.query_map([], |row| row.get::<_, [u8; 16]>(0))?;
    for id in live {
        writing.deployments.insert(Uuid::from_bytes(id?));
    }
    Ok(())
}

/// Lets the first parked runs of every touched deployment on to their pools.
pub(super) fn admit(writing: &mut Writing<'_>) -> Result<(), Error> {
    while let Some(deployment) = writing.deployments.pop_first() {
        let limit = limit_of(writing.sql, deployment)?;
        let room = match &limit {
            Some(limit) => i64::from(limit.concurrency_limit) - occupied(writing.sql, deployment)?,
            None => i64::MAX,
        };
        // Who only waits is not looked at beyond those who may go on.
        let most = match &limit {
            Some(limit) if limit.when_busy == WhenBusy::Wait => room.max(0),
            _ => i64::MAX,
        };
        let mut parked = parked(writing.sql, deployment, most)?;
        let on = parked.len().min(usize::try_from(room.max(0)).unwrap_or(usize::MAX));
        for (run, pool) in parked.drain(..on) {
            let mut queue = writing
                .sql
                .prepare_cached("UPDATE slots SET held = 0 WHERE run_id = ?")?;
            queue.execute([blob(&run.0)])?;
            writing.touched.insert(pool);
        }
        if let Some(limit) = limit
            && !parked.is_empty()
        {
            displace(writing, &limit, &parked)?;
        }
    }
    Ok(())
}

/// Who has to go when the deployment is busy. Told again as long as they have not gone.
fn displace(writing: &mut Writing<'_>, limit: &DeploymentLimit, parked: &[(FlowRunId, String)]) -> Result<(), Error> {
    let name = &limit.name;
    let most = limit.concurrency_limit;
    match limit.when_busy {
        WhenBusy::Wait => {}
        WhenBusy::CancelNew => {
            let reason =
                format!("{most} of {most} flow runs of deployment {name} are live, and its overlap is cancel_new");
            let gone = parked.iter().map(|(run, _)| SlotNews::Displaced(*run, reason.clone()));
            writing.news.extend(gone);
        }
        WhenBusy::CancelRunning => {
            let Some(((newest, _), older)) = parked.split_last() else {
                return Ok(());
            };
            let reason =
                format!("flow run {newest} of deployment {name} takes its place: its overlap is cancel_running");
            let live = oldest_live(writing.sql, limit)?;
            let gone = live.into_iter().chain(older.iter().map(|(run, _)| *run));
            let gone = gone.map(|run| SlotNews::Displaced(run, reason.clone()));
            writing.news.extend(gone);
        }
    }
    Ok(())
}

/// The one that has been live for the longest.
fn oldest_live(sql: &Connection, limit: &DeploymentLimit) -> Result<Option<FlowRunId>, Error> {
    let mut select = sql.prepare_cached(
        "SELECT run_id FROM slots WHERE deployment_id = ? AND held >= 0 ORDER BY since, run_id LIMIT 1",
    )?;
    let found = select.query_row([blob(&limit.id)], |row| row.get(0)).optional()?;
    Ok(found.map(|id| FlowRunId(Uuid::from_bytes(id))))
}

/// Runs that wait for their deployment, first come first served.
fn parked(sql: &Connection, deployment: Uuid, most: i64) -> Result<Vec<(FlowRunId, String)>, Error> {
    let mut select = sql.prepare_cached(
        "SELECT run_id, pool FROM slots WHERE deployment_id = ? AND held = -1 \
         ORDER BY expected_start, since, run_id LIMIT ?",
    )?;
    let found = select.query_map(params![blob(&deployment), most], |row| {
        Ok((FlowRunId(Uuid::from_bytes(row.get(0)?)), row.get(1)?))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Why a run waits for its deployment; `None` when it does not.
pub(super) fn reason_for(sql: &Connection, run: FlowRunId) -> Result<Option<String>, Error> {
    let mut select = sql.prepare_cached("SELECT deployment_id FROM slots WHERE run_id = ? AND held = -1")?;
    let deployment: Option<[u8; 16]> = select.query_row([blob(&run.0)], |row| row.get(0)).optional()?;
    let Some(deployment) = deployment.map(Uuid::from_bytes) else {
        return Ok(None);
    };
    let Some(limit) = limit_of(sql, deployment)? else {
        return Ok(Some("its deployment lets it on in a moment".to_owned()));
    };
    let live = occupied(sql, deployment)?;
    let mut first = sql.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM slots s, slots own WHERE own.run_id = ?1 AND s.deployment_id = ?2 \
         AND s.held = -1 AND (s.expected_start, s.since, s.run_id) < (own.expected_start, own.since, own.run_id) \
         LIMIT ?3)",
    )?;
    let first = first.query_row(params![blob(&run.0), blob(&deployment), slots::BEFORE_MAX + 1], |row| {
        row.get(0)
    })?;
    let mut names = sql.prepare_cached(
        "SELECT coalesce(r.name, '(deleted)') FROM slots s LEFT JOIN flow_runs r ON r.id = s.run_id \
         WHERE s.deployment_id = ? AND s.held >= 0 ORDER BY s.since, s.run_id LIMIT 3",
    )?;
    let names: Vec<String> = names
        .query_map([blob(&deployment)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(Some(format!(
        "deployment {}: {live} of {} runs are live ({}), {}",
        limit.name,
        limit.concurrency_limit,
        names.join(", "),
        slots::runs_before(first)
    )))
}

fn occupied(sql: &Connection, deployment: Uuid) -> Result<i64, Error> {
    let mut select = sql.prepare_cached("SELECT count(*) FROM slots WHERE deployment_id = ? AND held >= 0")?;
    Ok(select.query_row([blob(&deployment)], |row| row.get(0))?)
}

/// Whether a further run would have to wait for the deployment.
pub(super) fn is_busy(sql: &Connection, deployment: Uuid) -> Result<bool, Error> {
    let Some(limit) = limit_of(sql, deployment)? else {
        return Ok(false);
    };
    let mut select = sql.prepare_cached("SELECT count(*) FROM slots WHERE deployment_id = ?")?;
    let live: i64 = select.query_row([blob(&deployment)], |row| row.get(0))?;
    Ok(live >= i64::from(limit.concurrency_limit))
}

pub(super) fn limit_of(sql: &Connection, deployment: Uuid) -> Result<Option<DeploymentLimit>, Error> {
    let mut select = sql.prepare_cached("SELECT name, concurrency_limit, when_busy FROM deployments WHERE id = ?")?;
    let found = select.query_row([blob(&deployment)], |row| {
        Ok(DeploymentLimit {
            id: deployment,
            name: row.get(0)?,
            concurrency_limit: row.get(1)?,
            when_busy: WhenBusy::parse(row.get_ref(2)?.as_str()?),
        })
    });
    Ok(found.optional()?)
}

/// Switches a deployment (`schedule` is `None`) or one of its schedules on or off, over the
/// definitions.
pub(super) fn set_switch(
    writing: &mut Writing<'_>,
    deployment: Uuid,
    schedule: Option<Uuid>,
    active: bool,
) -> Result<(), Error> {
    let mut put = writing.sql.prepare_cached(
        "INSERT OR REPLACE INTO deployment_switches (deployment_id, schedule_id, active) VALUES (?, ?, ?)",
    )?;
    put.execute(params![blob(&deployment), schedule_key(schedule), active])?;
    writing.tell(|| Changed::DeploymentSwitch {
        deployment,
        schedule,
        active,
    });
    Ok(())
}

fn schedule_key(schedule: Option<Uuid>) -> Vec<u8> {
    schedule.map_or_else(Vec::new, |id| id.as_bytes().to_vec())
}

/// All switches; `None` is the deployment itself.
pub(super) fn switches(sql: &Connection) -> Result<BTreeMap<(Uuid, Option<Uuid>), bool>, Error> {
    let mut select = sql.prepare_cached("SELECT deployment_id, schedule_id, active FROM deployment_switches")?;
    let found = select.query_map([], |row| {
        let schedule: Vec<u8> = row.get(1)?;
        let schedule = Uuid::from_slice(&schedule).ok();
        Ok(((Uuid::from_bytes(row.get(0)?), schedule), row.get(2)?))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
