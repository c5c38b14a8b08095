//! Which keys there are and what stands under them: the tree of the file is walked along this one,
//! so an unknown key or a wrong type is found wherever it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::Origin;
use super::environment::Variables;
use crate::yaml::{Mistake, Node, Spot, Yaml, excerpt, known_are, plain_value};

#[derive(Debug)]
pub(super) enum Shape {
    Text,
    Integer {
        min: u64,
        max: u64,
    },
    Flag,
    Word(&'static [&'static str]),
    /// Texts, or whole numbers.
    List(&'static Shape),
    /// A JSON object; nothing in it is known here.
    Free,
    /// A JSON object or array; who takes it knows what is in it.
    Tree,
    Section(&'static [(&'static str, &'static Shape)]),
    /// Any name, and the same below each.
    Each(&'static Shape),
}

use Shape::{Each, Flag, Free, Integer, List, Section, Text, Tree, Word};

const SECONDS: &Shape = &Integer {
    min: 0,
    max: 10 * 366 * 86_400,
};
const DAYS: &Shape = &Integer { min: 0, max: 36_500 };
/// How long a client is waited for.
const PATIENCE: &Shape = &Integer { min: 1, max: 3_600 };
const MILLISECONDS: &Shape = &Integer {
    min: 1,
    max: 86_400_000,
};
const BYTES: &Shape = &Integer { min: 1, max: 4 << 30 };
/// Of what strangers may send.
const HOOK_BYTES_MAX: u64 = 25 << 20;
const COUNT: &Shape = &Integer {
    min: 1,
    max: 100_000_000,
};

const PLUGIN_LIMITS: &Shape = &Section(&[
    ("call_timeout_ms", MILLISECONDS),
    ("memory_mb", &Integer { min: 1, max: 4096 }),
    ("input_bytes", BYTES),
    ("output_bytes", BYTES),
    (
        "table_elements",
        &Integer {
            min: 1,
            max: 10_000_000,
        },
    ),
    ("instances", &Integer { min: 1, max: 10_000 }),
    ("calls_per_instance", COUNT),
    ("log_lines", COUNT),
    ("log_bytes", BYTES),
    ("http_response_bytes", BYTES),
    ("http_timeout_ms", MILLISECONDS),
]);

const SECRET: &Shape = &Section(&[("env", &Text), ("file", &Text)]);

const HOOK: &Shape = &Section(&[
    ("deployment", &Text),
    ("parameters", &Each(&Text)),
    (
        "signal",
        &Section(&[("task_run", &Text), ("name", &Text), ("payload", &Text)]),
    ),
    ("secret", &Text),
    ("unsigned", &Flag),
    (
        "signature",
        &Section(&[
            ("format", &Word(&["body", "timestamped"])),
            ("header", &Text),
            ("prefix", &Text),
            ("encoding", &Word(&["hex", "base64"])),
            ("tolerance_seconds", PATIENCE),
        ]),
    ),
    ("condition", &Text),
    ("idempotency_key", &Text),
    (
        "body_bytes",
        &Integer {
            min: 1,
            max: HOOK_BYTES_MAX,
        },
    ),
]);

const CONNECTION: &Shape = &Section(&[
    ("broker_url", &Text),
    ("result_backend", &Text),
    ("default_queue", &Text),
    ("queues", &Each(&Text)),
    ("global_keyprefix", &Text),
    ("separator", &Text),
    ("priority_steps", &List(&Integer { min: 0, max: 255 })),
    ("control_exchange", &Text),
    ("result_keyprefix", &Text),
    ("guard_ttl_seconds", SECONDS),
    ("revoke_ttl_seconds", SECONDS),
    ("response_timeout_seconds", &Integer { min: 1, max: 3600 }),
    ("lost_after_seconds", SECONDS),
]);

pub(super) const ROOT: &Shape = &Section(&[
    ("app", &Section(&[("name", &Text), ("version", &Text)])),
    ("prefect", &Section(&[("api_url", &Text), ("home", &Text)])),
    ("database", &Section(&[("db_url", &Text), ("api_apply", &Flag)])),
    ("celery", CONNECTION),
    (
        "server",
        &Section(&[
            ("host", &Text),
            ("port", &Integer { min: 0, max: 65_535 }),
            ("shutdown_grace_seconds", SECONDS),
            ("allow_unauthenticated", &Flag),
            ("auth_string", &Text),
            ("allowed_hosts", &List(&Text)),
            ("header_timeout_seconds", PATIENCE),
            ("request_timeout_seconds", PATIENCE),
            ("connections", &Integer { min: 1, max: 100_000 }),
            ("streams", &Integer { min: 1, max: 100_000 }),
        ]),
    ),
    (
        "store",
        &Section(&[("dir", &Text), ("durability", &Word(&["full", "normal"]))]),
    ),
    (
        "plugins",
        &Section(&[
            ("dir", &Text),
            ("cache_dir", &Text),
            ("key_file", &Text),
            ("archive_dir", &Text),
            ("file_mb", &Integer { min: 1, max: 1024 }),
            ("settle_ms", MILLISECONDS),
            ("rescan_ms", MILLISECONDS),
            ("collect_seconds", &Integer { min: 1, max: 86_400 }),
            ("when_missing", &Word(&["wait", "fail"])),
            ("concurrent_calls", &Integer { min: 1, max: 10_000 }),
            ("log_lines_per_call", COUNT),
            ("log_line_bytes", BYTES),
            ("defaults", PLUGIN_LIMITS),
            ("limits", &Each(PLUGIN_LIMITS)),
            ("settings", &Each(&Free)),
            ("grants", &Each(&Tree)),
        ]),
    ),
    ("connections", &Each(CONNECTION)),
    ("secrets", &Each(SECRET)),
    ("hooks", &Each(HOOK)),
    (
        "scheduler",
        &Section(&[
            ("enabled", &Flag),
            (
                "definitions_poll_ms",
                &Integer {
                    min: 50,
                    max: 3_600_000,
                },
            ),
        ]),
    ),
    (
        "retention",
        &Section(&[
            ("enabled", &Flag),
            ("completed_days", DAYS),
            ("failed_days", DAYS),
            ("cancelled_days", DAYS),
            ("every_seconds", &Integer { min: 1, max: 86_400 }),
            ("rows_per_step", &Integer { min: 10, max: 100_000 }),
        ]),
    ),
    (
        "limits",
        &Section(&[
            ("result_bytes", BYTES),
            ("mapped_items", COUNT),
            ("log_lines_per_run", COUNT),
            ("events_kept", COUNT),
            ("events_bytes", BYTES),
            ("request_bytes", BYTES),
            (
                "audit_rows",
                &Integer {
                    min: 100,
                    max: 10_000_000,
                },
            ),
        ]),
    ),
    (
        "telemetry",
        &Section(&[
            ("otlp_endpoint", &Text),
            ("headers", &Each(&Text)),
            ("service_name", &Text),
            ("sample_percent", &Integer { min: 0, max: 100 }),
        ]),
    ),
    (
        "logging",
        &Section(&[("format", &Word(&["text", "json"])), ("level", &Text)]),
    ),
]);

/// A value that was given, of the type that its key wants.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
    pub(super) spot: Option<Spot>,
}

/// By path from the root. Names may hold dots, so a path is no text.
pub(super) type Found = BTreeMap<Vec<String>, Given>;

/// Walks a file.
pub(super) struct Walk<'a> {
    pub(super) file: &'a Path,
    pub(super) variables: &'a Variables,
    pub(super) found: Found,
    pub(super) mistakes: Vec<Mistake>,
}

