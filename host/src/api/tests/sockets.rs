//! Prefect's WebSockets, over a real connection.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::{SinkExt as _, StreamExt as _};
use grepx_engine::{Json, StateType};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

use super::world::World;
use crate::api::bus::News;
use crate::api::{Patience, serve};

const PATIENCE: Duration = Duration::from_secs(20);
const AUTH_STRING: &str = "server: {auth_string: 'admin:open-sesame'}";

/// Serves the world on a port of its own.
async fn served(world: &World) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let patience = Patience {
        connections: 100,
        head: PATIENCE,
    };
    let traffic = world.state.traffic();
    tokio::spawn(serve(
        listener,
        world.router.clone(),
        patience,
        traffic,
        std::future::pending(),
    ));
    address
}

struct Socket(WebSocketStream<TcpStream>);

/// With these headers beside the subprotocol.
async fn connect(address: &str, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, Error> {
    let mut request = format!("ws://{address}{path}")
        .into_client_request()
        .expect("a request");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", "prefect".parse().expect("a header"));
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a header"));
    }
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (socket, answer) = client_async(request, stream).await?;
    assert_eq!(answer.headers()["sec-websocket-protocol"], "prefect");
    Ok(Socket(socket))
}

impl Socket {
    async fn say(&mut self, message: Value) {
        let sent = self.0.send(Message::Text(message.to_string().into())).await;
        sent.expect("it takes messages");
    }

    /// The next message, or the code and the reason of the end.
    async fn hear(&mut self) -> Result<Value, (u16, String)> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next())
                .await
                .expect("something comes");
            match next.expect("it does not end without a word").expect("it is understood") {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(frame) => {
                    let frame = frame.expect("a reason");
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                _ => {}
            }
        }
    }

    async fn authenticate(&mut self, token: Value) -> Result<Value, (u16, String)> {
        self.say(json!({"type": "auth", "token": token})).await;
        self.hear().await
    }
}

