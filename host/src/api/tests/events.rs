//! Changes as server-sent events.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use futures_util::StreamExt as _;
use grepx_engine::{Json, StateType};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::world::World;

/// Longer than any event takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One message of a stream.
#[derive(Debug, Clone, PartialEq)]
struct Message {
    event: String,
    id: Option<String>,
    data: Value,
}

struct Messages {
    body: BodyDataStream,
    text: String,
}

impl Messages {
    async fn open(world: &World, path: &str, last_event_id: Option<&str>) -> Self {
        Self::open_as(world, path, last_event_id, None).await
    }

    async fn open_as(world: &World, path: &str, last_event_id: Option<&str>, authorization: Option<&str>) -> Self {
        let mut request = Request::get(path);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = world.router.clone().oneshot(request).await.expect("it answers");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// `None` when the stream has ended.
    async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(message) = parse(&block) {
                    return Some(message);
                }
            }
            let next = tokio::time::timeout(PATIENCE, self.body.next());
            let bytes = next.await.expect("something comes")?.expect("a body");
            self.heard(&bytes);
        }
    }

    /// Whether an id has come alone; nothing is waited for.
    async fn told_ahead(&mut self) -> bool {
        while let Ok(Some(bytes)) = tokio::time::timeout(Duration::from_millis(5), self.body.next()).await {
            self.heard(&bytes.expect("a body"));
        }
        self.last_id().is_some()
    }

    /// Of what was heard and is no message.
    fn last_id(&self) -> Option<String> {
        let mut blocks = self.text.split("\n\n");
        blocks.find_map(|block| Some(block.strip_prefix("id: ")?.to_owned()))
    }

    fn heard(&mut self, bytes: &[u8]) {
        self.text.push_str(std::str::from_utf8(bytes).expect("text"));
    }

    async fn expect(&mut self, event: &str) -> Message {
        let message = self.next().await.expect("the stream goes on");
        assert_eq!(message.event, event, "{message:?}");
        message
    }

    async fn rest(mut self) -> Vec<Message> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            all.push(message);
        }
        all
    }
}

fn parse(block: &str) -> Option<Message> {
    let field = |name: &str| {
        let mut lines = block
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.next().map(str::to_owned)
    };
    Some(Message {
        event: field("event")?,
        id: field("id"),
        data: serde_json::from_str(&field("data")?).expect("JSON"),
    })
}

fn kinds(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.event.as_str()).collect()
}

fn lines(messages: &[Message]) -> Vec<(i64, &str)> {
    let lines = messages.iter().filter(|message| message.event == "log");
    let lines = lines.map(|line| {
        (
            line.data["n"].as_i64().expect("n"),
            line.data["message"].as_str().expect("text"),
        )
    });
    lines.collect()
}

#[tokio::test]
async fn what_happens_is_told_to_whoever_listens() {
    let world = World::new().await;
    let mut messages = Messages::open(&world, "/api/events", None).await;
    let subscribed = messages.expect("subscribed").await;
    let run = world.run_in(StateType::Running, "Running").await;
    let created = messages.expect("flow_run").await;
    assert_eq!(created.data["id"], json!(run));
    assert_eq!(created.data["state"]["name"], "Scheduled");
    assert_eq!(created.data["previous"], Value::Null);
    let running = messages.expect("flow_run").await;
    assert_eq!(running.data["state"]["type"], "RUNNING");
    assert_eq!(
        running.data["previous"],
        json!({"type": "SCHEDULED", "name": "Scheduled"})
    );
    world.put_task(run, Json::from(&json!({"n": 1}))).await;
    let task = messages.expect("task_run").await;
    assert_eq!(task.data["name"], "load");
    assert_eq!(task.data["flow_run_id"], json!(run));
    assert_eq!(task.data["state"]["type"], "COMPLETED");
    let shown = world
        .get(&format!("/api/task_runs/{}", task.data["id"].as_str().expect("an id")))
        .await;
    assert_eq!(
        shown.body["state"]["id"], task.data["state"]["id"],
        "the same state by both ways"
    );
    for (n, text) in ["first", "second", "third"].into_iter().enumerate() {
        let line = messages.expect("log").await;
        assert_eq!((&line.data["n"], &line.data["message"]), (&json!(n), &json!(text)));
    }
    let position = |message: &Message| {
        message
            .id
            .as_ref()
            .and_then(|id| id.parse::<u64>().ok())
            .expect("a position")
    };
    assert!(position(&created) == position(&subscribed) + 1 && position(&running) == position(&created) + 1);

    let mut again = Messages::open(&world, "/api/events", created.id.as_deref()).await;
    again.expect("subscribed").await;
    assert_eq!(
        again.next().await,
        Some(running),
        "nothing between is lost, nothing comes twice"
    );
}

