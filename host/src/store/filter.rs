//! Typed filters of the reads, and how they become conditions. Every value is bound; the text of
//! a statement is made of our own words only.

use grepx_engine::{FlowRunId, StateType, TaskRunId, Timestamp};
use uuid::Uuid;

mod conditions;
mod nothing;

pub(super) use conditions::Conditions;

/// How the conditions of a filter that are given are joined: Prefect's `operator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    #[default]
    All,
    Any,
}

/// Every condition that is given must hold, or one of them. Nothing is among `any` when that is
/// empty, and everything is beside `not`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<T> {
    pub join: Join,
    pub any: Option<Vec<T>>,
    pub not: Option<Vec<T>>,
    pub is_null: Option<bool>,
}

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self {
            join: Join::All,
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
    pub join: Join,
    /// None are demanded when it is empty.
    pub all: Option<Vec<String>>,
    pub any: Option<Vec<String>>,
    /// Without any tags.
    pub is_null: Option<bool>,
}

/// Who has asked for a flow run, as the API noted it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Creator {
    pub join: Join,
    pub id: Option<Vec<String>>,
    pub kind: Option<Vec<String>>,
    pub is_null: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowRunFilter {
    pub join: Join,
    pub id: Choice<FlowRunId>,
    pub name: Text,
    pub flow_id: Choice<Uuid>,
    pub flow_name: Text,
    pub deployment_id: Choice<Uuid>,
    pub deployment_name: Text,
    pub state_join: Join,
    pub state_type: Choice<StateType>,
    pub state_name: Choice<String>,
    pub tags: Tags,
    /// Digest of the definition that it runs by.
    pub definition: Choice<String>,
    pub expected_start: Period,
    /// Of those that have not started.
    pub next_start: Period,
    pub start_time: Period,
    pub end_time: Period,
    pub work_pool: Choice<String>,
    pub work_queue: Choice<String>,
    pub parent_run: Choice<FlowRunId>,
    pub parent_task_run: Choice<TaskRunId>,
    pub idempotency_key: Choice<String>,
    pub creator: Creator,
    /// Only those that hold a slot of their work queue.
    pub holds_slot: bool,
    /// Only flow runs that have such a task run.
    pub task_run: Option<Box<TaskRunFilter>>,
    /// Whole filters, joined like the other conditions.
    pub parts: Vec<FlowRunFilter>,
    /// In the order of the ids, only what comes before this one.
    pub id_before: Option<FlowRunId>,
    /// Only those that none of these has started.
    pub parent_outside: Option<Box<FlowRunFilter>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskRunFilter {
    pub join: Join,
    pub id: Choice<TaskRunId>,
    pub run: Choice<FlowRunId>,
    pub name: Text,
    pub kind: Choice<String>,
    pub state_join: Join,
    pub state_type: Choice<StateType>,
    pub state_name: Choice<String>,
    pub tags: Tags,
    pub expected_start: Period,
    pub start_time: Period,
    pub end_time: Period,
    /// Whether it has started a flow run of its own.
    pub has_child: Option<bool>,
    /// Only task runs of the flow runs that match, however the rest is joined.
    pub flow_run: Option<Box<FlowRunFilter>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    pub join: Join,
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
    /// Rows that are equal come in the order in which they were made, which every index has anyway.
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::IdDesc => "r.id DESC",
            Self::ExpectedStartAsc => "r.expected_start ASC, r.rowid ASC",
            Self::ExpectedStartDesc => "r.expected_start DESC, r.rowid DESC",
            Self::StartAsc => "r.start_time ASC NULLS LAST, r.rowid ASC",
            Self::StartDesc => "r.start_time DESC, r.rowid DESC",
            Self::EndDesc => "r.end_time DESC, r.rowid DESC",
            Self::NameAsc => "r.name ASC, r.rowid ASC",
            Self::NameDesc => "r.name DESC, r.rowid DESC",
            Self::NextScheduledStartAsc => "(r.state_type = 'SCHEDULED') DESC, r.expected_start ASC, r.rowid ASC",
        }
    }
}

impl TaskRunSort {
    /// As those of flow runs; task runs lie by flow run and place in it.
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::DefinitionAsc => "t.run_id ASC, t.task ASC, t.item ASC",
            Self::IdDesc => "t.id DESC",
            Self::ExpectedStartAsc => "t.expected_start ASC, t.run_id ASC, t.task ASC, t.item ASC",
            Self::ExpectedStartDesc => "t.expected_start DESC, t.run_id DESC, t.task DESC, t.item DESC",
            Self::StartAsc => "t.start_time ASC NULLS LAST, t.run_id ASC, t.task ASC, t.item ASC",
            Self::EndDesc => "t.end_time DESC, t.run_id DESC, t.task DESC, t.item DESC",
            Self::NameAsc => "t.name ASC, t.expected_start ASC, t.run_id ASC, t.task ASC, t.item ASC",
            Self::NameDesc => "t.name DESC, t.expected_start DESC, t.run_id DESC, t.task DESC, t.item DESC",
        }
    }
}

#[cfg(test)]
mod tests;
