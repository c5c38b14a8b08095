//! What the host tells of the run, and what becomes of it here.

use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// Characters of a status or a message.
const MOST_CHARS: usize = 300;

/// The run exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) flow_run_id: String,
    pub(crate) name: String,
}

/// The run has ended.
#[derive(Debug, Deserialize)]
struct Report {
    flow_run_id: String,
    name: String,
    state_type: String,
    state_name: String,
    message: Option<String>,
    results: Option<Map<String, Value>>,
}

/// The result of the task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ran {
    flow_run_id: String,
    /// Of the run.
    name: String,
    /// `COMPLETED`; `SCHEDULED` of a run that nobody waits for.
    state_type: String,
    state_name: String,
    /// Of the tasks that nothing follows, by name; null when nobody waits, or when they are larger
    /// than a result may be.
    results: Option<Map<String, Value>>,
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["flow_run_id", "name", "state_type", "state_name", "results"],
        "properties": {
            "flow_run_id": { "type": "string", "format": "uuid" },
            "name": { "type": "string" },
            "state_type": { "enum": ["COMPLETED", "SCHEDULED"] },
            "state_name": { "type": "string" },
            "results": {
                "type": ["object", "null"],
                "description": "Of the tasks that nothing follows, by name",
            },
        },
    })
}

impl Started {
    pub(crate) fn read(report: Value) -> Result<Self, Error> {
        serde_json::from_value(report).or_permanent("subflow-unreadable")
    }
}

impl From<Started> for Ran {
    fn from(started: Started) -> Self {
        Self {
            flow_run_id: started.flow_run_id,
            name: started.name,
            state_type: "SCHEDULED".to_owned(),
            state_name: "Scheduled".to_owned(),
            results: None,
        }
    }
}

/// A completed run is a success; so is any end of a run that nobody waits for, as it did start.
pub(crate) fn ended(deployment: &str, report: Value, waits: bool) -> Result<Ran, Error> {
    let report: Report = serde_json::from_value(report).or_permanent("subflow-unreadable")?;
    if !waits {
        let Report { flow_run_id, name, .. } = report;
        return Ok(Started { flow_run_id, name }.into());
    }
    if report.state_type == "COMPLETED" {
        if report.results.is_none() {
            log::info("the results of the run are larger than a result may be; they stay with its task runs");
        }
        return Ok(Ran {
            flow_run_id: report.flow_run_id,
            name: report.name,
            state_type: report.state_type,
            state_name: report.state_name,
            results: report.results,
        });
    }
    let (class, code) = match (report.state_type.as_str(), report.state_name.as_str()) {
        ("CANCELLED", _) => (ErrorClass::Cancelled, "subflow-cancelled"),
        (_, "TimedOut") => (ErrorClass::TimedOut, "subflow-timed-out"),
        _ => (ErrorClass::Retryable, "subflow-failed"),
    };
    let said = report.message.as_deref().unwrap_or("it says nothing about it");
    let message = shorten(&format!(
        "flow run {} of {deployment} ended as {}: {said}",
        report.name, report.state_name
    ));
    let details = json!({
        "flow_run_id": report.flow_run_id,
        "name": report.name,
        "state_type": report.state_type,
        "state_name": report.state_name,
        "message": report.message,
    });
    Err(Error::new(class, code, message).details(details))
}

/// One line of bounded length.
pub(crate) fn shorten(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_CHARS)
        .collect();
    if text.chars().nth(MOST_CHARS).is_some() {
        line.push('…');
    }
    line
}
