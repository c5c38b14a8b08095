use grepx_engine::Timestamp;
use serde_json::json;

use super::PrefectEvent;

#[test]
fn an_event_of_a_client_comes_out_as_it_came_in() {
    let sent = json!({
        "occurred": "2026-03-01T12:00:00.000Z",
        "event": "prefect.task-run.Running",
        "resource": {"prefect.resource.id": "prefect.task-run.1", "prefect.run-count": 1, "empty": null},
        "related": [{"prefect.resource.id": "prefect.flow-run.2", "prefect.resource.role": "flow-run"}],
        "payload": {"a": [1]},
        "id": "01a208d8-d346-73d9-93b3-cdbef4c51e02",
        "follows": null,
    });
    let read = PrefectEvent::read(&sent, Timestamp(1_772_366_400_500)).expect("an event");
    let shown = read.to_json();
    for part in ["occurred", "event", "related", "payload", "id", "follows"] {
        assert_eq!(shown[part], sent[part], "{part}");
    }
    assert_eq!(
        shown["resource"],
        json!({"prefect.resource.id": "prefect.task-run.1", "prefect.run-count": "1"})
    );
    assert_eq!(shown["received"], "2026-03-01T12:00:00.500Z");
}

#[test]
fn what_is_no_event_is_refused_with_the_reason() {
    let good = json!({"occurred": "2026-03-01T12:00:00Z", "event": "e", "id": "01a208d8-d346-73d9-93b3-cdbef4c51e02",
        "resource": {"prefect.resource.id": "x"}});
    assert!(PrefectEvent::read(&good, Timestamp(0)).is_ok());
    for (part, value) in [
        ("occurred", json!("now")),
        ("event", json!("")),
        ("event", json!("x".repeat(1_025))),
        ("id", json!("x")),
        ("resource", json!({"a": "b"})),
        ("related", json!(vec![json!({"prefect.resource.id": "x"}); 101])),
    ] {
        let mut bad = good.clone();
        bad[part] = value;
        let refused = PrefectEvent::read(&bad, Timestamp(0)).expect_err(part);
        assert!(refused.len() > 10, "{refused}");
    }
}
