use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{Event, Message, News, Reader};
use crate::cli::arguments::Global;
use crate::cli::client::Client;

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn events(text: &str) -> (Vec<Event>, Option<String>) {
    let mut message = Message::default();
    let events = text.lines().filter_map(|line| message.line(line)).collect();
    (events, message.id)
}

#[test]
fn messages_end_with_an_empty_line_and_keep_the_last_id() {
    let (events, id) = events(
        "retry: 1000\n\n: still here\n\nevent: flow_run\nid: 7-0\ndata: {\"id\":\"a\"}\n\nevent: log\ndata:{\"n\":\ndata: 1}\n\n",
    );
    let event = |kind: &str, data| Event {
        kind: kind.to_owned(),
        data,
    };
    assert_eq!(
        events,
        [event("flow_run", json!({"id": "a"})), event("log", json!({"n": 1}))]
    );
    assert_eq!(id.as_deref(), Some("7-0"));
}

#[test]
fn a_message_that_is_cut_off_is_no_event() {
    let (events, _) = events("event: flow_run\ndata: {\"id\":");
    assert_eq!(events, []);
}

/// What is told of a server that gives one of these answers to each request, the last one again and
/// again; what it leaves open stays open.
fn told(answers: Vec<String>, silence: Duration) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let mut open = Vec::new();
        for n in 0.. {
            let (mut stream, _) = listener.accept().expect("a connection");
            let head = BufReader::new(stream.try_clone().expect("a handle"));
            let _ = head.lines().map_while(Result::ok).find(String::is_empty);
            let answer = &answers[n.min(answers.len() - 1)];
            let _ = stream.write_all(answer.as_bytes());
            // Without a length it ends with the connection.
            if answer.contains("content-length") || !answer.contains("stays open") {
                continue;
            }
            open.push(stream);
        }
    });
    let global = Global {
        config: Some("/nowhere/config.yaml".into()),
        env_file: None,
        api_url: None,
        json: false,
        color: None,
    };
    let client = Client::of_server(&global, &format!("http://{address}")).expect("a client");
    let (sender, news) = mpsc::sync_channel(64);
    let mut reader = Reader {
        client,
        path: "/runs/x/stream".into(),
        last_id: None,
        sender,
        silence,
    };
    reader.run();
    drop(reader);
    let words = news.iter().map(|news| match news {
        News::Event(event) => event.kind,
        News::Away(why) => format!("away: {why}"),
        News::Gone(failure) => format!("gone: {}", failure.error),
        News::End => "over".to_owned(),
        News::Interrupted => "interrupted".to_owned(),
    });
    words.collect()
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

#[test]
fn what_waiting_does_not_mend_is_not_waited_for() {
    let news = told(
        vec![answer("404 Not Found", r#"{"detail": "Flow run not found"}"#)],
        Duration::from_secs(60),
    );
    assert_eq!(news, ["gone: Flow run not found"]);
}

#[test]
fn a_server_that_is_full_is_waited_for() {
    let news = told(
        vec![
            answer("503 Service Unavailable", r#"{"detail": "256 streams are open"}"#),
            format!("{STREAM}event: end\ndata: {{}}\n\n"),
        ],
        Duration::from_secs(60),
    );
    assert_eq!(
        news,
        ["away: 256 streams are open; waiting for it for 30 s", "end", "over"]
    );
}

#[test]
fn a_server_that_says_nothing_is_away() {
    let news = told(
        vec![
            format!("{STREAM}: stays open\n"),
            format!("{STREAM}event: end\ndata: {{}}\n\n"),
        ],
        Duration::from_millis(200),
    );
    assert_eq!(news.len(), 3, "{news:?}");
    assert!(news[0].contains("has said nothing"), "{news:?}");
    assert_eq!(news[1..], ["end", "over"]);
}
