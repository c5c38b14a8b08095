//! All that a call may know of the world. It is stored with the step, so a step that is tried
//! again after a crash sees the same time, the same seed and the same id.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::Error;
use crate::bindings::base::grepx::plugin::types as raw;
use crate::glue;

/// Who calls, when, and with which settings.
#[derive(Debug, Clone)]
pub struct Ctx {
    pub flow_run: String,
    pub task_run: String,
    /// The task's name in its flow.
    pub task: String,
    pub flow: String,
    /// From 1.
    pub attempt: u32,
    /// From 0.
    pub step: u32,
    /// Milliseconds since 1970, UTC.
    pub now_ms: u64,
    /// Stable over repetitions of the step; see [`Ctx::rng`].
    pub seed: u64,
    /// A UUID, stable for the attempt over host restarts: the id to give to outside systems.
    pub idempotency_key: String,
    /// When the attempt times out, milliseconds since 1970, UTC.
    pub deadline_ms: Option<u64>,
    pub traceparent: Option<String>,
    /// The JSON of [`Ctx::settings`].
    pub settings_json: Vec<u8>,
    /// `work-pool`, `work-queue`, `deployment`; absent ones are left out.
    pub meta: Vec<(String, String)>,
}

impl Ctx {
    /// The plugin's own settings from the host's configuration.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        glue::parse(&self.settings_json).map_err(|problem| {
            Error::permanent(
                "plugin-settings",
                format!("the plugin's settings in the host's configuration do not fit: {problem}"),
            )
        })
    }

    pub fn meta(&self, name: &str) -> Option<&str> {
        let (_, value) = self.meta.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    pub fn work_pool(&self) -> Option<&str> {
        self.meta("work-pool")
    }

    pub fn work_queue(&self) -> Option<&str> {
        self.meta("work-queue")
    }

    pub fn deployment(&self) -> Option<&str> {
        self.meta("deployment")
    }

    /// Time until the attempt times out; zero when that is past, `None` without a limit.
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.deadline_ms?;
        Some(Duration::from_millis(deadline.saturating_sub(self.now_ms)))
    }

    /// The same sequence whenever this step runs again.
    pub fn rng(&self) -> Rng {
        Rng { state: self.seed }
    }

    /// The first step of a first attempt at noon, 2 March 2026 UTC, without settings.
    pub fn for_tests() -> Self {
        Self {
            flow_run: "01900000-0000-7000-8000-000000000001".into(),
            task_run: "01900000-0000-7000-8000-000000000002".into(),
            task: "a_task".into(),
            flow: "a_flow".into(),
            attempt: 1,
            step: 0,
            now_ms: 1_772_452_800_000,
            seed: 7,
            idempotency_key: "2cae8f53-a6e1-4fcd-be06-4fd6a8848752".into(),
            deadline_ms: None,
            traceparent: None,
            settings_json: b"{}".to_vec(),
            meta: Vec::new(),
        }
    }

    /// For tests: replaces the settings.
    #[must_use]
    pub fn with_settings(mut self, settings: serde_json::Value) -> Self {
        self.settings_json = settings.to_string().into_bytes();
        self
    }

    /// For tests: adds one entry of `meta`.
    #[must_use]
    pub fn with_meta(mut self, name: &str, value: &str) -> Self {
        self.meta.push((name.into(), value.into()));
        self
    }
}

impl From<raw::Ctx> for Ctx {
    fn from(ctx: raw::Ctx) -> Self {
        Self {
            flow_run: ctx.flow_run,
            task_run: ctx.task_run,
            task: ctx.task,
            flow: ctx.flow,
            attempt: ctx.attempt,
            step: ctx.step,
            now_ms: ctx.now_ms,
            seed: ctx.seed,
            idempotency_key: ctx.idempotency_key,
            deadline_ms: ctx.deadline_ms,
            traceparent: ctx.traceparent,
            settings_json: ctx.settings,
            meta: ctx.meta,
        }
    }
}

/// Seeded pseudo-randomness (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    pub fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in 0.0 ≤ x < 1.0.
    pub fn fraction(&mut self) -> f64 {
        // 53 bits: as many as an f64 holds.
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
