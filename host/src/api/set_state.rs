//! `set_state` and `resume`: a client proposes a state, the runner decides. The host runs flow runs
//! itself, so only cancelling, pausing, resuming and going on after the end can be asked for;
//! statuses and reasons are those that Prefect's own server gives in the same case. CANCELLED of a
//! flow run that is cancelling already ends it without the rest of its clean-up.
//!
//! Absent on purpose: a state that a client could impose on the engine. `force` only says that a
//! flow run which has completed is to run once more.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use grepx_engine::{StateType, Timestamp};
use serde_json::{Value, json};

use super::body::{Body, Fields};
use super::door::Noted;
use super::error::Error;
use super::filter::instant;
use super::texts::bounded;
use super::{ApiState, flow_runs, wire};
use crate::clock;
use crate::runner::{self, Begin};
use crate::store::FlowRun;

const CANCELLED_HERE: &str = "Cancelled through the API.";
const ONLY_THESE: &str = "This server runs flow runs itself: a client can ask for CANCELLING, PAUSED, RUNNING of a \
     paused flow run, or SCHEDULED of one that has ended.";

type Answer = Result<(StatusCode, Extension<Noted>, Json<Value>), Error>;

#[derive(Debug, Clone)]
pub(super) struct Proposed {
    state_type: StateType,
    name: Option<String>,
    message: Option<String>,
    scheduled_time: Option<Timestamp>,
    force: bool,
}

/// How Prefect answers a proposal.
#[derive(Debug, Clone)]
enum Verdict {
    Accept,
    Reject(String),
    Abort(String),
    Wait { seconds: u64, reason: String },
}

/// What became of a proposal: whether the runner was asked, and the verdict.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    asked: bool,
    verdict: Verdict,
}

impl Judged {
    fn unasked(verdict: Verdict) -> Self {
        Self { asked: false, verdict }
    }

    fn asked(verdict: Verdict) -> Self {
        Self { asked: true, verdict }
    }
}

pub(super) async fn set_state(State(state): State<ApiState>, Path(id): Path<String>, body: Body) -> Answer {
    let id = flow_runs::id_of(&id)?;
    let proposed = body.read(read)?;
    let run = flow_runs::row(&state, id).await?;
    let Some(proposed) = proposed else {
        return Err(Error::Invalid("state.type is missing".into()));
    };
    let judged = judge(&state, &run, proposed).await?;
    answer(&state, &run, judged).await
}

pub(super) async fn resume(State(state): State<ApiState>, Path(id): Path<String>) -> Answer {
    let run = flow_runs::row(&state, flow_runs::id_of(&id)?).await?;
    if run.state.state_type == StateType::Paused {
        let judged = go_on(&state, &run).await?;
        return answer(&state, &run, judged).await;
    }
    let why = format!("Cannot resume a flow run that is not paused: it is {}.", run.state.name);
    let verdict = if run.state.state_type.is_terminal() {
        Verdict::Abort(why)
    } else {
        Verdict::Reject(why)
    };
    answer(&state, &run, Judged::unasked(verdict)).await
}

/// Does what the proposed state stands for, if it can be done.
pub(super) async fn judge(state: &ApiState, run: &FlowRun, proposed: Proposed) -> Result<Judged, Error> {
    let before = run.state.state_type;
    match proposed.state_type {
        StateType::Cancelling | StateType::Cancelled => cancel(state, run, proposed).await,
        _ if before == StateType::Cancelling => Ok(Judged::unasked(cancelling())),
        StateType::Paused => pause(state, run).await,
        StateType::Running | StateType::Scheduled if before == StateType::Paused => go_on(state, run).await,
        StateType::Scheduled if before.is_terminal() => retry(state, run, &proposed).await,
        _ => Ok(Judged::unasked(refusal(run, &proposed, clock::now()))),
    }
}

/// Why nothing can be done: in Prefect's words where it has some for the case.
fn refusal(run: &FlowRun, proposed: &Proposed, now: Timestamp) -> Verdict {
    let (before, wanted) = (run.state.state_type, proposed.state_type);
    let is_late = |name: &str| name == "Late";
    match wanted {
        StateType::Crashed if before.is_terminal() => already(run),
        StateType::Pending if matches!(before, StateType::Pending | StateType::Running | StateType::Cancelled) => {
            Verdict::Abort(format!(
                "This run is in a {} state and cannot transition to a PENDING state.",
                before.as_str()
            ))
        }
        StateType::Completed if before == StateType::Completed => Verdict::Reject("Run is already COMPLETED.".into()),
        StateType::Scheduled if proposed.name.as_deref().is_some_and(is_late) => match before {
            StateType::Scheduled if is_late(&run.state.name) => {
                Verdict::Reject("This flow run is already marked late.".into())
            }
            StateType::Scheduled => Verdict::Abort(ONLY_THESE.into()),
            _ => Verdict::Reject("Only scheduled flows can be marked late.".into()),
        },
        StateType::Running if before == StateType::Scheduled && starts(run) > now => Verdict::Wait {
            seconds: starts(run).since_ms(now).div_ceil(1_000),
            reason: "Scheduled time is in the future".into(),
        },
        _ => Verdict::Abort(ONLY_THESE.into()),
    }
}

/// The time for which it waits, or has waited.
fn starts(run: &FlowRun) -> Timestamp {
    run.starts_again.unwrap_or(run.run.expected_start)
}

