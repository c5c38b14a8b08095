use super::*;

fn made(kwargs: Value, config: Value) -> Result<Request, Error> {
    let read = "the test's input reads";
    Request::new(
        &Ctx::for_tests(),
        serde_json::from_value(kwargs).expect(read),
        serde_json::from_value(config).expect(read),
    )
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let (_, value) = request.headers.iter().find(|(known, _)| known == name)?;
    Some(value)
}

fn body(request: &Request) -> &str {
    std::str::from_utf8(request.body.as_deref().expect("a body")).expect("text")
}

#[test]
fn configuration_wins_over_keyword_arguments_name_by_name() {
    let request = made(
        json!({
            "url": "http://kwargs", "method": "PUT", "query": { "a": 1, "b": 1 },
            "headers": { "X-One": "k", "x-two": "k" }, "unknown": 1,
        }),
        json!({ "url": "http://config", "query": { "b": 2 }, "headers": { "x-one": "c" } }),
    )
    .expect("a request");
    assert_eq!(request.to_string(), "PUT http://config/");
    assert_eq!(request.target.query, "a=1&b=2");
    assert_eq!(
        (header(&request, "x-one"), header(&request, "x-two")),
        (Some("c"), Some("k"))
    );
}

#[test]
fn a_body_has_its_content_type_and_makes_a_post() {
    let plain = made(json!({}), json!({ "url": "http://a" })).expect("a request");
    assert_eq!(
        (plain.method.as_str(), &plain.body, header(&plain, "content-type")),
        ("GET", &None, None)
    );

    for (config, content_type, written) in [
        (
            json!({ "json": { "n": 1.5, "z": null } }),
            "application/json",
            r#"{"n":1.5,"z":null}"#,
        ),
        (json!({ "text": "ü" }), "text/plain; charset=utf-8", "ü"),
        (
            json!({ "form": { "a": "b c", "d": [1, 2] } }),
            "application/x-www-form-urlencoded",
            "a=b%20c&d=1&d=2",
        ),
    ] {
        let mut config = config;
        config["url"] = json!("http://a");
        let request = made(json!({}), config).expect("a request");
        assert_eq!(request.method, "POST");
        assert_eq!(header(&request, "content-type"), Some(content_type));
        assert_eq!(body(&request), written);
    }
    let own = json!({ "url": "http://a", "method": "patch", "json": {}, "headers": { "Content-Type": "application/merge-patch+json" } });
    let own = made(json!({}), own).expect("a request");
    assert_eq!(
        (own.method.as_str(), header(&own, "content-type")),
        ("PATCH", Some("application/merge-patch+json"))
    );
}

#[test]
fn two_bodies_are_refused() {
    let error = made(json!({ "text": "x" }), json!({ "url": "http://a", "json": 1 })).expect_err("refused");
    assert!(error.message.contains("only one of json, text and form"), "{error}");
}

#[test]
fn the_idempotency_key_is_the_attempts_unless_it_is_given_or_switched_off() {
    let key = |config: Value| {
        let request = made(json!({}), config).expect("a request");
        header(&request, "idempotency-key").map(str::to_owned)
    };
    assert_eq!(
        key(json!({ "url": "http://a" })),
        Some(Ctx::for_tests().idempotency_key)
    );
    assert_eq!(
        key(json!({ "url": "http://a", "headers": { "Idempotency-Key": "mine" } })).as_deref(),
        Some("mine")
    );
    assert_eq!(key(json!({ "url": "http://a", "idempotency_key": false })), None);
}

#[test]
fn headers_that_cannot_be_sent_are_refused_without_their_values() {
    for (headers, why) in [
        (json!({ "a b": "v" }), "does not allow"),
        (json!({ "": "v" }), "does not allow"),
        (json!({ "Host": "v" }), "written by the host"),
        (json!({ "content-length": 3 }), "written by the host"),
        (json!({ "a": "value\r\nx: y" }), "control character"),
        (json!({ "a": ["value"] }), "neither a text"),
        (json!({ "A": "1", "a": "2" }), "twice"),
    ] {
        let error = made(json!({}), json!({ "url": "http://a", "headers": headers })).expect_err("refused");
        assert_eq!(error.class, ErrorClass::InvalidInput);
        assert!(error.message.contains(why), "{error}");
        assert!(!error.message.contains("value\r"), "{error}");
    }
}

#[test]
fn the_text_of_a_secret_is_passed_on_untouched() {
    let request = made(
        json!({}),
        json!({ "url": "http://a", "headers": { "authorization": "Bearer {{secret:token}}", "x-left-out": null } }),
    );
    let request = request.expect("a request");
    assert_eq!(header(&request, "authorization"), Some("Bearer {{secret:token}}"));
    assert_eq!(header(&request, "x-left-out"), None);
    assert_eq!(format!("{request:?}"), "GET http://a/");
}

#[test]
fn a_request_needs_a_url_and_a_known_method() {
    let error = made(json!({}), json!({})).expect_err("no url");
    assert!(error.message.contains("set config.url or kwargs.url"), "{error}");
    let error = made(json!({ "method": "BREW" }), json!({ "url": "http://a" })).expect_err("unknown");
    assert!(error.message.contains("must be one of GET"), "{error}");
}
