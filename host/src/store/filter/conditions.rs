//! How a filter becomes the WHERE of a statement: our own words, and a mark for every value.

use std::collections::BTreeSet;

use grepx_engine::{FlowRunId, StateType, TaskRunId};
use rusqlite::types::Value;
use uuid::Uuid;

use super::{Choice, Creator, FlowRunFilter, Join, LogFilter, Period, Tags, TaskRunFilter, Text};

/// Values of a list that are bound one by one; SQLite takes 32,766 in a statement.
const MARKS_MAX: usize = 1_000;

/// Conditions and their values, in the same order.
#[derive(Debug, Default)]
pub(in crate::store) struct Conditions {
    terms: Vec<String>,
    pub(in crate::store) values: Vec<Value>,
}

/// A type that a list of a filter may hold.
pub(in crate::store) trait Bound {
    fn value(&self) -> Value;
}

impl Bound for Uuid {
    fn value(&self) -> Value {
        Value::Blob(self.as_bytes().to_vec())
    }
}

impl Bound for FlowRunId {
    fn value(&self) -> Value {
        self.0.value()
    }
}

impl Bound for TaskRunId {
    fn value(&self) -> Value {
        self.0.value()
    }
}

impl Bound for String {
    fn value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Bound for StateType {
    fn value(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
}

impl Conditions {
    pub(in crate::store) fn sql(&self) -> String {
        if self.terms.is_empty() {
            "1".to_owned()
        } else {
            self.terms.join(" AND ")
        }
    }

    pub(in crate::store) fn term(&mut self, sql: impl Into<String>, value: Value) {
        self.terms.push(sql.into());
        self.values.push(value);
    }

    /// Our own words, without a value.
    pub(in crate::store) fn raw(&mut self, sql: impl Into<String>) {
        self.terms.push(sql.into());
    }

    /// What `fill` adds, as one condition.
    pub(in crate::store) fn nested(&mut self, join: Join, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        let between = match join {
            Join::All => " AND ",
            Join::Any => " OR ",
        };
        match inner.terms.as_mut_slice() {
            [] => return,
            [only] => self.terms.push(std::mem::take(only)),
            more => self.terms.push(format!("({})", more.join(between))),
        }
        self.values.append(&mut inner.values);
    }

    pub(in crate::store) fn choice<T: Bound>(&mut self, column: &str, choice: &Choice<T>) {
        self.nested(choice.join, |all| {
            if let Some(any) = &choice.any {
                all.list(format!("{column} IN"), any);
            }
            if let Some(not) = &choice.not {
                // Something that is not there is none of the values.
                all.list(format!("coalesce({column}, '') NOT IN"), not);
            }
            all.null(column, choice.is_null);
        });
    }

    pub(in crate::store) fn text(&mut self, column: &str, text: &Text) {
        self.nested(Join::All, |all| {
            all.choice(column, &text.choice);
            if let Some(like) = &text.like {
                all.like(column, like);
            }
        });
    }

    pub(in crate::store) fn like(&mut self, column: &str, part: &str) {
        let part = part.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        self.term(format!(r"{column} LIKE ? ESCAPE '\'"), Value::Text(format!("%{part}%")));
    }

    pub(in crate::store) fn period(&mut self, column: &str, period: &Period) {
        self.nested(Join::All, |all| {
            if let Some(after) = period.after {
                all.term(format!("{column} >= ?"), Value::Integer(after.0));
            }
            if let Some(before) = period.before {
                all.term(format!("{column} <= ?"), Value::Integer(before.0));
            }
            all.null(column, period.is_null);
        });
    }

    pub(in crate::store) fn tags(&mut self, column: &str, tags: &Tags) {
        self.nested(tags.join, |conditions| {
            // One condition for all: a statement has a bound of their depth.
            let all: BTreeSet<&String> = tags.all.iter().flatten().collect();
            if !all.is_empty() {
                let all: Vec<String> = all.into_iter().cloned().collect();
                let marks = conditions.marks(&all);
                conditions.raw(format!(
                    "(SELECT count(DISTINCT value) FROM json_each({column}) WHERE value IN ({marks})) = {}",
                    all.len()
                ));
            }
            if let Some(any) = &tags.any {
                let marks = conditions.marks(any);
                conditions.raw(format!(
                    "EXISTS (SELECT 1 FROM json_each({column}) WHERE value IN ({marks}))"
                ));
            }
            match tags.is_null {
                Some(true) => conditions.raw(format!("{column} = '[]'")),
                Some(false) => conditions.raw(format!("{column} <> '[]'")),
                None => {}
            }
        });
    }

    pub(in crate::store) fn flow_runs(&mut self, filter: &FlowRunFilter) {
        self.nested(filter.join, |all| {
            all.choice("r.id", &filter.id);
            if let Some(before) = filter.id_before {
                all.term("r.id < ?", before.value());
            }
            all.text("r.name", &filter.name);
            all.choice("r.flow_id", &filter.flow_id);
            all.text("r.flow_name", &filter.flow_name);
            all.choice("r.deployment_id", &filter.deployment_id);
            all.text("r.deployment_name", &filter.deployment_name);
            all.nested(filter.state_join, |state| {
                state.choice("r.state_type", &filter.state_type);
                state.choice("r.state_name", &filter.state_name);
            });
            all.tags("r.tags", &filter.tags);
            all.choice("r.definition", &filter.definition);
            all.period("r.expected_start", &filter.expected_start);
            all.nested(Join::All, |next| {
                next.period("r.expected_start", &filter.next_start);
                if !next.terms.is_empty() {
                    next.raw("r.state_type = 'SCHEDULED'");
                }
            });
            all.period("r.start_time", &filter.start_time);
            all.period("r.end_time", &filter.end_time);
            all.choice("r.work_pool", &filter.work_pool);
            all.choice("r.work_queue", &filter.work_queue);
            all.choice("r.parent_run", &filter.parent_run);
            all.choice("r.parent_task_run", &filter.parent_task_run);
            all.choice("r.idempotency_key", &filter.idempotency_key);
            all.creator(&filter.creator);
            if filter.holds_slot {
                all.raw("EXISTS (SELECT 1 FROM slots s WHERE s.run_id = r.id AND s.held = 1)");
            }
            if let Some(filter) = &filter.task_run {
                all.has_task_run(filter);
            }
            if let Some(others) = &filter.parent_outside {
                all.parent_outside(others);
            }
            for part in &filter.parts {
                all.nested(Join::All, |inner| inner.flow_runs(part));
            }
        });
    }

    fn creator(&mut self, creator: &Creator) {
        let noted = |what: &str| format!("(SELECT {what} FROM run_inputs i WHERE i.run_id = r.id)");
        self.nested(creator.join, |all| {
            for (field, wanted) in [("$.id", &creator.id), ("$.type", &creator.kind)] {
                if let Some(wanted) = wanted {
                    all.list(format!("{} IN", noted(&format!("i.created_by ->> '{field}'"))), wanted);
                }
            }
            all.null(&noted("i.created_by"), creator.is_null);
        });
    }

    /// By the key of the one that has started it; the `r` inside hides the one outside.
    fn parent_outside(&mut self, others: &FlowRunFilter) {
        let mut inner = Self::default();
        inner.flow_runs(others);
        self.raw(format!(
            "NOT EXISTS (SELECT 1 FROM (SELECT r.parent_run AS id) p CROSS JOIN flow_runs r ON r.id = p.id WHERE {})",
            inner.sql()
        ));
        self.values.append(&mut inner.values);
    }

    /// By the task runs' keys when they are named, else by the rows of each flow run.
    fn has_task_run(&mut self, filter: &TaskRunFilter) {
        let mut inner = Self::default();
        inner.task_runs(filter);
        let wanted = inner.sql();
        self.raw(if filter.join == Join::All && filter.id.any.is_some() {
            format!("r.id IN (SELECT t.run_id FROM task_runs t WHERE {wanted})")
        } else {
            format!("EXISTS (SELECT 1 FROM task_runs t WHERE t.run_id = r.id AND {wanted})")
        });
        self.values.append(&mut inner.values);
    }

    /// Rows of a flow run that is being removed are there for a while, and nobody sees them.
    pub(in crate::store) fn task_runs(&mut self, filter: &TaskRunFilter) {
        self.nested(filter.join, |all| {
            all.choice("t.id", &filter.id);
            all.choice("t.run_id", &filter.run);
            all.text("t.name", &filter.name);
            all.choice("t.kind", &filter.kind);
            all.nested(filter.state_join, |state| {
                state.choice("t.state_type", &filter.state_type);
                state.choice("t.state_name", &filter.state_name);
            });
            all.tags("t.tags", &filter.tags);
            all.period("t.expected_start", &filter.expected_start);
            all.period("t.start_time", &filter.start_time);
            all.period("t.end_time", &filter.end_time);
            if let Some(has) = filter.has_child {
                let not = if has { "" } else { "NOT " };
                all.raw(format!(
                    "{not}EXISTS (SELECT 1 FROM flow_runs c WHERE c.parent_task_run = t.id)"
                ));
            }
        });
        self.raw("t.run_id NOT IN (SELECT run_id FROM removals)");
        if let Some(filter) = &filter.flow_run {
            let mut inner = Self::default();
            inner.flow_runs(filter);
            self.raw(format!(
                "t.run_id IN (SELECT r.id FROM flow_runs r WHERE {})",
                inner.sql()
            ));
            self.values.append(&mut inner.values);
        }
    }

    pub(in crate::store) fn logs(&mut self, filter: &LogFilter) {
        self.raw("l.run_id NOT IN (SELECT run_id FROM removals)");
        self.nested(filter.join, |all| {
            all.choice("l.run_id", &filter.run);
            all.choice("l.task_run_id", &filter.task_run);
            all.period("l.at", &filter.at);
            all.nested(Join::All, |level| {
                if let Some(min) = filter.level_min {
                    level.term("l.level >= ?", Value::Integer(min.into()));
                }
                if let Some(max) = filter.level_max {
                    level.term("l.level <= ?", Value::Integer(max.into()));
                }
            });
            if let Some(text) = &filter.text {
                all.like("l.message", text);
            }
        });
    }

    fn list<T: Bound>(&mut self, left: String, values: &[T]) {
        let marks = self.marks(values);
        self.raw(format!("{left} ({marks})"));
    }

    /// What stands in the parentheses of IN: a mark for each value, or one for all when they are
    /// more than a statement takes.
    fn marks<T: Bound>(&mut self, values: &[T]) -> String {
        if values.is_empty() {
            // `IN ()` makes the whole condition a constant, which a partial index does not serve.
            return "SELECT NULL WHERE 0".to_owned();
        }
        if values.len() <= MARKS_MAX {
            self.values.extend(values.iter().map(Bound::value));
            return vec!["?"; values.len()].join(", ");
        }
        let mut are_blobs = false;
        let texts = values.iter().map(|value| match value.value() {
            Value::Blob(bytes) => {
                are_blobs = true;
                bytes.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            Value::Text(text) => text,
            other => unreachable!("ids and texts only: {other:?}"),
        });
        let all: Vec<String> = texts.collect();
        self.values.push(Value::Text(super::super::commit::to_json(&all)));
        let column = if are_blobs { "unhex(value)" } else { "value" };
        format!("SELECT {column} FROM json_each(?)")
    }

    fn null(&mut self, column: &str, is_null: Option<bool>) {
        match is_null {
            Some(true) => self.raw(format!("{column} IS NULL")),
            Some(false) => self.raw(format!("{column} IS NOT NULL")),
            None => {}
        }
    }
}
