use serde_json::json;

use super::*;

fn decode(value: &Value) -> Result<Envelope, EnvelopeError> {
    Envelope::decode(value.to_string().as_bytes())
}

#[test]
fn bodies_are_read_in_every_encoding_that_kombu_reads() {
    let cases = [
        json!({"body": "W10=", "content-type": "application/json", "properties": {"body_encoding": "base64"}}),
        json!({"body": "W10", "content-type": "application/json", "properties": {"body_encoding": "base64"}}),
        json!({"body": "[]", "content-type": "application/json", "properties": {"body_encoding": "utf-8"}}),
        json!({"body": "[]", "content-type": "application/json", "headers": null}),
    ];
    for case in cases {
        assert_eq!(decode(&case).map(|envelope| envelope.body), Ok(json!([])), "{case}");
    }
}

#[test]
fn faults_are_named() {
    let b64 = json!({"body_encoding": "base64"});
    let cases = [
        (
            json!([]),
            "`(the envelope)` of the message is a list, expected an object",
        ),
        (
            json!({"body": "[]"}),
            "`content-type` of the message is missing, expected a string",
        ),
        (
            json!({"content-type": "application/json"}),
            "`body` of the message is missing, expected a string",
        ),
        (
            json!({"body": 1, "content-type": "application/json"}),
            "`body` of the message is a number",
        ),
        (
            json!({"body": "[]", "content-type": "application/json", "headers": []}),
            "`headers` of the message is a list",
        ),
        (
            json!({"body": "[]", "content-type": "application/x-yaml"}),
            "task_serializer",
        ),
        (
            json!({"body": "[]", "content-type": "application/json", "headers": {"compression": "x"}}),
            "task_compression",
        ),
        (
            json!({"body": "!", "content-type": "application/json", "properties": b64}),
            "is base64 and is not",
        ),
        (
            json!({"body": "[]", "content-type": "application/json", "properties": {"body_encoding": "rot13"}}),
            "rot13",
        ),
        (
            json!({"body": "[", "content-type": "application/json"}),
            "the body of the message cannot be read",
        ),
    ];
    for (case, expected) in cases {
        let error = decode(&case).expect_err("faulty").to_string();
        assert!(error.contains(expected), "{case}: {error}");
    }
    let error = Envelope::decode(b"nothing").expect_err("no JSON");
    let source = std::error::Error::source(&error).expect("a chain").to_string();
    assert_eq!(source, "not JSON: expected a value at byte 0");
}

#[test]
fn size_is_limited_both_ways() {
    let body = vec![b' '; MAX_BYTES];
    assert!(matches!(
        encode(&body, &Map::new(), &Map::new()),
        Err(EnvelopeError::TooLarge { .. })
    ));
    assert_eq!(
        Envelope::decode(&vec![b' '; MAX_BYTES + 1]),
        Err(EnvelopeError::TooLarge { bytes: MAX_BYTES + 1 })
    );
}
