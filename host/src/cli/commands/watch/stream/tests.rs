use serde_json::json;

use super::{Event, Message};

fn events(text: &str) -> (Vec<Event>, Option<String>) {
    let mut message = Message::default();
    let events = text.lines().filter_map(|line| message.line(line)).collect();
    (events, message.id)
}

#[test]
fn messages_end_with_an_empty_line_and_keep_the_last_id() {
    let (events, id) = events(
        "retry: 1000\n\n: still here\n\nevent: flow_run\nid: 7-0\ndata: {\"id\":\"a\"}\n\nevent: log\ndata:{\"n\":\ndata: 1}\n\n",
    );
    let event = |kind: &str, data| Event {
        kind: kind.to_owned(),
        data,
    };
    assert_eq!(
        events,
        [event("flow_run", json!({"id": "a"})), event("log", json!({"n": 1}))]
    );
    assert_eq!(id.as_deref(), Some("7-0"));
}

#[test]
fn a_message_that_is_cut_off_is_no_event() {
    let (events, _) = events("event: flow_run\ndata: {\"id\":");
    assert_eq!(events, []);
}
