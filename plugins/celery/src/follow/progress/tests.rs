use serde_json::json;

use super::*;

#[test]
fn pairs_and_percentages_are_found() {
    assert_eq!(find(&json!({ "step": 1, "of": 4 })), Some(0.25));
    assert_eq!(find(&json!({ "current": 3, "total": 3, "note": "x" })), Some(1.0));
    assert_eq!(find(&json!({ "percent": 40 })), Some(0.4));
}

#[test]
fn what_is_no_progress_is_left_alone() {
    for data in [
        json!({ "step": 1 }),
        json!({ "step": 1, "of": 0 }),
        json!({ "step": 5, "of": 4 }),
        json!({ "percent": "40" }),
        json!([1, 2]),
        json!(null),
    ] {
        assert_eq!(find(&data), None, "{data}");
    }
}