#[tokio::test]
async fn switches_are_events() {
    let world = World::new().await;
    let mut messages = Messages::open(
        &world,
        "/api/events?events=deployment,schedule,work_pool,work_queue",
        None,
    )
    .await;
    messages.expect("subscribed").await;
    let daily = world.daily().await;
    world
        .post(&format!("/api/deployments/{daily}/pause_deployment"), Value::Null)
        .await;
    assert_eq!(
        messages.expect("deployment").await.data,
        json!({"deployment_id": daily, "paused": true})
    );
    world
        .patch(
            "/api/work_pools/pool",
            json!({"is_paused": true, "concurrency_limit": null}),
        )
        .await;
    assert_eq!(
        messages.expect("work_pool").await.data,
        json!({"work_pool_name": "pool", "is_paused": true, "concurrency_limit": null})
    );
    world
        .patch("/api/work_pools/pool/queues/default", json!({"priority": 2}))
        .await;
    assert_eq!(
        messages.expect("work_queue").await.data,
        json!({"work_pool_name": "pool", "work_queue_name": "default", "priority": 2})
    );
}

#[tokio::test]
async fn who_comes_too_late_is_told_how_many_are_gone() {
    let world = World::with("limits: {events_kept: 3}").await;
    let mut messages = Messages::open(&world, "/api/events", None).await;
    let subscribed = messages.expect("subscribed").await;
    drop(messages);
    let run = world.run_in(StateType::Running, "Running").await;
    world.put_task(run, Json::from(&json!(1))).await;
    let mut again = Messages::open(&world, "/api/events", subscribed.id.as_deref()).await;
    again.expect("subscribed").await;
    let gap = again.expect("gap").await;
    assert_eq!(
        gap.data["missed"], 2,
        "of six, a task run and its three lines came at once"
    );
    assert_eq!(again.expect("task_run").await.data["name"], "load");
    let mut strange = Messages::open(&world, "/api/events", Some("5")).await;
    strange.expect("subscribed").await;
    assert_eq!(
        strange.expect("gap").await.data["missed"],
        Value::Null,
        "of another start"
    );
}

#[tokio::test]
async fn a_flow_run_is_told_from_its_beginning_to_its_end() {
    let world = World::new().await;
    let run = world.run_in(StateType::Running, "Running").await;
    world.put_task(run, Json::from(&json!(1))).await;
    let path = format!("/api/runs/{run}/stream");
    let mut messages = Messages::open(&world, &path, None).await;
    assert_eq!(messages.expect("flow_run").await.data["state"]["name"], "Running");
    assert_eq!(messages.expect("task_run").await.data["name"], "load");
    for text in ["first", "second", "third"] {
        assert_eq!(messages.expect("log").await.data["message"], text);
    }
    let live = messages.expect("live").await;
    world.put_task(run, Json::from(&json!(1))).await;
    for n in 3..6 {
        assert_eq!(messages.expect("log").await.data["n"], n, "the task run is as it was");
    }
    world.end(run, StateType::Failed, "Failed").await;
    assert_eq!(messages.expect("flow_run").await.data["state"]["type"], "FAILED");
    let end = messages.expect("end").await;
    assert_eq!(end.data["state"]["name"], "Failed");
    assert_eq!(messages.next().await, None);

    let resumed = Messages::open(&world, &path, live.id.as_deref()).await.rest().await;
    assert_eq!(kinds(&resumed), ["log", "log", "log", "flow_run", "end"]);
    assert_eq!(lines(&resumed), [(3, "first"), (4, "second"), (5, "third")]);
    let anew = Messages::open(&world, &path, None).await.rest().await;
    assert_eq!(lines(&anew).len(), 6);
    assert_eq!(kinds(&anew)[anew.len() - 2..], ["flow_run", "end"]);
    let over = world.ask("GET", &path, &[("last-event-id", "end")], Value::Null).await;
    assert_eq!(over.status, StatusCode::NO_CONTENT, "browsers stop asking");
}

