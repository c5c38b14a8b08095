//! What has to change in a database so that it says what the files say: compared by meaning, so
//! that spelling and order of keys in stored JSON are no difference. What a file does not name is
//! never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::row::{Cell, Row, Rows};
use super::schema::{Column, Holds, Table};
use super::yaml::{Entry, Files};
use crate::yaml::{Mistake, Mistakes, did_you_mean, excerpt};

/// Changes in the order in which they are made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Tables that do not exist.
    pub new_tables: Vec<Table>,
    /// Columns that files use and the tables lack.
    pub new_columns: Vec<(Table, &'static str)>,
    pub changes: Vec<Change>,
    /// Rows that say already what their file says.
    pub unchanged: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Insert {
        table: Table,
        name: String,
        /// By column, as written; under `flow_id` the flow's name.
        values: BTreeMap<&'static str, Value>,
    },
    Update {
        table: Table,
        name: String,
        row_id: i64,
        fields: Vec<FieldChange>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    pub column: &'static str,
    /// For a person; a cell that cannot be read is shown as it is.
    pub old: String,
    pub new: Value,
}

impl Plan {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.new_tables.is_empty() && self.new_columns.is_empty()
    }
}

/// Compares.
///
/// # Errors
/// For every flow that a task or a deployment names and that is neither in the files nor in the
/// database, and for rows that cannot be told apart.
pub fn plan(files: &Files, rows: &Rows) -> Result<Plan, Mistakes> {
    let mut planner = Planner {
        rows,
        flows: flows(files, rows),
        plan: Plan::default(),
        mistakes: Vec::new(),
    };
    for table in Table::ALL {
        let entries: Vec<&Entry> = files.entries.iter().filter(|entry| entry.table == table).collect();
        planner.table(table, &entries);
    }
    if planner.mistakes.is_empty() {
        return Ok(planner.plan);
    }
    planner.mistakes.sort();
    Err(Mistakes(planner.mistakes))
}

/// Names of all flows there will be.
fn flows<'a>(files: &'a Files, rows: &'a Rows) -> BTreeSet<&'a str> {
    let in_files = files.entries.iter().filter(|entry| entry.table == Table::Flows);
    let in_rows = rows.table(Table::Flows).iter().filter_map(Row::name);
    in_files.map(|entry| entry.name.as_str()).chain(in_rows).collect()
}

struct Planner<'a> {
    rows: &'a Rows,
    flows: BTreeSet<&'a str>,
    plan: Plan,
    mistakes: Vec<Mistake>,
}

impl Planner<'_> {
    fn table(&mut self, table: Table, entries: &[&Entry]) {
        if !self.rows.has_table(table) {
            // All four belong together, whichever the files use.
            self.plan.new_tables.push(table);
        }
        let used: BTreeSet<&str> = entries.iter().flat_map(|entry| entry.values.keys().copied()).collect();
        for column in table.columns() {
            let missing = self.rows.has_table(table) && !self.rows.has_column(table, column.name);
            if missing && used.contains(column.name) {
                self.plan.new_columns.push((table, column.name));
            }
        }
        for entry in entries {
            self.entry(entry);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        if let Some(written) = entry.values.get("flow_id") {
            let name = written.value.as_str().unwrap_or_default();
            if !self.flows.contains(name) {
                let near = did_you_mean(name, self.flows.iter().copied());
                let message = format!(
                    "flow_name {name:?} is neither in the files nor in the database{near}; add it to prefect_flows"
                );
                self.mistakes.push(Mistake::new(&entry.file, written.spot, message));
            }
        }
        let mut rows = self
            .rows
            .table(entry.table)
            .iter()
            .filter(|row| row.name() == Some(&entry.name));
        let Some(row) = rows.next() else {
            let values = entry
                .values
                .iter()
                .map(|(column, written)| (*column, written.value.clone()));
            return self.plan.changes.push(Change::Insert {
                table: entry.table,
                name: entry.name.clone(),
                values: values.collect(),
            });
        };
        let (None, Some(row_id)) = (rows.next(), row.id()) else {
            let message = format!(
                "{} has several rows named {:?}, or one without an id; correct the table first",
                entry.table, entry.name
            );
            return self.mistakes.push(Mistake::new(&entry.file, entry.spot, message));
        };
        let fields = self.fields(entry, row);
        if fields.is_empty() {
            self.plan.unchanged += 1;
        } else {
            self.plan.changes.push(Change::Update {
                table: entry.table,
                name: entry.name.clone(),
                row_id,
                fields,
            });
        }
    }

    fn fields(&self, entry: &Entry, row: &Row) -> Vec<FieldChange> {
        let mut fields = Vec::new();
        for (name, written) in &entry.values {
            let Some(column) = entry.table.column(name) else {
                continue;
            };
            let old = stored(column, row, self.rows);
            if old.as_ref().is_ok_and(|old| same(old, &written.value)) {
                continue;
            }
            fields.push(FieldChange {
                column: column.name,
                old: match old {
                    Ok(value) => excerpt(&value.to_string()),
                    Err(raw) => raw,
                },
                new: written.value.clone(),
            });
        }
        fields
    }
}

