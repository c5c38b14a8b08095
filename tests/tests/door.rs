//! Who may talk to the host, seen from outside: keys and scopes, the auth string of Prefect's
//! clients, browsers, clients that send too much or too little, and what is written down.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use grepx_tests::{Host, HostBuilder, PATIENCE, wait_for};
use serde_json::{Value, json};

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}]
prefect_tasks: [{name: task, flow_name: flow, task_kind: transform, task_config: {program: '1'}}]
prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool}]
";
/// Where nobody listens: commands are about the store of this test only.
const NO_SERVER: &str = "prefect: {api_url: 'http://127.0.0.1:9/api'}\nserver: {port: 0}";
/// `admin:open-sesame`, as Prefect's clients send it.
const BASIC: &str = "Basic YWRtaW46b3Blbi1zZXNhbWU=";

fn host() -> HostBuilder {
    Host::with(FLOWS)
}

/// A new key by the command line; the value of the header.
fn key(host: &Host, name: &str, scope: &str, more: &[&str]) -> String {
    let words = [&["key", "create", name, "--scope", scope], more].concat();
    let made = host.cli(&words).success();
    let key = made.out.trim();
    assert!(key.starts_with("grepx_") && key.lines().count() == 1, "{made:?}");
    format!("Bearer {key}")
}

fn deployment(host: &Host, authorization: &str) -> String {
    let (status, found) = host.ask_as(authorization, "/deployments/name/flow/deployment", None);
    assert_eq!(status, 200, "{found}");
    found["id"].as_str().expect("an id").to_owned()
}

