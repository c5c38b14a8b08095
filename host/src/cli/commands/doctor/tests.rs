use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Finding, Level, Report, described, summary};

#[test]
fn a_report_is_read_by_programs_too() {
    let report = Report {
        check: "port",
        findings: vec![Finding::error("127.0.0.1:4200", "taken", "stop that one")],
        took: Duration::from_millis(7),
    };
    let finding = json!({"level": "error", "place": "127.0.0.1:4200", "what": "taken", "help": "stop that one"});
    assert_eq!(
        described(&report),
        json!({"check": "port", "took_ms": 7, "findings": [finding]})
    );
}

#[test]
fn the_worst_finding_is_the_largest() {
    assert!(Level::Error > Level::Warning && Level::Warning > Level::Ok);
    assert_eq!(summary(1, 0, 7), "1 error, 0 warnings, 7 as they should be");
    // Checks run in threads of their own.
    fn shared<T: Send + Sync>() {}
    shared::<Arc<super::Patient>>();
}
