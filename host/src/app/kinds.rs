//! The registry of task kinds as definitions see it, and the settings that it is loaded with.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::Value;

use crate::config::{self, Settings};
use crate::definitions::{KindProblem, Kinds};
use crate::plugins::{self, Grants, HostPattern, HttpGrant, PluginSettings, Plugins, Role, SecretGrant, Secrets};
use crate::runner;

/// Answers for what is loaded now.
#[derive(Debug, Clone)]
pub(crate) struct LoadedKinds {
    pub(crate) plugins: Plugins,
    /// Whether a kind whose plugin was removed is no mistake of the definitions: work of a host that
    /// runs waits for it, or fails, as configured. A check says what is missing.
    pub(crate) lenient: bool,
}

impl Kinds for LoadedKinds {
    fn check(&self, kind: &str, input: &Value, dynamic_inputs: bool) -> Result<(), KindProblem> {
        let registry = self.plugins.kinds();
        let known = || {
            registry
                .iter()
                .filter(|kind| kind.info.role != Role::Policy)
                .map(|kind| kind.info.kind.clone())
                .collect()
        };
        match registry.kind(kind) {
            Some(found) if found.info.role != Role::Policy => {}
            None if self.lenient && self.plugins.is_known(kind) => return Ok(()),
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

    fn check_retry(&self, config: &Value) -> Vec<String> {
        let registry = self.plugins.kinds();
        let policy = registry
            .kind(runner::POLICY)
            .filter(|found| found.info.role == Role::Policy);
        policy.map_or_else(Vec::new, |found| found.validate(config).err().unwrap_or_default())
    }
}

/// What a kind is told in every call. The Celery kind knows how the workers of its connection are
/// set up without being told twice.
fn kind_settings(settings: &Settings, kind: &str) -> Value {
    let own = settings.plugins.settings.get(kind).cloned();
    if kind != "celery" {
        return own.map_or(Value::Null, Value::Object);
    }
    let mut all = serde_json::Map::new();
    let mut others = serde_json::Map::new();
    for (name, connection) in &settings.connections {
        let workers = serde_json::json!({
            "default_queue": connection.default_queue,
            "queues": connection.queues,
            "result_key_prefix": connection.result_keyprefix,
        });
        match workers {
            Value::Object(workers) if name == "celery" => all.extend(workers),
            workers => drop(others.insert(name.clone(), workers)),
        }
    }
    all.insert("connections".to_owned(), Value::Object(others));
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
        let one = PluginSettings {
            settings: kind_settings(settings, kind),
            grants: grants(own, kind).with_context(|| format!("plugins.grants.{kind}"))?,
            call_timeout: limits.map(|limits| limits.call_timeout),
            memory_bytes: limits.map(|limits| limits.memory_bytes),
            table_elements: limits.map(|limits| limits.table_elements),
            instances: limits.map(|limits| limits.instances),
            calls_per_instance: limits.map(|limits| limits.calls_per_instance),
            max_output_bytes: limits.map(|limits| limits.output_bytes),
            max_input_bytes: limits.map(|limits| limits.input_bytes),
            log_lines: limits.map(|limits| limits.log_lines),
            log_bytes: limits.map(|limits| limits.log_bytes),
            http_response_bytes: limits.map(|limits| limits.http_response_bytes),
            http_timeout: limits.map(|limits| limits.http_timeout),
        };
        per_plugin.insert(kind.clone(), one);
    }
    let usual = &own.defaults;
    Ok(plugins::Settings {
        archive_dir: own.archive_dir.clone(),
        file_bytes: own.file_bytes,
        settle: own.settle,
        rescan: own.rescan,
        call_timeout: usual.call_timeout,
        memory_bytes: usual.memory_bytes,
        table_elements: usual.table_elements,
        instances: usual.instances,
        calls_per_instance: usual.calls_per_instance,
        max_output_bytes: usual.output_bytes,
        max_input_bytes: usual.input_bytes,
        log_lines_per_call: usual.log_lines,
        log_line_bytes: own.log_line_bytes,
        log_bytes_per_call: usual.log_bytes,
        http_response_bytes: usual.http_response_bytes,
        http_timeout: usual.http_timeout,
        concurrent_calls: own.concurrent_calls,
        per_plugin,
        secrets: secrets(settings)?,
        ..plugins::Settings::new(own.dir.clone(), own.cache_dir.clone(), own.key_file.clone())
    })
}

fn grants(own: &config::Plugins, kind: &str) -> anyhow::Result<Grants> {
    let Some(given) = own.grants.get(kind) else {
        return Ok(Grants::default());
    };
    let hosts = |hosts: &[String]| {
        hosts
            .iter()
            .map(|host| host.parse())
            .collect::<Result<Vec<HostPattern>, _>>()
    };
    let mut secrets = Vec::new();
    for secret in &given.secrets {
        secrets.push(SecretGrant {
            name: secret.name.clone(),
            hosts: hosts(&secret.hosts).context("secrets.hosts")?,
        });
    }
    let value = |name: &String| own.environment.get(name).map(|value| value.0.clone());
    Ok(Grants {
        connections: given.connections.iter().cloned().collect(),
        start_flow: given.start_flow,
        http: match &given.http {
            None => None,
            Some(http) => Some(HttpGrant {
                hosts: hosts(&http.hosts).context("http.hosts")?,
                methods: http.methods.clone(),
            }),
        },
        env: given.env.iter().map(|name| (name.clone(), value(name))).collect(),
        secrets,
        clock: given.clock,
    })
}

/// The values, read once. One that is missing is a mistake when it is granted to a kind, so that
/// it shows at the start and not in the first request.
fn secrets(settings: &Settings) -> anyhow::Result<Secrets> {
    let granted = |name: &String| {
        let grants = settings.plugins.grants.values();
        grants.flat_map(|one| &one.secrets).any(|one| one.name == *name)
    };
    let mut secrets = Secrets::default();
    for (name, source) in settings.secrets.iter().filter(|(name, _)| granted(name)) {
        secrets
            .insert(name, super::secret::value(name, source)?)
            .map_err(anyhow::Error::msg)?;
    }
    Ok(secrets)
}
