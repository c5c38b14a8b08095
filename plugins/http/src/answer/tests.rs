use super::*;
use crate::config::{Config, Parts};

fn request() -> Request {
    let config = Config {
        url: Some("https://a.example/x?key=hidden".into()),
        ..Config::default()
    };
    Request::new(&Ctx::for_tests(), Parts::default(), config).expect("a request")
}

fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response {
    Response {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        body: body.to_vec(),
        cut: false,
    }
}

fn refused(status: u16, headers: &[(&str, &str)]) -> Error {
    refusal(&Ctx::for_tests(), &request(), &response(status, headers, b"hidden"))
}

#[test]
fn every_status_has_its_class_and_code() {
    for (status, class) in [
        (301, ErrorClass::Permanent),
        (400, ErrorClass::Permanent),
        (401, ErrorClass::Unauthorised),
        (403, ErrorClass::Unauthorised),
        (404, ErrorClass::Permanent),
        (407, ErrorClass::Unauthorised),
        (408, ErrorClass::Retryable),
        (409, ErrorClass::Permanent),
        (422, ErrorClass::Permanent),
        (425, ErrorClass::Retryable),
        (429, ErrorClass::RateLimited),
        (500, ErrorClass::Retryable),
        (503, ErrorClass::Retryable),
        (599, ErrorClass::Retryable),
        (204, ErrorClass::Permanent),
    ] {
        let error = refused(status, &[]);
        assert_eq!((error.class, error.code), (class, format!("http-{status}")));
        assert!(
            error
                .message
                .starts_with(&format!("GET https://a.example/x answered {status}"))
        );
        assert!(!error.message.contains("hidden"), "{}", error.message);
    }
}

#[test]
fn a_wish_to_wait_is_passed_on_where_there_is_a_retry() {
    let wait = [("Retry-After", "7")];
    assert_eq!(refused(429, &wait).retry_after_ms, Some(7000));
    assert_eq!(refused(503, &wait).retry_after_ms, Some(7000));
    assert_eq!(refused(404, &wait).retry_after_ms, None);
    assert_eq!(refused(429, &[("Retry-After", "whenever")]).retry_after_ms, None);
}

#[test]
fn a_body_is_read_as_its_content_type_says() {
    let read = |content_type: &str, body: &[u8], parse| {
        let headers = [("content-type", content_type)];
        Answered::read(&request(), response(200, &headers, body), parse).map(|it| (it.body.to_string(), it.body_as))
    };
    let ok = |value: Value, kind| Ok((value.to_string(), kind));
    assert_eq!(read("application/json", b"[1]", Parse::Auto), ok(json!([1]), "json"));
    assert_eq!(
        read("application/vnd.x+JSON; v=1", b"{}", Parse::Auto),
        ok(json!({}), "json")
    );
    assert_eq!(read("text/html", b"[1]", Parse::Auto), ok(json!("[1]"), "text"));
    assert_eq!(read("image/png", b"\x89\xff", Parse::Auto), ok(json!("if8="), "base64"));
    assert_eq!(read("application/json", b"", Parse::Auto), ok(Value::Null, "none"));
    assert_eq!(read("text/plain", b"[1]", Parse::Json), ok(json!([1]), "json"));
    assert_eq!(read("application/json", b"[1]", Parse::Text), ok(json!("[1]"), "text"));
    assert_eq!(read("text/plain", b"hi", Parse::Base64), ok(json!("aGk="), "base64"));

    let exact = r#"{"n": 12345678901234567890.10}"#;
    assert_eq!(
        read("application/json", exact.as_bytes(), Parse::Auto),
        Ok((exact.to_owned(), "json"))
    );

    let broken = read("application/json", b"<html>", Parse::Auto).expect_err("no JSON");
    assert_eq!(
        (broken.class, broken.code.as_str()),
        (ErrorClass::Permanent, "http-unreadable")
    );
    assert!(read("text/plain", b"\xff", Parse::Text).is_err());
}

#[test]
fn headers_are_joined_by_name_and_sessions_left_out() {
    let headers = [
        ("Vary", "a"),
        ("vary", "b"),
        ("Set-Cookie", "sid=hidden"),
        ("ETag", "\"1\""),
    ];
    let answered = Answered::read(&request(), response(204, &headers, b""), Parse::Auto).expect("it reads");
    assert_eq!(
        serde_json::to_value(&answered.headers).expect("JSON"),
        json!({ "etag": "\"1\"", "vary": "a, b" })
    );
    assert_eq!(answered.content_type, None);
}
