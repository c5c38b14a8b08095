//! The embedded worker's hands: an activity whose kind has the name of the Celery task.

use futures_util::future::BoxFuture;
use grepx_engine::{FlowRunId, Json, Meta, NodeId, Step, TaskError};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

use crate::broker::{Work, WorkError};
use crate::clock;
use crate::plugins::{Ctx, Level, Plugins, Role};

#[derive(Debug)]
pub(crate) struct EmbeddedWorker {
    plugins: Plugins,
}

impl EmbeddedWorker {
    pub(crate) fn new(plugins: Plugins) -> Self {
        Self { plugins }
    }
}

impl Work for EmbeddedWorker {
    fn names(&self) -> Vec<String> {
        let kinds = self.plugins.kinds();
        kinds
            .iter()
            .filter(|kind| kind.info.role == Role::Activity)
            .map(|kind| kind.info.kind.clone())
            .collect()
    }

    fn run(&self, name: &str, id: &str, input: Value) -> BoxFuture<'_, Result<Value, WorkError>> {
        let (name, ctx) = (name.to_owned(), context(name, id));
        Box::pin(async move {
            let log = Arc::new(|level: Level, line: &str| tracing::debug!(?level, line, "embedded worker"));
            let input = Json::from(&input);
            match self.plugins.run_activity(&name, &ctx, &input, log).await {
                Ok(Step::Done(result)) => Ok(result.to_value()),
                Ok(Step::Failed(error)) => Err(work_error(&error)),
                Ok(Step::Suspended(_)) => Err(WorkError {
                    exc_type: "RuntimeError".to_owned(),
                    message: format!("{name} is durable; the embedded worker runs activities"),
                    traceback: None,
                }),
                Err(failure) => Err(work_error(&TaskError::from(failure))),
            }
        })
    }
}

/// A worker knows nothing of flows: only the id under which it was asked.
fn context(name: &str, id: &str) -> Ctx {
    let key = Uuid::parse_str(id).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()));
    let run = FlowRunId(key);
    Ctx {
        flow_run: run,
        task_run: NodeId::task(0).run_id(run),
        task: name.to_owned(),
        flow: "embedded-worker".to_owned(),
        attempt: 1,
        step: 0,
        now: clock::now(),
        seed: key.as_u64_pair().0,
        idempotency_key: key,
        deadline: None,
        traceparent: None,
        meta: Meta::new(),
    }
}

/// As a Python worker would tell it; a guest may name the exception in its details.
fn work_error(error: &TaskError) -> WorkError {
    let details = error.details.as_ref().map(Json::to_value);
    let text = |key: &str| Some(details.as_ref()?.get(key)?.as_str()?.to_owned());
    WorkError {
        exc_type: text("exc_type").unwrap_or_else(|| "RuntimeError".to_owned()),
        message: error.message.clone(),
        traceback: text("traceback"),
    }
}
