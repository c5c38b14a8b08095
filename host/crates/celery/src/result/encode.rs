//! Results as the embedded worker stores them: the same objects that a Python worker writes, so
//! that one reader serves both. `date_done` is ISO 8601 with an offset.

use serde_json::{Value, json};

use super::Exception;

/// Bytes of a traceback that are kept, from its end: 64 KiB.
const MAX_TRACEBACK: usize = 64 << 10;

pub fn encode_success(task_id: &str, result: &Value, date_done: &str) -> Vec<u8> {
    meta("SUCCESS", result, None, Some(date_done), task_id)
}

pub fn encode_failure(task_id: &str, exception: &Exception, traceback: Option<&str>, date_done: &str) -> Vec<u8> {
    meta("FAILURE", &stored(exception), traceback, Some(date_done), task_id)
}

/// Not final: the task is sent again by its worker.
pub fn encode_retry(task_id: &str, exception: &Exception, traceback: Option<&str>) -> Vec<u8> {
    meta("RETRY", &stored(exception), traceback, None, task_id)
}

/// `reason` is `revoked` (never ran), `terminated` (was running) or `expired`.
pub fn encode_revoked(task_id: &str, reason: &str, date_done: &str) -> Vec<u8> {
    let exception = Exception::new("TaskRevokedError", "celery.exceptions", reason);
    meta("REVOKED", &stored(&exception), None, Some(date_done), task_id)
}

pub fn encode_started(task_id: &str, hostname: &str, pid: u32) -> Vec<u8> {
    meta(
        "STARTED",
        &json!({"pid": pid, "hostname": hostname}),
        None,
        None,
        task_id,
    )
}

fn stored(exception: &Exception) -> Value {
    json!({
        "exc_type": exception.exc_type,
        "exc_message": exception.exc_message,
        "exc_module": exception.exc_module,
    })
}

fn meta(status: &str, result: &Value, traceback: Option<&str>, date_done: Option<&str>, task_id: &str) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Meta<'a> {
        status: &'a str,
        result: &'a Value,
        traceback: Option<&'a str>,
        children: [(); 0],
        date_done: Option<&'a str>,
        task_id: &'a str,
    }
    let traceback = traceback.map(|text| tail(text, MAX_TRACEBACK));
    serde_json::to_vec(&Meta {
        status,
        result,
        traceback,
        children: [],
        date_done,
        task_id,
    })
    .expect("values with string keys always serialize")
}

/// The last `max` bytes; the end of a traceback names the exception.
pub(crate) fn tail(text: &str, max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(max))..]
}
