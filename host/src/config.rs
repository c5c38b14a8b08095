//! The configuration: one YAML file → [`Settings`], every value with its origin.
//!
//! The file of the original (`app`, `prefect`, `database`, `celery`) loads unchanged; all else has
//! a default. Values are substituted after the YAML is read, so a variable can never change the
//! file's structure. Everything that is wrong is reported at once, each with its place.
//!
//! Absent on purpose: reloading while running, and changes to the process environment: the env
//! file goes into a map of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::yaml::Mistakes;

mod database_url;
mod environment;
mod grants;
mod hooks;
mod load;
mod mask;
mod resolve;
mod shape;
mod telemetry;

pub use database_url::{DatabaseUrlError, sqlite_path};
pub use grants::{Grants, HttpGrant, SecretGrant};
pub use hooks::{Hook, HookAction, HookSignature, SignatureEncoding, SignatureFormat};
pub use load::{CONFIG_FILE_DEFAULT, ENV_FILE_NAME, Options};
pub use mask::mask_url;
pub use telemetry::Telemetry;

/// All settings, checked.
#[derive(Clone)]
pub struct Settings {
    /// The file that was read.
    pub file: PathBuf,
    pub app: App,
    pub prefect: Prefect,
    pub database: Database,
    pub server: Server,
    pub store: Store,
    pub plugins: Plugins,
    /// By name. `celery` is the one that the section of that name describes.
    pub connections: BTreeMap<String, Connection>,
    /// Where the value of each secret is; read when plugins start.
    pub secrets: BTreeMap<String, SecretSource>,
    /// By name: what requests of other systems start.
    pub hooks: BTreeMap<String, Hook>,
    pub scheduler: Scheduler,
    pub retention: Retention,
    pub limits: Limits,
    /// Where traces go; `None`: there are none.
    pub telemetry: Option<Telemetry>,
    pub logging: Logging,
    report: Vec<ReportLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub name: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefect {
    /// Where clients reach this host; also the default of `server.port`.
    pub api_url: String,
    /// The state directory.
    pub home: PathBuf,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    /// SQLAlchemy URL of the definitions. `sqlite:///x` is relative to the working directory.
    pub db_url: String,
    /// Whether requests of admins may write definitions; else the host only reads them.
    pub api_apply: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    /// 0 takes any free port.
    pub port: u16,
    pub shutdown_grace: Duration,
    /// Whether everybody who can reach `host` may do everything while there are no keys.
    pub allow_unauthenticated: bool,
    /// What clients send by HTTP Basic; may do everything.
    pub auth_string: Option<Masked>,
    /// Names, with or without a port, under which browsers and proxies reach this host.
    pub allowed_hosts: Vec<String>,
    /// For the head of a request, for the next one on an idle connection, and for a client to
    /// take some of an answer.
    pub header_timeout: Duration,
    /// From a request's head to its answer.
    pub request_timeout: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Event streams and WebSockets at once.
    pub streams: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub dir: PathBuf,
    pub durability: Durability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On disk before anything acts on it.
    Full,
    /// A power cut may lose the last moments, a crash of the program nothing.
    Normal,
}

#[derive(Clone, PartialEq)]
pub struct Plugins {
    pub dir: PathBuf,
    pub cache_dir: PathBuf,
    /// Authenticates the compiled code in `cache_dir`; kept outside of it.
    pub key_file: PathBuf,
    /// Builds that serve, served before, or are needed by suspended task runs.
    pub archive_dir: PathBuf,
    /// Largest component.
    pub file_bytes: usize,
    /// A file that has not changed for this long is complete.
    pub settle: Duration,
    /// How often the directory is looked at when nothing reports a change.
    pub rescan: Duration,
    /// How often builds that nothing needs are looked for.
    pub collect: Duration,
    pub when_missing: WhenMissing,
    /// Calls at a time over all plugins.
    pub concurrent_calls: u32,
    pub log_line_bytes: usize,
    pub defaults: PluginLimits,
    /// By kind: what differs from `defaults`, already filled up with them.
    pub limits: BTreeMap<String, PluginLimits>,
    /// By kind: handed over with every call.
    pub settings: BTreeMap<String, Map<String, Value>>,
    /// By kind: what it may use.
    pub grants: BTreeMap<String, Grants>,
    /// Values of the granted variables that are set.
    pub environment: BTreeMap<String, Masked>,
}

/// What becomes of a task run whose kind no plugin provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenMissing {
    Wait,
    Fail,
}

/// Limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginLimits {
    pub call_timeout: Duration,
    pub memory_bytes: usize,
    pub input_bytes: usize,
    pub output_bytes: usize,
    pub table_elements: usize,
    pub instances: usize,
    /// Calls that one instance of an activity may answer; 1 is an instance for each.
    pub calls_per_instance: u32,
    pub log_lines: u32,
    pub log_bytes: usize,
    pub http_response_bytes: usize,
    /// Until an outgoing request is connected, and again until its answer begins.
    pub http_timeout: Duration,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the environment or of the env file, with its value.
    Variable {
        name: String,
        value: Option<Masked>,
    },
    File(PathBuf),
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Masked(pub String);

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A broker that plugins reach by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// `redis://`, `rediss://`, `redis+socket://`, `memory://`.
    pub broker_url: String,
    pub result_backend: String,
    pub default_queue: String,
    /// Work queue → Celery queue.
    pub queues: BTreeMap<String, String>,
    /// `global_keyprefix`, `sep` and `priority_steps` of the workers' `broker_transport_options`.
    pub global_keyprefix: String,
    pub separator: String,
    pub priority_steps: Vec<u8>,
    /// The workers' `control_exchange`.
    pub control_exchange: String,
    /// `global_keyprefix` of the workers' `result_backend_transport_options`.
    pub result_keyprefix: String,
    /// How long a published message is remembered, so that it is never published twice.
    pub guard_ttl: Duration,
    /// How long a revoke is repeated when no final state comes.
    pub revoke_ttl: Duration,
    /// After this long without an answer the broker counts as away.
    pub response_timeout: Duration,
    /// After how long without news it is asked where a message is; zero: never.
    pub lost_after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduler {
    /// Whether deployments start by themselves.
    pub enabled: bool,
    /// How often the definitions database is looked at.
    pub definitions_poll: Duration,
}

/// How long flow runs stay after they have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Whether they are removed by themselves; `gc` removes them in any case.
    pub enabled: bool,
    pub completed: Duration,
    /// Failed and crashed.
    pub failed: Duration,
    pub cancelled: Duration,
    /// How often they are looked for.
    pub every: Duration,
    /// Rows that one transaction removes.
    pub rows_per_step: u32,
}

/// What a run may use up. A limit that is reached ends the task or the call with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub result_bytes: usize,
    /// Items of one `for_each`.
    pub mapped_items: usize,
    /// Log lines of a flow run that are kept.
    pub log_lines_per_run: usize,
    /// Events that are kept for those who come back, and about so much memory for them.
    pub events_kept: usize,
    pub events_bytes: usize,
    /// Bytes of a request to the API.
    pub request_bytes: usize,
    /// Rows of the audit log; the oldest go.
    pub audit_rows: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    pub format: LogFormat,
    /// `info`, or a filter such as `info,grepx_host::runner=debug`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// Taken from another key.
    Derived {
        key: &'static str,
    },
    File {
        file: PathBuf,
        line: u32,
    },
    /// The real environment.
    Environment {
        variable: String,
    },
    EnvFile {
        variable: String,
        file: PathBuf,
    },
    CommandLine,
}

/// One effective value, fit to be shown: secrets are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLine {
    pub key: String,
    pub value: String,
    pub origin: Origin,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {} cannot be read; name another one with --config", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the env file {} cannot be read; name another one with --env-file", .path.display())]
    EnvFile { path: PathBuf, source: std::io::Error },
    /// One line per mistake.
    #[error("{0}")]
    Mistakes(Mistakes),
}

impl Settings {
    /// Every effective value with its origin, by key. Passwords and secrets are masked.
    #[must_use]
    pub fn report(&self) -> Vec<ReportLine> {
        self.report.clone()
    }

    /// Where this host is reached when the operator does not say so: `prefect.api_url`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.prefect.api_url
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Derived { key } => write!(f, "from {key}"),
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Environment { variable } => write!(f, "env {variable}"),
            Self::EnvFile { variable, file } => write!(f, "{} {variable}", file.display()),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// Secrets never reach a log by `{:?}`: what may be shown is in the report.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugins")
            .field("dir", &self.dir)
            .field("defaults", &self.defaults)
            .field("limits", &self.limits)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("db_url", &mask_url(&self.db_url))
            .field("api_apply", &self.api_apply)
            .finish()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("broker_url", &mask_url(&self.broker_url))
            .field("result_backend", &mask_url(&self.result_backend))
            .field("default_queue", &self.default_queue)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
