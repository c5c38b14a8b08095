//! From a failed result to an error that a person can act on, and to the class that decides
//! whether another attempt makes sense.
//!
//! An exception of the task's own code is retryable: whether it should be retried is the retry
//! policy's question, and the type stands in `details`. Permanent is only what no further attempt
//! can change: a task that is not deployed, arguments that do not fit, a result that cannot be stored.

use serde_json::{Map, Value, json};

use crate::pyrepr;
use crate::result::{Exception, Status, TaskResult, encode::tail};

#[cfg(test)]
mod tests;

/// Characters of a message, before the advice.
const MAX_TEXT: usize = 2_000;
/// Bytes of a traceback in the details, from its end: 16 KiB.
const MAX_TRACEBACK: usize = 16 << 10;
/// Bytes of the exception's arguments in the details, as JSON: 16 KiB.
const MAX_ARGUMENTS: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Retryable,
    Permanent,
    TimedOut,
    Cancelled,
}

/// What a failed task comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Stable and machine-readable: `celery-not-registered`.
    pub code: &'static str,
    pub class: Class,
    /// One line: what is wrong and, where it is known, what to do.
    pub message: String,
    /// `exc_type`, `exc_module`, `exc_message` (list), `traceback` (string or null).
    pub details: Value,
}

/// `None` unless the result is FAILURE or REVOKED. `task` and `queue` are those that were sent.
pub fn classify(result: &TaskResult, task: &str, queue: &str) -> Option<Failure> {
    let revoked = match result.status {
        Status::Failure => false,
        Status::Revoked => true,
        _ => return None,
    };
    let nameless = Exception::new("Exception", "", "no exception was stored");
    let exception = unwrap(result.exception.as_ref().unwrap_or(&nameless));
    let traceback = result.traceback.as_deref();
    let (code, class, message) = match revoked {
        true => judge_revoked(&exception, task),
        false => judge_failure(&exception, traceback, task, queue),
    };
    Some(Failure {
        code,
        class,
        message,
        details: details(&exception, traceback),
    })
}

type Verdict = (&'static str, Class, String);

fn judge_revoked(exception: &Exception, task: &str) -> Verdict {
    let reason = exception
        .exc_message
        .first()
        .and_then(Value::as_str)
        .unwrap_or_default();
    match reason {
        "expired" => (
            "celery-expired",
            Class::TimedOut,
            format!("{task} expired before a worker started it"),
        ),
        "terminated" => (
            "celery-terminated",
            Class::Cancelled,
            format!("{task} was terminated while it ran"),
        ),
        _ => (
            "celery-revoked",
            Class::Cancelled,
            format!("{task} was revoked before it ran"),
        ),
    }
}

fn judge_failure(exception: &Exception, traceback: Option<&str>, task: &str, queue: &str) -> Verdict {
    let text = headline(exception);
    match (exception.exc_module.as_str(), exception.exc_type.as_str()) {
        ("celery.exceptions", "NotRegistered") => (
            "celery-not-registered",
            Class::Permanent,
            format!(
                "the worker of queue {queue} that took it has no task named {task}: deploy the \
                 task to every worker of the queue, or correct celery_task_name"
            ),
        ),
        (_, "WorkerLostError") => (
            "celery-worker-lost",
            Class::Retryable,
            format!("the worker process died while it ran {task} (out of memory, or killed): {text}"),
        ),
        (_, "TimeLimitExceeded") => (
            "celery-time-limit",
            Class::TimedOut,
            format!("the worker killed {task} at its hard time limit{}", limit(exception)),
        ),
        (_, "SoftTimeLimitExceeded") => (
            "celery-soft-time-limit",
            Class::TimedOut,
            format!("{task} ran past its soft time limit{}", limit(exception)),
        ),
        ("kombu.exceptions", "EncodeError") => (
            "celery-result-not-serializable",
            Class::Permanent,
            format!(
                "{task} ran, but its return value is no JSON: return dict, list, str, int, float, \
                 bool or None ({text})"
            ),
        ),
        ("builtins", "TypeError") if never_entered(traceback) => (
            "celery-bad-arguments",
            Class::Permanent,
            format!("the arguments do not fit {task}; correct the task's inputs: {text}"),
        ),
        _ => ("celery-task-failed", Class::Retryable, text),
    }
}

fn limit(exception: &Exception) -> String {
    match exception.exc_message.first().and_then(Value::as_f64) {
        Some(seconds) => format!(" of {seconds} s"),
        None => String::new(),
    }
}

/// Whether the error arose in Celery's call of the task, not in the task: the arguments did not
/// fit its signature.
fn never_entered(traceback: Option<&str>) -> bool {
    let frames = traceback.unwrap_or_default().lines().map(str::trim_start);
    let last = frames
        .rev()
        .find(|line| line.starts_with("File \""))
        .unwrap_or_default();
    let last = last.replace('\\', "/");
    ["/celery/app/trace.py\"", "/celery/app/autoretry.py\""]
        .iter()
        .any(|caller| last.contains(caller))
}

/// An exception that could not be stored itself comes wrapped: [module, class, args, text].
fn unwrap(exception: &Exception) -> Exception {
    let parts: Vec<Option<&str>> = exception.exc_message.iter().map(Value::as_str).collect();
    match (exception.exc_type.as_str(), parts.as_slice()) {
        ("UnpickleableExceptionWrapper", [Some(module), Some(class), _, text, ..]) => {
            Exception::new(class, module, unwrapped_text(class, text.unwrap_or_default()))
        }
        _ => exception.clone(),
    }
}

/// The text is the exception as Python shows it, `Odd('m')`; the class stands beside it already.
fn unwrapped_text<'a>(class: &str, text: &'a str) -> &'a str {
    let arguments = text.strip_prefix(class).and_then(|rest| rest.strip_prefix('('));
    arguments.and_then(|rest| rest.strip_suffix(')')).unwrap_or(text)
}

/// `ValueError: m`, on one line, as Python would end a traceback.
fn headline(exception: &Exception) -> String {
    let text = match exception.exc_message.as_slice() {
        [] => String::new(),
        // KeyError shows its key as a literal.
        [Value::String(text)] if exception.exc_type != "KeyError" => text.chars().take(MAX_TEXT + 1).collect(),
        [only] => pyrepr::value(only, MAX_TEXT),
        several => pyrepr::tuple(several, MAX_TEXT),
    };
    let mut line = exception.exc_type.chars().take(200).collect::<String>();
    if !text.is_empty() {
        line.push_str(": ");
        line.push_str(&text);
    }
    let mut line: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT)
        .collect();
    if text.chars().count() > MAX_TEXT {
        line.push('…');
    }
    line
}

fn details(exception: &Exception, traceback: Option<&str>) -> Value {
    let written = serde_json::to_string(&exception.exc_message).expect("values with string keys always serialize");
    let arguments = match written.len() {
        short if short <= MAX_ARGUMENTS => Value::from(exception.exc_message.clone()),
        _ => json!([pyrepr::list(&exception.exc_message, MAX_TEXT)]),
    };
    let mut details = Map::new();
    details.insert("exc_type".into(), exception.exc_type.as_str().into());
    details.insert("exc_module".into(), exception.exc_module.as_str().into());
    details.insert("exc_message".into(), arguments);
    details.insert(
        "traceback".into(),
        traceback.map(|text| tail(text, MAX_TRACEBACK)).into(),
    );
    details.into()
}