/// Let in, with this filter.
async fn listening(address: &str, path: &str, filter: Value) -> Socket {
    let mut socket = connect(address, path, &[]).await.expect("a socket");
    assert_eq!(
        socket.authenticate(Value::Null).await,
        Ok(json!({"type": "auth_success"}))
    );
    socket.say(json!({"type": "filter", "filter": filter})).await;
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_nothing_that_is_known_is_sent_away_with_1008() {
    let world = World::with(AUTH_STRING).await;
    let address = served(&world).await;
    for token in [Value::Null, json!(""), json!("admin:wrong"), json!("grepx_wrong")] {
        let mut socket = connect(&address, "/api/events/out", &[]).await.expect("a socket");
        let (code, reason) = socket.authenticate(token.clone()).await.expect_err("refused");
        assert_eq!(code, 1008, "{token}: {reason}");
        assert!(reason.len() > 10, "{reason}");
    }
    let mut socket = connect(&address, "/api/events/out", &[]).await.expect("a socket");
    socket.say(json!({"type": "filter", "filter": {}})).await;
    assert_eq!(socket.hear().await, Err((1008, "Expected 'auth' message".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_or_a_header_lets_in() {
    let world = World::with(AUTH_STRING).await;
    let address = served(&world).await;
    let mut by_token = connect(&address, "/api/events/out", &[]).await.expect("a socket");
    let success = Ok(json!({"type": "auth_success"}));
    assert_eq!(by_token.authenticate(json!("admin:open-sesame")).await, success);
    let basic = [("authorization", "Basic YWRtaW46b3Blbi1zZXNhbWU=")];
    let mut by_header = connect(&address, "/api/logs/out", &basic).await.expect("a socket");
    assert_eq!(by_header.authenticate(Value::Null).await, success);
    let made = world
        .ask("POST", "/api/keys", &basic, json!({"name": "reader", "scope": "read"}))
        .await;
    let key = made.body["key"].clone();
    let mut by_key = connect(&address, "/api/events/out", &[]).await.expect("a socket");
    assert_eq!(by_key.authenticate(key.clone()).await, success);
    let mut inward = connect(&address, "/api/events/in", &[]).await.expect("a socket");
    let (code, reason) = inward.authenticate(key).await.expect_err("others would hear it");
    assert!(code == 1008 && reason.contains("scope run"), "{code} {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_and_sockets_without_the_subprotocol_are_refused() {
    let world = World::new().await;
    let address = served(&world).await;
    let refused = connect(&address, "/api/events/out", &[("origin", "https://evil.example")]).await;
    match refused.err().expect("refused") {
        Error::Http(answer) => assert_eq!(answer.status(), StatusCode::FORBIDDEN),
        other => panic!("{other}"),
    }
    let other = [("sec-websocket-protocol", "chat")];
    match connect(&address, "/api/events/out", &other)
        .await
        .err()
        .expect("refused")
    {
        Error::Http(answer) => assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_a_flow_run_is_sent_what_it_missed_and_its_end_each_once() {
    let world = World::new().await;
    let address = served(&world).await;
    let run = world.run_in(StateType::Running, "Running").await;
    let filter =
        json!({"any_resource": {"id": [format!("prefect.flow-run.{run}")]}, "order": "DESC", "id": {"id": []}});
    let mut socket = listening(&address, "/api/events/out", filter).await;
    let mut ids = HashSet::new();
    let mut next = async |socket: &mut Socket| {
        let message = socket.hear().await.expect("an event");
        assert_eq!(message["type"], "event");
        let event = message["event"].clone();
        assert!(ids.insert(event["id"].to_string()), "{event} came twice");
        event
    };
    let scheduled = next(&mut socket).await;
    assert_eq!(scheduled["event"], "prefect.flow-run.Scheduled");
    let running = next(&mut socket).await;
    assert_eq!(running["event"], "prefect.flow-run.Running");
    assert_eq!(running["follows"], scheduled["id"]);
    assert_eq!(
        running["payload"]["intended"],
        json!({"from": "SCHEDULED", "to": "RUNNING"})
    );
    world.put_task(run, Json::from(&json!(1))).await;
    let task = next(&mut socket).await;
    assert_eq!(task["event"], "prefect.task-run.Completed");
    let related = task["related"].as_array().expect("a list");
    assert!(related.iter().any(|one| one["prefect.resource.role"] == "flow-run"
        && one["prefect.resource.id"] == format!("prefect.flow-run.{run}")));
    world.end(run, StateType::Completed, "Completed").await;
    let end = next(&mut socket).await;
    assert_eq!(
        end["resource"]["prefect.resource.id"],
        format!("prefect.flow-run.{run}")
    );
    assert_eq!(end["resource"]["prefect.state-type"], "COMPLETED");
    let roles: Vec<&str> = end["related"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["prefect.resource.role"].as_str())
        .collect();
    for role in ["flow", "deployment", "work-pool", "tag"] {
        assert!(roles.contains(&role), "{roles:?}");
    }
    let kept = world
        .post(
            "/api/events/filter",
            json!({"filter": {"event": {"prefix": ["prefect.flow-run."]}}, "limit": 2}),
        )
        .await;
    assert_eq!(kept.body["total"], 3, "{}", kept.body);
    assert_eq!(kept.body["events"][0]["id"], end["id"], "the newest first");
    let next_page = kept.body["next_page"].as_str().expect("a third one");
    let path = &next_page[next_page.find("/api/").expect("ours")..];
    assert_eq!(world.get(path).await.body["events"][0]["id"], scheduled["id"]);
    let counted = world.post("/api/events/count-by/event", json!({"filter": {}})).await;
    assert_eq!(counted.body.as_array().map(Vec::len), Some(4), "{}", counted.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_emits_is_passed_on() {
    let world = World::new().await;
    let address = served(&world).await;
    let filter = json!({"event": {"prefix": ["my."]}});
    let mut out = listening(&address, "/api/events/out", filter).await;
    let mut inward = connect(&address, "/api/events/in", &[]).await.expect("a socket");
    inward.authenticate(Value::Null).await.expect("let in");
    let event = json!({"occurred": "2026-03-01T12:00:00Z", "event": "my.event", "resource": {"prefect.resource.id": "my.thing"},
        "related": [], "payload": {"n": 1}, "id": "01a208d8-d346-73d9-93b3-cdbef4c51e02", "follows": null});
    inward.say(event.clone()).await;
    let heard = out.hear().await.expect("passed on");
    assert_eq!(heard["event"]["id"], event["id"]);
    assert_eq!(heard["event"]["payload"], event["payload"]);
    inward.say(json!({"event": "no more"})).await;
    assert_eq!(inward.hear().await.expect_err("no event").0, 1002);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_are_sent_as_they_are_written() {
    let world = World::new().await;
    let address = served(&world).await;
    let run = world.run_in(StateType::Running, "Running").await;
    let other = world.run_in(StateType::Running, "Running").await;
    let mut socket = listening(&address, "/api/logs/out", json!({"flow_run_id": {"any_": [run]}})).await;
    // There is no word for "I listen now": lines are written until one comes.
    let written = async {
        loop {
            world.put_task(other, Json::from(&json!(1))).await;
            world.put_task(run, Json::from(&json!(1))).await;
        }
    };
    let heard = tokio::select! {
        heard = socket.hear() => heard.expect("a line"),
        () = written => unreachable!("it goes on"),
    };
    assert_eq!(heard["type"], "log");
    assert_eq!(heard["log"]["flow_run_id"], json!(run));
    assert!(heard["log"]["message"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_not_understood_is_told() {
    let world = World::new().await;
    let address = served(&world).await;
    let mut socket = listening(&address, "/api/events/out", json!({"order": "UP"})).await;
    let (code, reason) = socket.hear().await.expect_err("refused");
    assert_eq!(code, 1002);
    assert_eq!(reason, "Invalid filter: order: Input should be ASC or DESC");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_told_that_the_host_stops() {
    let world = World::new().await;
    let address = served(&world).await;
    let mut socket = listening(&address, "/api/events/out", json!({})).await;
    world.events.close();
    assert_eq!(socket.hear().await.expect_err("over").0, 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_take_the_places_of_those_who_show_a_key() {
    let world = World::with("server: {auth_string: 'admin:open-sesame', streams: 1}").await;
    let address = served(&world).await;
    let mut strangers = Vec::new();
    for _ in 0..32 {
        strangers.push(connect(&address, "/api/events/out", &[]).await.expect("a socket"));
    }
    match connect(&address, "/api/events/out", &[]).await.err().expect("refused") {
        Error::Http(answer) => assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE),
        other => panic!("{other}"),
    }
    let basic = [("authorization", "Basic YWRtaW46b3Blbi1zZXNhbWU=")];
    let mut known = connect(&address, "/api/events/out", &basic).await.expect("a socket");
    let success = Ok(json!({"type": "auth_success"}));
    assert_eq!(known.authenticate(Value::Null).await, success);
    // The only place is taken: who has shown a key is told to come again.
    let mut second = strangers.pop().expect("one of them");
    let (code, reason) = second
        .authenticate(json!("admin:open-sesame"))
        .await
        .expect_err("no place");
    assert!(code == 1013 && reason.contains("server.streams"), "{code} {reason}");
    let mut silent = strangers.pop().expect("one of them");
    assert_eq!(silent.hear().await.expect_err("it has said nothing for 5 s").0, 1008);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_closed_with_the_key_that_opened_it() {
    let world = World::with(AUTH_STRING).await;
    let address = served(&world).await;
    let basic = [("authorization", "Basic YWRtaW46b3Blbi1zZXNhbWU=")];
    let made = world
        .ask("POST", "/api/keys", &basic, json!({"name": "reader", "scope": "read"}))
        .await;
    let mut socket = connect(&address, "/api/logs/out", &[]).await.expect("a socket");
    socket.authenticate(made.body["key"].clone()).await.expect("let in");
    socket.say(json!({"type": "filter", "filter": {}})).await;
    let id = made.body["id"].as_str().expect("an id");
    world
        .ask("DELETE", &format!("/api/keys/{id}"), &basic, Value::Null)
        .await;
    assert_eq!(socket.hear().await.expect_err("cut off").0, 1008);
}

#[tokio::test]
async fn without_a_filter_everything_that_is_kept_is_asked_for() {
    let world = World::new().await;
    world.run_in(StateType::Running, "Running").await;
    for body in [
        json!({}),
        json!({"filter": null}),
        Value::Null,
        json!({"filter": {"occurred": null}}),
    ] {
        let answer = world.post("/api/events/filter", body.clone()).await;
        assert_eq!(
            (answer.status, &answer.body["total"]),
            (StatusCode::OK, &json!(2)),
            "{body}"
        );
    }
    let answer = world
        .post("/api/events/filter", json!({"filter": {"occurred": {"since": "x"}}}))
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        answer.body["exception_detail"][0]["loc"],
        json!(["body", "filter", "occurred", "since"])
    );
}

#[tokio::test]
async fn pages_of_events_stay_where_they_are() {
    let world = World::new().await;
    let run = world.run_in(StateType::Running, "Running").await;
    let first = world.post("/api/events/filter", json!({"limit": 1})).await.body;
    let next = first["next_page"].as_str().expect("a second page").to_owned();
    let event = json!({"occurred": "2150-01-01T00:00:00Z", "event": "my.event", "id": Uuid::now_v7(),
        "resource": {"prefect.resource.id": "x"}});
    world.events.tell([News::Client(Arc::new(event), 100)]);
    let path = &next[next.find("/api/").expect("ours")..];
    let second = world.get(path).await.body;
    assert_eq!(second["total"], 2, "{second}");
    assert_eq!(
        second["events"][0]["event"], "prefect.flow-run.Scheduled",
        "{run}: {second}"
    );
}
