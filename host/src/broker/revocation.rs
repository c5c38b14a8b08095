//! Revocations and their repetition. A revocation is published to whoever listens and is lost
//! when nobody does, so it is repeated until a final state stands under the task's result key.
//!
//! Only `revoke` can be broadcast: a plugin must not be able to shut workers down. The table is
//! bounded and lives in memory; after a restart the runner broadcasts again what is still open.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use grepx_celery::control::{Command, MAX_IDS, Signal};
use grepx_engine::Message;
use serde::Deserialize;
use tokio::time::Instant;

use super::{ConnectionSettings, SendError, lock};

/// A command to drop tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) ids: Vec<String>,
    /// Running tasks too.
    pub(crate) terminate: bool,
    signal: Signal,
}

#[derive(Deserialize)]
struct Body {
    method: String,
    arguments: Arguments,
}

#[derive(Deserialize)]
struct Arguments {
    task_id: Ids,
    #[serde(default)]
    terminate: bool,
    #[serde(default)]
    signal: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(String),
    Many(Vec<String>),
}

impl Revocation {
    /// Reads the body of a broadcast.
    pub(crate) fn read(message: &Message) -> Result<Self, SendError> {
        let invalid = |reason: String| SendError::Invalid {
            connection: message.connection.clone(),
            reason,
        };
        let body: Body = serde_json::from_slice(message.body.as_ref())
            .map_err(|error| invalid(format!("the body of the control command cannot be read: {error}")))?;
        if body.method != "revoke" {
            let method: String = body.method.chars().take(60).collect();
            return Err(invalid(format!(
                "the control method {method:?} is not allowed; `revoke` is the only one"
            )));
        }
        let ids = match body.arguments.task_id {
            Ids::One(id) => vec![id],
            Ids::Many(ids) => ids,
        };
        if !(1..=MAX_IDS).contains(&ids.len()) {
            let count = ids.len();
            return Err(invalid(format!(
                "a revocation of {count} task ids; it takes 1 to {MAX_IDS}"
            )));
        }
        let signal = match body.arguments.signal.as_deref() {
            None | Some("SIGTERM" | "TERM") => Signal::Term,
            Some("SIGKILL" | "KILL") => Signal::Kill,
            Some("SIGUSR1" | "USR1") => Signal::Usr1,
            Some(other) => {
                let other: String = other.chars().take(60).collect();
                return Err(invalid(format!(
                    "the signal {other:?} is not allowed; use SIGTERM, SIGKILL or SIGUSR1"
                )));
            }
        };
        let terminate = body.arguments.terminate;
        Ok(Self { ids, terminate, signal })
    }

    pub(crate) fn command(&self) -> Command {
        Command::Revoke {
            ids: self.ids.clone(),
            terminate: self.terminate,
            signal: self.signal,
        }
    }
}

struct Open {
    revocation: Revocation,
    next: Instant,
    until: Instant,
    every: Duration,
}

impl Open {
    fn due(&self) -> Instant {
        self.next.min(self.until)
    }
}

pub(crate) struct Revocations {
    /// By connection and result key.
    open: Mutex<BTreeMap<String, BTreeMap<String, Open>>>,
    changed: tokio::sync::Notify,
}

/// What has to be done now.
#[derive(Default)]
pub(crate) struct Due {
    pub(crate) repeat: Vec<(String, Revocation)>,
    /// Connection and result key.
    pub(crate) expired: Vec<(String, String)>,
}

impl Revocations {
    pub(crate) fn new() -> Self {
        Self {
            open: Mutex::new(BTreeMap::new()),
            changed: tokio::sync::Notify::new(),
        }
    }

    pub(crate) fn open(
        &self,
        settings: &ConnectionSettings,
        key: &str,
        revocation: &Revocation,
    ) -> Result<(), SendError> {
        let now = Instant::now();
        let mut all = lock(&self.open);
        let open = all.entry(settings.name.clone()).or_default();
        if open.len() >= settings.revoking_max && !open.contains_key(key) {
            return Err(SendError::Full {
                connection: settings.name.clone(),
                what: "the table of open revocations",
                limit: settings.revoking_max,
                advice: "workers do not confirm: look whether any are connected, or raise revoking_max",
            });
        }
        let entry = Open {
            revocation: revocation.clone(),
            next: now + settings.resend_revoke,
            until: now + settings.revoke_ttl,
            every: settings.resend_revoke,
        };
        open.insert(key.to_owned(), entry);
        self.changed.notify_one();
        Ok(())
    }

    /// True when it was open.
    pub(crate) fn close(&self, connection: &str, key: &str) -> bool {
        let mut all = lock(&self.open);
        all.get_mut(connection).is_some_and(|open| open.remove(key).is_some())
    }

    pub(crate) fn count(&self, connection: &str) -> usize {
        lock(&self.open).get(connection).map_or(0, BTreeMap::len)
    }

    /// Returns when something may be due.
    pub(crate) async fn next_due(&self) {
        loop {
            let next = {
                let all = lock(&self.open);
                all.values().flat_map(BTreeMap::values).map(Open::due).min()
            };
            match next {
                None => self.changed.notified().await,
                Some(next) => {
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep_until(next) => return,
                        () = self.changed.notified() => {}
                    }
                }
            }
        }
    }

    pub(crate) fn take_due(&self) -> Due {
        let now = Instant::now();
        let mut due = Due::default();
        for (connection, open) in lock(&self.open).iter_mut() {
            open.retain(|key, open| {
                if open.until <= now {
                    due.expired.push((connection.clone(), key.clone()));
                    return false;
                }
                if open.next <= now {
                    open.next = now + open.every;
                    due.repeat.push((connection.clone(), open.revocation.clone()));
                }
                true
            });
        }
        due
    }
}
