//! The same for many flow runs: cancel, retry, delete. A request does one bounded step, newest
//! first, and says how many are left and where the next step begins; each flow run is asked for as
//! by itself, so one that refuses costs the others nothing.
//!
//! Absent on purpose: a transaction over all of them. What a step has done stays done.

use axum::extract::State;
use axum::{Extension, Json};
use grepx_engine::{FlowRunId, StateType};
use serde_json::{Value, json};

use super::body::{Body, Fields};
use super::door::Noted;
use super::error::Error;
use super::filter::{Filters, uuid};
use super::texts::bounded;
use super::{ApiState, again, flow_runs, set_state};
use crate::runner::Begin;
use crate::store::{self, Choice, FlowRun, FlowRunFilter, FlowRunSort, Join, Page};

/// Flow runs of one step, and when nothing is said.
const STEP_MAX: u32 = 200;
/// As Prefect has it for its own two.
const PREFECT_STEP_MAX: u32 = 50;
/// Flow runs and refusals that are named; the others are counted.
const NAMED_MAX: usize = 20;

type Answer = Result<(Extension<Noted>, Json<Value>), Error>;

/// What a body asks for.
#[derive(Debug)]
struct Asked {
    filters: Filters,
    every: bool,
    dry_run: bool,
    limit: u32,
    before: Option<FlowRunId>,
}

impl Asked {
    fn read(fields: &mut Fields<'_>, limit_max: u32) -> Self {
        let limit = fields.value("limit").unwrap_or(limit_max);
        if !(1..=limit_max).contains(&limit) {
            fields.fault(Some("limit"), "value_error", &format!("should be 1 to {limit_max}"));
        }
        Self {
            limit,
            dry_run: fields.value("dry_run").unwrap_or_default(),
            before: fields.parsed("before", uuid).map(FlowRunId),
            every: fields.value("all").unwrap_or_default(),
            filters: Filters::read(fields),
        }
    }

    /// The flow runs that are named, of the states that suit.
    async fn filter(self, state: &ApiState, suits: impl Fn(StateType) -> bool) -> Result<FlowRunFilter, Error> {
        let named = self.filters.flow_runs(state).await?;
        if named.asks_nothing() && !self.every {
            return Err(Error::Invalid(
                "an empty filter means every flow run: name some, or say \"all\": true".into(),
            ));
        }
        let able: Vec<StateType> = StateType::ALL.into_iter().filter(|state| suits(*state)).collect();
        // What the store sees at once it finds by an index; what is a part of a filter it looks for.
        let free =
            named.join == Join::All && named.state_type == Choice::default() && named.state_name == Choice::default();
        Ok(FlowRunFilter {
            state_join: Join::All,
            state_type: Choice::any(able),
            id_before: self.before,
            ..match free {
                true => named,
                false => FlowRunFilter {
                    parts: vec![named],
                    ..FlowRunFilter::default()
                },
            }
        })
    }
}

/// What a step has come to.
#[derive(Debug, Default)]
struct Tally {
    done: u64,
    refused: u64,
    why: Vec<Value>,
}

impl Tally {
    fn take(&mut self, run: &FlowRun, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Ok(()) => self.done += 1,
            Err(Error::Store(unreadable @ store::Error::Unreadable { .. })) => {
                self.refuse(run, &crate::report::chain(&unreadable));
            }
            // The server's trouble is not that of one flow run.
            Err(error @ (Error::Unavailable(_) | Error::Store(_) | Error::TooSlow(_))) if self.done == 0 => {
                return Err(error);
            }
            Err(error) => self.refuse(run, &error.to_string()),
        }
        Ok(())
    }

    fn refuse(&mut self, run: &FlowRun, why: &str) {
        self.refused += 1;
        if self.why.len() < NAMED_MAX {
            self.why
                .push(json!({"id": run.run.id, "name": run.run.name, "reason": why}));
        }
    }
}

/// What is done to each.
#[derive(Debug)]
enum Action {
    /// To CANCELLED, those that are cancelling too.
    Cancel {
        wanted: StateType,
        reason: Option<String>,
    },
    Retry(Begin),
    Delete,
}

impl Action {
    const fn word(&self) -> &'static str {
        match self {
            Self::Cancel { .. } => "cancel",
            Self::Retry(_) => "retry",
            Self::Delete => "delete",
        }
    }

    /// Whether a flow run in this state can be asked for it.
    fn suits(&self, state: StateType) -> bool {
        match self {
            Self::Cancel { wanted, .. } => {
                !state.is_terminal() && (state != StateType::Cancelling || *wanted == StateType::Cancelled)
            }
            Self::Retry(Begin::Failed) => state.is_terminal() && state != StateType::Completed,
            Self::Retry(_) | Self::Delete => state.is_terminal(),
        }
    }

    async fn carry_out(&self, state: &ApiState, run: &FlowRun) -> Result<(), Error> {
        let id = run.run.id;
        match self {
            Self::Cancel { wanted, reason } => set_state::cancel_run(state, run, *wanted, reason.clone()).await,
            Self::Retry(begin) => state
                .runner
                .retry(id, begin.clone(), None)
                .await
                .map_err(again::refused),
            Self::Delete => match state.store.delete_flow_run(id).await? {
                true => Ok(()),
                false => Err(flow_runs::not_found()),
            },
        }
    }
}

