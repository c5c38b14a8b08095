//! Prefect's Python client: the calls that scripts make.

use crate::host;
use crate::stock::Stock;

#[test]
fn scripts_run_read_and_cancel() {
    let host = host();
    let told = Stock::of(&host).python(include_str!("client.py"));
    assert_eq!(told["waited"], "COMPLETED", "{told}");
    // It may have come as far as its question.
    let at_once = told["at_once"].as_str().expect("a state type");
    assert!(["SCHEDULED", "PENDING", "RUNNING"].contains(&at_once), "{told}");
    assert_eq!(told["repeated"], true, "one run for one idempotency key: {told}");
    assert_eq!(told["refused"], 409, "{told}");
    assert_eq!(told["by_state"], serde_json::json!(["COMPLETED"]), "{told}");
    assert_eq!(told["by_tag"], 1, "{told}");
    assert_eq!(told["cancelled"], "ACCEPT", "{told}");
    assert_eq!(told["aborted"], "ABORT", "{told}");
    assert!(
        told["logs"]
            .as_array()
            .is_some_and(|lines| lines.iter().any(|line| line == "Flow run started.")),
        "{told}"
    );
}
