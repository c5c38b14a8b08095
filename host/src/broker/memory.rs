//! `memory://`: queues in the process, consumed by an embedded worker that runs the host's own
//! activities. Messages and results are Celery's, byte for byte, so that a task does not notice
//! where it runs and the whole path is exercised without a server.
//!
//! Nothing outlives the process, everything is bounded, and a full queue refuses. Absent: ETA,
//! canvas, retries by the task, time limits.

use chrono::{DateTime, Utc};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use grepx_celery::result::{encode_revoked, result_key};
use grepx_engine::{Bytes, Message};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod state;
mod worker;

use super::delivery::Deliveries;
use super::revocation::Revocation;
use super::{ConnectionSettings, ConnectionStatus, Inspection, SendError, Work, Worker, lock};
use state::{Overflow, Queued, State};

pub(crate) struct Memory {
    pub(crate) settings: ConnectionSettings,
    pub(crate) deliveries: Arc<Deliveries>,
    work: Arc<dyn Work>,
    state: Mutex<State>,
    /// There is a message to take.
    filled: Notify,
    started: SystemTime,
}

impl Memory {
    pub(crate) fn new(settings: ConnectionSettings, deliveries: Arc<Deliveries>, work: Arc<dyn Work>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(settings.memory.clone())),
            deliveries,
            work,
            filled: Notify::new(),
            started: crate::clock::system(),
            settings,
        })
    }

    pub(crate) fn spawn(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        for _ in 0..self.settings.memory.concurrency {
            let (memory, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { stop.run_until_cancelled(memory.consume()).await });
        }
        let (memory, stop) = (self.clone(), stop.clone());
        tasks.spawn(async move { stop.run_until_cancelled(memory.deliver()).await });
    }

    pub(crate) fn enqueue(&self, message: &Message, guard: &str) -> Result<(), SendError> {
        let connection = || self.settings.name.clone();
        let queue = match message.destination.as_str() {
            "" => self.settings.default_queue.clone(),
            queue => queue.to_owned(),
        };
        let id = message.meta.get("task-id").cloned().ok_or_else(|| SendError::Invalid {
            connection: connection(),
            reason: "it has no `task-id` in its meta data".into(),
        })?;
        let priority = match message.meta.get("priority") {
            None => 0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|priority| *priority <= 9)
                .ok_or_else(|| SendError::Invalid {
                    connection: connection(),
                    reason: format!("the priority {text:?} is not a number from 0 to 9"),
                })?,
        };
        let key = message.meta.get("result-key").cloned();
        let queued = Queued {
            key: key.unwrap_or_else(|| self.result_key(&id)),
            id,
            queue,
            body: message.body.clone(),
        };
        let (what, limit) = match lock(&self.state).push(guard, priority, queued) {
            Ok(()) => {
                self.filled.notify_one();
                return Ok(());
            }
            Err(Overflow::Messages(limit)) => ("the memory queue (messages)", limit),
            Err(Overflow::Bytes(limit)) => ("the memory queue (bytes)", limit),
        };
        Err(SendError::Full {
            connection: connection(),
            what,
            limit,
            advice: "let fewer tasks run at the same time, or use Redis",
        })
    }

    pub(crate) fn withdraw(&self, message: &Message, guard: &str) -> bool {
        lock(&self.state).withdraw(message.meta.get("task-id").map(String::as_str), &message.body, guard)
    }

    /// As workers do it: a task that has not started is REVOKED at once, also one that is not
    /// known (yet); a running one ends only with `terminate`.
    pub(crate) fn revoke(&self, revocation: &Revocation) -> u64 {
        for id in &revocation.ids {
            let running = lock(&self.state).revoke(id);
            match running {
                Some(running) if revocation.terminate => running.cancel(),
                Some(_goes_on) => {}
                None => {
                    let key = self.result_key(id);
                    if !lock(&self.state).has_final(&key) {
                        self.store(&key, encode_revoked(id, "revoked", &now()));
                    }
                }
            }
        }
        1
    }

    pub(crate) fn forget_result(&self, key: &str) {
        lock(&self.state).forget_result(key);
    }

    pub(crate) fn status(&self) -> ConnectionStatus {
        ConnectionStatus {
            name: self.settings.name.clone(),
            url: "memory://".into(),
            result_url: "memory://".into(),
            up: true,
            since: self.started,
            reason: None,
            server: Some(format!(
                "embedded worker, {} at a time",
                self.settings.memory.concurrency
            )),
            waiting: self.deliveries.waiting().len(),
            revoking: 0,
        }
    }

    pub(crate) fn inspect(&self) -> Inspection {
        let worker = Worker {
            name: format!("embedded@{}", self.settings.name),
            tasks: Some(self.work.names()),
            // It reads every queue; named are those with messages.
            queues: Some(lock(&self.state).queues()),
        };
        Inspection {
            workers: vec![worker],
            receivers: 1,
            silent: 0,
        }
    }

    pub(crate) fn explain_wait(&self, queue: &str, task: &str) -> Option<String> {
        let names = self.work.names();
        if !names.iter().any(|name| name == task) {
            return Some(format!(
                "the embedded worker of connection `{}` has no task `{task}` (it has: {})",
                self.settings.name,
                names.join(", ")
            ));
        }
        let queue = if queue.is_empty() {
            &self.settings.default_queue
        } else {
            queue
        };
        match lock(&self.state).waiting_in(queue) {
            0 => None,
            waiting => Some(format!("queue `{queue}`: {waiting} waiting")),
        }
    }

    fn result_key(&self, id: &str) -> String {
        result_key(&self.settings.result_keyprefix, id)
    }

    /// Stores a state and has it delivered.
    fn store(&self, key: &str, value: Vec<u8>) {
        let watched = self.deliveries.waiting().is_open(key);
        lock(&self.state).store(key, Bytes::from(value), watched);
        self.deliveries.queue(key);
    }

    /// Takes stored states to whoever waits for them. Returns when nobody listens any more.
    async fn deliver(&self) {
        loop {
            let keys = self.deliveries.waiting().take_changed(100);
            for key in &keys {
                let stored = lock(&self.state).result(key);
                if let Some(value) = stored
                    && self.deliveries.deliver(key, value).await.is_err()
                {
                    return;
                }
            }
            if keys.is_empty() && !self.deliveries.waiting().has_changes() {
                self.deliveries.changed.notified().await;
            }
        }
    }
}

/// ISO 8601 with the offset, as Python writes it.
fn now() -> String {
    DateTime::<Utc>::from(crate::clock::system()).to_rfc3339_opts(chrono::SecondsFormat::Micros, false)
}
