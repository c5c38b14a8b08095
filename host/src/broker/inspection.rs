//! What is known about the servers and the workers of a connection, and the sentence that explains a
//! wait.

use std::collections::BTreeMap;

use grepx_engine::Timestamp;

/// The answers of the workers to `ping`, `registered` and `active_queues`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    pub workers: Vec<Worker>,
    /// Workers that got the question.
    pub receivers: u64,
    /// Of these, those that did not answer: a busy `--pool=solo` worker answers after its task.
    pub silent: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Worker {
    /// `celery@host`.
    pub name: String,
    /// Registered tasks, without Celery's own; `None`: it did not say in time.
    pub tasks: Option<Vec<String>>,
    /// The queues that it reads; `None`: it did not say in time.
    pub queues: Option<Vec<String>>,
}

/// The two servers of a connection, or why one does not answer.
#[derive(Debug, Clone)]
pub struct Servers {
    pub broker: Result<Server, String>,
    pub backend: Result<Server, String>,
}

/// What a server says of itself. What an ACL hides is empty or zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `Redis` or `Valkey`.
    pub product: &'static str,
    pub version: String,
    /// `master`, or `slave` for a replica that takes no writes.
    pub role: String,
    /// Bytes; zero: no limit.
    pub maxmemory: u64,
    pub maxmemory_policy: String,
    /// Bytes.
    pub used_memory: u64,
    /// Since its start.
    pub evicted_keys: u64,
    pub append_only: bool,
    pub last_save_failed: bool,
    pub clock: Timestamp,
    /// How far its clock is ahead of this machine's; half the way there and back is left out.
    pub clock_ahead_ms: i64,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// In its queue, with a worker, or its result is there.
    Known,
    /// In none of these places. A worker that had it has gone (Celery may deliver it again after
    /// its visibility timeout), or the server has forgotten it.
    Nowhere {
        /// Workers that were asked; all of them answered.
        workers: u64,
    },
    /// A worker did not answer, or the queue is too long to be searched.
    Unknown,
}

/// Names in a sentence, at most.
const SHOWN: usize = 8;

impl Inspection {
    pub(crate) fn new(workers: BTreeMap<String, Worker>, receivers: u64) -> Self {
        let silent = receivers.saturating_sub(workers.len() as u64);
        let workers = workers.into_values().collect();
        Self {
            workers,
            receivers,
            silent,
        }
    }

    /// Why a task of `queue`, with `waiting` messages in it, may not run yet.
    pub(crate) fn explain(&self, connection: &str, queue: &str, task: &str, waiting: u64) -> Option<String> {
        if self.receivers == 0 {
            return Some(format!(
                "no worker listens on connection `{connection}` ({waiting} waiting in queue `{queue}`); start one, \
                 or set worker_enable_remote_control if they run without remote control"
            ));
        }
        if self.silent > 0 && !self.serves(queue, task) {
            return Some(format!(
                "queue `{queue}`: {waiting} waiting; {} of {} workers did not answer (busy), none of the others \
                 is known to serve task `{task}` from it",
                self.silent, self.receivers
            ));
        }
        let readers: Vec<&Worker> = self.workers.iter().filter(|worker| worker.reads(queue)).collect();
        if readers.is_empty() {
            let all = self.list(|worker| match &worker.queues {
                Some(queues) => format!("{}: {}", worker.name, some(queues)),
                None => format!("{}: unknown", worker.name),
            });
            return Some(format!(
                "no worker reads queue `{queue}` ({waiting} waiting; workers and their queues: {all}); start one \
                 with -Q {queue} or correct the queue of the task"
            ));
        }
        if !readers.iter().any(|worker| worker.has(task)) {
            let names: Vec<String> = readers.iter().map(|worker| worker.name.clone()).collect();
            return Some(format!(
                "no worker of queue `{queue}` serves task `{task}` (workers: {}); register the task there or \
                 correct its name",
                some(&names)
            ));
        }
        (waiting > 0).then(|| format!("queue `{queue}`: {waiting} waiting"))
    }

    fn serves(&self, queue: &str, task: &str) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.reads(queue) && worker.has(task))
    }

    fn list(&self, text: impl Fn(&Worker) -> String) -> String {
        let all: Vec<String> = self.workers.iter().map(text).collect();
        some(&all)
    }
}

impl Worker {
    /// Whether it reads the queue. What it did not say speaks for it.
    #[must_use]
    pub fn reads(&self, queue: &str) -> bool {
        self.queues
            .as_ref()
            .is_none_or(|queues| queues.iter().any(|name| name == queue))
    }

    /// Whether it has registered the task. What it did not say speaks for it.
    #[must_use]
    pub fn has(&self, task: &str) -> bool {
        self.tasks
            .as_ref()
            .is_none_or(|tasks| tasks.iter().any(|name| name == task))
    }
}

fn some(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("; ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
