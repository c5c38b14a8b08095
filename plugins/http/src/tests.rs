use grepx_plugin_sdk::testing;

use super::*;

fn input(document: Value) -> TaskInput<Parts, Config> {
    serde_json::from_value(document).expect("the test's input reads")
}

fn answering(status: u16, content_type: &str, body: &str) -> Response {
    Response {
        status,
        headers: vec![("Content-Type".into(), content_type.into())],
        body: body.into(),
        cut: false,
    }
}

fn asked(config: Value, response: Response) -> Result<Value, Error> {
    let answered = perform(&Ctx::for_tests(), input(json!({ "config": config })), |_, _| {
        Ok(response)
    })?;
    Ok(serde_json::to_value(answered).expect("an answer is JSON"))
}

#[test]
fn an_answer_becomes_the_result() {
    let found = asked(
        json!({ "url": "https://api.example.com/v1" }),
        answering(200, "application/json; charset=utf-8", r#"{"a":[1.50]}"#),
    );
    assert_eq!(
        found,
        Ok(json!({
            "status": 200,
            "headers": { "content-type": "application/json; charset=utf-8" },
            "content_type": "application/json; charset=utf-8",
            "body": { "a": [1.50] },
            "body_as": "json",
            "bytes": 12,
        }))
    );
    let schema = &Plugin::describe()[0].output_schema;
    assert_eq!(testing::problems(schema, &found.expect("an answer")), [""; 0]);
}

#[test]
fn only_an_expected_status_is_a_success() {
    let config = json!({ "url": "https://a.example" });
    let error = asked(config.clone(), answering(404, "text/plain", "secret words")).expect_err("not expected");
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Permanent, "http-404"));
    assert!(!format!("{error:?}").contains("secret words"), "{error:?}");
    let mut config = config;
    config["expect"] = json!(["2xx", 404]);
    assert_eq!(
        asked(config, answering(404, "text/plain", "none")).expect("expected")["body"],
        "none"
    );
}

#[test]
fn a_body_over_the_limit_fails_unless_the_status_says_more() {
    let cut = |status| Response {
        cut: true,
        ..answering(status, "text/plain", "xxxx")
    };
    let config = json!({ "url": "https://a.example", "max_response_bytes": 4 });
    let error = asked(config.clone(), cut(200)).expect_err("too large");
    assert_eq!(error.code, "http-response-too-large");
    assert!(error.message.contains("more than 4 bytes"), "{error}");
    assert_eq!(asked(config, cut(503)).expect_err("away").code, "http-503");
}

#[test]
fn the_log_has_neither_query_nor_headers_nor_bodies() {
    let _ = log::taken();
    let config = json!({
        "url": "https://a.example/path?key=hidden1", "query": { "q": "hidden2" },
        "headers": { "authorization": "hidden3" }, "json": "hidden4",
    });
    let _ = asked(config, answering(200, "text/plain", "hidden5")).expect("an answer");
    let lines = log::taken();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].1, "POST https://a.example/path answered 200 with 7 bytes");
}

#[test]
fn the_time_is_the_tasks_and_never_more_than_the_attempt_has_left() {
    let limits = |ctx: &Ctx, config: Value| {
        let mut found = None;
        let _ = perform(ctx, input(json!({ "config": config })), |_, limits| {
            found = Some(limits);
            Err(Fault::TimedOut)
        });
        found.expect("it was sent").time
    };
    let mut ctx = Ctx::for_tests();
    assert_eq!(limits(&ctx, json!({ "url": "http://a" })), Duration::from_secs(30));
    let config = json!({ "url": "http://a", "timeout_seconds": 2.5 });
    assert_eq!(limits(&ctx, config.clone()), Duration::from_millis(2500));
    ctx.deadline_ms = Some(ctx.now_ms + 1000);
    assert_eq!(limits(&ctx, config), Duration::from_secs(1));
}

#[test]
fn settings_out_of_range_are_refused() {
    for config in [
        json!({ "timeout_seconds": 0 }),
        json!({ "timeout_seconds": 1e9 }),
        json!({ "max_response_bytes": 9_000_000 }),
        json!({ "expect": [99] }),
        json!({ "expect": ["6xx"] }),
        json!({ "expect": ["20x"] }),
    ] {
        let mut whole = config.clone();
        whole["url"] = json!("http://a");
        let error = asked(whole, Response::default()).expect_err("refused");
        assert_eq!(error.class, ErrorClass::InvalidInput, "{config}");
        let key = config.as_object().and_then(|it| it.keys().next()).expect("a key");
        assert!(error.message.contains(key.as_str()), "{config}: {error}");
    }
}

#[test]
fn without_a_host_nothing_is_let_out() {
    let error =
        Plugin::run("http", &Ctx::for_tests(), br#"{"config":{"url":"https://a.example"}}"#).expect_err("refused");
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Unauthorised, "http-not-granted")
    );
}

#[test]
fn it_would_load_and_its_schema_refuses_what_it_refuses() {
    let described = Plugin::describe();
    testing::check(&described);
    assert_eq!(described[0].capabilities, ["http"]);
    let schema = &described[0].input_schema;
    for fits in [
        json!({ "config": { "url": "https://a.example" } }),
        json!({ "kwargs": { "url": "http://127.0.0.1:80/x", "other": 1 }, "config": { "method": "PUT", "text": "" } }),
        json!({ "config": {
            "url": "https://a.example", "query": { "a": [1, "b"], "c": null }, "headers": { "x": true },
            "json": null, "timeout_seconds": 0.5, "max_response_bytes": 0, "expect": ["2xx", 404],
            "parse": "base64", "idempotency_key": false,
        } }),
    ] {
        assert_eq!(testing::problems(schema, &fits), [""; 0], "{fits}");
    }
    for (config, at) in [
        (json!({ "url": "ftp://a" }), "/config/url"),
        (json!({ "method": "get" }), "/config/method"),
        (json!({ "headers": { "a": [1] } }), "/config/headers/a"),
        (json!({ "timeout": 3 }), "/config"),
        (json!({ "expect": ["20x"] }), "/config/expect/0"),
        (json!({ "max_response_bytes": -1 }), "/config/max_response_bytes"),
    ] {
        let problems = testing::problems(schema, &json!({ "config": config }));
        assert!(
            problems.first().is_some_and(|it| it.starts_with(at)),
            "{config}: {problems:?}"
        );
    }
}
