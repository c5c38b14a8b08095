//! What webhooks start and signal, and what they keep to themselves.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use grepx_engine::StateType;
use ring::hmac;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::world::{SECRET, World};
use crate::{api, clock, runner};

const HOOKS: &str = r#"
secrets: {shared: {env: SHARED}}
hooks:
  push:
    deployment: stocks/daily
    secret: shared
    condition: headers['x-github-event'] == 'push'
    parameters: {n: body.commits | length}
    idempotency_key: headers['x-github-delivery']
  paid:
    deployment: any
    secret: shared
    signature: {format: timestamped, header: Paid-Signature}
    parameters: {order: body.id, from: query.from}
  open: {deployment: loose/any, unsigned: true, body_bytes: 50, parameters: {all: body}}
  gone: {deployment: loose/gone, unsigned: true}
  decide:
    secret: shared
    signal: {task_run: body.task, name: "'approve' if body.ok else 'reject'", payload: "{'by': body.who}"}
"#;

fn sign(text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::sign(&key, text.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn send(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, Value) {
    let mut request = Request::post(format!("/api/hooks/{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = world
        .send(request.body(Body::from(body.to_owned())).expect("a request"))
        .await;
    (answer.status, answer.body)
}

/// As GitHub would.
async fn push(world: &World, delivery: &str, event: &str, body: &Value) -> (StatusCode, Value) {
    let body = body.to_string();
    let signature = format!("sha256={}", sign(&body));
    let headers = [
        ("x-hub-signature-256", signature.as_str()),
        ("x-github-event", event),
        ("x-github-delivery", delivery),
    ];
    send(world, "push", &headers, &body).await
}

#[tokio::test]
async fn a_signed_request_starts_a_flow_run_with_what_it_brings_once() {
    let world = World::with(HOOKS).await;
    let (status, first) = push(&world, "d1", "push", &json!({"commits": [1, 2, 3]})).await;
    assert_eq!(
        (status, &first["created"]),
        (StatusCode::ACCEPTED, &json!(true)),
        "{first}"
    );
    let id = first["flow_run_id"].as_str().expect("an id");
    let run = world.get(&format!("/api/flow_runs/{id}")).await.body;
    assert_eq!(
        (&run["parameters"]["n"], &run["deployment_name"]),
        (&json!(3), &json!("daily"))
    );
    assert_eq!(run["tags"], json!(["d"]));
    assert_eq!(
        run["created_by"],
        json!({"id": null, "type": "HOOK", "display_value": "push"})
    );
    assert_eq!(run["idempotency_key"], "hook:push:d1");

    let (status, again) = push(&world, "d1", "push", &json!({"commits": [1, 2, 3]})).await;
    assert_eq!((status, &again["created"]), (StatusCode::ACCEPTED, &json!(false)));
    assert_eq!(again["flow_run_id"], first["flow_run_id"]);
    assert_eq!(world.post("/api/flow_runs/count", json!({})).await.body, 1);
}

#[tokio::test]
async fn a_request_for_which_the_condition_is_false_is_ignored() {
    let world = World::with(HOOKS).await;
    let (status, answer) = push(&world, "d1", "ping", &json!({"zen": "x"})).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({"ignored": true})));
    assert_eq!(world.post("/api/flow_runs/count", json!({})).await.body, 0);
}

#[tokio::test]
async fn who_does_not_know_the_secret_learns_nothing() {
    let world = World::with(HOOKS).await;
    let wrong = json!({"detail": "The signature of this request is missing or wrong"});
    let other = format!("sha256={}", sign("another body"));
    for headers in [
        vec![],
        vec![("x-hub-signature-256", other.as_str())],
        vec![("x-hub-signature-256", "sha256=zz")],
    ] {
        let (status, answer) = send(&world, "push", &headers, "{").await;
        assert_eq!((status, &answer), (StatusCode::UNAUTHORIZED, &wrong));
    }
    let (status, _) = send(&world, "nobody", &[], "{}").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let audit = world.get("/api/audit").await.body;
    assert_eq!(audit, json!([]), "strangers do not fill the audit log");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_without_the_reason() {
    let world = World::with(HOOKS).await;
    for (body, part) in [
        (json!({"no": "commits"}), "does not find"),
        // The flow's schema wants at least one.
        (json!({"commits": []}), "does not fit the flow"),
    ] {
        let (status, answer) = push(&world, "d", "push", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let detail = answer["detail"].as_str().expect("a text");
        assert!(detail.contains(part) && !detail.contains("commits"), "{detail}");
    }
    let signature = format!("sha256={}", sign("no JSON"));
    let (status, _) = send(&world, "push", &[("x-hub-signature-256", &signature)], "no JSON").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, answer) = send(&world, "gone", &[], "").await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    assert_eq!(world.post("/api/flow_runs/count", json!({})).await.body, 0);
}

#[tokio::test]
async fn what_is_signed_with_its_time_is_taken_once_and_only_in_time() {
    let world = World::with(HOOKS).await;
    let seconds = clock::now().0 / 1_000;
    let body = r#"{"id": "o-7"}"#;
    let signed = |seconds: i64| format!("t={seconds},v1={}", sign(&format!("{seconds}.{body}")));
    let now = signed(seconds);
    let (status, first) = send(&world, "paid?from=shop", &[("paid-signature", &now)], body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    let id = first["flow_run_id"].as_str().expect("an id");
    let run = world.get(&format!("/api/flow_runs/{id}")).await.body;
    assert_eq!(run["parameters"]["order"], "o-7");
    assert_eq!(run["parameters"]["from"], "shop");
    let (_, again) = send(&world, "paid?from=shop", &[("paid-signature", &now)], body).await;
    assert_eq!(
        (&again["flow_run_id"], &again["created"]),
        (&first["flow_run_id"], &json!(false))
    );
    let old = signed(seconds - 1_000);
    let (status, _) = send(&world, "paid?from=shop", &[("paid-signature", &old)], body).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_hook_without_a_signature_is_open_but_not_to_pages_of_strangers() {
    let world = World::with(HOOKS).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let (status, answer) = send(&world, "open", &form, "a=1&b=x%20y").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let id = answer["flow_run_id"].as_str().expect("an id");
    let run = world.get(&format!("/api/flow_runs/{id}")).await.body;
    assert_eq!(run["parameters"]["all"], json!({"a": "1", "b": "x y"}));
    let (_, json) = send(&world, "open", &form, r#"{"a": [1]}"#).await;
    let id = json["flow_run_id"].as_str().expect("JSON that is called a form");
    let run = world.get(&format!("/api/flow_runs/{id}")).await.body;
    assert_eq!(run["parameters"]["all"], json!({"a": [1]}));
    let page = [("host", "localhost:4200"), ("origin", "https://evil.example")];
    assert_eq!(send(&world, "open", &page, "{}").await.0, StatusCode::FORBIDDEN);
    let long = format!("\"{}\"", "x".repeat(60));
    assert_eq!(send(&world, "open", &[], &long).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let key = world.post("/api/keys", json!({"name": "k", "scope": "admin"})).await;
    assert_eq!(key.status, StatusCode::CREATED);
    assert_eq!(
        send(&world, "open", &[], "{}").await.0,
        StatusCode::ACCEPTED,
        "it needs no key"
    );
}

#[tokio::test]
async fn a_hook_may_bring_a_signal_to_a_task_run_that_waits() {
    let world = World::with(HOOKS).await;
    let run = world.run_in(StateType::Running, "Running").await;
    let task = world.put_waiting_task(run).await.to_string();
    let body = json!({"task": task, "ok": true, "who": "ann"}).to_string();
    let signature = format!("sha256={}", sign(&body));
    let (status, answer) = send(&world, "decide", &[("x-hub-signature-256", &signature)], &body).await;
    assert_eq!((status, &answer["task_run_id"]), (StatusCode::ACCEPTED, &json!(task)));
    let signals = world.signals();
    let (_, _, name, payload) = &signals[0];
    assert_eq!((name.as_str(), payload.to_value()), ("approve", json!({"by": "ann"})));
    let body = json!({"task": uuid::Uuid::now_v7(), "ok": true, "who": "ann"}).to_string();
    let signature = format!("sha256={}", sign(&body));
    let (status, _) = send(&world, "decide", &[("x-hub-signature-256", &signature)], &body).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_host_that_takes_no_work_lets_the_sender_try_again() {
    let world = World::with(HOOKS).await;
    world.refuse_with(runner::Error::Draining);
    let answer = world
        .send(
            Request::post("/api/hooks/open")
                .body(Body::from("{}"))
                .expect("a request"),
        )
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_body_that_does_not_come_keeps_no_place() {
    let world = World::with(HOOKS).await;
    let request = |body: Body| Request::post("/api/hooks/open").body(body).expect("a request");
    tokio::time::pause();
    let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answer = api::router(world.state.clone()).oneshot(request(never)).await;
    assert_eq!(answer.expect("it answers").status(), StatusCode::REQUEST_TIMEOUT);
    tokio::time::resume();
    let broken = futures_util::stream::iter([Ok("{"), Err(std::io::Error::other("gone"))]);
    let answer = api::router(world.state.clone())
        .oneshot(request(Body::from_stream(broken)))
        .await;
    assert_eq!(answer.expect("it answers").status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_hook_without_a_signature_is_not_reached_by_names_of_strangers() {
    let world = World::with(HOOKS).await;
    world.post("/api/keys", json!({"name": "k", "scope": "admin"})).await;
    for (host, status) in [
        ("evil.example", StatusCode::FORBIDDEN),
        ("localhost:4200", StatusCode::ACCEPTED),
        ("127.0.0.1:4200", StatusCode::ACCEPTED),
    ] {
        assert_eq!(send(&world, "open", &[("host", host)], "{}").await.0, status, "{host}");
    }
}
