//! How long flow runs stay.

use std::time::Duration;

use super::Resolver;
use crate::config::Retention;

impl Resolver<'_> {
    pub(super) fn retention(&mut self) -> Retention {
        let mut days = |key, default| {
            let days = self.integer(&["retention", key], default);
            Duration::from_secs(days.saturating_mul(86_400))
        };
        let (completed, failed) = (days("completed_days", 30), days("failed_days", 90));
        let cancelled = days("cancelled_days", 30);
        Retention {
            enabled: self.flag(&["retention", "enabled"], true),
            completed,
            failed,
            cancelled,
            every: self.seconds(&["retention", "every_seconds"], 300),
            rows_per_step: u32::try_from(self.integer(&["retention", "rows_per_step"], 500)).unwrap_or(500),
        }
    }
}
