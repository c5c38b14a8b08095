//! Has a Celery worker run the task: sends one message, then sleeps until a final state stands
//! under the result key. Between the two it holds no instance and no connection.
//!
//! Each attempt has an id of its own (the idempotency key): workers store nothing for a second
//! run of an id that has finished, and refuse one that was revoked. The host keeps the time:
//! nothing is sent with a delay or an expiry, as the workers' clocks would decide about it.
//!
//! Deliberately absent: chains, groups and chords. A flow does the sequencing.

mod config;
mod follow;
mod lost;
mod send;

use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use config::Settings;
pub use config::{Config, WhenLost};

/// The keys of the attempt's commands.
const TASK: &str = "task";
const RESULT: &str = "result";
const REVOKE: &str = "revoke";
const LOST: &str = "lost";

#[derive(Debug)]
pub struct Celery;

/// What is needed to read the answer and to call the task off. It is kept for as long as the task
/// waits, a hundred thousand times perhaps: so nothing in it that follows from the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    id: String,
    task: String,
    queue: String,
    connection: String,
    /// What the result key begins with, where the workers say so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    key_prefix: String,
    /// The whole key, of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result_key: Option<String>,
    #[serde(default, skip_serializing_if = "WhenLost::is_default")]
    when_lost: WhenLost,
}

impl State {
    fn result_key(&self) -> String {
        let whole = self.result_key.clone();
        whole.unwrap_or_else(|| grepx_celery::result_key(&self.key_prefix, &self.id))
    }
}

impl Durable for Celery {
    const KIND: &'static str = "celery";
    const SUMMARY: &'static str = "Has a Celery worker run the task";
    const CAPABILITIES: &'static [&'static str] = &["connection:*"];
    const STATE_VERSION: u32 = 2;
    const OLDEST_STATE: u32 = 1;
    type Input = TaskInput<Map<String, Value>, Config>;
    type Output = Value;
    type State = State;

    fn input_schema() -> Value {
        config::input_schema()
    }

    fn start(ctx: &Ctx, input: Self::Input) -> Result<Step<Value, State>, Error> {
        let settings: Settings = ctx.settings()?;
        let (state, message) = send::prepare(ctx, &settings, input)?;
        let status = format!("queued on {}", state.queue);
        let (connection, result_key) = (state.connection.clone(), state.result_key());
        Ok(Step::suspend(state)
            .reply(RESULT, connection, result_key)
            .enqueue(TASK, message)
            .wake_any([RESULT])
            .status(status))
    }

    fn resume(_ctx: &Ctx, state: State, events: Vec<Event>) -> Result<Step<Value, State>, Error> {
        let (mut latest, mut lost, mut decision) = (None, None, None);
        for event in events {
            match event.outcome {
                Outcome::Failed(error) if error.code == lost::CODE => lost = Some(error),
                Outcome::Failed(error) => return Err(error),
                Outcome::Signal(answer) if event.key == LOST => decision = Some(answer),
                Outcome::Cancelled => {
                    let message = format!("the host withdrew {} from the queue {}", state.task, state.queue);
                    return Err(Error::cancelled("celery-withdrawn", message));
                }
                Outcome::Reply(bytes) if event.key == RESULT => latest = Some(bytes),
                _ => {}
            }
        }
        // A result says more than its absence did.
        match (latest, lost, decision) {
            (Some(bytes), ..) => follow::read(state, &bytes),
            (None, Some(error), _) => lost::found(state, error),
            (None, None, Some(answer)) => lost::decided(state, &answer),
            (None, None, None) => Ok(Step::suspend(state).wake_any([RESULT])),
        }
    }

    fn stop(_ctx: &Ctx, state: State, _reason: StopReason) -> Vec<Command> {
        let revoke = Message::new(&state.connection, "control", send::revoke_body(&state.id))
            .meta("control", "revoke")
            .meta("until-reply", state.result_key());
        vec![Command::cancel(TASK), Command::broadcast(REVOKE, revoke)]
    }

    fn migrate(_version: u32, state: Value) -> Result<State, Error> {
        serde_json::from_value(state).or_permanent("unreadable-state")
    }
}

grepx_plugin_sdk::export_durable!(Celery);

#[cfg(test)]
mod tests;
