use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use grepx_engine::{FlowRunId, NodeId, Timestamp};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use uuid::Uuid;

use super::*;
use crate::config::Masked;

pub(super) fn span(n: i64) -> Span {
    let run = FlowRunId(Uuid::from_u128(1));
    Span {
        place: Place::of_attempt(run, NodeId::task(0), 1),
        parent: Some(Place::of_run(run, 0).span),
        links: vec![Place::of_run(run, 7)],
        name: "task run a".to_owned(),
        is_producer: true,
        start: Timestamp(1_000 + n),
        end: Timestamp(2_000 + n),
        attributes: vec![
            ("text", "one".into()),
            ("number", 7_u32.into()),
            ("texts", Attribute::Texts(vec!["a".to_owned()])),
        ],
        error: Some("broken glass".to_owned()),
    }
}

fn settings(port: u16) -> Telemetry {
    Telemetry {
        url: format!("http://127.0.0.1:{port}/v1/traces"),
        headers: vec![("x-team".to_owned(), Masked("quant".to_owned()))],
        service_name: "nightly".to_owned(),
        sample_percent: 100,
    }
}

/// Gives these answers, one for each request, and tells head and body of it.
fn collector(answers: Vec<(u16, Vec<u8>)>) -> (u16, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for (status, answer) in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a reader"));
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let read = reader.read_line(&mut head).expect("a line");
                assert!(read > 0, "{head}");
            }
            for line in head.lines() {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let head_back = format!(
                "HTTP/1.1 {status} Words\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            let _ = stream.write_all(&[head_back.as_bytes(), &answer].concat());
            let _ = sender.send((head, body));
        }
    });
    (port, asked)
}

fn spans_of(body: &[u8]) -> Vec<opentelemetry_proto::tonic::trace::v1::Span> {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let scopes = request.resource_spans.into_iter().flat_map(|one| one.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

#[tokio::test]
async fn a_stop_sends_what_is_there() {
    let (port, asked) = collector(vec![(200, Vec::new())]);
    let traces = Traces::start(&settings(port)).expect("a thread");
    traces.tell(vec![span(0), span(1)]);
    traces.stop().await;
    let (head, body) = asked.recv().expect("it was asked");
    assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains("x-team: quant") && head.contains("content-type: application/x-protobuf"),
        "{head}"
    );
    let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("OTLP");
    let resource = format!("{:?}", request.resource_spans[0].resource);
    assert!(
        resource.contains("service.name") && resource.contains("nightly"),
        "{resource}"
    );
    let sent = spans_of(&body);
    assert_eq!(sent.len(), 2);
    let (sent, made) = (&sent[0], span(0));
    assert_eq!(sent.trace_id, made.place.trace.0);
    assert_eq!(
        (&sent.span_id[..], &sent.parent_span_id[..]),
        (&made.place.span.0[..], &made.parent.expect("one").0[..])
    );
    assert_eq!(
        (sent.start_time_unix_nano, sent.end_time_unix_nano),
        (1_000_000_000, 2_000_000_000)
    );
    assert_eq!(sent.links[0].span_id, made.links[0].span.0);
    let status = sent.status.as_ref().expect("a status");
    assert_eq!((status.code, status.message.as_str()), (2, "broken glass"));
    assert_eq!(sent.attributes.len(), 3);
    let expected = Counts {
        exported: 2,
        ..Counts::default()
    };
    assert_eq!(traces.counts(), expected);
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let some = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "too old".to_owned(),
        }),
    };
    let (port, asked) = collector(vec![(503, Vec::new()), (200, some.encode_to_vec()), (400, Vec::new())]);
    let traces = Traces::start(&settings(port)).expect("a thread");
    traces.tell(vec![span(0), span(1)]);
    let first = asked.recv().expect("it was asked").1;
    assert_eq!(asked.recv().expect("it was asked again").1, first);
    traces.tell(vec![span(2)]);
    assert_eq!(spans_of(&asked.recv().expect("the next").1).len(), 1);
    traces.stop().await;
    let counts = traces.counts();
    assert_eq!((counts.exported, counts.dropped, counts.waiting), (1, 2, 0));
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_no_time() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = closed.local_addr().expect("its address").port();
    drop(closed);
    let traces = Traces::start(&settings(port)).expect("a thread");
    traces.tell(vec![span(0); 10_000]);
    assert_eq!(traces.counts().dropped, 10_000 - 8_192);
    traces.stop().await;
    let counts = traces.counts();
    assert_eq!((counts.exported, counts.dropped, counts.waiting), (0, 10_000, 0));
    traces.tell(vec![span(0)]);
    assert_eq!(traces.counts().dropped, 10_001);
}

#[test]
fn a_text_is_cut_between_its_characters() {
    let long = "ä".repeat(4_000);
    let cut = bounded(&long);
    assert!(cut.len() <= 4 * 1024 && long.starts_with(&cut));
    assert_eq!(bounded("short"), "short");
}
