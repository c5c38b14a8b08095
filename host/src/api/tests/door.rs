//! Who is let in, and what is written down of it.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::world::{Answer, World};
use crate::api::door::access::RULES;
use crate::api::door::key::digest;
use crate::api::{Door, DoorError};
use crate::config::Settings;
use crate::store::{NewKey, Scope};

const AUTH_STRING: &str = "server: {auth_string: 'admin:open-sesame'}";
/// `admin:open-sesame`, as Prefect's clients send it.
const BASIC: (&str, &str) = ("authorization", "Basic YWRtaW46b3Blbi1zZXNhbWU=");

/// A key with this scope; the header with it, and its id.
async fn key(world: &World, scope: &str, with: &[(&str, &str)]) -> (String, String) {
    let body = json!({"name": format!("a {scope} key"), "scope": scope});
    let made = world.ask("POST", "/api/keys", with, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let text = made.body["key"].as_str().expect("the key");
    let id = made.body["id"].as_str().expect("an id");
    (format!("Bearer {text}"), id.to_owned())
}

async fn with(world: &World, method: &str, path: &str, authorization: &str) -> Answer {
    world
        .ask(method, path, &[("authorization", authorization)], Value::Null)
        .await
}

/// The path of a rule with something in place of its parts.
fn path_of(route: &str) -> String {
    let parts = route
        .split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn without_keys_everybody_here_may_do_everything() {
    let world = World::new().await;
    assert_eq!(world.get("/api/keys").await.status, StatusCode::OK);
    // A client may have a key for another host.
    let other = with(&world, "GET", "/api/keys", "Bearer of-somebody-else").await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn with_the_first_key_the_host_is_closed_for_good() {
    let world = World::new().await;
    let (admin, id) = key(&world, "admin", &[]).await;
    let nobody = world.get("/api/flow_run_states").await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert!(
        nobody.body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("GREPX_API_KEY"))
    );
    assert_eq!(nobody.headers["www-authenticate"], "Bearer realm=\"grepx-host\"");
    for open in ["/api/health", "/api/ready"] {
        assert_eq!(world.get(open).await.status, StatusCode::OK, "{open}");
    }
    let revoked = with(&world, "DELETE", &format!("/api/keys/{id}"), &admin).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    let answer = with(&world, "GET", "/api/keys", &admin).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(
        answer.body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("revoked"))
    );
    assert_eq!(world.get("/api/version").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn each_endpoint_wants_its_scope() {
    let world = World::new().await;
    let (admin, _) = key(&world, "admin", &[]).await;
    let header = [("authorization", admin.as_str())];
    let keys = [
        (Scope::Admin, admin.clone()),
        (Scope::Run, key(&world, "run", &header).await.0),
        (Scope::Read, key(&world, "read", &header).await.0),
    ];
    // Streams end at once.
    world.events.close();
    for rule in RULES.iter().filter(|rule| !rule.socket) {
        let path = path_of(rule.route);
        for (scope, authorization) in &keys {
            let answer = with(&world, rule.method(), &path, authorization).await;
            let refused = answer.status == StatusCode::FORBIDDEN
                && answer.body["detail"]
                    .as_str()
                    .is_some_and(|text| text.contains("needs a key with the scope"));
            assert_eq!(
                refused,
                rule.scope > Some(*scope),
                "{} {path} by {scope}: {}",
                rule.method(),
                answer.body
            );
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        }
        let nobody = world.ask(rule.method(), &path, &[], Value::Null).await;
        assert_eq!(
            nobody.status == StatusCode::UNAUTHORIZED,
            rule.scope.is_some(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_not_there_says_so_only_to_those_who_may_read() {
    let world = World::with(AUTH_STRING).await;
    for (method, path, status) in [
        ("GET", "/api/secret", StatusCode::NOT_FOUND),
        ("PUT", "/api/health", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "/", StatusCode::NOT_FOUND),
        ("GET", "/api/flows/filter", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        assert_eq!(
            world.ask(method, path, &[], Value::Null).await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
        let known = world.ask(method, path, &[BASIC], Value::Null).await;
        assert_eq!(known.status, status, "{method} {path}: {}", known.body);
    }
}

#[tokio::test]
async fn the_auth_string_is_taken_as_prefects_clients_send_it() {
    let world = World::with(AUTH_STRING).await;
    assert_eq!(
        world.ask("GET", "/api/keys", &[BASIC], Value::Null).await.status,
        StatusCode::OK
    );
    for wrong in [
        "Basic YWRtaW46cGFzcw==",
        "Bearer admin:open-sesame",
        "Basic",
        "Negotiate x",
    ] {
        let answer = with(&world, "GET", "/api/keys", wrong).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{wrong}");
        assert!(!answer.body.to_string().contains("sesame"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_key_ends_when_it_has_to() {
    let world = World::with(AUTH_STRING).await;
    let expired = NewKey {
        id: uuid::Uuid::now_v7(),
        name: "short".to_owned(),
        digest: digest("grepx_short"),
        scope: Scope::Admin,
        created_at: super::world::NOW,
        expires_at: Some(super::world::NOW.plus_ms(1)),
    };
    world.store.create_key(expired).await.expect("kept");
    world.state.door.read_keys().await.expect("read");
    let answer = with(&world, "GET", "/api/version", "Bearer grepx_short").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(
        answer.body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("expired")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_key_is_shown_once_and_its_name_is_looked_at() {
    let world = World::with(AUTH_STRING).await;
    let (authorization, id) = key(&world, "run", &[BASIC]).await;
    let text = authorization.trim_start_matches("Bearer ");
    assert!(text.starts_with("grepx_") && text.len() == 49, "{text}");
    let listed = world.ask("GET", "/api/keys", &[BASIC], Value::Null).await.body;
    assert_eq!(listed[0]["id"], id.as_str());
    assert_eq!(listed[0]["state"], "live");
    assert!(!listed.to_string().contains(text), "{listed}");
    let twice = world
        .ask(
            "POST",
            "/api/keys",
            &[BASIC],
            json!({"name": "a run key", "scope": "run"}),
        )
        .await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "{}", twice.body);
    for wrong in [
        json!({"name": "", "scope": "run"}),
        json!({"name": "x\ny", "scope": "run"}),
        json!({"name": uuid::Uuid::nil().to_string(), "scope": "run"}),
        json!({"name": "x", "scope": "root"}),
        json!({"name": "x"}),
        json!({"name": "x", "scope": "run", "expires_in_seconds": 0}),
    ] {
        let refused = world.ask("POST", "/api/keys", &[BASIC], wrong.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn others_reach_a_host_only_when_something_guards_it() {
    let world = World::new().await;
    let outside = "0.0.0.0:4200".parse().expect("an address");
    let open = |settings: Settings| {
        let store = world.store.clone();
        async move { Door::open(&store, &settings, outside).await }
    };
    let refused = open(world.settings("")).await.expect_err("nothing guards it");
    assert!(matches!(refused, DoorError::Unguarded { .. }));
    let text = refused.to_string();
    for part in [
        "0.0.0.0:4200",
        "key create",
        "server.auth_string",
        "--allow-unauthenticated",
    ] {
        assert!(text.contains(part), "{text}");
    }
    open(world.settings("server: {allow_unauthenticated: true}"))
        .await
        .expect("as it is told");
    open(world.settings(AUTH_STRING))
        .await
        .expect("the auth string guards it");
    key(&world, "admin", &[]).await;
    open(world.settings("")).await.expect("the key guards it");
}

#[tokio::test]
async fn names_and_pages_are_looked_at_before_anything_else() {
    let world = World::new().await;
    let rebound = world
        .ask("GET", "/api/version", &[("host", "evil.example")], Value::Null)
        .await;
    assert_eq!(rebound.status, StatusCode::FORBIDDEN);
    assert!(
        rebound.body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("server.allowed_hosts"))
    );
    let here = ("host", "127.0.0.1:4200");
    let strange = [here, ("origin", "http://evil.example")];
    let answer = world.ask("POST", "/api/flows/filter", &strange, json!({})).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let ours = [here, ("origin", "http://127.0.0.1:4200")];
    let answer = world.ask("POST", "/api/flows/filter", &ours, json!({})).await;
    assert_eq!(answer.status, StatusCode::OK);
    // A probe asks by whatever name the machine has.
    let probe = world.ask("GET", "/api/health", &[("host", "pod-7")], Value::Null).await;
    assert_eq!(probe.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_guards_browsers() {
    let world = World::with(AUTH_STRING).await;
    for (path, headers) in [
        ("/api/health", &[][..]),
        ("/api/keys", &[]),
        ("/api/keys", &[BASIC]),
        ("/x", &[BASIC]),
    ] {
        let answer = world.ask("GET", path, headers, Value::Null).await;
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer", "{path}");
        let policy = answer.headers["content-security-policy"].to_str().expect("text");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
}

#[tokio::test]
async fn changes_are_written_down_with_who_and_how_it_ended() {
    let world = World::with(AUTH_STRING).await;
    let (run, _) = key(&world, "run", &[BASIC]).await;
    let deployment = world
        .ask("GET", "/api/deployments/name/stocks/daily", &[BASIC], Value::Null)
        .await;
    let id = deployment.body["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/deployments/{id}/create_flow_run");
    let made = with(&world, "POST", &path, &run).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(made.body["created_by"]["display_value"], "a run key");
    let bad = world
        .ask(
            "POST",
            &path,
            &[("authorization", &run)],
            json!({"parameters": {"n": "x"}}),
        )
        .await;
    assert_eq!(bad.status, StatusCode::CONFLICT);
    let denied = with(&world, "POST", "/api/plugins", &run).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    let paused = world
        .ask("PATCH", "/api/work_pools/pool", &[BASIC], json!({"is_paused": true}))
        .await;
    assert_eq!(paused.status, StatusCode::NO_CONTENT);
    let rows = world.ask("GET", "/api/audit", &[BASIC], Value::Null).await.body;
    let told = |n: usize| {
        let row = &rows[n];
        (
            row["who"].as_str(),
            row["method"].as_str(),
            row["route"].as_str(),
            row["status"].as_u64(),
        )
    };
    let create = Some("/api/deployments/{id}/create_flow_run");
    assert_eq!(
        told(0),
        (
            Some("auth string"),
            Some("PATCH"),
            Some("/api/work_pools/{name}"),
            Some(204)
        )
    );
    assert_eq!(rows[0]["note"], "paused");
    assert_eq!(
        told(1),
        (Some("key a run key"), Some("POST"), Some("/api/plugins"), Some(403))
    );
    assert_eq!(told(2), (Some("key a run key"), Some("POST"), create, Some(409)));
    assert_eq!(told(3), (Some("key a run key"), Some("POST"), create, Some(201)));
    assert_eq!(rows[3]["path"], path.as_str());
    assert_eq!(
        rows[3]["note"],
        format!("flow run {}", made.body["id"].as_str().expect("an id"))
    );
    assert_eq!(
        told(4),
        (Some("auth string"), Some("POST"), Some("/api/keys"), Some(201))
    );
    assert_eq!(
        rows.as_array().map(Vec::len),
        Some(5),
        "what only reads is not there: {rows}"
    );
    let last = rows[4]["n"].as_i64().expect("a number");
    let before = world
        .ask("GET", &format!("/api/audit?before={last}"), &[BASIC], Value::Null)
        .await;
    assert_eq!(before.body, json!([]));
}

#[tokio::test]
async fn a_body_that_goes_too_deep_is_refused() {
    let world = World::new().await;
    let nested = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    for (levels, wanted) in [(127, StatusCode::OK), (128, StatusCode::UNPROCESSABLE_ENTITY)] {
        let request = Request::post("/api/flows/filter").body(Body::from(nested(levels)));
        let answer = world.send(request.expect("a request")).await;
        assert_eq!(answer.status, wanted, "{levels}: {}", answer.body);
        if wanted != StatusCode::OK {
            assert!(
                answer.body.to_string().contains("deeper than 127 levels"),
                "{}",
                answer.body
            );
        }
    }
}
