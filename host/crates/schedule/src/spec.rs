//! A schedule as its row says it.

use serde::{Deserialize, Serialize};

/// `schedule_type` and `schedule_config` of a deployment's row.
///
/// The configuration is read leniently where Prefect's is (null means the default) and
/// strictly where a mistake would shift a night's run: an unknown field is refused by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// `cron`, `interval` or `rrule`.
    pub schedule_type: String,
    /// `{"cron": "0 9 * * 1", "timezone": "Asia/Kolkata", "day_or": true}` and its like.
    pub config: serde_json::Value,
}
