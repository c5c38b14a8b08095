//! The kind `http` through the real binary, against a server of the test's own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use grepx_tests::Host;
use serde_json::{Value, json};

/// Answers every request by its path and tells what it was asked.
struct Server {
    port: u16,
    asked: Receiver<String>,
}

fn serve() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || answer(stream, &sender));
        }
    });
    Server { port, asked }
}

fn answer(mut stream: TcpStream, asked: &Sender<String>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let _ = asked.send(format!("{head}\r\n{}", String::from_utf8_lossy(&body)));
    let written = match path.split('?').next().unwrap_or_default() {
        "/json" => response(
            "200 OK",
            "content-type: application/json\r\n",
            "{\"n\": 12345678901234567890.10}",
        ),
        "/busy" => response("429 Too Many Requests", "retry-after: 7\r\n", "later"),
        "/large" => response("200 OK", "", &"x".repeat(100_000)),
        // A head, and then nothing for as long as the connection lives.
        "/silent" => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab".to_owned(),
        _ => response("404 Not Found", "", "hidden words"),
    };
    stream.write_all(written.as_bytes()).ok()?;
    if path == "/silent" {
        let _ = reader.read(&mut [0]);
    }
    Some(())
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn flow(tasks: &[(&str, Value)]) -> String {
    let mut text =
        "prefect_work_pools: [{name: pool, concurrency_limit: 10}]\nprefect_flows: [{name: flow}]\nprefect_tasks:\n"
            .to_owned();
    for (name, config) in tasks {
        text.push_str(&format!(
            "  - {{name: {name}, flow_name: flow, task_kind: http, task_config: {config}}}\n"
        ));
    }
    text.push_str("prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool}]\n");
    text
}

fn host(server: &Server, tasks: &[(&str, Value)]) -> Host {
    let port = server.port;
    let config = format!("  grants: {{http: {{http: {{hosts: ['127.0.0.1:{port}'], methods: [GET, POST]}}}}}}");
    // The harness ends with the section of the plugins.
    Host::with(&flow(tasks)).config(&config).start()
}

#[test]
fn a_request_goes_out_and_its_answer_is_the_result() {
    let server = serve();
    let url = format!("http://127.0.0.1:{}/json?a=1", server.port);
    let task = json!({"url": url, "query": {"b": "x y"}, "json": {"n": 1}, "headers": {"x-own": "yes"}});
    let host = host(&server, &[("send", task)]);
    let run = host.run_to_end("flow/deployment", &json!({}));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(run["state"]["type"], "COMPLETED", "{}", host.logs(id));
    let result = host.result(id, "send");
    assert_eq!((&result["status"], &result["body_as"]), (&json!(200), &json!("json")));
    let asked = server.asked.recv().expect("it was asked");
    assert!(asked.starts_with("POST /json?a=1&b=x%20y HTTP/1.1"), "{asked}");
    let lower = asked.to_ascii_lowercase();
    assert!(
        lower.contains("x-own: yes") && lower.contains("idempotency-key: "),
        "{asked}"
    );
    assert!(asked.ends_with("{\"n\":1}"), "{asked}");
    assert!(host.logs(id).contains("/json answered 200"));
}

#[test]
fn every_failure_has_its_class() {
    let server = serve();
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);
    let host = host(
        &server,
        &[
            ("missing", json!({"url": at("/nowhere")})),
            ("busy", json!({"url": at("/busy")})),
            ("large", json!({"url": at("/large"), "max_response_bytes": 50_000})),
            ("silent", json!({"url": at("/silent"), "timeout_seconds": 0.3})),
            ("refused", json!({"url": "http://127.0.0.1:1/"})),
            ("method", json!({"url": at("/json"), "method": "DELETE"})),
        ],
    );
    let run = host.run_to_end("flow/deployment", &json!({}));
    let tasks = host.task_runs(run["id"].as_str().expect("an id"));
    for (task, code) in [
        ("missing", "http-404"),
        ("busy", "http-429"),
        ("large", "http-response-too-large"),
        ("silent", "http-timeout"),
        ("refused", "http-not-granted"),
        ("method", "http-not-granted"),
    ] {
        let message = tasks[task]["state"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(&format!("({code};")), "{task}: {message}");
        assert!(!message.contains("hidden words"), "{message}");
    }
}
