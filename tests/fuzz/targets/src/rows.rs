//! The database of the definitions, which belongs to others: any rows whatever cost what they stand
//! for, and nothing else.
//!
//! An input is lines. One with the name of a table begins a row of it; the others are its cells,
//! `column=value`: `~` is NULL, `!…` the bytes behind it, digits a number, anything else a text.

#![allow(clippy::disallowed_methods, reason = "the host reads what somebody else has written")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use grepx_host::definitions::{Source, Timings, compile};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

use crate::definitions::{AnyKind, judge, line};

const TABLES: [&str; 4] = [
    "prefect_work_pools",
    "prefect_flows",
    "prefect_tasks",
    "prefect_deployments",
];
/// Of SQLite: more is no table.
const COLUMNS_MAX: usize = 100;
/// A flow that is well, beside whatever the input brings.
const WELL: &str = "well";
const WELL_ROWS: &str = "prefect_work_pools\nid=900001\nname=well\nprefect_flows\nid=900001\nname=well\n\
prefect_tasks\nid=900001\nname=well\nflow_id=900001\ntask_kind=noop\ncelery_task_name=noop\n\
prefect_deployments\nid=900001\nname=well\nflow_id=900001\nwork_pool_name=well";

static FOLDER: LazyLock<TempDir> = LazyLock::new(crate::folder);

type Cells = BTreeMap<String, Value>;

pub(crate) fn read(input: &[u8]) {
    // Its names and ids would make it a row of the input.
    let marks = [WELL.as_bytes(), b"900001"];
    let well = !marks
        .iter()
        .any(|mark| input.windows(mark.len()).any(|part| part.eq_ignore_ascii_case(mark)));
    let mut rows = rows(input);
    if well {
        rows.extend(self::rows(WELL_ROWS.as_bytes()));
    }
    let file = FOLDER.path().join("grepx-master.db");
    if write(&file, &rows).is_err() {
        return;
    }
    let mut source = Source::open(&format!("sqlite:///{}", file.display())).expect("a URL");
    match source.load() {
        Err(error) => line(&error.to_string()),
        Ok(rows) => {
            let catalog = compile(&rows, &AnyKind, &Timings::default());
            judge(&catalog);
            let there = catalog.flows.contains_key(WELL) && catalog.deployments.iter().any(|one| one.name == WELL);
            assert!(there || !well, "a flow that is well is missing: {:?}", catalog.problems);
        }
    }
}

fn rows(input: &[u8]) -> Vec<(&'static str, Cells)> {
    let mut rows: Vec<(&str, Cells)> = Vec::new();
    for text in input.split(|byte| *byte == b'\n') {
        let table = TABLES.iter().find(|table| table.as_bytes() == text);
        if let Some(table) = table {
            rows.push((table, Cells::new()));
        } else if let Some(at) = text.iter().position(|byte| *byte == b'=')
            && let Ok(column) = std::str::from_utf8(&text[..at])
            && let Some((_, cells)) = rows.last_mut()
        {
            cells.insert(column.to_ascii_lowercase(), value(&text[at + 1..]));
        }
    }
    rows
}

fn value(text: &[u8]) -> Value {
    let Ok(word) = std::str::from_utf8(text) else {
        return Value::Blob(text.to_vec());
    };
    match (word, text.split_first()) {
        ("~", _) => Value::Null,
        (_, Some((b'!', rest))) => Value::Blob(rest.to_vec()),
        _ => {
            let whole = word.parse().map(Value::Integer);
            let number = whole.or_else(|_| word.parse().map(Value::Real));
            number.unwrap_or_else(|_| Value::Text(word.to_owned()))
        }
    }
}

fn write(file: &PathBuf, rows: &[(&str, Cells)]) -> rusqlite::Result<()> {
    let _ = std::fs::remove_file(file);
    let mut database = Connection::open(file)?;
    database.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    let transaction = database.transaction()?;
    let mut columns: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (table, cells) in rows {
        let known = columns.entry(table).or_default();
        for column in cells.keys() {
            if !known.contains(&column.as_str()) && known.len() < COLUMNS_MAX {
                known.push(column);
            }
        }
    }
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    for (table, columns) in &columns {
        let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        transaction.execute_batch(&format!("CREATE TABLE {table} ({})", columns.join(", ")))?;
    }
    for (table, cells) in rows {
        let known = &columns[table];
        let cells: Vec<(&String, &Value)> = cells
            .iter()
            .filter(|(name, _)| known.contains(&name.as_str()))
            .collect();
        if cells.is_empty() {
            continue;
        }
        let names: Vec<String> = cells.iter().map(|(name, _)| quoted(name)).collect();
        let places = vec!["?"; cells.len()].join(", ");
        let sql = format!("INSERT INTO {table} ({}) VALUES ({places})", names.join(", "));
        transaction.execute(&sql, rusqlite::params_from_iter(cells.iter().map(|(_, value)| value)))?;
    }
    transaction.commit()
}
