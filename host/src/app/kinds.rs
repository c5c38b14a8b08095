//! The registry of task kinds as definitions see it, and the settings that it is loaded with.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::Value;

use crate::config::Settings;
use crate::definitions::{KindProblem, Kinds};
use crate::plugins::{self, PluginSettings, Plugins, Role};

/// Answers for what is loaded now.
#[derive(Debug, Clone)]
pub(crate) struct LoadedKinds(pub(crate) Plugins);

impl Kinds for LoadedKinds {
    fn check(&self, kind: &str, input: &Value, dynamic_inputs: bool) -> Result<(), KindProblem> {
        let registry = self.0.kinds();
        let known = || {
            registry
                .iter()
                .filter(|kind| kind.info.role != Role::Policy)
                .map(|kind| kind.info.kind.clone())
                .collect()
        };
        match registry.kind(kind) {
            Some(found) if found.info.role != Role::Policy => {}
            _ => return Err(KindProblem::Unknown { known: known() }),
        }
        let problems = registry.validate(kind, input).err().unwrap_or_default();
        let problems: Vec<String> = problems
            .into_iter()
            .filter(|problem| !(dynamic_inputs && problem.contains("/kwargs")))
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(KindProblem::Input(problems))
        }
    }
}

/// What a kind is told in every call. The Celery kind knows how the workers of its connection are
/// set up without being told twice.
fn kind_settings(settings: &Settings, kind: &str) -> Value {
    let own = settings.plugins.settings.get(kind).cloned();
    let Some(connection) = settings.connections.get("celery").filter(|_| kind == "celery") else {
        return own.map_or(Value::Null, Value::Object);
    };
    let mut all = serde_json::Map::new();
    all.insert("default_queue".to_owned(), connection.default_queue.clone().into());
    all.insert("queues".to_owned(), serde_json::json!(connection.queues));
    all.insert(
        "result_key_prefix".to_owned(),
        connection.result_keyprefix.clone().into(),
    );
    all.extend(own.unwrap_or_default());
    Value::Object(all)
}

pub(crate) fn plugin_settings(settings: &Settings) -> anyhow::Result<plugins::Settings> {
    let own = &settings.plugins;
    let kinds: BTreeSet<&String> = own
        .limits
        .keys()
        .chain(own.settings.keys())
        .chain(own.grants.keys())
        .collect();
    let mut per_plugin = BTreeMap::new();
    for kind in kinds {
        let limits = own.limits.get(kind);
        let mut grants = Vec::new();
        for text in own.grants.get(kind).into_iter().flatten() {
            grants.push(text.parse().with_context(|| format!("plugins.grants.{kind}"))?);
        }
        let one = PluginSettings {
            settings: kind_settings(settings, kind),
            grants,
            call_timeout: limits.map(|limits| limits.call_timeout),
            memory_bytes: limits.map(|limits| limits.memory_bytes),
            max_output_bytes: limits.map(|limits| limits.output_bytes),
            max_input_bytes: limits.map(|limits| limits.input_bytes),
        };
        per_plugin.insert(kind.clone(), one);
    }
    Ok(plugins::Settings {
        call_timeout: own.defaults.call_timeout,
        memory_bytes: own.defaults.memory_bytes,
        max_output_bytes: own.defaults.output_bytes,
        max_input_bytes: own.defaults.input_bytes,
        log_lines_per_call: own.log_lines_per_call,
        log_line_bytes: own.log_line_bytes,
        concurrent_calls: own.concurrent_calls,
        per_plugin,
        ..plugins::Settings::new(own.dir.clone(), own.cache_dir.clone(), own.key_file.clone())
    })
}