/// `SCHEDULED` of a run that has ended: it goes on with what failed, at the time that is given.
async fn retry(state: &ApiState, run: &FlowRun, proposed: &Proposed) -> Result<Judged, Error> {
    let late = proposed.name.as_deref() == Some("Late");
    let begin = match run.state.state_type {
        _ if late => return Ok(Judged::unasked(refusal(run, proposed, clock::now()))),
        StateType::Completed if proposed.force => Begin::Start,
        StateType::Completed => {
            return Ok(Judged::unasked(Verdict::Reject("Run is already COMPLETED.".into())));
        }
        _ if !proposed.force && run.run.deployment_id.is_none() => {
            let why = "Cannot reschedule a run without an associated deployment.";
            return Ok(Judged::unasked(Verdict::Abort(why.into())));
        }
        _ => Begin::Failed,
    };
    let asked = state.runner.retry(run.run.id, begin, proposed.scheduled_time).await;
    judged(asked).map(Judged::asked)
}

async fn cancel(state: &ApiState, run: &FlowRun, proposed: Proposed) -> Result<Judged, Error> {
    let before = run.state.state_type;
    if before.is_terminal() {
        return Ok(Judged::unasked(already(run)));
    }
    // Asked for once more, the runner ends it without the clean-up that it is at.
    if before == StateType::Cancelling && proposed.state_type != StateType::Cancelled {
        return Ok(Judged::unasked(cancelling()));
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
    // It may have started since it was read.
    let at_once = asked.is_ok()
        && before == StateType::Scheduled
        && flow_runs::row(state, run.run.id).await?.state.state_type.is_terminal();
    Ok(Judged::asked(match asked {
        // What has not started needs no time to stop, and clients are told with these words.
        Ok(()) if at_once => Verdict::Reject("Scheduled flow run: it is cancelled at once.".into()),
        other => judged(other)?,
    }))
}

/// As by `set_state`; an error says why it was not done.
pub(super) async fn cancel_run(
    state: &ApiState,
    run: &FlowRun,
    wanted: StateType,
    message: Option<String>,
) -> Result<(), Error> {
    let proposed = Proposed {
        state_type: wanted,
        name: None,
        message,
        scheduled_time: None,
        force: false,
    };
    let Judged { asked, verdict } = cancel(state, run, proposed).await?;
    match verdict {
        Verdict::Accept => Ok(()),
        Verdict::Reject(_) if asked => Ok(()),
        Verdict::Reject(why) | Verdict::Abort(why) | Verdict::Wait { reason: why, .. } => Err(Error::Conflict(why)),
    }
}

async fn pause(state: &ApiState, run: &FlowRun) -> Result<Judged, Error> {
    match run.state.state_type {
        StateType::Running => judged(state.runner.pause(run.run.id).await).map(Judged::asked),
        terminal if terminal.is_terminal() => Ok(Judged::unasked(already(run))),
        _ => {
            let why = "Cannot pause flows that are not currently running.";
            Ok(Judged::unasked(Verdict::Reject(why.into())))
        }
    }
}

async fn go_on(state: &ApiState, run: &FlowRun) -> Result<Judged, Error> {
    judged(state.runner.resume(run.run.id).await).map(Judged::asked)
}

fn already(run: &FlowRun) -> Verdict {
    Verdict::Abort(format!(
        "Run is already in terminal state {}.",
        run.state.state_type.as_str()
    ))
}

fn cancelling() -> Verdict {
    Verdict::Reject("This flow run is cancelling: it is CANCELLED when its tasks have stopped.".into())
}

/// The run may have moved on since it was read: that is an answer, no fault.
fn judged(asked: Result<(), runner::Error>) -> Result<Verdict, Error> {
    match asked {
        Ok(()) => Ok(Verdict::Accept),
        Err(error @ (runner::Error::Rejected(_) | runner::Error::NotLive(_))) => Ok(Verdict::Abort(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

async fn answer(state: &ApiState, run: &FlowRun, judged: Judged) -> Answer {
    let (status, body) = described(state, run, judged).await?;
    let noted = Noted(format!(
        "{}, {}",
        body["status"].as_str().unwrap_or_default(),
        body["state"]["name"].as_str().unwrap_or_default()
    ));
    Ok((status, Extension(noted), Json(body)))
}

/// With the state as it is now. 201 when one was written, else 200.
pub(super) async fn described(state: &ApiState, run: &FlowRun, judged: Judged) -> Result<(StatusCode, Value), Error> {
    let now = flow_runs::row(state, run.run.id).await?;
    let status = match judged.verdict {
        Verdict::Accept => StatusCode::CREATED,
        Verdict::Reject(_) if judged.asked => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    let (word, details) = match judged.verdict {
        Verdict::Accept => ("ACCEPT", json!({"type": "accept_details"})),
        Verdict::Reject(reason) => ("REJECT", json!({"type": "reject_details", "reason": reason})),
        Verdict::Abort(reason) => ("ABORT", json!({"type": "abort_details", "reason": reason})),
        Verdict::Wait { seconds, reason } => (
            "WAIT",
            json!({"type": "wait_details", "delay_seconds": seconds, "reason": reason}),
        ),
    };
    let current = wire::state(&now.state, now.run.id, None, None);
    Ok((status, json!({"state": current, "status": word, "details": details})))
}

pub(super) fn read(fields: &mut Fields<'_>) -> Option<Proposed> {
    let force: bool = fields.value("force").unwrap_or_default();
    let proposed = fields.loose("state", |state| {
        let state_type = state.parsed("type", |word| {
            StateType::parse(word).ok_or_else(|| format!("{word:?} is no state type"))
        });
        let name: Option<String> = state.value("name");
        let message = state.parsed("message", bounded);
        let scheduled_time = state.loose("state_details", |details| details.parsed("scheduled_time", instant));
        state_type.map(|state_type| Proposed {
            state_type,
            name,
            message: message.filter(|text| !text.is_empty()),
            scheduled_time: scheduled_time.flatten(),
            force,
        })
    });
    proposed.flatten()
}