/// The cell as a file would write it, else what it is instead.
pub(super) fn stored(column: &Column, row: &Row, rows: &Rows) -> Result<Value, String> {
    let cell = row.cell(column.name);
    if *cell == Cell::Null {
        return Ok(Value::Null);
    }
    let instead = |_: String| match cell {
        Cell::Text(text) => excerpt(text),
        other => format!("{other:?}"),
    };
    match column.holds {
        Holds::Text | Holds::Own => match cell {
            Cell::Text(text) => Ok(Value::from(text.as_str())),
            other => Err(format!("{other:?}")),
        },
        Holds::Integer => row.integer(column.name).map(Value::from).map_err(instead),
        Holds::Flag => row.flag(column.name).map(Value::from).map_err(instead),
        Holds::Json => row.json(column.name).map(Option::unwrap_or_default).map_err(instead),
        Holds::List => row.list(column.name).map(Value::from).map_err(instead),
        Holds::Object => row.object(column.name).map(Value::from).map_err(instead),
        Holds::FlowId => {
            let id = row.integer(column.name).map_err(instead)?;
            let flow = rows.table(Table::Flows).iter().find(|flow| flow.id() == id);
            flow.and_then(Row::name)
                .map(Value::from)
                .ok_or_else(|| format!("the id {id:?} of no flow"))
        }
    }
}

/// Equal as JSON; `1` and `1.0` are the same number, the order of keys does not count.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.is_f64() != b.is_f64() && a.as_f64() == b.as_f64()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// The plan as a diff.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.new_tables {
            writeln!(f, "+ table {table}")?;
        }
        for (table, column) in &self.new_columns {
            writeln!(f, "+ column {table}.{column}")?;
        }
        for change in &self.changes {
            change.fmt(f)?;
        }
        let inserts = self
            .changes
            .iter()
            .filter(|change| matches!(change, Change::Insert { .. }))
            .count();
        let updates = self.changes.len() - inserts;
        write!(f, "{inserts} to add, {updates} to change, {} unchanged", self.unchanged)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert { table, name, values } => {
                writeln!(f, "+ {table} {name:?}")?;
                for (column, value) in values {
                    writeln!(f, "    {}: {}", word(*table, column), excerpt(&value.to_string()))?;
                }
            }
            Self::Update {
                table, name, fields, ..
            } => {
                writeln!(f, "~ {table} {name:?}")?;
                for field in fields {
                    let new = excerpt(&field.new.to_string());
                    writeln!(f, "    {}: {} → {new}", word(*table, field.column), field.old)?;
                }
            }
        }
        Ok(())
    }
}

fn word(table: Table, column: &'static str) -> &'static str {
    table.column(column).and_then(Column::word).unwrap_or(column)
}
