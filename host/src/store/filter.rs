//! Typed filters of the reads, and how they become conditions. Every value is bound; the text of
//! a statement is made of our own words only.

use grepx_engine::{FlowRunId, StateType, TaskRunId, Timestamp};
use rusqlite::types::Value;
use uuid::Uuid;

/// Every condition that is given must hold. A list that is given but empty matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<T> {
    pub any: Option<Vec<T>>,
    pub not: Option<Vec<T>>,
    pub is_null: Option<bool>,
}

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self {
            any: None,
            not: None,
            is_null: None,
        }
    }
}

impl<T> Choice<T> {
    #[must_use]
    pub fn any(values: impl Into<Vec<T>>) -> Self {
        Self {
            any: Some(values.into()),
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    pub choice: Choice<String>,
    /// Contained, without regard to the case of ASCII letters.
    pub like: Option<String>,
}

impl Text {
    #[must_use]
    pub fn any(values: impl Into<Vec<String>>) -> Self {
        Self {
            choice: Choice::any(values),
            like: None,
        }
    }
}

/// Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Period {
    pub after: Option<Timestamp>,
    pub before: Option<Timestamp>,
    pub is_null: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags {
    pub all: Option<Vec<String>>,
    pub any: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowRunFilter {
    pub id: Choice<FlowRunId>,
    pub name: Text,
    pub flow_id: Choice<Uuid>,
    pub flow_name: Text,
    pub deployment_id: Choice<Uuid>,
    pub deployment_name: Text,
    pub state_type: Choice<StateType>,
    pub state_name: Choice<String>,
    pub tags: Tags,
    pub expected_start: Period,
    pub start_time: Period,
    pub end_time: Period,
    pub work_pool: Choice<String>,
    pub work_queue: Choice<String>,
    pub parent_run: Choice<FlowRunId>,
    pub parent_task_run: Choice<TaskRunId>,
    pub idempotency_key: Choice<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskRunFilter {
    pub id: Choice<TaskRunId>,
    pub run: Choice<FlowRunId>,
    pub name: Text,
    pub kind: Choice<String>,
    pub state_type: Choice<StateType>,
    pub state_name: Choice<String>,
    pub tags: Tags,
    pub expected_start: Period,
    pub start_time: Period,
    pub end_time: Period,
    /// Only task runs of the flow runs that match.
    pub flow_run: Option<Box<FlowRunFilter>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    pub run: Choice<FlowRunId>,
    pub task_run: Choice<TaskRunId>,
    pub at: Period,
    pub level_min: Option<u8>,
    pub level_max: Option<u8>,
    /// Contained, without regard to the case of ASCII letters.
    pub text: Option<String>,
    /// By time and, within a flow run, by order of writing.
    pub newest_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlowRunSort {
    IdDesc,
    ExpectedStartAsc,
    #[default]
    ExpectedStartDesc,
    StartAsc,
    StartDesc,
    EndDesc,
    NameAsc,
    NameDesc,
    NextScheduledStartAsc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskRunSort {
    /// By flow run, then as the definition lists the tasks.
    DefinitionAsc,
    IdDesc,
    ExpectedStartAsc,
    #[default]
    ExpectedStartDesc,
    StartAsc,
    EndDesc,
    NameAsc,
    NameDesc,
}

/// A place in a long answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub limit: u32,
    pub offset: u64,
}

impl Page {
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { limit, offset: 0 }
    }
}

impl FlowRunSort {
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::IdDesc => "r.id DESC",
            Self::ExpectedStartAsc => "r.expected_start ASC, r.id ASC",
            Self::ExpectedStartDesc => "r.expected_start DESC, r.id DESC",
            Self::StartAsc => "r.start_time ASC NULLS LAST, r.id ASC",
            Self::StartDesc => "r.start_time DESC NULLS LAST, r.id DESC",
            Self::EndDesc => "r.end_time DESC NULLS LAST, r.id DESC",
            Self::NameAsc => "r.name ASC, r.id ASC",
            Self::NameDesc => "r.name DESC, r.id DESC",
            Self::NextScheduledStartAsc => "(r.state_type = 'SCHEDULED') DESC, r.expected_start ASC, r.id ASC",
        }
    }
}

impl TaskRunSort {
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::DefinitionAsc => "t.run_id ASC, t.task ASC, t.item ASC",
            Self::IdDesc => "t.id DESC",
            Self::ExpectedStartAsc => "t.expected_start ASC, t.id ASC",
            Self::ExpectedStartDesc => "t.expected_start DESC, t.id DESC",
            Self::StartAsc => "t.start_time ASC NULLS LAST, t.id ASC",
            Self::EndDesc => "t.end_time DESC NULLS LAST, t.id DESC",
            Self::NameAsc => "t.name ASC, t.id ASC",
            Self::NameDesc => "t.name DESC, t.id DESC",
        }
    }
}

/// Conditions and their values, in the same order.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    terms: Vec<String>,
    pub(super) values: Vec<Value>,
}

/// A type that a list of a filter may hold.
pub(super) trait Bound {
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
    pub(super) fn sql(&self) -> String {
        if self.terms.is_empty() {
            "1".to_owned()
        } else {
            self.terms.join(" AND ")
        }
    }

    pub(super) fn term(&mut self, sql: impl Into<String>, value: Value) {
        self.terms.push(sql.into());
        self.values.push(value);
    }

    pub(super) fn choice<T: Bound>(&mut self, column: &str, choice: &Choice<T>) {
        if let Some(any) = &choice.any {
            self.list(format!("{column} IN"), any);
        }
        if let Some(not) = &choice.not {
            // Something that is not there is none of the values.
            self.list(format!("coalesce({column}, '') NOT IN"), not);
        }
        self.null(column, choice.is_null);
    }

    pub(super) fn text(&mut self, column: &str, text: &Text) {
        self.choice(column, &text.choice);
        if let Some(like) = &text.like {
            self.like(column, like);
        }
    }

    pub(super) fn like(&mut self, column: &str, part: &str) {
        let part = part.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        self.term(format!(r"{column} LIKE ? ESCAPE '\'"), Value::Text(format!("%{part}%")));
    }

    pub(super) fn period(&mut self, column: &str, period: &Period) {
        if let Some(after) = period.after {
            self.term(format!("{column} >= ?"), Value::Integer(after.0));
        }
        if let Some(before) = period.before {
            self.term(format!("{column} <= ?"), Value::Integer(before.0));
        }
        self.null(column, period.is_null);
    }

    pub(super) fn tags(&mut self, column: &str, tags: &Tags) {
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

    pub(super) fn flow_runs(&mut self, filter: &FlowRunFilter) {
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

    pub(super) fn task_runs(&mut self, filter: &TaskRunFilter) {
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

    pub(super) fn logs(&mut self, filter: &LogFilter) {
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

#[cfg(test)]
mod tests;
