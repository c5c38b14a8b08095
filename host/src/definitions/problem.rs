//! What is wrong with a row, in words that lead to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Table;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The flow or the deployment is missing from the catalog.
    Error,
    /// It is there, but likely not what was meant.
    Warning,
}

/// One thing to correct in the definitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub severity: Severity,
    pub table: Table,
    pub row_id: Option<i64>,
    /// Name of the row.
    pub name: Option<String>,
    pub column: Option<String>,
    /// Name of the flow that it costs.
    pub flow: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Problem {
    /// The database cannot be read, as its error says: one line with what to do in it.
    #[must_use]
    pub fn of_database(error: &str) -> Self {
        Self {
            severity: Severity::Error,
            table: Table::Database,
            row_id: None,
            name: None,
            column: None,
            flow: None,
            message: error.to_owned(),
            help: "the last definitions that could be read stay in force".to_owned(),
        }
    }
}

/// `prefect_tasks id=7 name="x" column depends_on: what is wrong; what to do`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table.name())?;
        if let Some(id) = self.row_id {
            write!(f, " id={id}")?;
        }
        if let Some(name) = &self.name {
            write!(f, " name={name:?}")?;
        }
        if let Some(column) = &self.column {
            write!(f, " column {column}")?;
        }
        write!(f, ": {}; {}", self.message, self.help)
    }
}
