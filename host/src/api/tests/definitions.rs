//! The definitions seen through the API, and changed through it where a host is opened.

use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::world::World;
use crate::definitions::{self, Files, Rows};

const ROWS: &str = "prefect_work_pools: [{name: pool}]\nprefect_flows: [{name: stocks, description: old words}]\n";

/// A host whose definitions may be written, with some in its database.
async fn writable() -> World {
    let world = World::with_database("api_apply: true", "").await;
    fill(&world);
    world
}

fn fill(world: &World) {
    let files = Files::parse(Path::new("rows.yaml"), ROWS).expect("YAML");
    let plan = definitions::plan(&files, &Rows::default()).expect("a plan");
    let url = &world.settings("").database.db_url;
    definitions::apply(url, &files, &plan, true).expect("written");
}

async fn text(world: &World, path: &str, accept: &str) -> (StatusCode, String, String) {
    let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty());
    let answer = world.router.clone().oneshot(request.expect("a request")).await;
    let (parts, body) = answer.expect("a router always answers").into_parts();
    let bytes = to_bytes(body, 1 << 20).await.expect("a body");
    let kind = parts.headers[header::CONTENT_TYPE].to_str().expect("text").to_owned();
    (parts.status, kind, String::from_utf8(bytes.to_vec()).expect("text"))
}

async fn apply(world: &World, query: &str, sent: &'static str) -> (StatusCode, Value) {
    let request = Request::post(format!("/api/definitions/apply{query}")).body(Body::from(sent));
    let answer = world.send(request.expect("a request")).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn the_catalog_is_shown_as_it_is_in_force() {
    let world = World::new().await;
    let all = world.get("/api/definitions").await.body;
    let stocks = &all["flows"][1];
    assert_eq!(
        (&stocks["name"], &stocks["tasks"][0]["kind"]),
        (&json!("stocks"), &json!("celery"))
    );
    assert_eq!(stocks["tasks"][0]["celery_task_name"], "m.load");
    assert_eq!(stocks["parameters"]["environment"], "production");
    assert_eq!(all["deployments"][1]["name"], "daily");
    assert_eq!(all["work_pools"][0]["queues"][0]["name"], "default");
    assert_eq!(all["problems"][0]["flow"], "broken");
    assert_eq!(all["writable"], false);
}

#[tokio::test]
async fn rows_come_as_a_file_for_those_who_ask_for_yaml() {
    let world = writable().await;
    for (path, accept) in [
        ("/api/definitions?format=yaml", "*/*"),
        ("/api/definitions", "application/yaml;q=0.9, */*"),
    ] {
        let (status, kind, yaml) = text(&world, path, accept).await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/yaml"));
        assert!(yaml.contains("description: old words"), "{yaml}");
    }
    let (_, kind, _) = text(&world, "/api/definitions", "application/yaml, application/json").await;
    assert_eq!(kind, "application/json");
    let (status, _, _) = text(&world, "/api/definitions?format=xml", "*/*").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _, why) = text(&World::new().await, "/api/definitions?format=yaml", "*/*").await;
    assert_eq!(status, StatusCode::CONFLICT, "no database: {why}");
}

#[tokio::test]
async fn a_file_is_applied_in_one_transaction_after_a_look_at_the_difference() {
    let world = writable().await;
    let more = "prefect_flows: [{name: stocks, description: new words}, {name: more}]";
    let (status, dry) = apply(&world, "?dry_run=true", more).await;
    assert_eq!(status, StatusCode::OK, "{dry}");
    assert_eq!(
        (&dry["dry_run"], &dry["changes"][0]["change"]),
        (&json!(true), &json!("update"))
    );
    let field = json!({"column": "description", "old": "\"old words\"", "new": "new words"});
    assert_eq!(dry["changes"][0]["fields"], json!([field]));
    let (_, _, before) = text(&world, "/api/definitions?format=yaml", "*/*").await;
    assert!(before.contains("old words"), "nothing was written: {before}");

    let (status, done) = apply(&world, "", more).await;
    assert_eq!((status, &done["dry_run"]), (StatusCode::OK, &json!(false)), "{done}");
    assert_eq!(done["changes"], dry["changes"]);
    let (_, _, after) = text(&world, "/api/definitions?format=yaml", "*/*").await;
    assert!(after.contains("new words") && after.contains("name: more"), "{after}");
    let (_, again) = apply(&world, "", r#"{"prefect_flows": [{"name": "more"}]}"#).await;
    assert_eq!(
        (&again["changes"], &again["unchanged"]),
        (&json!([]), &json!(1)),
        "JSON is taken, too"
    );
    let audit = world.get("/api/audit").await.body;
    assert_eq!(audit[1]["note"], "applied: 2 changed, 0 unchanged", "{audit}");
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_with_its_places_and_changes_nothing() {
    let world = writable().await;
    let wrong = "prefect_flows:\n  - {name: good}\n  - {nam: x}\nprefect_tasks: [{name: t, flow_name: nobody}]\n";
    let (status, answer) = apply(&world, "", wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = answer["detail"].as_str().expect("a text");
    assert!(detail.contains("definitions:3:") && detail.contains("nam"), "{detail}");
    let (status, answer) = apply(&world, "?dry_run=maybe", "").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer["detail"].as_str().is_some_and(|text| text.contains("dry_run")),
        "{answer}"
    );
    let (_, _, rows) = text(&world, "/api/definitions?format=yaml", "*/*").await;
    assert!(!rows.contains("good"), "{rows}");
}

#[tokio::test]
async fn a_host_is_read_only_unless_it_was_opened() {
    let world = World::new().await;
    fill(&world);
    let more = "prefect_flows: [{name: more}]";
    let (status, answer) = apply(&world, "", more).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        answer["detail"]
            .as_str()
            .is_some_and(|text| text.contains("database.api_apply")),
        "{answer}"
    );
    let (status, _) = apply(&world, "?dry_run=true", more).await;
    assert_eq!(status, StatusCode::OK, "looking changes nothing");
    let (_, _, rows) = text(&world, "/api/definitions?format=yaml", "*/*").await;
    assert!(!rows.contains("more"), "{rows}");
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_said_so() {
    let world = World::with_database("api_apply: true", "").await;
    let (status, answer) = apply(&world, "", "prefect_flows: [{name: more}]").await;
    assert_eq!(status, StatusCode::CONFLICT, "there is none: {answer}");
    fill(&world);

    let url = world.settings("").database.db_url;
    let path = crate::config::sqlite_path(&url).expect("a path");
    std::fs::write(&path, b"no database at all, but long enough to be looked at by SQLite, which reads a head of 100 bytes first and says so")
        .expect("written");
    let (status, answer) = apply(&world, "", "prefect_flows: [{name: more}]").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
}
