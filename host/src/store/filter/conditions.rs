//! How a filter becomes the WHERE of a statement: our own words, and a mark for every value.

use grepx_engine::{FlowRunId, StateType, TaskRunId};
use rusqlite::types::Value;
use uuid::Uuid;

use super::{Choice, FlowRunFilter, LogFilter, Period, Tags, TaskRunFilter, Text};

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

    pub(in crate::store) fn choice<T: Bound>(&mut self, column: &str, choice: &Choice<T>) {
        if let Some(any) = &choice.any {
            self.list(format!("{column} IN"), any);
        }
        if let Some(not) = &choice.not {
            // Something that is not there is none of the values.
            self.list(format!("coalesce({column}, '') NOT IN"), not);
        }
        self.null(column, choice.is_null);
    }

    pub(in crate::store) fn text(&mut self, column: &str, text: &Text) {
        self.choice(column, &text.choice);
        if let Some(like) = &text.like {
            self.like(column, like);
        }
    }

    pub(in crate::store) fn like(&mut self, column: &str, part: &str) {
        let part = part.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        self.term(format!(r"{column} LIKE ? ESCAPE '\'"), Value::Text(format!("%{part}%")));
    }

    pub(in crate::store) fn period(&mut self, column: &str, period: &Period) {
        if let Some(after) = period.after {
            self.term(format!("{column} >= ?"), Value::Integer(after.0));
        }
        if let Some(before) = period.before {
            self.term(format!("{column} <= ?"), Value::Integer(before.0));
        }
        self.null(column, period.is_null);
    }

    pub(in crate::store) fn tags(&mut self, column: &str, tags: &Tags) {
        for tag in tags.all.iter().flatten() {
            self.term(
                format!("EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ?)"),
                tag.value(),
            );
        }
        if let Some(any) = &tags.any {
            let marks = self.marks(any);
            self.terms.push(format!(
                "EXISTS (SELECT 1 FROM json_each({column}) WHERE value IN ({marks}))"
            ));
        }
    }

    pub(in crate::store) fn flow_runs(&mut self, filter: &FlowRunFilter) {
        self.choice("r.id", &filter.id);
        self.text("r.name", &filter.name);
        self.choice("r.flow_id", &filter.flow_id);
        self.text("r.flow_name", &filter.flow_name);
        self.choice("r.deployment_id", &filter.deployment_id);
        self.text("r.deployment_name", &filter.deployment_name);
        self.choice("r.state_type", &filter.state_type);
        self.choice("r.state_name", &filter.state_name);
        self.tags("r.tags", &filter.tags);
        self.period("r.expected_start", &filter.expected_start);
        self.period("r.start_time", &filter.start_time);
        self.period("r.end_time", &filter.end_time);
        self.choice("r.work_pool", &filter.work_pool);
        self.choice("r.work_queue", &filter.work_queue);
        self.choice("r.parent_run", &filter.parent_run);
        self.choice("r.parent_task_run", &filter.parent_task_run);
        self.choice("r.idempotency_key", &filter.idempotency_key);
    }

    pub(in crate::store) fn task_runs(&mut self, filter: &TaskRunFilter) {
        self.choice("t.id", &filter.id);
        self.choice("t.run_id", &filter.run);
        self.text("t.name", &filter.name);
        self.choice("t.kind", &filter.kind);
        self.choice("t.state_type", &filter.state_type);
        self.choice("t.state_name", &filter.state_name);
        self.tags("t.tags", &filter.tags);
        self.period("t.expected_start", &filter.expected_start);
        self.period("t.start_time", &filter.start_time);
        self.period("t.end_time", &filter.end_time);
        if let Some(filter) = &filter.flow_run {
            let mut inner = Self::default();
            inner.flow_runs(filter);
            self.terms.push(format!(
                "t.run_id IN (SELECT r.id FROM flow_runs r WHERE {})",
                inner.sql()
            ));
            self.values.append(&mut inner.values);
        }
    }

    pub(in crate::store) fn logs(&mut self, filter: &LogFilter) {
        self.choice("l.run_id", &filter.run);
        self.choice("l.task_run_id", &filter.task_run);
        self.period("l.at", &filter.at);
        if let Some(level) = filter.level_min {
            self.term("l.level >= ?", Value::Integer(level.into()));
        }
        if let Some(level) = filter.level_max {
            self.term("l.level <= ?", Value::Integer(level.into()));
        }
        if let Some(text) = &filter.text {
            self.like("l.message", text);
        }
    }

    fn list<T: Bound>(&mut self, left: String, values: &[T]) {
        let marks = self.marks(values);
        self.terms.push(format!("{left} ({marks})"));
    }

    fn marks<T: Bound>(&mut self, values: &[T]) -> String {
        self.values.extend(values.iter().map(Bound::value));
        vec!["?"; values.len()].join(", ")
    }

    fn null(&mut self, column: &str, is_null: Option<bool>) {
        match is_null {
            Some(true) => self.terms.push(format!("{column} IS NULL")),
            Some(false) => self.terms.push(format!("{column} IS NOT NULL")),
            None => {}
        }
    }
}