impl Walk<'_> {
    pub(super) fn node(&mut self, node: &Node, shape: &Shape, path: &mut Vec<String>) {
        if node.is_null() {
            return;
        }
        match (shape, &node.yaml) {
            (Section(keys), Yaml::Map(entries)) => {
                for (key, value) in entries {
                    match keys.iter().find(|(known, _)| *known == key.text) {
                        Some((_, shape)) => self.below(&key.text, value, shape, path),
                        None => self.unknown(key.spot, &key.text, keys, path),
                    }
                }
            }
            (Each(shape), Yaml::Map(entries)) => {
                for (key, value) in entries {
                    self.below(&key.text, value, shape, path);
                }
            }
            (Free | Tree, Yaml::Map(_)) | (Tree, Yaml::List(_)) => self.free(node, path),
            (List(shape), Yaml::List(items)) => self.list(node, items, shape, path),
            (Text | Integer { .. } | Flag | Word(_), Yaml::Scalar { text, plain }) => {
                if let Some((value, origin)) = self.scalar(node, text, *plain, shape, path) {
                    self.give(path, value, origin, node.spot);
                }
            }
            _ => {
                let message = format!(
                    "{} has to be {}, found {}",
                    path.join("."),
                    shape.expected(),
                    node.describe()
                );
                self.mistake(node.spot, message);
            }
        }
    }

    fn below(&mut self, key: &str, value: &Node, shape: &Shape, path: &mut Vec<String>) {
        path.push(key.to_owned());
        self.node(value, shape, path);
        path.pop();
    }

    fn scalar(
        &mut self,
        node: &Node,
        text: &str,
        plain: bool,
        shape: &Shape,
        path: &[String],
    ) -> Option<(Value, Origin)> {
        let in_file = Origin::File {
            file: self.file.to_owned(),
            line: node.spot.line,
        };
        let done = match self.variables.substitute(text) {
            Ok(done) => done,
            Err(reason) => {
                self.mistake(node.spot, format!("{}: {reason}", path.join(".")));
                return None;
            }
        };
        // A quoted number is a text, but what a variable gives has no quotes.
        let number_allowed = plain || done.variable.is_some();
        match shape.convert(&done.text, number_allowed) {
            Ok(value) => Some((value, done.origin.unwrap_or(in_file))),
            Err(found) => {
                let variable = done
                    .variable
                    .map_or_else(String::new, |name| format!(" (from the variable {name})"));
                let message = format!(
                    "{} has to be {}, found {found}{variable}",
                    path.join("."),
                    shape.expected()
                );
                self.mistake(node.spot, message);
                None
            }
        }
    }

    fn list(&mut self, node: &Node, items: &[Node], shape: &Shape, path: &[String]) {
        let mut values = Vec::with_capacity(items.len());
        let mut origin = None;
        for item in items {
            let Yaml::Scalar { text, plain } = &item.yaml else {
                let message = format!(
                    "items of {} have to be {}, found {}",
                    path.join("."),
                    shape.expected(),
                    item.describe()
                );
                self.mistake(item.spot, message);
                continue;
            };
            if let Some((value, from)) = self.scalar(item, text, *plain, shape, path) {
                values.push(value);
                origin.get_or_insert(from);
            }
        }
        let origin = origin.unwrap_or_else(|| Origin::File {
            file: self.file.to_owned(),
            line: node.spot.line,
        });
        self.give(path, Value::Array(values), origin, node.spot);
    }

    fn free(&mut self, node: &Node, path: &[String]) {
        let mut origin = None;
        let value = node.to_json(&mut |spot, text| match self.variables.substitute(text) {
            Ok(done) => {
                origin = origin.take().or(done.origin);
                Ok(done.text)
            }
            Err(reason) => Err((spot, reason)),
        });
        match value {
            Ok(value) => {
                let origin = origin.unwrap_or_else(|| Origin::File {
                    file: self.file.to_owned(),
                    line: node.spot.line,
                });
                self.give(path, value, origin, node.spot);
            }
            Err((spot, reason)) => self.mistake(spot, format!("{}: {reason}", path.join("."))),
        }
    }

    fn unknown(&mut self, spot: Spot, key: &str, keys: &[(&str, &Shape)], path: &[String]) {
        let place = if path.is_empty() {
            "at the top".to_owned()
        } else {
            format!("under {}", excerpt(&path.join(".")))
        };
        let known = known_are(key, keys.iter().map(|(name, _)| *name));
        self.mistake(spot, format!("unknown key {:?} {place}{known}", excerpt(key)));
    }

    fn give(&mut self, path: &[String], value: Value, origin: Origin, spot: Spot) {
        let spot = Some(spot);
        self.found.insert(path.to_vec(), Given { value, origin, spot });
    }

    fn mistake(&mut self, spot: Spot, message: String) {
        self.mistakes.push(Mistake::new(self.file, spot, message));
    }
}

