use serde_json::json;

use super::*;
use crate::envelope::Envelope;

fn full() -> TaskMessage {
    let mut message = TaskMessage::new("2cae8f53-a6e1-4fcd-be06-4fd6a8848752", "tasks.add", "cap", "tag-1");
    message.args = vec![json!(2), json!(3)];
    message.kwargs.insert("k".into(), "ž".into());
    message.priority = Some(7);
    message.soft_time_limit = Some(20.0);
    message.hard_time_limit = Some(30.5);
    message.headers.insert("x-trace".into(), "abc".into());
    message.shadow = Some("pretty".into());
    message.root_id = Some("root".into());
    message.parent_id = Some("parent".into());
    message.origin = "grepx@vm".into();
    message
}

fn parts(message: &TaskMessage) -> Envelope {
    Envelope::decode(&message.encode().expect("encodes")).expect("decodes")
}

/// The same keys as Python sends, with the same values where it is given the same options.
#[test]
fn the_envelope_is_the_one_that_python_sends() {
    let theirs = Envelope::decode(include_bytes!("../../tests/golden/messages/plain.json")).expect("golden");
    let mut message = full();
    (message.priority, message.soft_time_limit, message.hard_time_limit) = (None, None, None);
    (message.shadow, message.root_id, message.parent_id) = (None, None, None);
    message.headers.clear();
    let mut ours = parts(&message);
    assert_eq!(ours.body, theirs.body);
    assert_eq!(ours.headers["ignore_result"], json!(false));
    let differ = [
        ("headers", "ignore_result"),
        ("headers", "origin"),
        ("properties", "reply_to"),
        ("properties", "delivery_tag"),
    ];
    for (part, key) in differ {
        let (ours, theirs) = match part {
            "headers" => (&mut ours.headers, &theirs.headers),
            _ => (&mut ours.properties, &theirs.properties),
        };
        ours.insert(key.into(), theirs[key].clone()).expect(key);
    }
    assert_eq!(ours.headers, theirs.headers);
    assert_eq!(ours.properties, theirs.properties);
}

#[test]
fn options_stand_where_workers_look_for_them() {
    let envelope = parts(&full());
    assert_eq!(envelope.headers["timelimit"], json!([30.5, 20]));
    assert_eq!(
        envelope.headers["timelimit"].to_string(),
        "[30.5,20]",
        "whole seconds are integers"
    );
    assert_eq!(envelope.headers["x-trace"], json!("abc"));
    assert_eq!(envelope.headers["shadow"], json!("pretty"));
    assert_eq!(envelope.headers["root_id"], json!("root"));
    assert_eq!(envelope.properties["priority"], json!(7));
    assert_eq!(
        envelope.properties["delivery_info"],
        json!({"exchange": "", "routing_key": "cap"})
    );
    assert_eq!(envelope.properties["correlation_id"], envelope.headers["id"]);
}

#[test]
fn what_is_encoded_is_decoded() {
    let message = full();
    let received = TaskMessage::decode(&message.encode().expect("encodes")).expect("decodes");
    assert_eq!(received.message, message);
    assert_eq!(
        (received.retries, received.ignore_result, received.redelivered),
        (0, false, false)
    );
    assert!(received.canvas.is_empty() && received.notes.is_empty());
    let mut deep = TaskMessage::new("i", "t", "q", "d");
    deep.args = vec![(1..MAX_SENT_DEPTH).fold(json!([]), |inner, _| json!([inner]))];
    deep.headers.insert("h".into(), deep.args[0].clone());
    assert_eq!(
        TaskMessage::decode(&deep.encode().expect("encodes")).map(|read| read.message),
        {
            deep.priority = Some(0);
            Ok(deep)
        }
    );
    let mut large = TaskMessage::new("i", "t", "q", "d");
    large.args = vec![json!("ž".repeat(2_000_000))];
    assert_eq!(
        parts(&large).headers["argsrepr"]
            .as_str()
            .map(|repr| repr.chars().count()),
        Some(MAX_REPR_CHARS + 3)
    );
}

