use serde_json::json;

use super::line_of;

#[test]
fn a_change_is_a_line_and_what_is_between_is_none() {
    let task = json!({
        "name": "load",
        "index": 3,
        "attempt": 2,
        "state": {"type": "RUNNING", "name": "Running", "timestamp": "2026-03-01T12:00:00Z"},
        "status": null,
    });
    let line = line_of("task_run", &task).expect("a line");
    assert!(line.ends_with("load[3]  Running (attempt 2)"), "{line}");
    assert_eq!(line_of("live", &json!({"position": 7})), None);
}