impl Shape {
    /// What stands under this key when it is one value.
    pub(super) fn at(&'static self, path: &[&str]) -> Option<&'static Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        match self {
            Section(keys) => keys.iter().find(|(name, _)| name == first)?.1.at(rest),
            Each(shape) => shape.at(rest),
            _ => None,
        }
    }

    pub(super) fn expected(&self) -> String {
        match self {
            Text => "a text".to_owned(),
            Integer { min, max } => format!("a whole number from {min} to {max}"),
            Flag => "true or false".to_owned(),
            Word(words) => format!("one of {}", words.join(", ")),
            List(_) => "a list".to_owned(),
            Free | Section(_) | Each(_) => "a mapping".to_owned(),
            Tree => "a list or a mapping".to_owned(),
        }
    }

    /// `text` as a value of this shape, else what it is instead.
    pub(super) fn convert(&self, text: &str, number_allowed: bool) -> Result<Value, String> {
        let quoted = || match plain_value(text.trim()) {
            Value::Number(number) if number_allowed => format!("the number {number}"),
            _ => format!("the text {:?}", excerpt(text)),
        };
        match self {
            Text => Ok(Value::from(text)),
            Word(words) if words.contains(&text) => Ok(Value::from(text)),
            Integer { min, max } if number_allowed => match plain_value(text.trim()).as_u64() {
                Some(number) if (*min..=*max).contains(&number) => Ok(Value::from(number)),
                Some(number) => Err(format!("the number {number}")),
                None => Err(quoted()),
            },
            Flag if number_allowed => match plain_value(text.trim()) {
                Value::Bool(flag) => Ok(Value::Bool(flag)),
                _ => Err(quoted()),
            },
            _ => Err(quoted()),
        }
    }
}
