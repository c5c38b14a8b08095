//! Runs another flow: starts a run of a deployment and waits for its end, or goes on as soon as
//! the run exists.
//!
//! The run belongs to the attempt. A task that is stopped takes it along, and a retry starts
//! another one; a task that does not wait lets go of it when it exists.

mod child;
mod config;

use grepx_plugin_sdk::ChildRun;
use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};

pub use child::Ran;
use child::{Started, shorten};
pub use config::{Config, Kwargs};

/// The key of the command, answered when the run has ended.
const CHILD: &str = "child";
/// The signal that the host gives when the run of the command `child` exists.
const STARTED: &str = "started:child";

#[derive(Debug)]
pub struct Subflow;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    deployment: String,
    wait: bool,
    /// The run, once it is known to exist.
    #[serde(default)]
    run: Option<Started>,
}

impl Durable for Subflow {
    const KIND: &'static str = "subflow";
    const SUMMARY: &'static str = "Runs another flow and gives its results";
    const CAPABILITIES: &'static [&'static str] = &["start-flow"];
    type Input = TaskInput<Kwargs, Config>;
    type Output = Ran;
    type State = State;

    fn input_schema() -> Value {
        config::input_schema()
    }

    fn output_schema() -> Value {
        child::schema()
    }

    fn start(ctx: &Ctx, input: Self::Input) -> Result<Step<Ran, State>, Error> {
        let (deployment, parameters, wait) = config::wanted(input)?;
        let child = ChildRun {
            deployment: deployment.clone(),
            parameters,
            idempotency_key: ctx.idempotency_key.clone(),
        };
        let status = shorten(&format!("starting {deployment}"));
        let state = State {
            deployment,
            wait,
            run: None,
        };
        Ok(Step::suspend(state)
            .signal(STARTED, STARTED)
            .start_flow(CHILD, child)
            .wake_any([STARTED, CHILD])
            .status(status))
    }

    fn resume(_ctx: &Ctx, mut state: State, events: Vec<Event>) -> Result<Step<Ran, State>, Error> {
        for event in events {
            match event.outcome {
                Outcome::Failed(error) => return Err(error),
                Outcome::Cancelled => {
                    let message = format!("the run of {} was withdrawn", state.deployment);
                    return Err(Error::cancelled("subflow-withdrawn", message));
                }
                Outcome::Child(report) if event.key == CHILD => {
                    return child::ended(&state.deployment, report, state.wait).map(Step::done);
                }
                Outcome::Signal(report) if event.key == STARTED => {
                    let started = Started::read(report)?;
                    if !state.wait {
                        return Ok(Step::done(started.into()));
                    }
                    state.run = Some(started);
                }
                _ => {}
            }
        }
        let status = match &state.run {
            Some(run) => format!(
                "waits for flow run {} of {} ({})",
                run.name, state.deployment, run.flow_run_id
            ),
            None => format!("starting {}", state.deployment),
        };
        Ok(Step::suspend(state).wake_any([STARTED, CHILD]).status(shorten(&status)))
    }

    /// A run that nobody waits for is stopped too as long as it is not known to exist: the task
    /// has not done its work yet, and must not leave half of it.
    fn stop(_ctx: &Ctx, _state: State, _reason: StopReason) -> Vec<Command> {
        vec![Command::cancel(CHILD)]
    }
}

grepx_plugin_sdk::export_durable!(Subflow);

#[cfg(test)]
mod tests;
