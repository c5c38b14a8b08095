//! From a task to the message that starts it, and to the command that calls it off.

use std::time::Duration;

use grepx_celery::TaskMessage;
use grepx_plugin_sdk::prelude::*;
use serde_json::Map;
use uuid::Uuid;

use crate::State;
use crate::config::{Config, Settings};

/// The host revokes at the deadline; the worker's own limit is the fallback for when the host is
/// away, and must not come first.
const GRACE_SECONDS: f64 = 5.0;

pub(crate) fn prepare(
    ctx: &Ctx,
    settings: &Settings,
    input: TaskInput<Map<String, Value>, Config>,
) -> Result<(State, Message), Error> {
    let TaskInput {
        name,
        args,
        kwargs,
        config,
    } = input;
    let Some(task) = name.filter(|name| !name.trim().is_empty()) else {
        return Err(Error::invalid_input(
            "the task has no celery_task_name: set it to the name under which workers register the \
             task, or choose another task_kind",
        ));
    };
    let id = ctx.idempotency_key.as_str();
    let workers = settings.of(config.connection());
    let state = State {
        id: id.to_owned(),
        queue: config.queue(workers, ctx.work_queue()),
        connection: config.connection().to_owned(),
        key_prefix: workers.result_key_prefix.clone(),
        result_key: None,
        when_lost: config.when_lost.or(workers.when_lost).unwrap_or_default(),
        task,
    };
    let priority = config.priority;
    let mut message = TaskMessage::new(id, &state.task, &state.queue, &delivery_tag(id));
    message.args = args;
    message.kwargs = kwargs;
    message.priority = priority;
    message.soft_time_limit = config.soft_time_limit_seconds;
    if config.send_time_limit.unwrap_or(true) {
        message.hard_time_limit = ctx.remaining().map(hard_limit);
    }
    message.shadow = config.shadow;
    message.headers = config.headers;
    add_headers(ctx, &mut message);
    let body = message
        .encode()
        .or_invalid_input(&format!("{} cannot be sent", state.task))?;

    let mut message = Message::new(&state.connection, &state.queue, body)
        .meta("task-id", id)
        .meta("task-name", &state.task)
        .meta("result-key", state.result_key())
        .meta("guard", id);
    if let Some(priority) = priority {
        message = message.meta("priority", priority.to_string());
    }
    Ok((state, message))
}

/// What leads from a worker's log back to the run. The task's own headers win.
fn add_headers(ctx: &Ctx, message: &mut TaskMessage) {
    let own = [
        ("x-grepx-flow-run", Some(&ctx.flow_run)),
        ("x-grepx-task-run", Some(&ctx.task_run)),
        ("traceparent", ctx.traceparent.as_ref()),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            message
                .headers
                .entry(name.to_owned())
                .or_insert_with(|| value.as_str().into());
        }
    }
}

/// Seconds, whole and upwards.
fn hard_limit(remaining: Duration) -> f64 {
    remaining.as_secs_f64().ceil() + GRACE_SECONDS
}

/// Unique as the id is, but another one: workers file unacknowledged messages under it.
fn delivery_tag(id: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("grepx delivery {id}").as_bytes()).to_string()
}

/// The command without its envelope, which the host puts around it.
pub(crate) fn revoke_body(id: &str) -> Vec<u8> {
    let body = json!({
        "method": "revoke",
        "arguments": { "task_id": id, "terminate": true, "signal": "SIGTERM" },
    });
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
