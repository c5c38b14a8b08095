//! Waits for somebody's decision: a person at a page, a command line, a webhook. It comes as
//! a signal; what does not fit the form is told and does not end the wait.
//!
//! Deliberately absent: who may decide. The host's API knows no users, so `approvers` is a text
//! for people, and `by` is what the caller says. Put whoever checks that in front of the API.

mod answer;
mod config;
mod form;
mod state;
mod time;

use grepx_plugin_sdk::prelude::*;
use serde::Serialize;

pub use config::{Config, Kwargs, OnExpiry};
pub use state::State;

/// The signals that are listened to.
const SIGNALS: [&str; 3] = ["approve", "reject", "decide"];
/// The key of the timer.
const EXPIRY: &str = "expiry";

#[derive(Debug)]
pub struct Approval;

/// The result of the task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    approved: bool,
    by: Option<String>,
    /// RFC 3339, UTC.
    at: String,
    note: Option<String>,
    form: Value,
    /// Nobody decided: `on_expiry` did.
    expired: bool,
}

impl Durable for Approval {
    const KIND: &'static str = "approval";
    const SUMMARY: &'static str = "Waits for somebody to approve or reject";
    type Input = TaskInput<Kwargs, Config>;
    type Output = Decision;
    type State = State;

    fn input_schema() -> Value {
        config::input_schema()
    }

    fn output_schema() -> Value {
        json!({
            "type": "object",
            "required": ["approved", "by", "at", "note", "form", "expired"],
            "properties": {
                "approved": { "const": true, "description": "A rejection fails the task" },
                "by": { "type": ["string", "null"], "description": "As the caller says" },
                "at": { "type": "string", "format": "date-time" },
                "note": { "type": ["string", "null"] },
                "form": { "description": "What was filled in; null if nothing was" },
                "expired": { "type": "boolean", "description": "Nobody decided: on_expiry did" },
            },
        })
    }

    fn start(ctx: &Ctx, input: Self::Input) -> Result<Step<Decision, State>, Error> {
        let state = State::new(ctx, input)?;
        let status = state.status(None);
        log::info(&status);
        let signals = SIGNALS.map(|name| Command::signal(state.key(name), name));
        let expiry = state.expires_at_ms.map(|at| Command::timer_at(EXPIRY, at));
        Ok(wait(state, signals.into_iter().chain(expiry), status))
    }

    fn resume(ctx: &Ctx, mut state: State, events: Vec<Event>) -> Result<Step<Decision, State>, Error> {
        let mut again = Vec::new();
        let mut problem = None;
        for event in events {
            match event.outcome {
                Outcome::Failed(error) => return Err(error),
                Outcome::Cancelled => return Err(Error::cancelled("approval-cancelled", "the wait was cancelled")),
                Outcome::Fired if event.key == EXPIRY => return state.expire(ctx).map(Step::done),
                Outcome::Signal(payload) => {
                    let Some(name) = state.signal(&event.key) else { continue };
                    match answer::read(name, payload, state.form.as_ref()) {
                        Ok(answer) => return answer.decide(ctx, &state).map(Step::done),
                        Err(refused) => {
                            log::warn(format!("an answer ({name}) is not taken: {refused}"));
                            state.refuse(name);
                            again.push(Command::signal(state.key(name), name));
                            problem = Some(refused);
                        }
                    }
                }
                Outcome::Fired | Outcome::Reply(_) | Outcome::Child(_) => {}
            }
        }
        let status = state.status(problem.as_deref());
        Ok(wait(state, again, status))
    }
}

/// Suspends with these further commands, and wakes for everything that is open.
fn wait(state: State, commands: impl IntoIterator<Item = Command>, status: String) -> Step<Decision, State> {
    let open = state.open();
    let step = Step::suspend(state).status(status).wake_any(open);
    commands.into_iter().fold(step, Step::command)
}

grepx_plugin_sdk::export_durable!(Approval);

#[cfg(test)]
mod tests;
