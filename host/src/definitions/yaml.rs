//! Definition files: the original's four lists in YAML, read strictly. Every mistake of every file
//! is found at once, with its place.
//!
//! Absent on purpose: what the words mean (`compile`), and the database (`plan`).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::schema::{Column, Holds, Table};
use crate::yaml::{self, Key, Mistake, Mistakes, Node, Spot, Yaml, excerpt, known_are};

/// Bytes of a file at most.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{} cannot be read; name a YAML file or a directory of them", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is larger than {limit} bytes; split it", .path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("there is no file *.yaml or *.yml in {}", .path.display())]
    Empty { path: PathBuf },
    /// One line per mistake.
    #[error("{0}")]
    Mistakes(Mistakes),
}

/// What the files define, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Files {
    pub(super) entries: Vec<Entry>,
}

/// One item of one list: only what is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) table: Table,
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) spot: Spot,
    /// By column. What stands under `flow_id` is the flow's name.
    pub(super) values: BTreeMap<&'static str, Written>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    pub(super) value: Value,
    pub(super) spot: Spot,
}

impl Files {
    /// Reads files, and the files `*.yaml` and `*.yml` of directories in the order of their names.
    ///
    /// # Errors
    /// When one cannot be read, or with every mistake in all of them.
    pub fn read(paths: &[PathBuf]) -> Result<Self, FileError> {
        let mut reader = Reader::default();
        for path in paths {
            for file in expand(path)? {
                let text = read(&file)?;
                reader.file(&file, &text);
            }
        }
        reader.finish().map_err(FileError::Mistakes)
    }

    /// Reads one text under a name for messages.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn parse(name: &Path, text: &str) -> Result<Self, Mistakes> {
        let mut reader = Reader::default();
        reader.file(name, text);
        reader.finish()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn expand(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let is_yaml = file
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(FileError::Empty { path: path.to_owned() });
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            limit: FILE_BYTES_MAX,
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[derive(Default)]
struct Reader {
    entries: Vec<Entry>,
    mistakes: Vec<Mistake>,
    seen: HashMap<(Table, String), (PathBuf, Spot)>,
}

impl Reader {
    fn finish(self) -> Result<Files, Mistakes> {
        if self.mistakes.is_empty() {
            return Ok(Files { entries: self.entries });
        }
        Err(Mistakes(self.mistakes))
    }

    fn mistake(&mut self, file: &Path, spot: Spot, message: impl Into<String>) {
        self.mistakes.push(Mistake::new(file, spot, message));
    }

    fn file(&mut self, file: &Path, text: &str) {
        let root = match yaml::parse(file, text) {
            Ok(root) => root,
            Err(Mistakes(more)) => return self.mistakes.extend(more),
        };
        let Yaml::Map(lists) = root.yaml else {
            if !root.is_null() {
                let message = format!("expected the lists {}, found {}", tables(), root.describe());
                self.mistake(file, root.spot, message);
            }
            return;
        };
        for (key, node) in lists {
            let Some(table) = Table::ALL.into_iter().find(|table| table.name() == key.text) else {
                let known = known_are(&key.text, Table::ALL.iter().map(|table| table.name()));
                self.mistake(file, key.spot, format!("unknown list {:?}{known}", excerpt(&key.text)));
                continue;
            };
            match node.yaml {
                Yaml::List(items) => {
                    for item in items {
                        self.item(file, table, item);
                    }
                }
                _ if node.is_null() => {}
                _ => {
                    let message = format!("{table} has to be a list, found {}", node.describe());
                    self.mistake(file, node.spot, message);
                }
            }
        }
    }

    fn item(&mut self, file: &Path, table: Table, item: Node) {
        let spot = item.spot;
        let before = self.mistakes.len();
        let Yaml::Map(pairs) = item.yaml else {
            let message = format!("an item of {table} has to be a mapping, found {}", item.describe());
            return self.mistake(file, spot, message);
        };
        let mut values = BTreeMap::new();
        for (key, node) in pairs {
            let Some(column) = table.columns().iter().find(|column| column.word() == Some(&key.text)) else {
                self.unknown(file, table, &key);
                continue;
            };
            match value(column, &node) {
                Ok(value) => {
                    let spot = node.spot;
                    values.insert(column.name, Written { value, spot });
                }
                Err(expected) => {
                    let message = format!("{} has to be {expected}, found {}", key.text, node.describe());
                    self.mistake(file, node.spot, message);
                }
            }
        }
        if self.mistakes.len() > before {
            return;
        }
        let missing = |column: &&Column| {
            let written = values.get(column.name).is_some_and(|written| !written.value.is_null());
            let celery = column.name == "celery_task_name" && !values.contains_key("task_kind");
            (column.required || celery) && !written
        };
        let missing: Vec<&str> = table
            .columns()
            .iter()
            .filter(missing)
            .filter_map(Column::word)
            .collect();
        if !missing.is_empty() {
            let message = format!("this item of {table} has no {}", missing.join(" and no "));
            return self.mistake(file, spot, message);
        }
        let name = values.remove("name").map(|written| written.value);
        let Some(Value::String(name)) = name else { return };
        if let Some((first, at)) = self.seen.get(&(table, name.clone())) {
            let first = format!("{}:{}", first.display(), at.line);
            return self.mistake(
                file,
                spot,
                format!(
                    "{table} {:?} is defined twice, first at {first}; keep one",
                    excerpt(&name)
                ),
            );
        }
        self.seen.insert((table, name.clone()), (file.to_owned(), spot));
        self.entries.push(Entry {
            table,
            name,
            file: file.to_owned(),
            spot,
            values,
        });
    }

    fn unknown(&mut self, file: &Path, table: Table, key: &Key) {
        let known = known_are(&key.text, table.columns().iter().filter_map(Column::word));
        self.mistake(
            file,
            key.spot,
            format!("unknown key {:?} in {table}{known}", excerpt(&key.text)),
        );
    }
}

fn tables() -> String {
    Table::ALL.map(Table::name).join(", ")
}

/// The value that the column takes, else what it would have to be.
fn value(column: &Column, node: &Node) -> Result<Value, &'static str> {
    if node.is_null() {
        return Ok(Value::Null);
    }
    match (column.holds, &node.yaml) {
        (Holds::Text | Holds::FlowId, Yaml::Scalar { text, .. }) => Ok(Value::from(text.as_str())),
        (Holds::Text | Holds::FlowId, _) => Err("a text"),
        (Holds::Json, _) => Ok(node.json()),
        (Holds::Integer, _) => Some(node.json()).filter(Value::is_i64).ok_or("a whole number"),
        (Holds::Flag, _) => Some(node.json()).filter(Value::is_boolean).ok_or("true or false"),
        (Holds::List, Yaml::List(_)) | (Holds::Object, Yaml::Map(_)) => Ok(node.json()),
        (Holds::List, _) => Err("a list"),
        (Holds::Object, _) => Err("a mapping"),
        (Holds::Own, _) => Err("left out"),
    }
}

#[cfg(test)]
mod tests;
