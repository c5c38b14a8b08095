//! What a connection is configured with. The defaults are those of a stock Celery app wherever
//! the workers must agree with the host; the rest are the host's own limits.

use std::time::Duration;

use grepx_celery::QueueLayout;

use super::Error;

/// One named connection: where messages go and where results come from.
#[derive(Clone)]
pub struct ConnectionSettings {
    /// The name that tasks and messages use.
    pub name: String,
    /// `redis://`, `rediss://`, `redis+socket://`, `unix://` or `memory://`, as in Celery's `broker_url`.
    pub broker_url: String,
    /// Celery's `result_backend`; empty: the broker's URL. Not read for `memory://`.
    pub result_backend: String,
    /// Celery's `task_default_queue`: where a message without a destination goes.
    pub default_queue: String,
    /// The workers' `broker_transport_options`: `sep`, `priority_steps` and (as `key_prefix`)
    /// `global_keyprefix`.
    pub layout: QueueLayout,
    /// The workers' `control_exchange`.
    pub control_exchange: String,
    /// `global_keyprefix` of the workers' `result_backend_transport_options`. Used for the ids of
    /// a revocation and by the embedded worker; a message carries its `result-key`.
    pub result_keyprefix: String,
    /// How long a publication is remembered, so that a repeated one publishes nothing.
    pub guard_ttl: Duration,
    /// How often all open keys are read, to find what a subscription lost.
    pub sweep: Duration,
    /// How often a revocation is repeated until a final state stands.
    pub resend_revoke: Duration,
    /// After this long a revocation without a final state is given up.
    pub revoke_ttl: Duration,
    /// How long a command may take before the server counts as away.
    pub response_timeout: Duration,
    /// After how long without news it is asked where a message is; zero: never.
    pub lost_after: Duration,
    /// Keys with waiters, at most.
    pub waiting_max: usize,
    /// Open revocations, at most.
    pub revoking_max: usize,
    pub memory: MemoryLimits,
}

/// The limits of `memory://`.
#[derive(Debug, Clone)]
pub struct MemoryLimits {
    /// Tasks that run at the same time.
    pub concurrency: usize,
    /// Messages that wait, over all queues.
    pub messages_max: usize,
    /// Bytes of messages that wait, over all queues.
    pub bytes_max: usize,
    /// Publications remembered by their guard; the oldest is forgotten first.
    pub guards_max: usize,
    /// How long a result that nobody waits for is kept.
    pub result_ttl: Duration,
    /// Bytes of results that nobody waits for; the oldest goes first.
    pub result_bytes_max: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            concurrency: cores * 4,
            messages_max: 100_000,
            bytes_max: 256 << 20,
            guards_max: 200_000,
            result_ttl: Duration::from_secs(3600),
            result_bytes_max: 64 << 20,
        }
    }
}

impl ConnectionSettings {
    #[must_use]
    pub fn new(name: impl Into<String>, broker_url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            broker_url: broker_url.into(),
            result_backend: String::new(),
            default_queue: "celery".into(),
            layout: QueueLayout::default(),
            control_exchange: "celery".into(),
            result_keyprefix: String::new(),
            guard_ttl: Duration::from_secs(7 * 24 * 3600),
            sweep: Duration::from_secs(15),
            resend_revoke: Duration::from_secs(10),
            revoke_ttl: Duration::from_secs(24 * 3600),
            response_timeout: Duration::from_secs(10),
            lost_after: Duration::from_secs(60),
            waiting_max: 1_000_000,
            revoking_max: 10_000,
            memory: MemoryLimits::default(),
        }
    }

    /// That nothing is zero or unusable.
    pub(super) fn check(&self) -> Result<(), Error> {
        let name = || self.name.clone();
        self.layout
            .check()
            .map_err(|source| Error::Layout { name: name(), source })?;
        let durations = [
            ("guard_ttl", self.guard_ttl.as_secs()),
            ("sweep", self.sweep.as_millis() as u64),
            ("resend_revoke", self.resend_revoke.as_millis() as u64),
            ("response_timeout", self.response_timeout.as_millis() as u64),
            ("waiting_max", self.waiting_max as u64),
            ("memory.concurrency", self.memory.concurrency as u64),
        ];
        match durations.into_iter().find(|(_, value)| *value == 0) {
            Some((setting, _)) => Err(Error::Zero { name: name(), setting }),
            None => Ok(()),
        }
    }

    pub(crate) fn result_url(&self) -> &str {
        if self.result_backend.is_empty() {
            &self.broker_url
        } else {
            &self.result_backend
        }
    }
}

/// Without the URLs: they may hold a password.
impl std::fmt::Debug for ConnectionSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionSettings")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
