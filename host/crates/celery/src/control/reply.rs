//! Answers of workers: one message per worker, holding `{"worker": value}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ControlError, Mailbox};
use crate::envelope::{self, Envelope, field};

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Value(Value),
    /// The worker refused: it does not know the command, or its pool cannot do it.
    Refused(String),
}

/// What one worker answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The ticket of the command, to tell late answers from awaited ones.
    pub ticket: Option<String>,
    /// `celery@host`.
    pub worker: String,
    pub answer: Answer,
}

impl Reply {
    pub fn decode(bytes: &[u8]) -> Result<Self, ControlError> {
        let envelope = Envelope::decode(bytes).map_err(ControlError::Read)?;
        let body = envelope::object(envelope.body, "body").map_err(ControlError::Read)?;
        let Some((worker, value)) = body.into_iter().next() else {
            return Err(ControlError::Read(field("body", "an object with one worker", None)));
        };
        let answer = match value.get("error") {
            Some(Value::String(error)) => Answer::Refused(error.clone()),
            Some(error) => Answer::Refused(error.to_string()),
            None => Answer::Value(value),
        };
        let ticket = envelope
            .headers
            .get("ticket")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Ok(Self { ticket, worker, answer })
    }

    /// For the embedded worker. `oid` is the one of the command's `reply_to`.
    pub fn encode(&self, mailbox: &Mailbox, oid: &str, delivery_tag: &str) -> Result<Vec<u8>, ControlError> {
        let value = match &self.answer {
            Answer::Value(value) => value.clone(),
            Answer::Refused(error) => json!({"error": error}),
        };
        let body = Value::Object(Map::from_iter([(self.worker.clone(), value)]));
        let mut headers = Map::new();
        headers.insert("ticket".into(), self.ticket.as_deref().into());
        headers.insert("clock".into(), 1.into());
        let properties = envelope::properties(&mailbox.reply_exchange(), oid, 0, delivery_tag);
        let body = serde_json::to_vec(&body).expect("values with string keys always serialize");
        envelope::encode(&body, &headers, &properties).map_err(ControlError::Write)
    }
}

/// The value of `registered`: names, which a worker may follow with its options in brackets.
pub fn registered_names(value: &Value) -> Vec<String> {
    let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    names
        .map(|name| name.split(" [").next().unwrap_or(name).to_owned())
        .collect()
}

/// The value of `active_queues`.
pub fn queue_names(value: &Value) -> Vec<String> {
    let queues = value.as_array().into_iter().flatten();
    queues
        .filter_map(|queue| queue.get("name")?.as_str())
        .map(str::to_owned)
        .collect()
}

/// Where a worker has a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskPlace {
    /// Running.
    Active,
    /// Taken from the queue, waiting for a process.
    Reserved,
    /// Waiting for its time.
    Scheduled,
    /// Received, in no other stage.
    Ready,
}

/// The value of `query_task`: the tasks that this worker has. A task that it does not have is absent.
pub fn task_places(value: &Value) -> BTreeMap<String, TaskPlace> {
    let tasks = value.as_object().into_iter().flatten();
    tasks
        .filter_map(|(id, place)| {
            let place = match place.get(0)?.as_str()? {
                "active" => TaskPlace::Active,
                "reserved" => TaskPlace::Reserved,
                "scheduled" => TaskPlace::Scheduled,
                "ready" => TaskPlace::Ready,
                _ => return None,
            };
            Some((id.clone(), place))
        })
        .collect()
}
