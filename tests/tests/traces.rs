//! Traces of flow runs as a collector gets them, and the header by which workers join them.

use grepx_tests::{Host, HttpServer, Pool, RedisServer, Worker, wait_for};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: work}, {name: parent}, {name: wait}]
prefect_tasks:
  - {name: traced, flow_name: work, celery_task_name: tests.traced, retry_config: {max_retries: 1, retry_delay_seconds: 0}}
  - {name: call, flow_name: parent, task_kind: subflow, task_config: {deployment: work/work_now}}
  - {name: ask, flow_name: wait, task_kind: approval}
prefect_deployments:
  - {name: work_now, flow_name: work, work_pool_name: pool}
  - {name: parent_now, flow_name: parent, work_pool_name: pool}
  - {name: wait_now, flow_name: wait, work_pool_name: pool}
";
const ERROR: i32 = 2;

fn telemetry(collector: &HttpServer) -> String {
    format!(
        "telemetry: {{otlp_endpoint: 'http://127.0.0.1:{}', headers: {{x-team: quant}}, service_name: nightly}}",
        collector.port()
    )
}

/// All spans of the flow run's trace, as soon as its own is among them, in the order of their starts.
fn trace(collector: &HttpServer, run: &str) -> Vec<Span> {
    let trace = uuid::Uuid::parse_str(run).expect("an id").as_bytes().to_vec();
    wait_for("the span of the flow run", || {
        let asked = collector.asked();
        let requests = asked
            .iter()
            .map(|asked| ExportTraceServiceRequest::decode(asked.bytes.as_slice()).expect("OTLP"));
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        let mut spans: Vec<Span> = spans.filter(|span| span.trace_id == trace).collect();
        spans.sort_by_key(|span| (span.start_time_unix_nano, !span.parent_span_id.is_empty()));
        let root = spans.iter().any(|span| span.parent_span_id.is_empty());
        root.then_some(spans)
    })
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    let value = found.and_then(|found| found.value.as_ref()?.value.as_ref());
    match value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{key}: {other:?} in {span:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn traceparent(trace: &[u8], span: &[u8]) -> String {
    format!("00-{}-{}-01", hex(trace), hex(span))
}

fn told(span: &Span) -> String {
    traceparent(&span.trace_id, &span.span_id)
}

fn id(run: &Value) -> &str {
    run["id"].as_str().expect("an id")
}

fn metric(host: &Host, name: &str) -> Option<f64> {
    let mut answer = ureq::get(format!("http://{}/metrics", host.address()))
        .call()
        .expect("metrics");
    let text = answer.body_mut().read_to_string().expect("a text");
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

#[test]
fn attempts_are_spans_of_their_flow_run_and_workers_join_them() {
    let (collector, redis) = (HttpServer::start(), RedisServer::start());
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(FLOWS)
        .broker(&redis.url())
        .config(&telemetry(&collector))
        .start();
    let parent = host.run_to_end("parent/parent_now", &json!({}));
    assert_eq!(parent["state"]["type"], "COMPLETED", "{}", host.logs(id(&parent)));
    let above = trace(&collector, id(&parent));
    let [parent_root, call] = &above[..] else {
        panic!("{above:?}");
    };
    assert_eq!(
        (parent_root.name.as_str(), call.name.as_str()),
        ("flow run parent", "task run call")
    );

    let (_, runs) = host.post("/flow_runs/filter", &json!({"flows": {"name": {"any_": ["work"]}}}));
    let run = id(&runs[0]);
    let spans = trace(&collector, run);
    let [root, failed, completed] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(root.links[0].trace_id, call.trace_id, "{root:?}");
    assert_eq!(root.links[0].span_id, call.span_id);
    assert_eq!(attribute(root, "grepx.state.type"), "COMPLETED");
    for (attempt, span) in [("1", failed), ("2", completed)] {
        assert_eq!(span.parent_span_id, root.span_id, "{span:?}");
        assert_eq!(attribute(span, "grepx.attempt.number"), attempt);
        assert_eq!(attribute(span, "grepx.task.kind"), "celery");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }
    let status = failed.status.as_ref().expect("a status");
    assert_eq!(status.code, ERROR);
    assert!(
        status.message.contains(&told(failed)),
        "what the worker was told: {status:?}"
    );
    assert!(completed.status.as_ref().is_none_or(|status| status.code != ERROR));
    assert_eq!(host.result(run, "traced"), json!(told(completed)));
    let celery = &host.task_runs(run)["traced"]["external_id"];
    assert_eq!(celery, &json!(attribute(completed, "messaging.message.id")));
    assert_eq!(collector.asked()[0].header("x-team"), Some("quant"));
    wait_for("the count", || {
        (metric(&host, "grepx_telemetry_spans_exported_total") == Some(5.0)).then_some(())
    });
    assert_eq!(metric(&host, "grepx_telemetry_spans_dropped_total"), Some(0.0));
}

#[test]
fn a_trace_goes_on_after_a_crash_and_a_stop_sends_its_end() {
    let collector = HttpServer::start();
    let mut host = Host::with(FLOWS).config(&telemetry(&collector)).start();
    let (_, deployment) = host.get("/deployments/name/wait/wait_now");
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (status, run) = host.post_with(
        &format!("/deployments/{}/create_flow_run", id(&deployment)),
        &[("traceparent", caller), ("content-type", "application/json")],
        "{}",
    );
    assert_eq!(status, 201, "{run}");
    let run = id(&run);
    let _ = host.wait_task(run, "ask", |task| {
        task["state"]["type"] == "RUNNING" && task["status"].is_string()
    });
    host.kill();
    host.serve();
    let ask = host.wait_task(run, "ask", |task| task["status"].is_string());
    let (status, answer) = host.post(&format!("/task_runs/{}/signal/approve", id(&ask)), &json!({}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(host.wait(run)["state"]["type"], "COMPLETED");
    let began = ask["start_time"].as_str().expect("a time");
    let began = chrono::DateTime::parse_from_rfc3339(began).expect("a time");
    host.stop();
    let spans = trace(&collector, run);
    let [root, attempt] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(attempt.parent_span_id, root.span_id);
    assert_eq!(
        i64::try_from(attempt.start_time_unix_nano).ok(),
        began.timestamp_nanos_opt()
    );
    let link = &root.links[0];
    assert_eq!(traceparent(&link.trace_id, &link.span_id), caller);
}

#[test]
fn without_a_collector_there_is_nothing_of_it() {
    let redis = RedisServer::start();
    let _worker = Worker::start(&redis, Pool::Solo, "celery");
    let host = Host::with(FLOWS).broker(&redis.url()).start();
    let run = host.run_to_end("work/work_now", &json!({}));
    assert_eq!(host.result(id(&run), "traced"), Value::Null);
    assert_eq!(metric(&host, "grepx_telemetry_spans_exported_total"), None);
}
