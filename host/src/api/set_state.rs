//! `set_state` and `resume`: a client proposes a state, the runner decides. The host runs flow runs
//! itself, so only cancelling, pausing and resuming can be asked for; statuses and reasons are
//! those that Prefect's own server gives in the same case.
//!
//! Absent on purpose: `force`. There is no state that a client could impose on the engine.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use grepx_engine::StateType;
use serde_json::{Value, json};

use super::body::{Body, Fields};
use super::door::Noted;
use super::error::Error;
use super::{ApiState, flow_runs, wire};
use crate::runner;
use crate::store::FlowRun;

const CANCELLED_HERE: &str = "Cancelled through the API.";
const ONLY_THESE: &str =
    "This server runs flow runs itself: a client can ask for CANCELLING, PAUSED, or RUNNING of a paused flow run.";

type Answer = Result<(StatusCode, Extension<Noted>, Json<Value>), Error>;

#[derive(Debug)]
struct Proposed {
    state_type: StateType,
    message: Option<String>,
}

/// How Prefect answers a proposal.
#[derive(Debug, Clone)]
enum Verdict {
    Accept,
    Reject(String),
    Abort(String),
}

pub(super) async fn set_state(State(state): State<ApiState>, Path(id): Path<String>, body: Body) -> Answer {
    let id = flow_runs::id_of(&id)?;
    let proposed = body.read(read)?;
    let run = flow_runs::row(&state, id).await?;
    let Some(proposed) = proposed else {
        return Err(Error::Invalid("state.type is missing".into()));
    };
    match proposed.state_type {
        StateType::Cancelling | StateType::Cancelled => cancel(&state, &run, proposed).await,
        StateType::Paused => pause(&state, &run).await,
        StateType::Running | StateType::Scheduled if run.state.state_type == StateType::Paused => {
            go_on(&state, &run).await
        }
        _ => answer(&state, &run, false, Verdict::Abort(ONLY_THESE.into())).await,
    }
}

pub(super) async fn resume(State(state): State<ApiState>, Path(id): Path<String>) -> Answer {
    let run = flow_runs::row(&state, flow_runs::id_of(&id)?).await?;
    if run.state.state_type == StateType::Paused {
        return go_on(&state, &run).await;
    }
    let why = format!("Cannot resume a flow run that is not paused: it is {}.", run.state.name);
    let verdict = if run.state.state_type.is_terminal() {
        Verdict::Abort(why)
    } else {
        Verdict::Reject(why)
    };
    answer(&state, &run, false, verdict).await
}

async fn cancel(state: &ApiState, run: &FlowRun, proposed: Proposed) -> Answer {
    let before = run.state.state_type;
    if before.is_terminal() {
        return answer(state, run, false, already(run)).await;
    }
    if before == StateType::Cancelling {
        let why = "This flow run is cancelling: it is CANCELLED when its tasks have stopped.";
        return answer(state, run, false, Verdict::Reject(why.into())).await;
    }
    let reason = proposed.message.unwrap_or_else(|| CANCELLED_HERE.to_owned());
    let mut asked = state.runner.cancel(run.run.id, reason.clone()).await;
    if let (Err(runner::Error::NotLive(_)), Some(schedule)) = (&asked, run.run.schedule_id) {
        // Only planned so far: it is made now, so that it can be cancelled and stay so.
        if state
            .runner
            .make_planned(schedule, run.run.expected_start)
            .await?
            .is_some()
        {
            asked = state.runner.cancel(run.run.id, reason).await;
        }
    }
    let verdict = match asked {
        // What has not started needs no time to stop, and clients are told with these words.
        Ok(()) if before == StateType::Scheduled => {
            Verdict::Reject("Scheduled flow run: it is cancelled at once.".into())
        }
        other => judged(other)?,
    };
    answer(state, run, true, verdict).await
}

async fn pause(state: &ApiState, run: &FlowRun) -> Answer {
    match run.state.state_type {
        StateType::Running => {
            let verdict = judged(state.runner.pause(run.run.id).await)?;
            answer(state, run, true, verdict).await
        }
        terminal if terminal.is_terminal() => answer(state, run, false, already(run)).await,
        _ => {
            let why = "Cannot pause flows that are not currently running.";
            answer(state, run, false, Verdict::Reject(why.into())).await
        }
    }
}

async fn go_on(state: &ApiState, run: &FlowRun) -> Answer {
    let verdict = judged(state.runner.resume(run.run.id).await)?;
    answer(state, run, true, verdict).await
}

fn already(run: &FlowRun) -> Verdict {
    Verdict::Abort(format!(
        "Run is already in terminal state {}.",
        run.state.state_type.as_str()
    ))
}

/// The run may have moved on since it was read: that is an answer, no fault.
fn judged(asked: Result<(), runner::Error>) -> Result<Verdict, Error> {
    match asked {
        Ok(()) => Ok(Verdict::Accept),
        Err(error @ (runner::Error::Rejected(_) | runner::Error::NotLive(_))) => Ok(Verdict::Abort(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// With the state as it is now. 201 when one was written, else 200.
async fn answer(state: &ApiState, run: &FlowRun, asked: bool, verdict: Verdict) -> Answer {
    let now = flow_runs::row(state, run.run.id).await?;
    let status = match verdict {
        Verdict::Accept => StatusCode::CREATED,
        Verdict::Reject(_) if asked => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    let (word, details) = match verdict {
        Verdict::Accept => ("ACCEPT", json!({"type": "accept_details"})),
        Verdict::Reject(reason) => ("REJECT", json!({"type": "reject_details", "reason": reason})),
        Verdict::Abort(reason) => ("ABORT", json!({"type": "abort_details", "reason": reason})),
    };
    let current = wire::state(&now.state, now.run.id, None, None);
    let noted = Noted(format!("{word}, {}", now.state.name));
    Ok((
        status,
        Extension(noted),
        Json(json!({"state": current, "status": word, "details": details})),
    ))
}

fn read(fields: &mut Fields<'_>) -> Option<Proposed> {
    let proposed = fields.loose("state", |state| {
        let state_type = state.parsed("type", |word| {
            StateType::parse(word).ok_or_else(|| format!("{word:?} is no state type"))
        });
        let message: Option<String> = state.value("message");
        state_type.map(|state_type| Proposed {
            state_type,
            message: message.filter(|text| !text.is_empty()),
        })
    });
    proposed.flatten()
}
