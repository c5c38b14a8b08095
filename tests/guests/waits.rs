//! The durable kind `waits`, shared by the builds of its two versions. It says which of them did
//! each of its steps.

use std::time::Duration;

use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use super::VERSION;

struct Waits;

#[derive(Deserialize)]
struct Config {
    ms: u64,
    steps: u32,
}

#[derive(Serialize, Deserialize)]
struct State {
    ms: u64,
    left: u32,
    seen: Vec<u32>,
}

impl Durable for Waits {
    const KIND: &'static str = "waits";
    const SUMMARY: &'static str = "Waits some times, and says which versions it was";
    const STATE_VERSION: u32 = VERSION;
    type Input = TaskInput<Value, Config>;
    type Output = Vec<u32>;
    type State = State;

    fn input_schema() -> Value {
        json!({})
    }

    fn start(_ctx: &Ctx, input: Self::Input) -> Result<Step<Vec<u32>, State>, Error> {
        Ok(wait(State {
            ms: input.config.ms,
            left: input.config.steps,
            seen: Vec::new(),
        }))
    }

    fn resume(_ctx: &Ctx, state: State, _events: Vec<Event>) -> Result<Step<Vec<u32>, State>, Error> {
        Ok(wait(state))
    }
}

fn wait(mut state: State) -> Step<Vec<u32>, State> {
    state.seen.push(VERSION);
    if state.left == 0 {
        return Step::done(state.seen);
    }
    state.left -= 1;
    let ms = Duration::from_millis(state.ms);
    Step::suspend(state).timer_in("awake", ms).status("it waits")
}

grepx_plugin_sdk::export_durable!(Waits);
