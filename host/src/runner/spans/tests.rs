use std::sync::Arc;

use grepx_engine::{Definition, ErrorClass, Event, FlowRunId, Json, Prepared, Retry, Step, Task, Verdict};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::store::Parent;

const NODE: NodeId = NodeId::task(0);

fn new() -> NewRun {
    NewRun {
        id: FlowRunId(Uuid::from_u128(7)),
        name: "swift-bison".to_owned(),
        flow_id: Uuid::from_u128(1),
        flow_name: "report".to_owned(),
        deployment_id: None,
        deployment_name: Some("nightly".to_owned()),
        definition: String::new(),
        parameters: Json::from(&json!({})),
        tags: vec!["night".to_owned()],
        idempotency_key: None,
        work_pool: None,
        work_queue: None,
        created_at: Timestamp(0),
        expected_start: Timestamp(0),
        auto_scheduled: false,
        schedule_id: None,
        created_by: None,
        parent: None,
        labels: Json::from(&json!({})),
    }
}

/// A run, its log, and the spans that came of it.
struct Course {
    run: Run,
    new: NewRun,
    log: Vec<Record>,
    spans: Vec<Span>,
}

impl Course {
    /// A run of one task that runs.
    fn of(kind: &str) -> Self {
        let definition = Definition::new("report", None, vec![Task::new("load", kind)]).expect("a flow");
        let new = new();
        let mut run = Run::new(new.id, Arc::new(definition));
        let log = run.schedule(Timestamp(0), Timestamp(0));
        let spans = Vec::new();
        let mut course = Self { run, new, log, spans };
        course.take(&Event::Admitted, 100);
        course.start(200);
        course
    }

    /// Live and read back give the same.
    fn take(&mut self, event: &Event, at: i64) {
        let records = self.run.apply(event, Timestamp(at)).expect("it is possible");
        let spans = ended(&self.run, &self.new, &records);
        self.log.extend(records.iter().cloned());
        let again = Run::replay(self.new.id, self.run.definition().clone(), self.log.clone());
        assert_eq!(ended(&again, &self.new, &records), spans);
        self.spans.extend(spans);
    }

    fn start(&mut self, at: i64) {
        let prepared = Prepared::Run {
            input: Json::from(&json!({})),
            limit_ms: Some(60_000),
        };
        let renewals = self.run.renewals();
        let node = NODE;
        self.take(
            &Event::Prepared {
                node,
                renewals,
                prepared,
            },
            at,
        );
    }

    fn answer(&mut self, attempt: u32, answer: Step, at: i64) {
        let event = Event::Answered {
            node: NODE,
            attempt,
            step: 0,
            answer,
            build: None,
        };
        self.take(&event, at);
    }

