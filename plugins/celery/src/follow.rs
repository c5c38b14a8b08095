//! From a value under the result key to the next step. Values that are not final (STARTED, RETRY,
//! words of the task's own) change what people see and nothing else; the open reply stays.

use grepx_celery::classify::Class;
use grepx_celery::{Status, TaskResult, classify};
use grepx_plugin_sdk::prelude::*;

use crate::{RESULT, State};

mod progress;

/// Characters of a status.
const MOST_CHARS: usize = 200;

pub(crate) fn read(state: State, bytes: &[u8]) -> Result<Step<Value, State>, Error> {
    let result = TaskResult::decode(bytes)
        .or_permanent("celery-unreadable-result")
        .map_err(|error| {
            let message = format!("{} was run, but its result is of no use: {error}", state.task);
            Error { message, ..error }
        })?;
    if let Some(failure) = classify(&result, &state.task, &state.queue) {
        return Err(failed(&state, failure));
    }
    if result.status == Status::Success {
        for line in result.unrepresentable.lines() {
            log::warn(format!("the result has no exact form in JSON: {line}"));
        }
        return Ok(Step::done(result.result));
    }
    let status = shorten(&describe(&result));
    Ok(Step::suspend(state).wake_any([RESULT]).status(status))
}

fn failed(state: &State, failure: grepx_celery::Failure) -> Error {
    let class = match failure.class {
        Class::Retryable => ErrorClass::Retryable,
        Class::Permanent => ErrorClass::Permanent,
        Class::TimedOut => ErrorClass::TimedOut,
        Class::Cancelled => ErrorClass::Cancelled,
    };
    let error = Error::new(class, failure.code, failure.message).details(failure.details);
    if error.code != "celery-revoked" {
        return error;
    }
    // The host ends an attempt before it revokes, so this was somebody else. A worker that never
    // had the task answers too, and the one that has it may go on to a SUCCESS.
    let message = format!(
        "{}; not by this host. It may still be running in a worker: look for the task id {}",
        error.message, state.id
    );
    Error {
        class: ErrorClass::Retryable,
        message,
        ..error
    }
}

fn describe(result: &TaskResult) -> String {
    let at = result
        .worker
        .as_ref()
        .map_or(String::new(), |worker| format!(" on worker {worker}"));
    match &result.status {
        Status::Started => format!("running{at}"),
        Status::Received => format!("received{at}"),
        Status::Retry => format!("retrying in the worker: {}", cause(result)),
        Status::Other(word) => match progress::find(&result.result) {
            Some(fraction) => {
                log::progress(fraction, word);
                format!("{word} {:.0} %{at}: {}", fraction * 100.0, result.result)
            }
            None => format!("{word}{at}: {}", result.result),
        },
        // PENDING is never stored, and the others are final.
        Status::Pending | Status::Success | Status::Failure | Status::Revoked => "waiting for a worker".to_owned(),
    }
}

fn cause(result: &TaskResult) -> String {
    let Some(exception) = &result.exception else {
        return "no reason was stored".to_owned();
    };
    match exception.exc_message.first() {
        None | Some(Value::Null) => exception.exc_type.clone(),
        Some(Value::String(text)) => format!("{}: {text}", exception.exc_type),
        Some(other) => format!("{}: {other}", exception.exc_type),
    }
}

/// One line of bounded length: a task may store anything.
fn shorten(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_CHARS)
        .collect();
    if text.chars().nth(MOST_CHARS).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests;