#[tokio::test]
async fn a_reader_that_is_slower_than_the_run_gets_every_line_once() {
    let world = World::with("limits: {events_kept: 2}").await;
    let run = world.run_in(StateType::Running, "Running").await;
    let mut messages = Messages::open(&world, &format!("/api/runs/{run}/stream"), None).await;
    messages.expect("flow_run").await;
    messages.expect("live").await;
    for _ in 0..5 {
        world.put_task(run, Json::from(&json!(1))).await;
    }
    world.end(run, StateType::Completed, "Completed").await;
    let all = messages.rest().await;
    let numbers: Vec<i64> = lines(&all).into_iter().map(|(n, _)| n).collect();
    assert_eq!(numbers, (0..15).collect::<Vec<_>>());
    let tasks = all.iter().filter(|message| message.event == "task_run").count();
    assert_eq!(tasks, 1, "its state never changed");
    assert_eq!(kinds(&all).last(), Some(&"end"));
}

#[tokio::test]
async fn a_run_that_is_deleted_ends_its_stream() {
    let world = World::new().await;
    let run = world.run_in(StateType::Completed, "Completed").await;
    let all = Messages::open(&world, &format!("/api/runs/{run}/stream"), None)
        .await
        .rest()
        .await;
    assert_eq!(kinds(&all), ["flow_run", "end"]);
    let mut events = Messages::open(&world, "/api/events", None).await;
    events.expect("subscribed").await;
    world
        .ask("DELETE", &format!("/api/flow_runs/{run}"), &[], Value::Null)
        .await;
    assert_eq!(events.expect("flow_run_deleted").await.data, json!({"id": run}));
    let gone = world.get(&format!("/api/runs/{run}/stream")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn there_are_only_so_many_streams_and_a_place_is_given_back() {
    let world = World::with("server: {streams: 1}").await;
    let first = Messages::open(&world, "/api/events", None).await;
    let refused = world.get("/api/events").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        refused.body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("server.streams"))
    );
    assert!(refused.headers.contains_key("retry-after"));
    drop(first);
    Messages::open(&world, "/api/events", None)
        .await
        .expect("subscribed")
        .await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_before_the_stream_begins() {
    let world = World::new().await;
    let run = world.run_in(StateType::Running, "Running").await;
    for path in [
        "/api/events?events=flows",
        "/api/events?flow_run_id=x",
        "/api/events?after=x",
    ] {
        assert_eq!(world.get(path).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    let strange = world.get(&format!("/api/runs/{run}/stream?after=5")).await;
    assert_eq!(strange.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn streams_end_when_the_host_stops() {
    let world = World::new().await;
    let run = world.run_in(StateType::Running, "Running").await;
    let mut all = Messages::open(&world, "/api/events", None).await;
    let mut one = Messages::open(&world, &format!("/api/runs/{run}/stream"), None).await;
    all.expect("subscribed").await;
    one.expect("flow_run").await;
    one.expect("live").await;
    world.events.close();
    assert_eq!(all.next().await, None);
    assert_eq!(one.next().await, None);
}

#[tokio::test]
async fn who_wants_little_is_told_how_far_it_is() {
    let world = World::with("limits: {events_kept: 50}").await;
    let mut messages = Messages::open(&world, "/api/events?events=deployment", None).await;
    messages.expect("subscribed").await;
    let run = world.run_in(StateType::Running, "Running").await;
    for _ in 0..40 {
        // Four events each; nobody wants them.
        world.put_task(run, Json::from(&json!(1))).await;
        if messages.told_ahead().await {
            break;
        }
    }
    let id = messages.last_id().expect("an id came alone");
    let mut again = Messages::open(&world, "/api/events?events=deployment", Some(&id)).await;
    assert_eq!(again.expect("subscribed").await.id, Some(id));
    let daily = world.daily().await;
    let path = format!("/api/deployments/{daily}/pause_deployment");
    world.post(&path, Value::Null).await;
    again.expect("deployment").await;
}

#[tokio::test]
async fn a_stream_ends_with_the_key_that_opened_it() {
    let world = World::new().await;
    let mut anyone = Messages::open(&world, "/api/events", None).await;
    anyone.expect("subscribed").await;
    let made = world.post("/api/keys", json!({"name": "a", "scope": "admin"})).await;
    assert_eq!(anyone.next().await, None, "the host is closed now");
    let admin = format!("Bearer {}", made.body["key"].as_str().expect("a key"));
    let admin = [("authorization", admin.as_str())];
    let reader = world
        .ask("POST", "/api/keys", &admin, json!({"name": "r", "scope": "read"}))
        .await;
    let key = format!("Bearer {}", reader.body["key"].as_str().expect("a key"));
    let mut by_key = Messages::open_as(&world, "/api/events", None, Some(&key)).await;
    by_key.expect("subscribed").await;
    let id = reader.body["id"].as_str().expect("an id");
    world
        .ask("DELETE", &format!("/api/keys/{id}"), &admin, Value::Null)
        .await;
    assert_eq!(by_key.next().await, None);
}
