//! What the operator decides about plugins. Every field has a limit that holds without being
//! asked for; a plugin can narrow nothing and widen nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::grants::Grants;
use super::secrets::Secrets;

pub(super) const KIB: usize = 1024;
pub(super) const MIB: usize = 1024 * KIB;

/// Settings of all plugins.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Holds `*.wasm`; anything else in it is ignored.
    pub dir: PathBuf,
    /// Every build that serves, that served before, or that a suspended attempt needs, by digest.
    pub archive_dir: PathBuf,
    /// Compiled code. Safe to delete; rebuilt when a file is missing, foreign or altered.
    pub cache_dir: PathBuf,
    /// 32 random bytes, made on first use with mode 0600, which authenticate the compiled code.
    /// Keep it outside of `cache_dir`: who can write both can run code in this process.
    pub key_file: PathBuf,
    /// Largest component that is looked at.
    pub file_bytes: usize,
    /// A file that has not changed for this long is complete.
    pub settle: Duration,
    /// How often the directory is looked at when nothing reports a change.
    pub rescan: Duration,
    /// Running time of one call. Time that a call waits for its turn does not count.
    pub call_timeout: Duration,
    /// Sum over all linear memories of one call.
    pub memory_bytes: usize,
    /// Elements of each table of one call.
    pub table_elements: usize,
    /// Core instances of one call; components of interpreted languages have dozens.
    pub instances: usize,
    /// Calls that one instance of an activity may answer. With 1, nothing that a call leaves in
    /// its memory is there in the next one.
    pub calls_per_instance: u32,
    pub max_output_bytes: usize,
    pub max_input_bytes: usize,
    pub log_lines_per_call: u32,
    pub log_line_bytes: usize,
    /// Sum over all lines of one call.
    pub log_bytes_per_call: usize,
    /// Body of one answer to an outgoing request.
    pub http_response_bytes: usize,
    /// Until an outgoing request is connected, and again until its answer begins.
    pub http_timeout: Duration,
    /// Calls that run at the same time, over all plugins; more wait in order of arrival.
    pub concurrent_calls: u32,
    /// By kind.
    pub per_plugin: BTreeMap<String, PluginSettings>,
    pub secrets: Secrets,
}

/// What differs for one kind; `None` means as in [`Settings`].
#[derive(Debug, Clone, Default)]
pub struct PluginSettings {
    /// Handed to the kind in every call as `ctx.settings`; an object, or `Null` for `{}`.
    pub settings: Value,
    /// What the kind may use.
    pub grants: Grants,
    pub call_timeout: Option<Duration>,
    pub memory_bytes: Option<usize>,
    pub table_elements: Option<usize>,
    pub instances: Option<usize>,
    pub calls_per_instance: Option<u32>,
    pub max_output_bytes: Option<usize>,
    pub max_input_bytes: Option<usize>,
    pub log_lines: Option<u32>,
    pub log_bytes: Option<usize>,
    pub http_response_bytes: Option<usize>,
    pub http_timeout: Option<Duration>,
}

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub call_timeout: Duration,
    pub memory_bytes: usize,
    pub table_elements: usize,
    pub instances: usize,
    pub calls_per_instance: u32,
    pub max_output_bytes: usize,
    pub max_input_bytes: usize,
    pub log_lines: u32,
    pub log_line_bytes: usize,
    pub log_bytes: usize,
    pub http_response_bytes: usize,
    pub http_timeout: Duration,
}

impl Settings {
    /// Default limits, nothing granted. The archive lies beside the key.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, cache_dir: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        let key_file = key_file.into();
        Self {
            dir: dir.into(),
            archive_dir: key_file.with_file_name("plugin-builds"),
            cache_dir: cache_dir.into(),
            key_file,
            file_bytes: 64 * MIB,
            settle: Duration::from_millis(250),
            rescan: Duration::from_secs(1),
            call_timeout: Duration::from_secs(5),
            memory_bytes: 256 * MIB,
            table_elements: 20_000,
            instances: 200,
            calls_per_instance: 1,
            max_output_bytes: 16 * MIB,
            max_input_bytes: 16 * MIB,
            log_lines_per_call: 1000,
            log_line_bytes: 8 * KIB,
            log_bytes_per_call: MIB,
            http_response_bytes: 16 * MIB,
            http_timeout: Duration::from_secs(30),
            concurrent_calls: 64,
            per_plugin: BTreeMap::new(),
            secrets: Secrets::default(),
        }
    }

    pub(super) fn limits(&self, kind: &str) -> Limits {
        let none = PluginSettings::default();
        let own = self.per_plugin.get(kind).unwrap_or(&none);
        Limits {
            call_timeout: own.call_timeout.unwrap_or(self.call_timeout),
            memory_bytes: own.memory_bytes.unwrap_or(self.memory_bytes),
            table_elements: own.table_elements.unwrap_or(self.table_elements),
            instances: own.instances.unwrap_or(self.instances),
            calls_per_instance: own.calls_per_instance.unwrap_or(self.calls_per_instance),
            max_output_bytes: own.max_output_bytes.unwrap_or(self.max_output_bytes),
            max_input_bytes: own.max_input_bytes.unwrap_or(self.max_input_bytes),
            log_lines: own.log_lines.unwrap_or(self.log_lines_per_call),
            log_line_bytes: self.log_line_bytes,
            log_bytes: own.log_bytes.unwrap_or(self.log_bytes_per_call),
            http_response_bytes: own.http_response_bytes.unwrap_or(self.http_response_bytes),
            http_timeout: own.http_timeout.unwrap_or(self.http_timeout),
        }
    }

    /// The largest memory that any kind may use: the size of a pool slot.
    pub(super) fn memory_bytes_max(&self) -> usize {
        let own = self.per_plugin.values().filter_map(|o| o.memory_bytes);
        own.chain([self.memory_bytes]).max().unwrap_or(self.memory_bytes)
    }

    /// The largest table that any kind may have: the size of a pool slot's.
    pub(super) fn table_elements_max(&self) -> usize {
        let own = self.per_plugin.values().filter_map(|o| o.table_elements);
        own.chain([self.table_elements]).max().unwrap_or(self.table_elements)
    }

    pub(super) fn grants(&self, kind: &str) -> Grants {
        self.per_plugin
            .get(kind)
            .map_or_else(Grants::default, |own| own.grants.clone())
    }

    /// `ctx.settings` of `kind`, as JSON text.
    pub(super) fn settings_json(&self, kind: &str) -> String {
        match self.per_plugin.get(kind).map(|own| &own.settings) {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(value) => value.to_string(),
        }
    }
}
