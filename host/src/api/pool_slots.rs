//! `POST /work_pools/{name}/concurrency_status`: who holds the slots of a work pool, queue by queue.

use axum::Json;
use axum::extract::{Path, State};
use grepx_engine::StateType;
use serde_json::{Value, json};

use super::body::Body;
use super::error::Error;
use super::page::{Numbered, cut};
use super::{ApiState, work_pools};
use crate::clock::{self, rfc3339};
use crate::definitions::{Pool, Queue};
use crate::store::{Choice, FlowRun, FlowRunFilter, FlowRunSort, Page, PoolStatus};

/// Flow runs of one queue at most, and when nothing is said; as in Prefect.
const RUNS_MAX: u32 = 200;
const RUNS: u32 = 10;

pub(super) async fn read(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Value>, Error> {
    let (asked, runs) = body.read(|fields| {
        let runs = fields.value("flow_run_limit").unwrap_or(RUNS);
        if runs > RUNS_MAX {
            let message = format!("Input should be less than or equal to {RUNS_MAX}");
            fields.fault(Some("flow_run_limit"), "less_than_equal", &message);
        }
        (Numbered::read(fields), runs)
    })?;
    let page = asked.page()?;
    let pool = work_pools::find(&state, &name)?;
    let now = state.store.pools().await?;
    let status = work_pools::status(&now, &name);
    let mut queues = Vec::new();
    for queue in cut(pool.queues.iter().collect(), page) {
        queues.push(of_queue(&state, &pool, queue, status, runs).await?);
    }
    let count = pool.queues.len() as u64;
    let mut answer = asked.answer(page, count, Vec::new());
    if let Value::Object(answer) = &mut answer {
        answer.shift_remove("results");
    }
    answer["active_slots"] = status.map_or(0, |pool| pool.held).into();
    answer["concurrency_limit"] = status
        .map_or(pool.concurrency_limit, |now| now.concurrency_limit)
        .into();
    answer["queues"] = queues.into();
    Ok(Json(answer))
}

async fn of_queue(
    state: &ApiState,
    pool: &Pool,
    queue: &Queue,
    status: Option<&PoolStatus>,
    runs: u32,
) -> Result<Value, Error> {
    let now = status.and_then(|pool| pool.queues.iter().find(|one| one.name == queue.name));
    let live = StateType::ALL.into_iter().filter(|one| !one.is_terminal());
    let holders = FlowRunFilter {
        work_pool: Choice::any([pool.name.clone()]),
        work_queue: Choice::any([queue.name.clone()]),
        state_type: Choice::any(live.collect::<Vec<_>>()),
        holds_slot: true,
        ..FlowRunFilter::default()
    };
    let found = state
        .store
        .flow_runs(holders, FlowRunSort::StartAsc, Page::first(runs))
        .await?;
    let held = now.map_or(0, |queue| queue.held);
    Ok(json!({
        "queue_id": queue.id,
        "queue_name": queue.name,
        "active_slots": held,
        "concurrency_limit": now.map_or(queue.concurrency_limit, |now| now.concurrency_limit),
        "flow_runs": found.iter().map(holder).collect::<Vec<Value>>(),
        "flow_run_count": held,
    }))
}

fn holder(run: &FlowRun) -> Value {
    let since = run.state.since;
    let ms = clock::now().since_ms(since);
    json!({
        "id": run.run.id,
        "name": run.run.name,
        "state_type": run.state.state_type,
        "state_name": run.state.name,
        "start_time": run.start_time.map(rfc3339),
        "state_timestamp": rfc3339(since),
        // ISO 8601, as Prefect's models write and read it.
        "time_in_current_state": format!("PT{}.{:03}S", ms / 1_000, ms % 1_000),
    })
}
