//! What a caller hands in and gets back, without anything of wasmtime. Errors, commands and
//! answers are the engine's own types.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use grepx_engine::{FlowRunId, Json, Meta, Outcome, TaskRunId, Timestamp};
use uuid::Uuid;

use super::capability::Capability;
use super::settings::Limits;

/// All that a call may know of the world. Stored with the step, so that a repeated call is the
/// same call. The kind's settings are added by the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ctx {
    pub flow_run: FlowRunId,
    pub task_run: TaskRunId,
    /// The task's name in its flow.
    pub task: String,
    pub flow: String,
    /// From 1.
    pub attempt: u32,
    /// From 0.
    pub step: u32,
    pub now: Timestamp,
    /// Stable over repetitions of the step.
    pub seed: u64,
    /// Stable for the attempt over host restarts.
    pub idempotency_key: Uuid,
    /// When the attempt times out.
    pub deadline: Option<Timestamp>,
    pub traceparent: Option<String>,
    pub meta: Meta,
}

/// How the command `key` turned out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedOutcome {
    pub key: String,
    pub outcome: Outcome,
}

/// What a kind is for; a component has one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// One call per attempt.
    Activity,
    /// Suspends between calls.
    Durable,
    /// Decides on retries and time limits.
    Policy,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Activity => "activity",
            Self::Durable => "durable",
            Self::Policy => "policy",
        })
    }
}

/// What is known of a kind.
#[derive(Debug, Clone)]
pub struct KindInfo {
    pub kind: String,
    pub role: Role,
    /// The plugin author's version of the kind.
    pub version: String,
    pub summary: String,
    pub input_schema: Json,
    pub output_schema: Json,
    /// Asked for, and all granted: else the file does not load.
    pub capabilities: Vec<Capability>,
    /// Oldest and newest state that this build resumes.
    pub state_versions: Option<(u32, u32)>,
    pub meta: Meta,
    pub limits: Limits,
    pub file: FileInfo,
}

/// What is known of a loaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    pub path: PathBuf,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub digest: Arc<str>,
    pub size_bytes: u64,
    /// Of the file; decides which of two files serves a kind that both describe.
    pub modified: SystemTime,
    pub loaded_at: SystemTime,
    /// Compiled now, or taken from the cache.
    pub from_cache: bool,
    /// From reading the file to the end of the checks.
    pub load_time: Duration,
    /// Interfaces that the component imports.
    pub imports: Vec<String>,
    /// What the operator should know although the file is good.
    pub notes: Vec<String>,
}

/// How serious a guest finds a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Takes what a call logs. Called while the guest runs, so it must not block: queue the line.
pub trait LogSink: Send + Sync {
    fn line(&self, level: Level, message: &str);

    /// `fraction` is between 0 and 1.
    fn progress(&self, fraction: f64, note: &str) {
        let _ = (fraction, note);
    }
}

impl<F: Fn(Level, &str) + Send + Sync> LogSink for F {
    fn line(&self, level: Level, message: &str) {
        self(level, message);
    }
}
