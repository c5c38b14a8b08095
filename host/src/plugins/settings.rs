//! What the operator decides about plugins. Every field has a limit that holds without being
//! asked for; a plugin can narrow nothing and widen nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::capability::Capability;

pub(super) const KIB: usize = 1024;
pub(super) const MIB: usize = 1024 * KIB;

/// Settings of all plugins.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Holds `*.wasm`; anything else in it is ignored.
    pub dir: PathBuf,
    /// Compiled code. Safe to delete; rebuilt when a file is missing, foreign or altered.
    pub cache_dir: PathBuf,
    /// 32 random bytes, made on first use with mode 0600, which authenticate the compiled code.
    /// Keep it outside of `cache_dir`: who can write both can run code in this process.
    pub key_file: PathBuf,
    /// Running time of one call. Time that a call waits for its turn does not count.
    pub call_timeout: Duration,
    /// Sum over all linear memories of one call.
    pub memory_bytes: usize,
    pub max_output_bytes: usize,
    pub max_input_bytes: usize,
    pub log_lines_per_call: u32,
    pub log_line_bytes: usize,
    /// Calls that run at the same time, over all plugins; more wait in order of arrival.
    pub concurrent_calls: u32,
    /// By kind.
    pub per_plugin: BTreeMap<String, PluginSettings>,
}

/// What differs for one kind; `None` means as in [`Settings`].
#[derive(Debug, Clone, Default)]
pub struct PluginSettings {
    /// Handed to the kind in every call as `ctx.settings`; an object, or `Null` for `{}`.
    pub settings: Value,
    /// What the kind may use of what it asks for, in its own words: `connection:celery`.
    pub grants: Vec<Capability>,
    pub call_timeout: Option<Duration>,
    pub memory_bytes: Option<usize>,
    pub max_output_bytes: Option<usize>,
    pub max_input_bytes: Option<usize>,
}

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub call_timeout: Duration,
    pub memory_bytes: usize,
    pub max_output_bytes: usize,
    pub max_input_bytes: usize,
    pub log_lines: u32,
    pub log_line_bytes: usize,
}

impl Settings {
    /// Default limits, nothing granted.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, cache_dir: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            cache_dir: cache_dir.into(),
            key_file: key_file.into(),
            call_timeout: Duration::from_secs(5),
            memory_bytes: 256 * MIB,
            max_output_bytes: 16 * MIB,
            max_input_bytes: 16 * MIB,
            log_lines_per_call: 1000,
            log_line_bytes: 8 * KIB,
            concurrent_calls: 64,
            per_plugin: BTreeMap::new(),
        }
    }

    pub(super) fn limits(&self, kind: &str) -> Limits {
        let own = self.per_plugin.get(kind);
        Limits {
            call_timeout: own.and_then(|o| o.call_timeout).unwrap_or(self.call_timeout),
            memory_bytes: own.and_then(|o| o.memory_bytes).unwrap_or(self.memory_bytes),
            max_output_bytes: own.and_then(|o| o.max_output_bytes).unwrap_or(self.max_output_bytes),
            max_input_bytes: own.and_then(|o| o.max_input_bytes).unwrap_or(self.max_input_bytes),
            log_lines: self.log_lines_per_call,
            log_line_bytes: self.log_line_bytes,
        }
    }

    /// The largest memory that any kind may use: the size of a pool slot.
    pub(super) fn memory_bytes_max(&self) -> usize {
        let own = self.per_plugin.values().filter_map(|o| o.memory_bytes);
        own.chain([self.memory_bytes]).max().unwrap_or(self.memory_bytes)
    }

    pub(super) fn grants(&self, kind: &str) -> &[Capability] {
        self.per_plugin.get(kind).map_or(&[], |own| &own.grants)
    }

    /// `ctx.settings` of `kind`, as JSON text.
    pub(super) fn settings_json(&self, kind: &str) -> Vec<u8> {
        match self.per_plugin.get(kind).map(|own| &own.settings) {
            None | Some(Value::Null) => b"{}".to_vec(),
            Some(value) => value.to_string().into_bytes(),
        }
    }
}
