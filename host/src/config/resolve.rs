//! Given values and defaults → typed settings, with a line for the report on each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::environment::Variables;
use super::mask::{MASK, mask};
use super::shape::{Found, Given};
use super::{
    App, ConfigError, Connection, Database, Durability, Grants, Limits, LogFormat, Logging, Masked, Origin,
    PluginLimits, Plugins, Prefect, ReportLine, Scheduler, SecretSource, Settings, Store, WhenMissing,
};
use crate::yaml::{Mistake, Mistakes};

mod hooks;
mod retention;
mod server;
mod telemetry;

const MIB: u64 = 1 << 20;
const API_URL: &str = "http://127.0.0.1:4200/api";
/// Of kinds that may ask other servers.
const HTTP_CALL_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct Resolver<'a> {
    file: &'a Path,
    variables: &'a Variables,
    found: Found,
    mistakes: Vec<Mistake>,
    report: Vec<ReportLine>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(file: &'a Path, variables: &'a Variables, found: Found, mistakes: Vec<Mistake>) -> Self {
        Self {
            file,
            variables,
            found,
            mistakes,
            report: Vec::new(),
        }
    }

    pub(super) fn finish(mut self, mut settings: Settings) -> Result<Settings, ConfigError> {
        if !self.mistakes.is_empty() {
            self.mistakes.sort();
            return Err(ConfigError::Mistakes(Mistakes(self.mistakes)));
        }
        settings.report = self.report;
        Ok(settings)
    }

    /// All settings. With mistakes some are defaults; `finish` then hands none out.
    pub(super) fn settings(&mut self) -> Settings {
        let app = App {
            name: self.text(&["app", "name"], "grepx-host"),
            version: self.text(&["app", "version"], env!("CARGO_PKG_VERSION")),
        };
        let prefect = Prefect {
            api_url: self.text(&["prefect", "api_url"], API_URL),
            home: self.text(&["prefect", "home"], "./.prefect").into(),
        };
        let database = self.database();
        let server = self.server(&prefect.api_url);
        let store = Store {
            dir: self
                .derived(&["store", "dir"], &prefect.home.to_string_lossy(), "prefect.home")
                .into(),
            durability: match self.text(&["store", "durability"], "full").as_str() {
                "normal" => Durability::Normal,
                _ => Durability::Full,
            },
        };
        let connections = self.connections();
        let secrets = self.secrets();
        Settings {
            file: self.file.to_owned(),
            plugins: self.plugins(&store.dir, &connections),
            app,
            prefect,
            database,
            server,
            store,
            connections,
            hooks: self.hooks(&secrets),
            secrets,
            scheduler: Scheduler {
                enabled: self.flag(&["scheduler", "enabled"], true),
                definitions_poll: Duration::from_millis(self.integer(&["scheduler", "definitions_poll_ms"], 500)),
            },
            retention: self.retention(),
            limits: self.limits(),
            telemetry: self.telemetry(),
            logging: Logging {
                format: match self.text(&["logging", "format"], "text").as_str() {
                    "json" => LogFormat::Json,
                    _ => LogFormat::Text,
                },
                level: self.text(&["logging", "level"], "info"),
            },
            report: Vec::new(),
        }
    }

    fn database(&mut self) -> Database {
        let path = ["database", "db_url"];
        let db_url = self.text(&path, "");
        let wrong = self
            .mistakes
            .iter()
            .any(|mistake| mistake.message.starts_with("database"));
        if db_url.is_empty() && wrong {
            // It stands there, and what is wrong with it is said already.
        } else if db_url.is_empty() {
            let message = "database.db_url is missing; write sqlite:///path/to/grepx-master.db";
            self.mistake(&path, message.to_owned());
        } else if let Err(error) = super::sqlite_path(&db_url) {
            self.mistake(&path, error.to_string());
        }
        Database {
            db_url,
            api_apply: self.flag(&["database", "api_apply"], false),
        }
    }

    fn limits(&mut self) -> Limits {
        Limits {
            result_bytes: self.size(&["limits", "result_bytes"], 8 * MIB),
            mapped_items: self.size(&["limits", "mapped_items"], 10_000),
            log_lines_per_run: self.size(&["limits", "log_lines_per_run"], 10_000),
            events_kept: self.size(&["limits", "events_kept"], 10_000),
            events_bytes: self.size(&["limits", "events_bytes"], 32 << 20),
            request_bytes: self.size(&["limits", "request_bytes"], 8 * MIB),
            audit_rows: i64::try_from(self.integer(&["limits", "audit_rows"], 100_000)).unwrap_or(i64::MAX),
        }
    }

    fn plugins(&mut self, state: &Path, connections: &BTreeMap<String, Connection>) -> Plugins {
        let under = |name: &str| state.join(name).to_string_lossy().into_owned();
        let dir = PathBuf::from(self.text(&["plugins", "dir"], "./plugins"));
        let cache_dir = self.derived(&["plugins", "cache_dir"], &under("plugin-cache"), "store.dir");
        let key_file = self.derived(&["plugins", "key_file"], &under("plugin-cache.key"), "store.dir");
        let concurrent_calls = self.integer(&["plugins", "concurrent_calls"], 64);
        let lines = self.integer(&["plugins", "log_lines_per_call"], 1000);
        let archive_dir = self.derived(&["plugins", "archive_dir"], &under("plugin-builds"), "store.dir");
        let file_bytes = usize_of(self.integer(&["plugins", "file_mb"], 64).saturating_mul(MIB));
        let settle = Duration::from_millis(self.integer(&["plugins", "settle_ms"], 250));
        let rescan = Duration::from_millis(self.integer(&["plugins", "rescan_ms"], 1000));
        let collect = self.seconds(&["plugins", "collect_seconds"], 60);
        let when_missing = match self.text(&["plugins", "when_missing"], "wait").as_str() {
            "fail" => WhenMissing::Fail,
            _ => WhenMissing::Wait,
        };
        let log_line_bytes = self.size(&["plugins", "log_line_bytes"], 8 * 1024);
        let basic = PluginLimits {
            call_timeout: Duration::from_secs(5),
            memory_bytes: 256 << 20,
            input_bytes: 16 << 20,
            output_bytes: 16 << 20,
            table_elements: 20_000,
            instances: 200,
            calls_per_instance: 1,
            log_lines: u32::try_from(lines).unwrap_or(1000),
            log_bytes: 1 << 20,
            http_response_bytes: 16 << 20,
            http_timeout: Duration::from_secs(30),
        };
        let defaults = self.plugin_limits(&["plugins", "defaults"], basic, &Origin::Default);
        let mut limits = BTreeMap::new();
        for kind in self.names(&["plugins", "limits"]) {
            let origin = Origin::Derived {
                key: "plugins.defaults",
            };
            limits.insert(
                kind.clone(),
                self.plugin_limits(&["plugins", "limits", &kind], defaults, &origin),
            );
        }
        let grants = self.grants(connections);
        self.more_time(&grants, &mut limits, defaults);
        let mut settings = BTreeMap::new();
        for kind in self.names(&["plugins", "settings"]) {
            let value = self.value(&["plugins", "settings", &kind], json!({}), Origin::Default);
            let Value::Object(map) = value else { continue };
            settings.insert(kind, map);
        }
        Plugins {
            dir,
            cache_dir: cache_dir.into(),
            key_file: key_file.into(),
            archive_dir: archive_dir.into(),
            file_bytes,
            settle,
            rescan,
            collect,
            when_missing,
            concurrent_calls: u32::try_from(concurrent_calls).unwrap_or(64),
            log_line_bytes,
            defaults,
            limits,
            settings,
            environment: self.environment(&grants),
            grants,
        }
    }

    /// A call that asks other servers waits for them; unless its own limit is given, it may.
    fn more_time(
        &self,
        grants: &BTreeMap<String, Grants>,
        limits: &mut BTreeMap<String, PluginLimits>,
        defaults: PluginLimits,
    ) {
        for (kind, _) in grants.iter().filter(|(_, grants)| grants.http.is_some()) {
            if self.given(&["plugins", "limits", kind, "call_timeout_ms"]).is_none() {
                let own = limits.entry(kind.clone()).or_insert(defaults);
                own.call_timeout = own.call_timeout.max(HTTP_CALL_TIMEOUT);
            }
        }
    }

    fn environment(&self, grants: &BTreeMap<String, Grants>) -> BTreeMap<String, Masked> {
        let names = grants.values().flat_map(|grants| &grants.env);
        names
            .filter_map(|name| Some((name.clone(), Masked(self.variables.get(name)?.0.to_owned()))))
            .collect()
    }

    fn secrets(&mut self) -> BTreeMap<String, SecretSource> {
        let mut secrets = BTreeMap::new();
        for name in self.names(&["secrets"]) {
            let path = ["secrets", name.as_str()];
            let (variable, file) = (
                self.text(&[path[0], path[1], "env"], ""),
                self.text(&[path[0], path[1], "file"], ""),
            );
            let shaped = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
            if !shaped {
                self.mistake(
                    &path,
                    format!("{name:?} is no name of a secret: use letters, digits and _-."),
                );
            }
            let source = match (variable.as_str(), file.as_str()) {
                ("", "") => None,
                (variable, "") => Some(SecretSource::Variable {
                    name: variable.to_owned(),
                    value: self.variables.get(variable).map(|(value, _)| Masked(value.to_owned())),
                }),
                ("", file) => Some(SecretSource::File(file.into())),
                _ => None,
            };
            match source {
                Some(source) => {
                    secrets.insert(name, source);
                }
                None => {
                    let message =
                        format!("secrets.{name} has to be {{env: VARIABLE}} or {{file: PATH}}, one of the two");
                    self.mistake(&path, message);
                }
            }
        }
        secrets
    }

    /// Nothing is granted but what the shipped kinds cannot work without.
    fn grants(&mut self, connections: &BTreeMap<String, Connection>) -> BTreeMap<String, Grants> {
        let all: Vec<String> = connections.keys().map(|name| format!("connection:{name}")).collect();
        // The last one loads so, and may ask nobody: which hosts is the operator's to say.
        let shipped = [
            ("celery", json!(all)),
            ("subflow", json!(["start-flow"])),
            ("http", json!({"http": []})),
        ];
        let mut kinds: BTreeSet<String> = self.names(&["plugins", "grants"]);
        kinds.extend(shipped.iter().map(|(kind, _)| (*kind).to_owned()));
        let mut grants = BTreeMap::new();
        for kind in kinds {
            let default = shipped
                .iter()
                .find(|(name, _)| *name == kind)
                .map(|(_, grants)| grants.clone());
            let default = default.unwrap_or_else(|| json!([]));
            let path = ["plugins", "grants", &kind];
            let value = self.value(&path, default, Origin::Default);
            match Grants::read(&value) {
                Ok(read) => {
                    grants.insert(kind, read);
                }
                Err(reason) => {
                    let message = format!("plugins.grants.{kind}: {reason}");
                    self.mistake(&path, message);
                }
            }
        }
        grants
    }

    fn plugin_limits(&mut self, path: &[&str], default: PluginLimits, origin: &Origin) -> PluginLimits {
        let mut number = |name: &str, default: u64| {
            let path: Vec<&str> = path.iter().copied().chain([name]).collect();
            let value = self.value(&path, Value::from(default), origin.clone());
            value.as_u64().unwrap_or(default)
        };
        let timeout = u64::try_from(default.call_timeout.as_millis()).unwrap_or(u64::MAX);
        PluginLimits {
            call_timeout: Duration::from_millis(number("call_timeout_ms", timeout)),
            memory_bytes: usize_of(number("memory_mb", default.memory_bytes as u64 / MIB).saturating_mul(MIB)),
            input_bytes: usize_of(number("input_bytes", default.input_bytes as u64)),
            output_bytes: usize_of(number("output_bytes", default.output_bytes as u64)),
            table_elements: usize_of(number("table_elements", default.table_elements as u64)),
            instances: usize_of(number("instances", default.instances as u64)),
            calls_per_instance: u32::try_from(number("calls_per_instance", default.calls_per_instance.into()))
                .unwrap_or(u32::MAX),
            log_lines: u32::try_from(number("log_lines", default.log_lines.into())).unwrap_or(u32::MAX),
            log_bytes: usize_of(number("log_bytes", default.log_bytes as u64)),
            http_response_bytes: usize_of(number("http_response_bytes", default.http_response_bytes as u64)),
            http_timeout: Duration::from_millis(number(
                "http_timeout_ms",
                u64::try_from(default.http_timeout.as_millis()).unwrap_or(u64::MAX),
            )),
        }
    }

    /// `connections`, with the section `celery` as the one of that name where it says nothing else.
    fn connections(&mut self) -> BTreeMap<String, Connection> {
        let legacy: Vec<_> = self.found.keys().filter(|path| path[0] == "celery").cloned().collect();
        for path in legacy {
            let target: Vec<String> = ["connections"]
                .into_iter()
                .map(str::to_owned)
                .chain(path.clone())
                .collect();
            if let Some(given) = self.found.remove(&path) {
                self.found.entry(target).or_insert(given);
            }
        }
        let mut names = self.names(&["connections"]);
        names.insert("celery".to_owned());
        names
            .into_iter()
            .map(|name| (name.clone(), self.connection(&name)))
            .collect()
    }

    fn connection(&mut self, name: &str) -> Connection {
        let base = ["connections", name];
        let at = |key: &'static str| [base[0], base[1], key];
        let mut broker_url = self.text(&at("broker_url"), if name == "celery" { "memory://" } else { "" });
        if broker_url.is_empty() {
            let message = format!("connections.{name}.broker_url is missing; write redis://host:6379/0 or memory://");
            self.mistake(&base, message);
            "memory://".clone_into(&mut broker_url);
        }
        let mut queues = BTreeMap::new();
        for task in self.names(&at("queues")) {
            let queue = self.text(&[base[0], base[1], "queues", &task], "");
            queues.insert(task, queue);
        }
        let steps = self.value(&at("priority_steps"), json!([0, 3, 6, 9]), Origin::Default);
        Connection {
            result_backend: self.derived(&at("result_backend"), &broker_url, "broker_url"),
            broker_url,
            default_queue: self.text(&at("default_queue"), "celery"),
            queues,
            global_keyprefix: self.text(&at("global_keyprefix"), ""),
            separator: self.text(&at("separator"), "\u{6}\u{16}"),
            priority_steps: steps
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|step| u8::try_from(step.as_u64()?).ok())
                .collect(),
            control_exchange: self.text(&at("control_exchange"), "celery"),
            result_keyprefix: self.text(&at("result_keyprefix"), ""),
            guard_ttl: self.seconds(&at("guard_ttl_seconds"), 7 * 86_400),
            revoke_ttl: self.seconds(&at("revoke_ttl_seconds"), 86_400),
            response_timeout: self.seconds(&at("response_timeout_seconds"), 10),
            lost_after: self.seconds(&at("lost_after_seconds"), 60),
        }
    }

    fn given(&self, path: &[&str]) -> Option<&Given> {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        self.found.get(&path)
    }

    /// Names that were given one level below `path`.
    fn names(&self, path: &[&str]) -> BTreeSet<String> {
        let below = |found: &&Vec<String>| found.len() > path.len() && found.iter().zip(path).all(|(a, b)| a == b);
        self.found
            .keys()
            .filter(below)
            .map(|found| found[path.len()].clone())
            .collect()
    }

    fn value(&mut self, path: &[&str], default: Value, default_origin: Origin) -> Value {
        let (value, origin) = match self.given(path) {
            Some(given) => (given.value.clone(), given.origin.clone()),
            None => (default, default_origin),
        };
        let last = path.last().copied().unwrap_or_default();
        let shown = match mask(last, &value) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        self.show(path, shown, origin);
        value
    }

    /// A value that may be a secret, whatever it is called.
    fn hidden(&mut self, path: &[&str], origin: Origin) {
        self.show(path, MASK.to_owned(), origin);
    }

    fn show(&mut self, path: &[&str], value: String, origin: Origin) {
        let key = path.join(".");
        self.report.push(ReportLine { key, value, origin });
    }

    fn text(&mut self, path: &[&str], default: &str) -> String {
        let value = self.value(path, Value::from(default), Origin::Default);
        value.as_str().unwrap_or(default).to_owned()
    }

    fn derived(&mut self, path: &[&str], default: &str, key: &'static str) -> String {
        let value = self.value(path, Value::from(default), Origin::Derived { key });
        value.as_str().unwrap_or(default).to_owned()
    }

    fn flag(&mut self, path: &[&str], default: bool) -> bool {
        let value = self.value(path, Value::from(default), Origin::Default);
        value.as_bool().unwrap_or(default)
    }

    fn integer(&mut self, path: &[&str], default: u64) -> u64 {
        let value = self.value(path, Value::from(default), Origin::Default);
        value.as_u64().unwrap_or(default)
    }

    fn size(&mut self, path: &[&str], default: u64) -> usize {
        usize_of(self.integer(path, default))
    }

    fn seconds(&mut self, path: &[&str], default: u64) -> Duration {
        Duration::from_secs(self.integer(path, default))
    }

    fn mistake(&mut self, path: &[&str], message: String) {
        // Of a section without the key: the place of its first key.
        let below = |found: &&Vec<String>| found.iter().zip(path).all(|(a, b)| a == b);
        let near = || {
            self.found
                .iter()
                .find(|(found, _)| below(found) && found.len() > path.len())
        };
        let given = self.given(path).or_else(|| near().map(|(_, given)| given));
        let spot = given.and_then(|given| given.spot);
        self.mistakes.push(Mistake::new(self.file, spot, message));
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
