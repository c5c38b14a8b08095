//! What follows when nobody has the message any more: no list, no worker, and no result. The task
//! may have run, so whoever wrote it says whether it may run again.

use grepx_plugin_sdk::prelude::*;

use crate::config::WhenLost;
use crate::{LOST, RESULT, State};

/// The host's code for a message that it has found nowhere.
pub(crate) const CODE: &str = "lost";

pub(crate) fn found(state: State, error: Error) -> Result<Step<Value, State>, Error> {
    let class = match state.when_lost {
        WhenLost::Retry => ErrorClass::Retryable,
        WhenLost::Fail => ErrorClass::Permanent,
        WhenLost::Ask => {
            log::warn(&error.message);
            return Ok(ask(state));
        }
    };
    Err(Error::new(class, "celery-lost", error.message))
}

/// A person's answer to the signal `lost`: `"retry"` or `"fail"`.
pub(crate) fn decided(state: State, answer: &Value) -> Result<Step<Value, State>, Error> {
    let class = match answer.as_str() {
        Some("retry") => ErrorClass::Retryable,
        Some("fail") => ErrorClass::Permanent,
        _ => {
            log::warn(format!("the signal `lost` takes \"retry\" or \"fail\", not {answer}"));
            return Ok(ask(state));
        }
    };
    let message = format!("{} was lost, and a person has decided: {answer}", state.task);
    Err(Error::new(class, "celery-lost", message))
}

/// A result that comes after all is taken.
fn ask(state: State) -> Step<Value, State> {
    Step::suspend(state)
        .signal(LOST, LOST)
        .wake_any([RESULT, LOST])
        .status("lost; the signal `lost` decides: \"retry\" or \"fail\"")
}
