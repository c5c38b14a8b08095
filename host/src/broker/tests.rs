//! The broker against a real redis-server (a declared dependency of the tests) and in memory.
//! Every server listens on a free port of its own; every wait ends after `PATIENCE`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use grepx_celery::{TaskMessage, TaskResult};
use grepx_engine::{Bytes, FlowRunId, Message, Meta, NodeId};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::*;

mod memory;
mod outage;
mod remote;
mod server;
mod tls;
mod waiting;
mod workers;

const PATIENCE: Duration = Duration::from_secs(20);

/// A broker with the receiving end of its notices.
struct Bench {
    broker: Broker,
    notices: mpsc::Receiver<Notice>,
}

impl Bench {
    async fn start(settings: ConnectionSettings) -> Self {
        Self::with(settings, Arc::new(NoWork)).await
    }

    /// With a channel so small that a broker that does not wait would lose notices.
    async fn with(settings: ConnectionSettings, work: Arc<dyn Work>) -> Self {
        let (sender, notices) = mpsc::channel(1);
        let broker = Broker::start(vec![settings], work, sender)
            .await
            .expect("the settings are usable");
        Self { broker, notices }
    }

    async fn next(&mut self) -> Notice {
        self.find(Some).await
    }

    /// The first notice of a kind, whatever comes between.
    async fn find<T>(&mut self, kind: impl Fn(Notice) -> Option<T>) -> T {
        let found = async {
            loop {
                let notice = self.notices.recv().await.expect("the broker runs");
                if let Some(found) = kind(notice) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .expect("a notice of the kind")
    }

    async fn up(&mut self) {
        self.find(|notice| matches!(notice, Notice::Up { .. }).then_some(()))
            .await;
    }

    async fn down(&mut self) -> String {
        self.find(|notice| match notice {
            Notice::Down { reason, .. } => Some(reason),
            _ => None,
        })
        .await
    }

    async fn value(&mut self) -> (Waiter, Bytes) {
        self.find(|notice| match notice {
            Notice::Value { waiter, value } => Some((waiter, value)),
            _ => None,
        })
        .await
    }

    async fn result(&mut self) -> TaskResult {
        let (_, value) = self.value().await;
        TaskResult::decode(value.as_ref()).expect("a Celery result")
    }

    async fn settled(&mut self) -> (String, RevocationEnd) {
        self.find(|notice| match notice {
            Notice::Settled { key, end, .. } => Some((key, end)),
            _ => None,
        })
        .await
    }
}

struct NoWork;

impl Work for NoWork {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn run(&self, name: &str, _id: &str, _input: Value) -> BoxFuture<'_, Result<Value, WorkError>> {
        panic!("{name} must not be run here");
    }
}

fn waiter(key: &str) -> Waiter {
    Waiter {
        run: FlowRunId(Uuid::nil()),
        node: NodeId::task(0),
        attempt: 1,
        key: key.to_owned(),
    }
}

fn task(id: &str, name: &str, args: Value) -> Message {
    let mut task = TaskMessage::new(id, name, "celery", &format!("tag-{id}"));
    task.args = args.as_array().cloned().unwrap_or_default();
    let body = task.encode().expect("a valid message");
    Message {
        connection: "main".into(),
        destination: "celery".into(),
        body: body.into(),
        meta: meta(&[("task-id", id), ("task-name", name), ("result-key", &key(id))]),
    }
}

fn revocation(id: &str, terminate: bool) -> Message {
    let body = json!({"method": "revoke", "arguments": {"task_id": id, "terminate": terminate, "signal": "SIGTERM"}});
    Message {
        connection: "main".into(),
        destination: "control".into(),
        body: body.to_string().into_bytes().into(),
        meta: meta(&[("control", "revoke"), ("until-reply", &key(id))]),
    }
}

fn meta(entries: &[(&str, &str)]) -> Meta {
    let owned = entries
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    owned.collect()
}

fn key(id: &str) -> String {
    grepx_celery::result_key("", id)
}

fn success(id: &str) -> Vec<u8> {
    grepx_celery::result::encode_success(id, &json!(5), "2026-01-01T00:00:00+00:00")
}
