//! What can go wrong, in three shapes: a call fails ([`Failure`]), a file does not load
//! ([`Problem`]), plugins cannot run at all ([`Error`]). Each says what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use grepx_engine::{ErrorClass, TaskError};

use super::capability::Capability;
use super::types::Role;

/// Why a call gave no answer. An answer that says "failed" is not one of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(
        "no plugin provides `{kind}`: put a component that describes it into the plugins directory, or correct the task's kind"
    )]
    NoPlugin { kind: String },
    #[error(
        "the kind `{kind}` is of the role {is}, and was called as {wanted}: correct the task's kind or retry configuration"
    )]
    WrongRole { kind: String, is: Role, wanted: Role },
    #[error("the plugin of `{kind}` stopped with an error of its own: {message}; report it to the plugin's author")]
    Trapped { kind: String, message: String },
    #[error("the plugin of `{kind}` did not answer within {} ms and was stopped: raise call_timeout for the kind, or give the task less to do", .limit.as_millis())]
    TimedOut { kind: String, limit: Duration },
    #[error(
        "the plugin of `{kind}` asked for more than {limit} bytes of memory: raise memory_bytes for the kind, or give the task less to do"
    )]
    OutOfMemory { kind: String, limit: usize },
    #[error(
        "the answer of `{kind}` has {size} bytes, the limit is {limit}: return a reference to the data instead of the data, or raise max_output_bytes for the kind"
    )]
    OutputTooLarge { kind: String, limit: usize, size: usize },
    #[error(
        "the input for `{kind}` has {size} bytes, the limit is {limit}: pass a reference to the data instead of the data, or raise max_input_bytes for the kind"
    )]
    InputTooLarge { kind: String, limit: usize, size: usize },
    #[error("the answer of `{kind}` is not valid: {reason}; report it to the plugin's author")]
    InvalidOutput { kind: String, reason: String },
    #[error("`{kind}` used `{capability}`, which is not granted: add under plugins.grants `{}` if it may", super::grants::line(.kind, .capability))]
    NotGranted { kind: String, capability: Capability },
    #[error(
        "no build of `{kind}` that is here can resume state version {found} (the newest resumes {oldest} to {newest}): install the build that wrote it, or cancel the run"
    )]
    StateUnsupported {
        kind: String,
        found: u32,
        oldest: u32,
        newest: u32,
    },
    #[error("the host could not run the plugin of `{kind}`: {message}; it will be tried again")]
    Host { kind: String, message: String },
}

impl Failure {
    /// Stable and machine-readable.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPlugin { .. } => "plugin-missing",
            Self::WrongRole { .. } => "plugin-wrong-role",
            Self::Trapped { .. } => "plugin-trapped",
            Self::TimedOut { .. } => "plugin-timed-out",
            Self::OutOfMemory { .. } => "plugin-out-of-memory",
            Self::OutputTooLarge { .. } => "result-too-large",
            Self::InputTooLarge { .. } => "input-too-large",
            Self::InvalidOutput { .. } => "plugin-invalid-output",
            Self::NotGranted { .. } => "plugin-not-granted",
            Self::StateUnsupported { .. } => "plugin-state-unsupported",
            Self::Host { .. } => "plugin-host",
        }
    }

    /// The reason alone, where the kind and the advice are told elsewhere.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Trapped { message, .. } | Self::Host { message, .. } => message.clone(),
            Self::TimedOut { limit, .. } => format!("no answer within {} ms", limit.as_millis()),
            Self::OutOfMemory { limit, .. } => format!("it asked for more than {limit} bytes of memory"),
            other => other.to_string(),
        }
    }

    /// A trap is permanent because a call is a pure function of its input: it would trap again.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::TimedOut { .. } | Self::Host { .. } => ErrorClass::Retryable,
            Self::InputTooLarge { .. } => ErrorClass::InvalidInput,
            Self::NotGranted { .. } => ErrorClass::Unauthorised,
            Self::NoPlugin { .. }
            | Self::WrongRole { .. }
            | Self::Trapped { .. }
            | Self::OutOfMemory { .. }
            | Self::OutputTooLarge { .. }
            | Self::InvalidOutput { .. }
            | Self::StateUnsupported { .. } => ErrorClass::Permanent,
        }
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        Self::new(failure.class(), failure.code(), failure.to_string())
    }
}

/// A file that did not load. What was loaded before stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}; {advice}", .file.display())]
pub struct Problem {
    pub file: PathBuf,
    pub reason: String,
    pub advice: String,
}

impl Problem {
    pub(super) fn new(file: impl Into<PathBuf>, reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            reason: reason.into(),
            advice: advice.into(),
        }
    }
}

/// Plugins cannot run at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the WebAssembly engine did not start: {0}; check the machine's memory limits")]
    Engine(String),
    #[error("cannot use {} as {what}: make it writable for the host, or change the setting", .path.display())]
    Path {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} holds {found} bytes instead of a key of {expected}: delete it, a new one is made", .path.display())]
    Key {
        path: PathBuf,
        found: usize,
        expected: usize,
    },
    #[error("setting {setting}: {reason}")]
    Setting { setting: String, reason: String },
}