pub(super) async fn cancel(State(state): State<ApiState>, body: Body) -> Answer {
    let (asked, action) = body.read(|fields| {
        let reason = fields.parsed("reason", bounded);
        let force: bool = fields.value("force").unwrap_or_default();
        let wanted = if force {
            StateType::Cancelled
        } else {
            StateType::Cancelling
        };
        (Asked::read(fields, STEP_MAX), Action::Cancel { wanted, reason })
    })?;
    step(&state, asked, action).await
}

/// Where each begins anew is said as for one flow run.
pub(super) async fn retry(State(state): State<ApiState>, body: Body) -> Answer {
    let (asked, begin) = body.read(|fields| {
        let begin = again::begin(fields);
        (Asked::read(fields, STEP_MAX), begin)
    })?;
    step(&state, asked, Action::Retry(begin)).await
}

pub(super) async fn delete(State(state): State<ApiState>, body: Body) -> Answer {
    let asked = body.read(|fields| Asked::read(fields, STEP_MAX))?;
    step(&state, asked, Action::Delete).await
}

/// One that another of them has started is the other's to do again: asked for too, it would be done
/// twice.
fn without_children(filter: FlowRunFilter) -> FlowRunFilter {
    let all = FlowRunFilter {
        id_before: None,
        ..filter.clone()
    };
    FlowRunFilter {
        parent_outside: Some(Box::new(all)),
        ..filter
    }
}

/// `matched`: all of the filter that can be asked; `left`: those that this step has not come to.
async fn step(state: &ApiState, asked: Asked, action: Action) -> Answer {
    let (page, dry_run) = (Page::first(asked.limit), asked.dry_run);
    let mut filter = Box::pin(asked.filter(state, |state| action.suits(state))).await?;
    if matches!(action, Action::Retry(_)) {
        filter = without_children(filter);
    }
    let matched = state.store.count_flow_runs(filter.clone()).await?;
    let runs = state.store.flow_runs(filter, FlowRunSort::IdDesc, page).await?;
    let left = matched.saturating_sub(runs.len() as u64);
    let next = runs.last().filter(|_| left > 0).map(|run| run.run.id);
    let mut tally = Tally::default();
    if !dry_run {
        for run in &runs {
            tally.take(run, action.carry_out(state, run).await)?;
        }
    }
    let named = runs.iter().take(NAMED_MAX);
    let named = named.map(|run| json!({"id": run.run.id, "name": run.run.name, "state_name": run.state.name}));
    let noted = Noted(format!("{} of {matched} flow runs", tally.done));
    let body = json!({
        "action": action.word(),
        "dry_run": dry_run,
        "matched": matched,
        "done": tally.done,
        "refused": tally.refused,
        "left": left,
        "next": next,
        "flow_runs": named.collect::<Vec<Value>>(),
        "refusals": tally.why,
    });
    Ok((Extension(noted), Json(body)))
}

/// Prefect's own: `{"deleted": […]}`. Only what has ended goes.
pub(super) async fn prefect_delete(State(state): State<ApiState>, body: Body) -> Answer {
    let asked = body.read(|fields| Asked::read(fields, PREFECT_STEP_MAX))?;
    let page = Page::first(asked.limit);
    let filter = asked.filter(&state, StateType::is_terminal).await?;
    let mut deleted = Vec::new();
    for run in state.store.flow_runs(filter, FlowRunSort::IdDesc, page).await? {
        match state.store.delete_flow_run(run.run.id).await {
            Ok(true) => deleted.push(run.run.id),
            // Gone, or going on again since it was listed.
            Ok(false) | Err(store::Error::NotTerminal { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let noted = Noted(format!("{} flow runs", deleted.len()));
    Ok((Extension(noted), Json(json!({"deleted": deleted}))))
}

/// Prefect's own: one result for each flow run.
pub(super) async fn prefect_set_state(State(state): State<ApiState>, body: Body) -> Answer {
    let (proposed, asked) = body.read(|fields| {
        let proposed = set_state::read(fields);
        (proposed, Asked::read(fields, PREFECT_STEP_MAX))
    })?;
    let Some(proposed) = proposed else {
        return Err(Error::Invalid("state.type is missing".into()));
    };
    let page = Page::first(asked.limit);
    let filter = asked.filter(&state, |_| true).await?;
    let mut results = Vec::new();
    for run in state.store.flow_runs(filter, FlowRunSort::IdDesc, page).await? {
        let result = async {
            let judged = set_state::judge(&state, &run, proposed.clone()).await?;
            set_state::described(&state, &run, judged).await
        };
        let (_, mut result) = match result.await {
            // Deleted since it was listed.
            Err(Error::NotFound(_)) => continue,
            result => result?,
        };
        result["flow_run_id"] = json!(run.run.id);
        results.push(result);
    }
    let noted = Noted(format!("{} flow runs", results.len()));
    Ok((Extension(noted), Json(json!({"results": results}))))
}
