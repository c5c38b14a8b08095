//! The embedded worker: takes a message, runs the activity of that name, stores the result. What
//! a stock worker would answer with silence (an unreadable message) is answered with a FAILURE.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};
use futures_util::FutureExt;
use grepx_celery::result::{Exception, encode_failure, encode_revoked, encode_success};
use grepx_celery::{Received, TaskMessage};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::state::Queued;
use super::{Memory, now};
use crate::broker::{WorkError, lock};
use crate::failpoint::{self, Point};

/// How a task ended, before it is written down.
enum Ended {
    Success(serde_json::Value),
    Failure(Exception, Option<String>),
    Revoked(&'static str),
}

impl Memory {
    /// Takes messages for ever.
    pub(super) async fn consume(self: Arc<Self>) {
        loop {
            let taken = {
                let mut state = lock(&self.state);
                let taken = state.take();
                if state.has_messages() {
                    // One permit may stand for many messages.
                    self.filled.notify_one();
                }
                taken
            };
            match taken {
                Some((queued, token)) => self.handle(queued, token).await,
                None => self.filled.notified().await,
            }
        }
    }

    async fn handle(&self, queued: Queued, token: CancellationToken) {
        let received = TaskMessage::decode(queued.body.as_ref());
        let ignore = received.as_ref().is_ok_and(|received| received.ignore_result);
        let ended = match received {
            Ok(received) => self.perform(received, &token).await,
            Err(error) => {
                tracing::warn!(task = %queued.id, queue = %queued.queue, "a message cannot be read: {error}");
                let exception = Exception::new("DecodeError", "kombu.exceptions", &crate::report::chain(&error));
                Ended::Failure(exception, None)
            }
        };
        lock(&self.state).finished(&queued.id);
        let id = &queued.id;
        let value = match ended {
            Ended::Success(_) if ignore => return,
            // Whoever revoked it has written that.
            Ended::Revoked(_) if lock(&self.state).has_final(&queued.key) => return,
            Ended::Success(value) => encode_success(id, &value, &now()),
            Ended::Failure(exception, traceback) => encode_failure(id, &exception, traceback.as_deref(), &now()),
            Ended::Revoked(reason) => encode_revoked(id, reason, &now()),
        };
        self.store(&queued.key, value);
    }

    async fn perform(&self, received: Received, token: &CancellationToken) -> Ended {
        let TaskMessage {
            id, task, args, kwargs, ..
        } = received.message;
        if lock(&self.state).is_revoked(&id) && !token.is_cancelled() {
            return Ended::Revoked("revoked");
        }
        if received.expires.as_deref().is_some_and(is_past) {
            return Ended::Revoked("expired");
        }
        if !self.work.names().contains(&task) {
            return Ended::Failure(Exception::new("NotRegistered", "celery.exceptions", &task), None);
        }
        let input = json!({"args": args, "kwargs": kwargs});
        let run = AssertUnwindSafe(async {
            failpoint::reach(Point::BeforeMemoryRun);
            let end = self.work.run(&task, &id, input).await;
            failpoint::reach(Point::AfterMemoryRun);
            end
        });
        let run = run.catch_unwind();
        match token.run_until_cancelled(run).await {
            None => Ended::Revoked("terminated"),
            Some(Ok(Ok(value))) => Ended::Success(value),
            Some(Ok(Err(error))) => failure(error),
            Some(Err(_panic)) => Ended::Failure(
                Exception::new(
                    "WorkerLostError",
                    "billiard.exceptions",
                    "the activity panicked; see the host's log",
                ),
                None,
            ),
        }
    }
}

fn failure(error: WorkError) -> Ended {
    let exception = Exception::new(&error.exc_type, "", &error.message);
    Ended::Failure(exception, error.traceback)
}

/// A time that cannot be read is not past.
fn is_past(expires: &str) -> bool {
    let with_offset = DateTime::parse_from_rfc3339(expires).map(|time| time.to_utc());
    let naive = || expires.parse::<NaiveDateTime>().map(|time| time.and_utc());
    with_offset
        .or_else(|_| naive())
        .is_ok_and(|time| time < DateTime::<Utc>::from(crate::clock::system()))
}
