//! The four tables: their columns, what a column holds, and how it is made when it is missing.
//! One list serves the reader, the YAML words, `apply` and `export`.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Table {
    /// No table: the database as a whole, for what keeps it from being read.
    #[serde(rename = "database")]
    Database,
    #[serde(rename = "prefect_work_pools")]
    WorkPools,
    #[serde(rename = "prefect_flows")]
    Flows,
    #[serde(rename = "prefect_tasks")]
    Tasks,
    #[serde(rename = "prefect_deployments")]
    Deployments,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Text,
    Integer,
    Flag,
    /// JSON text of any kind.
    Json,
    /// JSON text of a list.
    List,
    /// JSON text of an object.
    Object,
    /// `prefect_flows.id`; `flow_name` in the files.
    FlowId,
    /// Never in a file.
    Own,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) holds: Holds,
    /// Type and constraints, for `CREATE TABLE`.
    pub(crate) sql: &'static str,
    /// A column that databases of the original do not have.
    pub(crate) optional: bool,
    /// Has to be named in a file.
    pub(crate) required: bool,
    /// What a new row gets when its file is silent, as SQL literal: the original's defaults.
    pub(crate) default: &'static str,
}

const fn own(name: &'static str, sql: &'static str, default: &'static str) -> Column {
    Column {
        name,
        holds: Holds::Own,
        sql,
        optional: false,
        required: false,
        default,
    }
}

const fn column(name: &'static str, holds: Holds, sql: &'static str, default: &'static str) -> Column {
    Column {
        name,
        holds,
        sql,
        optional: false,
        required: false,
        default,
    }
}

const fn required(name: &'static str, holds: Holds, sql: &'static str) -> Column {
    Column {
        name,
        holds,
        sql,
        optional: false,
        required: true,
        default: "NULL",
    }
}

const fn optional(name: &'static str, holds: Holds, sql: &'static str) -> Column {
    Column {
        name,
        holds,
        sql,
        optional: true,
        required: false,
        default: "NULL",
    }
}

const ID: Column = own("id", "INTEGER PRIMARY KEY", "NULL");
const NAME: Column = required("name", Holds::Text, "VARCHAR NOT NULL UNIQUE");
const DESCRIPTION: Column = column("description", Holds::Text, "TEXT", "NULL");
const FLOW_ID: Column = required(
    "flow_id",
    Holds::FlowId,
    "INTEGER NOT NULL REFERENCES prefect_flows (id)",
);
const TAGS: Column = column("tags", Holds::List, "JSON", "'[]'");
const IS_ACTIVE: Column = column("is_active", Holds::Flag, "BOOLEAN DEFAULT 1", "1");
const CREATED_AT: Column = own("created_at", "TIMESTAMP DEFAULT CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP");

const WORK_POOLS: &[Column] = &[
    ID,
    NAME,
    DESCRIPTION,
    column("pool_type", Holds::Text, "VARCHAR DEFAULT 'process'", "'process'"),
    column("config", Holds::Object, "JSON", "'{}'"),
    column("concurrency_limit", Holds::Integer, "INTEGER DEFAULT 10", "10"),
    optional("paused", Holds::Flag, "BOOLEAN"),
    IS_ACTIVE,
    CREATED_AT,
];

const FLOWS: &[Column] = &[
    ID,
    NAME,
    DESCRIPTION,
    column("flow_type", Holds::Text, "VARCHAR", "NULL"),
    TAGS,
    optional("timeout_seconds", Holds::Integer, "INTEGER"),
    optional("parameters_schema", Holds::Object, "JSON"),
    IS_ACTIVE,
    CREATED_AT,
];

const TASKS: &[Column] = &[
    ID,
    NAME,
    FLOW_ID,
    DESCRIPTION,
    column("celery_task_name", Holds::Text, "VARCHAR NOT NULL", "''"),
    column("task_args", Holds::List, "JSON", "'[]'"),
    column("task_kwargs", Holds::Object, "JSON", "'{}'"),
    column("depends_on", Holds::List, "JSON", "'[]'"),
    TAGS,
    column("retry_config", Holds::Object, "JSON", "'{}'"),
    column("timeout_seconds", Holds::Integer, "INTEGER DEFAULT 300", "300"),
    optional("task_kind", Holds::Text, "VARCHAR"),
    optional("task_config", Holds::Json, "JSON"),
    optional("inputs", Holds::Object, "JSON"),
    optional("run_if", Holds::Text, "TEXT"),
    optional("for_each", Holds::Text, "TEXT"),
    optional("trigger_rule", Holds::Text, "VARCHAR"),
    IS_ACTIVE,
    CREATED_AT,
];

const DEPLOYMENTS: &[Column] = &[
    ID,
    NAME,
    FLOW_ID,
    DESCRIPTION,
    required("work_pool_name", Holds::Text, "VARCHAR NOT NULL"),
    column("work_queue_name", Holds::Text, "VARCHAR DEFAULT 'default'", "'default'"),
    column("schedule_type", Holds::Text, "VARCHAR", "NULL"),
    column("schedule_config", Holds::Object, "JSON", "'{}'"),
    column("parameters", Holds::Object, "JSON", "'{}'"),
    TAGS,
    optional("schedules", Holds::List, "JSON"),
    optional("catch_up", Holds::Text, "VARCHAR"),
    optional("catch_up_window_seconds", Holds::Integer, "INTEGER"),
    optional("concurrency_limit", Holds::Integer, "INTEGER"),
    optional("overlap", Holds::Text, "VARCHAR"),
    optional("paused", Holds::Flag, "BOOLEAN"),
    IS_ACTIVE,
    CREATED_AT,
];

/// What problems of the database as a whole name as their table.
pub const DATABASE: Table = Table::Database;

impl Table {
    /// The four, in the order in which rows depend on each other.
    pub const ALL: [Self; 4] = [Self::WorkPools, Self::Flows, Self::Tasks, Self::Deployments];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::WorkPools => "prefect_work_pools",
            Self::Flows => "prefect_flows",
            Self::Tasks => "prefect_tasks",
            Self::Deployments => "prefect_deployments",
        }
    }

    pub(crate) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Database => &[],
            Self::WorkPools => WORK_POOLS,
            Self::Flows => FLOWS,
            Self::Tasks => TASKS,
            Self::Deployments => DEPLOYMENTS,
        }
    }

    pub(crate) fn column(self, name: &str) -> Option<&'static Column> {
        self.columns().iter().find(|column| column.name == name)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Column {
    /// The key in a file; `None` for what files never say.
    pub(crate) const fn word(&self) -> Option<&'static str> {
        match self.holds {
            Holds::Own => None,
            Holds::FlowId => Some("flow_name"),
            _ => Some(self.name),
        }
    }
}