    fn judge(&mut self, attempt: u32, verdict: Verdict, at: i64) {
        let node = NODE;
        self.take(&Event::Judged { node, attempt, verdict }, at);
    }
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Attribute> {
    let found = span.attributes.iter().find(|(known, _)| *known == key);
    found.map(|(_, value)| value)
}

fn failed() -> Step {
    Step::Failed(TaskError::new(
        ErrorClass::Retryable,
        "celery-failure",
        "ValueError: broken glass",
    ))
}

fn done() -> Step {
    Step::Done(Json::from(&json!(1)))
}

#[test]
fn each_attempt_is_a_span_below_its_flow_run() {
    let mut course = Course::of("celery");
    course.answer(1, failed(), 300);
    course.judge(1, Verdict::RetryInMs(50), 310);
    course.take(&Event::Tick, 360);
    course.answer(2, done(), 400);
    let [first, second, root] = &course.spans[..] else {
        panic!("{:?}", course.spans);
    };
    let id = course.new.id;
    assert_eq!(first.place, Place::of_attempt(id, NODE, 1));
    assert_eq!(second.place, Place::of_attempt(id, NODE, 2));
    assert_eq!(root.place, Place::of_run(id, 0));
    assert_eq!(
        (first.parent, second.parent, root.parent),
        (Some(root.place.span), Some(root.place.span), None)
    );
    let times = [first, second, root].map(|span| (span.start.0, span.end.0));
    assert_eq!(times, [(200, 300), (360, 400), (100, 400)]);
    assert_eq!(first.error.as_deref(), Some("ValueError: broken glass"));
    assert_eq!((&second.error, &root.error), (&None, &None));
    assert_eq!(
        (first.name.as_str(), root.name.as_str()),
        ("task run load", "flow run report")
    );
    let celery = NODE.run_id(id).attempt_key(1).to_string();
    for (key, value) in [
        ("grepx.state.type", "FAILED".into()),
        ("grepx.task.kind", "celery".into()),
        ("grepx.attempt.number", 1_u32.into()),
        ("error.type", "celery-failure".into()),
        ("messaging.message.id", celery.as_str().into()),
    ] {
        assert_eq!(attribute(first, key), Some(&value), "{key}");
    }
    assert_eq!(attribute(second, "grepx.state.type"), Some(&"COMPLETED".into()));
    assert_eq!(
        attribute(root, "grepx.tags"),
        Some(&Attribute::Texts(vec!["night".to_owned()]))
    );
    assert!(first.is_producer && !root.is_producer);
}

#[test]
fn a_run_that_goes_on_has_another_span_in_the_same_trace() {
    let mut course = Course::of("noop");
    course.answer(1, failed(), 300);
    course.judge(1, Verdict::GiveUp("no retries".to_owned()), 310);
    let start_at = Timestamp(900);
    course.take(
        &Event::Retry {
            what: Retry::Failed,
            start_at,
        },
        900,
    );
    course.take(&Event::Admitted, 1_000);
    course.start(1_100);
    course.answer(2, done(), 1_200);
    let [_, failed, attempt, root] = &course.spans[..] else {
        panic!("{:?}", course.spans);
    };
    assert!(
        failed.error.as_deref().is_some_and(|error| error.contains("load")),
        "{failed:?}"
    );
    assert_eq!(failed.place.trace, root.place.trace);
    assert_ne!(failed.place.span, root.place.span);
    assert_eq!(
        (root.start.0, root.end.0, attempt.parent),
        (1_000, 1_200, Some(root.place.span))
    );
    assert!(!attempt.is_producer && attribute(attempt, "messaging.system").is_none());
}

#[test]
fn a_timeout_is_a_failure_and_a_cancel_is_none() {
    let stopped = Event::Stopped {
        node: NODE,
        attempt: 1,
        commands: Vec::new(),
    };
    let mut late = Course::of("sleep");
    late.take(&Event::Tick, 60_200);
    late.take(&stopped, 60_300);
    assert_eq!(attribute(&late.spans[0], "error.type"), Some(&"timed-out".into()));
    let mut cancelled = Course::of("sleep");
    let reason = "enough".to_owned();
    cancelled.take(&Event::Cancel { reason }, 300);
    cancelled.take(&stopped, 400);
    let [attempt, root] = &cancelled.spans[..] else {
        panic!("{:?}", cancelled.spans);
    };
    for span in [attempt, root] {
        assert_eq!(attribute(span, "grepx.state.type"), Some(&"CANCELLED".into()));
        assert_eq!((span.end.0, &span.error), (400, &None));
    }
}

#[test]
fn what_led_to_a_run_is_linked() {
    let mut course = Course::of("noop");
    let parent = Parent {
        run: FlowRunId(Uuid::from_u128(3)),
        node: NodeId::item(1, 4),
        attempt: 2,
        key: "child".to_owned(),
    };
    let of_parent = Place::of_attempt(parent.run, parent.node, parent.attempt);
    let of_client = Place::of_run(FlowRunId(Uuid::from_u128(9)), 0);
    course.new.parent = Some(parent);
    course.new.labels = Json::from(&json!({CALLER_LABEL: of_client.traceparent(true)}));
    course.answer(1, done(), 300);
    assert_eq!(course.spans[1].links, [of_parent, of_client]);
    assert_eq!(course.spans[0].links, []);
}
