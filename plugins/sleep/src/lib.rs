//! Waits for a while without holding anything in memory: the host keeps the timer, also over
//! restarts. The seconds come from `config`, or from the keyword arguments, where an expression
//! can work them out.

use std::time::Duration;

use grepx_plugin_sdk::prelude::*;
use serde_json::Number;

#[derive(Debug)]
pub struct Sleep;

/// Further keyword arguments are left alone.
#[data]
#[derive(Default)]
pub struct Kwargs {
    #[schemars(range(min = 0, max = MOST_SECONDS))]
    seconds: Option<Number>,
}

#[data(strict)]
#[derive(Default)]
pub struct Config {
    #[schemars(range(min = 0, max = MOST_SECONDS))]
    seconds: Option<Number>,
}

#[data]
pub struct State {
    seconds: Number,
}

#[data]
pub struct Slept {
    /// As it was written: 90 stays 90.
    slept_seconds: Number,
}

#[durable(kind = "sleep", summary = "Waits for a number of seconds")]
impl Sleep {
    fn start(_ctx: &Ctx, input: TaskInput<Kwargs, Config>) -> Result<Step<Slept, State>, Error> {
        let seconds = input.config.seconds.or(input.kwargs.seconds).ok_or_else(|| {
            Error::invalid_input("how long to sleep is not said: set config.seconds or kwargs.seconds")
        })?;
        let wait = duration(&seconds)?;
        if wait.is_zero() {
            return Ok(Step::done(Slept { slept_seconds: seconds }));
        }
        let status = format!("sleeping for {seconds} s");
        Ok(Step::suspend(State { seconds }).timer_in("awake", wait).status(status))
    }

    fn resume(_ctx: &Ctx, state: State, events: Vec<Event>) -> Result<Step<Slept, State>, Error> {
        for event in events {
            match event.outcome {
                Outcome::Failed(error) => return Err(error),
                Outcome::Cancelled => return Err(Error::cancelled("timer-cancelled", "the timer was cancelled")),
                _ => {}
            }
        }
        Ok(Step::done(Slept {
            slept_seconds: state.seconds,
        }))
    }
}

/// 100 years.
const MOST_SECONDS: f64 = 3_155_760_000.0;

fn duration(written: &Number) -> Result<Duration, Error> {
    let seconds = written
        .as_f64()
        .filter(|it| (0.0..=MOST_SECONDS).contains(it))
        .ok_or_else(|| {
            Error::invalid_input(format!(
                "seconds is {written}; it must be between 0 and {MOST_SECONDS} (100 years)"
            ))
        })?;
    // To whole milliseconds, upwards: never awake too early.
    Ok(Duration::from_millis((seconds * 1000.0).ceil() as u64))
}

grepx_plugin_sdk::export_durable!(Sleep);

#[cfg(test)]
mod tests;
