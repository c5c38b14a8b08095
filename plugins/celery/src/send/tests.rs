use grepx_celery::Received;

use super::*;

fn prepared(ctx: &Ctx, document: Value) -> Result<(State, Message), Error> {
    let settings: Settings = ctx.settings()?;
    prepare(
        ctx,
        &settings,
        serde_json::from_value(document).expect("the test's input reads"),
    )
}

fn sent(ctx: &Ctx, document: Value) -> TaskMessage {
    let (_, message) = prepared(ctx, document).expect("can be sent");
    let Received { message, .. } = TaskMessage::decode(&message.body).expect("a worker can read it");
    message
}

fn add() -> Value {
    json!({ "name": "tasks.add", "args": [2, 3], "kwargs": { "k": "ž" }, "config": {} })
}

#[test]
fn the_message_carries_the_task_under_the_attempts_id() {
    let ctx = Ctx::for_tests();
    let message = sent(&ctx, add());
    assert_eq!(
        (message.id.as_str(), message.task.as_str()),
        (ctx.idempotency_key.as_str(), "tasks.add")
    );
    assert_eq!(message.args, [json!(2), json!(3)]);
    assert_eq!(message.kwargs["k"], "ž");
    assert_eq!(message.headers["x-grepx-task-run"], ctx.task_run.as_str());
    assert!(!message.headers.contains_key("traceparent"));
}

#[test]
fn the_wire_says_to_store_the_result_and_leaves_time_to_the_host() {
    let (_, message) = prepared(&Ctx::for_tests(), add()).expect("can be sent");
    let envelope: Value = serde_json::from_slice(&message.body).expect("JSON");
    let headers = &envelope["headers"];
    assert_eq!(headers["ignore_result"], false);
    assert_eq!((&headers["eta"], &headers["expires"]), (&Value::Null, &Value::Null));
    assert_eq!(headers["retries"], 0);
}

#[test]
fn a_repeated_step_builds_the_same_message_and_another_attempt_another_one() {
    let ctx = Ctx::for_tests();
    assert_eq!(prepared(&ctx, add()), prepared(&ctx, add()));
    let first = sent(&ctx, add());
    let again = Ctx {
        idempotency_key: "3c1d8a86-07a5-4bd6-9b7a-2a3d3f4a0c11".into(),
        ..ctx
    };
    let second = sent(&again, add());
    assert_ne!(first.delivery_tag, second.delivery_tag);
    assert_ne!(first.delivery_tag, first.id);
    assert!(Uuid::parse_str(&first.delivery_tag).is_ok_and(|tag| tag.get_version_num() == 5));
}

#[test]
fn the_host_finds_what_it_needs_beside_the_message() {
    let mut document = add();
    document["config"] = json!({ "priority": 6, "queue": "gpu" });
    let ctx = Ctx::for_tests().with_settings(json!({ "result_key_prefix": "app1" }));
    let (state, message) = prepared(&ctx, document).expect("can be sent");
    let id = ctx.idempotency_key.as_str();
    let key = format!("app1_celery-task-meta-{id}");
    let expected = [
        ("task-id", id),
        ("task-name", "tasks.add"),
        ("result-key", key.as_str()),
        ("guard", id),
        ("priority", "6"),
    ];
    let found: Vec<(&str, &str)> = message
        .meta
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        (message.connection.as_str(), message.destination.as_str()),
        ("celery", "gpu")
    );
    assert_eq!(state.result_key(), key);
}

#[test]
fn the_workers_limit_comes_after_the_hosts() {
    let mut ctx = Ctx::for_tests();
    assert_eq!(sent(&ctx, add()).hard_time_limit, None);
    ctx.deadline_ms = Some(ctx.now_ms + 9_001);
    assert_eq!(sent(&ctx, add()).hard_time_limit, Some(15.0));
    ctx.deadline_ms = Some(ctx.now_ms - 1);
    assert_eq!(sent(&ctx, add()).hard_time_limit, Some(5.0));

    let mut document = add();
    document["config"] = json!({ "send_time_limit": false, "soft_time_limit_seconds": 2.5 });
    let message = sent(&ctx, document);
    assert_eq!((message.hard_time_limit, message.soft_time_limit), (None, Some(2.5)));
}

#[test]
fn configured_headers_are_sent_and_win_over_the_hosts() {
    let ctx = Ctx {
        traceparent: Some("00-host".into()),
        ..Ctx::for_tests()
    };
    assert_eq!(sent(&ctx, add()).headers["traceparent"], "00-host");
    let mut document = add();
    document["config"] = json!({ "headers": { "x-team": "quant", "traceparent": "mine" }, "shadow": "sum" });
    let message = sent(&ctx, document);
    assert_eq!(
        (&message.headers["x-team"], &message.headers["traceparent"]),
        (&json!("quant"), &json!("mine"))
    );
    assert_eq!(message.shadow.as_deref(), Some("sum"));
}

#[test]
fn what_would_harm_a_worker_is_refused_with_its_place() {
    for (document, says) in [
        (json!({ "name": null }), "no celery_task_name"),
        (json!({ "name": " " }), "no celery_task_name"),
        (
            json!({ "name": "t", "config": { "headers": { "id": "x" } } }),
            "the header `id` belongs to the protocol",
        ),
        (json!({ "name": "t", "config": { "priority": 12 } }), "`priority` is 12"),
        (
            json!({ "name": "t", "args": [{ "__type__": "date", "__value__": 1 }] }),
            "args/0",
        ),
    ] {
        let error = prepared(&Ctx::for_tests(), document.clone()).expect_err("refused");
        assert_eq!(error.class, ErrorClass::InvalidInput, "{document}");
        assert!(error.message.contains(says), "{document}: {error}");
    }
}