#[test]
fn what_would_harm_a_worker_is_refused() {
    let marked = json!({"__type__": "date", "__value__": "x"});
    type Change = Box<dyn Fn(&mut TaskMessage)>;
    let cases: Vec<(Change, &str)> = vec![
        (Box::new(|m| m.id.clear()), "`id` is empty"),
        (Box::new(|m| m.task.clear()), "`task` is empty"),
        (Box::new(|m| m.queue.clear()), "`queue` is empty"),
        (Box::new(|m| m.delivery_tag.clear()), "`delivery_tag` is empty"),
        (Box::new(|m| m.queue = "q\u{6}\u{16}3".into()), "no control characters"),
        (Box::new(|m| m.task = "t".repeat(256)), "at most 255 bytes"),
        (Box::new(|m| m.shadow = Some(String::new())), "`shadow` is empty"),
        (Box::new(|m| m.priority = Some(10)), "`priority` is 10"),
        (
            Box::new(|m| m.hard_time_limit = Some(0.0)),
            "`hard_time_limit` is 0 seconds",
        ),
        (
            Box::new(|m| m.soft_time_limit = Some(f64::NAN)),
            "`soft_time_limit` is NaN seconds",
        ),
        (
            Box::new({
                let v = marked.clone();
                move |m| m.args[1] = json!([1, v])
            }),
            "args/1/1 holds an object",
        ),
        (
            Box::new({
                let v = marked.clone();
                move |m| {
                    m.kwargs.insert("a".into(), v.clone());
                }
            }),
            "kwargs/a holds",
        ),
        (
            Box::new(|m| {
                for key in ["__type__", "__value__"] {
                    m.kwargs.insert(key.into(), 1.into());
                }
            }),
            "kwargs holds",
        ),
        (
            Box::new(move |m| {
                m.headers.insert("h".into(), marked.clone());
            }),
            "headers/h holds",
        ),
        (
            Box::new(|m| {
                m.headers.insert("_x".into(), 1.into());
            }),
            "the header `_x` belongs to the protocol",
        ),
        (
            Box::new(|m| m.headers.extend((0..MAX_HEADERS).map(|n| (n.to_string(), 1.into())))),
            "65 headers",
        ),
    ];
    for (change, expected) in cases {
        let mut message = full();
        change(&mut message);
        let error = message.encode().expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn no_header_of_the_protocol_can_be_overwritten() {
    let sent = parts(&full()).headers;
    let own = sent.keys().map(String::as_str).filter(|name| *name != "x-trace");
    for name in own.chain(RESERVED_HEADERS) {
        let mut message = full();
        message.headers.insert(name.into(), 1.into());
        assert_eq!(
            message.encode(),
            Err(MessageError::ReservedHeader { name: name.into() })
        );
    }
}

#[test]
fn messages_of_python_are_read() {
    let options = TaskMessage::decode(include_bytes!("../../tests/golden/messages/options.json")).expect("golden");
    assert_eq!(
        (options.message.soft_time_limit, options.message.hard_time_limit),
        (Some(20.0), Some(30.0))
    );
    assert_eq!(
        (options.message.priority, options.message.queue.as_str()),
        (Some(7), "cap")
    );
    assert_eq!(
        options.message.headers,
        BTreeMap::from([("x-trace".into(), json!("abc"))])
    );
    assert_eq!(options.eta.as_deref(), Some("2026-11-23T13:03:42.247083+00:00"));
    assert_eq!(options.expires.as_deref(), Some("2026-11-23T13:04:12.247083+00:00"));
    assert!(options.ignore_result);
    let special = TaskMessage::decode(include_bytes!("../../tests/golden/messages/special.json")).expect("golden");
    assert_eq!(special.message.args, [json!("1.10"), json!("2024-01-02"), json!(null)]);
    assert_eq!(special.notes.lines(), ["/0/2: NaN became null"]);
    let link = TaskMessage::decode(include_bytes!("../../tests/golden/messages/link.json")).expect("golden");
    assert_eq!(link.canvas, ["callbacks", "errbacks"]);
    for (bytes, advice) in [
        (
            &include_bytes!("../../tests/golden/messages/gzip.json")[..],
            "task_compression",
        ),
        (
            &include_bytes!("../../tests/golden/messages/pickle.json")[..],
            "task_serializer",
        ),
    ] {
        let error = TaskMessage::decode(bytes).expect_err(advice);
        let source = std::error::Error::source(&error).expect("a chain").to_string();
        assert!(source.contains(advice), "{source}");
    }
}

fn raw(body: &Value, headers: &Value) -> Result<Received, DecodeError> {
    let body = body.to_string();
    let envelope = json!({"body": body, "content-type": "application/json", "headers": headers});
    TaskMessage::decode(envelope.to_string().as_bytes())
}

#[test]
fn a_minimal_message_is_read_and_a_faulty_one_named() {
    let headers = json!({"task": "t", "id": "i"});
    for body in [json!([[1], {}]), json!([[1], {}, null]), json!([[1], {}, {}])] {
        assert_eq!(
            raw(&body, &headers).map(|received| received.message.args),
            Ok(vec![json!(1)])
        );
    }
    let special = json!([[{"__type__": "nope", "__value__": 1}], {}, null]);
    assert_eq!(
        raw(&special, &headers),
        Err(DecodeError::SpecialType { name: "nope".into() })
    );
    assert_eq!(raw(&json!([1]), &headers), Err(DecodeError::BodyShape { found: 1 }));
    assert_eq!(
        raw(&json!({"task": "t", "id": "i"}), &json!({})),
        Err(DecodeError::ProtocolOne)
    );
    let cases = [
        (json!([[], {}, {}]), json!({"task": "t"}), "headers.id"),
        (json!([[], {}, {}]), json!({"id": "t"}), "headers.task"),
        (json!([[], {}, {}]), json!({"task": "t", "id": null}), "headers.id"),
        (json!([[], null, {}]), headers.clone(), "kwargs"),
        (json!([{}, {}, {}]), headers.clone(), "args"),
        (json!(5), headers, "body"),
        (
            json!([[], {}, {}]),
            json!({"task": "t", "id": "i", "timelimit": 3}),
            "headers.timelimit",
        ),
    ];
    for (body, headers, name) in cases {
        match raw(&body, &headers) {
            Err(DecodeError::Unreadable(EnvelopeError::Field { field, .. })) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}
