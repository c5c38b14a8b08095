use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{AT_ONCE, EACH, EVENT_BYTES_MAX, Rate, acceptable};

#[test]
fn a_client_may_send_so_many_at_once_and_then_so_many_a_second() {
    let start = Instant::now();
    let mut rate = Rate::new(start);
    for n in 0..AT_ONCE {
        assert!(rate.allows(start), "{n}");
    }
    assert!(!rate.allows(start));
    assert!(rate.allows(start + EACH));
    assert!(!rate.allows(start + EACH));
    let later = start + Duration::from_secs(60);
    assert_eq!((0..1_000).filter(|_| rate.allows(later)).count(), AT_ONCE as usize);
}

#[test]
fn what_is_too_large_or_no_event_ends_the_conversation() {
    let mut event = json!({"occurred": "2026-03-01T12:00:00Z", "event": "e",
        "id": "01a208d8-d346-73d9-93b3-cdbef4c51e02", "resource": {"prefect.resource.id": "x"}});
    assert!(acceptable(&event).is_ok());
    event["payload"] = json!({"text": "x".repeat(EVENT_BYTES_MAX)});
    assert_eq!(acceptable(&event).expect_err("too large").code, 1008);
    assert_eq!(acceptable(&json!({})).expect_err("no event").code, 1002);
}