fn connect(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(host.address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream.set_write_timeout(Some(PATIENCE)).expect("a time limit");
    stream
}

/// Everything that comes until the other side closes. It may close while we still send.
fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let mut part = [0; 4_096];
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(length) => all.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the connection stays open: {error}"),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Sends a request as it is written here; what comes back.
fn raw(host: &Host, head: &str, body: &str) -> String {
    let mut stream = connect(host);
    let length = body.len();
    let request = format!("{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("sent");
    rest(stream)
}

fn audit(host: &Host) -> Vec<Value> {
    let rows = host.cli(&["audit", "ls", "--json"]).success().json();
    rows.as_array().expect("a list").clone()
}

#[test]
fn open_on_loopback_until_there_is_a_key() {
    let mut host = host().start();
    assert_eq!(host.get("/flow_run_states").0, 422);
    assert_eq!(host.get("/keys"), (200, json!([])));
    let admin = key(&host, "ops", "admin", &[]);
    let (status, refused) = host.get("/keys");
    assert_eq!(status, 401, "{refused}");
    assert_eq!(host.get("/health"), (200, json!(true)));
    assert_eq!(host.get("/ready").0, 200);
    assert_eq!(host.ask_as(&admin, "/keys", None).0, 200);
    // Whoever can read the state directory is not locked out, and says nothing wrong to others.
    let _ = host.cli(&["key", "ls"]).success();
    let wrong = host.cli_with(&[("GREPX_API_KEY", "grepx_wrong")], &["key", "ls"]);
    assert_eq!(wrong.code, 6, "{wrong:?}");
    assert!(wrong.err.contains("GREPX_API_KEY"), "{}", wrong.err);
    let file = host.folder().join("state/operator.json");
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    host.stop();
    assert!(!file.exists());
    host.serve();
    assert_eq!(host.get("/keys").0, 401, "it stays closed");
}

#[test]
fn the_first_key_can_be_made_before_the_host_serves() {
    let mut host = host().config(NO_SERVER).prepare();
    let admin = key(&host, "ops", "admin", &[]);
    let listed = host.cli(&["key", "ls", "--json"]).success().json();
    assert_eq!(listed[0]["name"], "ops");
    let twice = host.cli(&["key", "create", "ops", "--scope", "run"]);
    assert_eq!(twice.code, 2, "{twice:?}");
    host.serve();
    assert_eq!(host.get("/version").0, 401);
    assert_eq!(host.ask_as(&admin, "/version", None).0, 200);
    let _ = host.cli(&["key", "revoke", "ops"]).success();
    let (status, answer) = host.ask_as(&admin, "/version", None);
    assert_eq!(status, 401);
    assert!(
        answer["detail"].as_str().is_some_and(|text| text.contains("revoked")),
        "{answer}"
    );
    assert_eq!(host.cli(&["key", "revoke", "ops"]).code, 4);
    let commands: Vec<_> = audit(&host)
        .iter()
        .map(|row| (row["route"].clone(), row["status"].clone()))
        .collect();
    let wanted = [("/api/keys/{id}", 204), ("key create", 409), ("key create", 200)];
    assert_eq!(commands, wanted.map(|(route, status)| (json!(route), json!(status))));
}

#[test]
fn a_store_that_a_host_serves_elsewhere_is_left_alone() {
    let host = host().config(NO_SERVER).start();
    let words = ["key", "create", "x", "--scope", "run"];
    let outcome = host.cli_with(&[("PREFECT_API_URL", "http://127.0.0.1:9/api")], &words);
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert!(outcome.err.contains("--api-url"), "{}", outcome.err);
}

#[test]
fn others_are_not_listened_to_before_something_asks_for_keys() {
    let mut host = host().config(NO_SERVER).prepare();
    let refused = host.cli(&["serve", "--host", "0.0.0.0"]);
    assert_ne!(refused.code, 0);
    assert_eq!(
        refused
            .err
            .trim()
            .lines()
            .filter(|line| line.starts_with("error:"))
            .count(),
        1
    );
    for part in ["0.0.0.0", "key create", "server.auth_string", "--allow-unauthenticated"] {
        assert!(refused.err.contains(part), "{}", refused.err);
    }
    let config = host.folder().join("config.yaml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let text = text.replace("server: {port: 0}", "server: {port: 0, host: 0.0.0.0}");
    std::fs::write(&config, &text).expect("written");
    let admin = key(&host, "ops", "admin", &[]);
    host.serve();
    assert_eq!(host.get("/version").0, 401);
    assert_eq!(host.ask_as(&admin, "/version", None).0, 200);
}

#[test]
fn a_host_that_is_told_so_listens_to_everybody() {
    let server = "server: {port: 0, host: 0.0.0.0, allow_unauthenticated: true}";
    let host = host().config(server).start();
    assert_eq!(host.get("/keys").0, 200);
    let rebound = raw(&host, "GET /api/keys HTTP/1.1\r\nHost: rebound.example", "");
    assert!(rebound.starts_with("HTTP/1.1 403"), "{rebound}");
}

#[test]
fn a_key_may_do_what_its_scope_says() {
    let host = host().start();
    let [read, run, admin] = ["read", "run", "admin"].map(|scope| key(&host, scope, scope, &[]));
    let id = deployment(&host, &read);
    let create = format!("/deployments/{id}/create_flow_run");
    let empty = json!({});
    let cases = [
        ("/flow_runs/filter", Some(&empty), [200, 200, 200]),
        ("/plugins", None, [200, 200, 200]),
        (create.as_str(), Some(&empty), [403, 201, 201]),
        ("/keys", None, [403, 403, 200]),
        ("/audit", None, [403, 403, 200]),
        ("/plugins", Some(&empty), [403, 403, 422]),
    ];
    for (path, body, wanted) in cases {
        let found = [&read, &run, &admin].map(|key| host.ask_as(key, path, body).0);
        assert_eq!(found, wanted, "{path}");
        let (nobody, _) = host.ask_as("Bearer grepx_none", path, body);
        assert_eq!(nobody, 401, "{path}");
    }
    // The command line is a client as any other.
    let key = run.trim_start_matches("Bearer ");
    let words = ["deployment", "run", "flow/deployment", "--watch"];
    let _ = host.cli_with(&[("PREFECT_API_KEY", key)], &words).success();
    let denied = host.cli_with(&[("GREPX_API_KEY", key)], &["key", "ls"]);
    assert_eq!(denied.code, 6, "{denied:?}");
    assert!(denied.err.contains("admin"), "{}", denied.err);
}

#[test]
fn a_key_ends_when_it_was_said_to() {
    let host = host().start();
    let short = key(&host, "short", "read", &["--expires-in", "1s"]);
    let detail = wait_for("the end of the key", || {
        let (status, answer) = host.ask_as(&short, "/version", None);
        (status == 401).then(|| answer["detail"].as_str().unwrap_or_default().to_owned())
    });
    assert!(detail.contains("expired"), "{detail}");
    let listed = host.cli(&["key", "ls", "--json"]).success().json();
    assert_eq!(listed[0]["state"], "expired");
}

#[test]
fn prefects_clients_are_let_in_by_key_and_by_auth_string() {
    let host = host().config("server: {auth_string: 'admin:open-sesame'}").start();
    assert_eq!(host.get("/csrf-token?client=x").0, 401);
    let disabled = json!({"detail": "CSRF protection is disabled."});
    assert_eq!(
        host.ask_as(BASIC, "/csrf-token?client=x", None),
        (422, disabled.clone())
    );
    assert_eq!(host.ask_as(BASIC, "/flows/filter", Some(&json!({}))).0, 200);
    let read = key(&host, "reader", "read", &[]);
    assert_eq!(host.ask_as(&read, "/csrf-token?client=x", None), (422, disabled));
    let with = |text: &str| host.cli_with(&[("PREFECT_API_AUTH_STRING", text)], &["flow", "ls"]);
    let _ = with("admin:open-sesame").success();
    assert_eq!(with("admin:wrong").code, 6);
    for _ in 0..9 {
        assert_eq!(host.ask_as("Basic YTpi", "/version", None).0, 401);
    }
    // Who guesses has to wait, with the right one too; keys are not guessed.
    assert_eq!(host.ask_as(BASIC, "/version", None).0, 429);
    assert_eq!(host.ask_as(&read, "/version", None).0, 200);
    let shown = host.cli(&["config", "show"]).success().out;
    assert!(shown.contains("auth_string") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn a_browser_is_used_by_nobody_else() {
    let host = host().config("server: {allowed_hosts: [grepx.example.org]}").start();
    let address = host.address().to_owned();
    let ask = |name: &str, origin: &str| {
        let head = format!("POST /api/flows/filter HTTP/1.1\r\nHost: {name}{origin}");
        raw(&host, &head, "{}")
    };
    let port = address.split(':').nth(1).expect("a port");
    for (name, origin) in [
        (address.as_str(), String::new()),
        ("grepx.example.org", String::new()),
        (address.as_str(), format!("\r\nOrigin: http://{address}")),
        (address.as_str(), "\r\nOrigin: https://grepx.example.org".to_owned()),
        (
            &format!("localhost:{port}"),
            format!("\r\nOrigin: http://localhost:{port}"),
        ),
    ] {
        let answer = ask(name, &origin);
        assert!(answer.starts_with("HTTP/1.1 200"), "{name} {origin}: {answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
    for (name, origin) in [
        ("rebound.example", String::new()),
        ("10.0.0.1", String::new()),
        (address.as_str(), "\r\nOrigin: http://evil.example".to_owned()),
        (address.as_str(), "\r\nOrigin: null".to_owned()),
        (address.as_str(), "\r\nOrigin: http://127.0.0.1:1".to_owned()),
        (address.as_str(), "\r\nSec-Fetch-Site: cross-site".to_owned()),
    ] {
        let answer = ask(name, &origin);
        assert!(answer.starts_with("HTTP/1.1 403"), "{name} {origin}: {answer}");
        assert!(answer.contains("\"detail\""), "{answer}");
    }
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    let host = host().config("limits: {request_bytes: 100000}").start();
    let long = json!({"name": "x".repeat(200_000)});
    let (status, answer) = host.post("/flows/filter", &long);
    assert_eq!(status, 413, "{answer}");
    let deep = format!("{{\"x\": {}{}}}", "[".repeat(40_000), "]".repeat(40_000));
    let head = format!("POST /api/flows/filter HTTP/1.1\r\nHost: {}", host.address());
    let answer = raw(&host, &head, &deep);
    assert!(
        answer.starts_with("HTTP/1.1 422") && answer.contains("deeper than"),
        "{}",
        &answer[..200]
    );
    let head = format!(
        "GET /api/version HTTP/1.1\r\nHost: localhost\r\nX: {}",
        "x".repeat(70_000)
    );
    let answer = raw(&host, &head, "");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(host.get("/health").0, 200);
}

#[test]
fn a_client_that_says_nothing_loses_its_connection() {
    let server = "server: {header_timeout_seconds: 1, request_timeout_seconds: 1, connections: 3}";
    let host = host().config(server).start();
    // They take every place, one by saying nothing, one in the head, one in the body.
    let silent = connect(&host);
    let mut head = connect(&host);
    head.write_all(b"GET /api/version HTTP/1.1\r\nHost: loc").expect("sent");
    let mut body = connect(&host);
    body.write_all(b"POST /api/flows/filter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{\"na")
        .expect("sent");
    // A place comes free for those who ask.
    assert_eq!(host.get("/health").0, 200);
    assert_eq!(rest(silent), "");
    let _ = rest(head);
    let answer = rest(body);
    assert!(
        answer.contains("504") && answer.contains("request_timeout_seconds"),
        "{answer}"
    );
}

#[test]
fn a_client_that_never_reads_loses_its_connection() {
    let host = host()
        .config("server: {header_timeout_seconds: 1, connections: 1}")
        .start();
    let mut stream = connect(&host);
    let request = b"GET /api/plugins HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    // The answers fill the way back, then the host stops reading, then the way there is full.
    let error = loop {
        if let Err(error) = stream.write_all(&request) {
            break error;
        }
    };
    let closed = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
    assert!(closed.contains(&error.kind()), "{error}");
    assert_eq!(host.get("/health").0, 200);
}

#[test]
fn changes_are_on_record_also_after_a_crash() {
    let mut host = host().start();
    let run = host.run_to_end("flow/deployment", &json!({}));
    let ops = key(&host, "ops", "run", &[]);
    let id = deployment(&host, &ops);
    let (status, made) = host.ask_as(&ops, &format!("/deployments/{id}/create_flow_run"), Some(&json!({})));
    assert_eq!(status, 201, "{made}");
    let (status, _) = host.ask_as(&ops, &format!("/deployments/{id}/pause_deployment"), Some(&json!({})));
    assert_eq!(status, 200);
    host.kill();
    host.serve();
    let rows = audit(&host);
    let who = |route: &str| -> Vec<&str> {
        let of = rows.iter().filter(|row| row["route"] == route);
        of.map(|row| row["who"].as_str().unwrap_or_default()).collect()
    };
    assert_eq!(who("/api/deployments/{id}/create_flow_run"), ["key ops", "loopback"]);
    assert_eq!(who("/api/deployments/{id}/pause_deployment"), ["key ops"]);
    assert_eq!(who("/api/keys"), ["operator"]);
    let first = rows.last().expect("rows");
    assert_eq!(
        first["note"],
        format!("flow run {}", run["id"].as_str().expect("an id"))
    );
    assert_eq!(first["address"], "127.0.0.1");
    assert_eq!(first["status"], 201);
    let table = host.cli(&["audit", "ls"]).success().out;
    assert!(
        table.contains("key ops") && table.contains("pause_deployment"),
        "{table}"
    );
}

#[test]
fn definitions_that_somebody_has_changed_are_on_record() {
    let host = host().start();
    let more = format!("{FLOWS}  - {{name: second, flow_name: flow, work_pool_name: pool}}\n");
    let more = more.replace(
        "prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool}]",
        "prefect_deployments:",
    );
    std::fs::write(host.folder().join("more.yaml"), more).expect("written");
    let _ = host.cli(&["apply", "more.yaml"]).success();
    wait_for("the record", || {
        audit(&host).into_iter().find(|row| row["method"] == "LOAD")
    });
}

#[test]
fn a_key_is_nowhere_but_where_it_was_shown() {
    let mut host = host().config("server: {auth_string: 'admin:open-sesame'}").start();
    let key = key(&host, "ops", "admin", &[]);
    let key = key.trim_start_matches("Bearer ").to_owned();
    let _ = host.cli_with(
        &[("GREPX_API_KEY", &key)],
        &["deployment", "run", "flow/deployment", "--watch"],
    );
    assert_eq!(host.ask_as(&format!("Bearer {key}x"), "/version", None).0, 401);
    assert_eq!(host.ask_as(BASIC, "/version", None).0, 200);
    host.stop();
    for secret in [key.as_bytes(), b"open-sesame"] {
        holds_not(&host.folder().join("state"), secret);
        for entry in std::fs::read_dir(host.folder()).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = std::fs::read(&path).expect("a log");
                assert!(
                    !text.windows(secret.len()).any(|part| part == secret),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

fn holds_not(dir: &Path, secret: &[u8]) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            holds_not(&path, secret);
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        assert!(
            !bytes.windows(secret.len()).any(|part| part == secret),
            "{}",
            path.display()
        );
    }
}

#[test]
fn passwords_in_urls_are_shown_to_nobody() {
    let url = "redis://user:hunter2@127.0.0.1:1/0";
    let host = host().broker(url).start();
    let (status, connections) = host.get("/connections");
    assert_eq!(status, 200);
    assert!(!connections.to_string().contains("hunter2"), "{connections}");
    assert!(connections.to_string().contains("redis://user"), "{connections}");
    let log = host
        .process
        .as_ref()
        .map(grepx_tests::Process::output)
        .expect("it serves");
    assert!(!log.contains("hunter2"), "{log}");
    let client = host.cli(&["--api-url", "http://user:hunter2@127.0.0.1:9/api", "flow", "ls"]);
    assert_eq!(client.code, 3, "{client:?}");
    assert!(!client.err.contains("hunter2"), "{}", client.err);
}
