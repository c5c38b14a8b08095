//! What the runner is configured with.

use std::time::Duration;

/// The kind that is asked what follows a failure, unless the settings name another.
pub const POLICY: &str = "retry";

/// What a run needs to know of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Result of one task run, bytes of JSON.
    pub result_bytes: usize,
    /// Items of one `for_each`.
    pub mapped_items: usize,
    /// Kind of the policy that decides on retries.
    pub policy: String,
    /// What becomes of new work whose kind no plugin provides.
    pub when_missing: WhenMissing,
    /// How often held and overdue work is looked at again.
    pub sweep: Duration,
    /// Nodes of a shard that are prepared at once, and as many that are called, judged, stopped.
    pub turns: usize,
    /// Shards; a flow run belongs to one of them by its id.
    pub shards: usize,
}

/// What becomes of a task run that is to start while no plugin provides its kind. One that is
/// suspended goes on with the build that it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenMissing {
    /// It waits, with the reason, until one does.
    #[default]
    Wait,
    Fail,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            result_bytes: 8 << 20,
            mapped_items: 10_000,
            policy: POLICY.to_owned(),
            when_missing: WhenMissing::default(),
            sweep: Duration::from_secs(1),
            turns: 1_024,
            shards: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .clamp(1, super::SHARDS_MAX),
        }
    }
}
