//! The broker in the process.

use std::sync::Mutex;

use grepx_celery::Status;
use tokio::sync::Notify;

use super::*;

/// Activities for the tests.
#[derive(Default)]
struct Activities {
    /// `block` was entered.
    entered: Notify,
    /// Ids for which `block` was dropped.
    dropped: Arc<Mutex<Vec<String>>>,
    ran: Mutex<Vec<String>>,
}

struct OnDrop(String, Arc<Mutex<Vec<String>>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        lock(&self.1).push(self.0.clone());
    }
}

impl Work for Activities {
    fn names(&self) -> Vec<String> {
        ["echo", "fail", "panic", "block"].map(str::to_owned).to_vec()
    }

    fn run(&self, name: &str, id: &str, input: Value) -> BoxFuture<'_, Result<Value, WorkError>> {
        lock(&self.ran).push(id.to_owned());
        let (name, id) = (name.to_owned(), id.to_owned());
        async move {
            match name.as_str() {
                "echo" => Ok(input),
                "fail" => Err(WorkError {
                    exc_type: "ValueError".into(),
                    message: "no žluť".into(),
                    traceback: Some("line 1".into()),
                }),
                "block" => {
                    let _guard = OnDrop(id, self.dropped.clone());
                    self.entered.notify_one();
                    std::future::pending().await
                }
                other => panic!("{other}"),
            }
        }
        .boxed()
    }
}

fn settings() -> ConnectionSettings {
    let mut settings = ConnectionSettings::new("main", "memory://");
    settings.memory.concurrency = 1;
    settings
}

async fn bench() -> (Bench, Arc<Activities>) {
    let work = Arc::new(Activities::default());
    (Bench::with(settings(), work.clone()).await, work)
}

impl Bench {
    async fn call(&mut self, message: &Message) -> TaskResult {
        let id = &message.meta["task-id"];
        self.broker.watch("main", key(id), waiter(id)).expect("watched");
        self.broker.enqueue(message, id).await.expect("queued");
        let result = self.result().await;
        self.broker.unwatch("main", &key(id), &waiter(id));
        result
    }
}

#[tokio::test]
async fn a_task_runs_and_its_result_arrives() {
    let (mut bench, _) = bench().await;
    let argument = json!({"ž": "\u{1F600}\u{0}\n", "n": [1, 2.5, null]});
    let result = bench.call(&task("1", "echo", json!([argument]))).await;
    assert_eq!(result.status, Status::Success);
    assert_eq!(result.result, json!({"args": [argument], "kwargs": {}}));
    assert_eq!(result.task_id.as_deref(), Some("1"));
    assert!(result.date_done.is_some_and(|date| date.ends_with("+00:00")));
    assert!(!bench.broker.is_durable("main"));
}

#[tokio::test]
async fn failures_look_like_those_of_python() {
    let (mut bench, _) = bench().await;
    let result = bench.call(&task("1", "fail", json!([]))).await;
    let exception = result.exception.expect("an exception");
    assert_eq!(
        (result.status, exception.exc_type.as_str()),
        (Status::Failure, "ValueError")
    );
    assert_eq!(exception.exc_message, [json!("no žluť")]);
    assert_eq!(result.traceback.as_deref(), Some("line 1"));

    let exception = bench
        .call(&task("2", "no.such", json!([])))
        .await
        .exception
        .expect("one");
    assert_eq!(
        (exception.exc_type.as_str(), exception.exc_module.as_str()),
        ("NotRegistered", "celery.exceptions")
    );
    assert_eq!(exception.exc_message, [json!("no.such")]);

    let exception = bench.call(&task("3", "panic", json!([]))).await.exception.expect("one");
    assert_eq!(exception.exc_type, "WorkerLostError");

    let mut broken = task("4", "echo", json!([]));
    broken.body = b"[]".to_vec().into();
    let exception = bench.call(&broken).await.exception.expect("one");
    assert_eq!(exception.exc_type, "DecodeError");

    let result = bench.call(&task("5", "echo", json!([]))).await;
    assert_eq!(result.status, Status::Success, "the worker goes on");
}

#[tokio::test]
async fn a_result_from_before_the_watch_is_delivered() {
    let (mut bench, _) = bench().await;
    bench
        .broker
        .enqueue(&task("1", "echo", json!([])), "1")
        .await
        .expect("queued");
    let second = task("2", "echo", json!([]));
    bench.call(&second).await;
    // There is one worker, so the first task has ended.
    bench.broker.watch("main", key("1"), waiter("late")).expect("watched");
    assert_eq!(bench.result().await.task_id.as_deref(), Some("1"));
}

#[tokio::test]
async fn guards_priorities_and_withdrawal_work_as_on_a_server() {
    let (mut bench, work) = bench().await;
    bench
        .broker
        .enqueue(&task("0", "block", json!([])), "0")
        .await
        .expect("queued");
    work.entered.notified().await;
    let with_priority = |id: &str, priority: &str| {
        let mut message = task(id, "echo", json!([]));
        message.meta.insert("priority".into(), priority.into());
        message
    };
    let (low, high, gone) = (
        with_priority("low", "9"),
        with_priority("high", "0"),
        with_priority("gone", "0"),
    );
    for (message, guard) in [(&low, "low"), (&low, "low"), (&high, "high"), (&gone, "gone")] {
        bench.broker.enqueue(message, guard).await.expect("queued");
    }
    for _ in 0..2 {
        assert!(bench.broker.withdraw(&gone, "gone", true).await.expect("asked"));
    }
    bench.broker.enqueue(&gone, "gone").await.expect("nothing to do");
    let text = bench.broker.explain_wait("main", "celery", "echo").await;
    assert_eq!(text.as_deref(), Some("queue `celery`: 2 waiting"));
    for id in ["low", "high"] {
        bench.broker.watch("main", key(id), waiter(id)).expect("watched");
    }
    bench.broker.broadcast(&revocation("0", true)).await.expect("revoked");
    assert_eq!(bench.value().await.0, waiter("high"));
    assert_eq!(bench.value().await.0, waiter("low"));
    assert_eq!(*lock(&work.ran), ["0", "high", "low"]);
}

#[tokio::test]
async fn a_running_task_ends_only_with_terminate() {
    let (mut bench, work) = bench().await;
    bench.broker.watch("main", key("1"), waiter("a")).expect("watched");
    bench
        .broker
        .enqueue(&task("1", "block", json!([])), "1")
        .await
        .expect("queued");
    work.entered.notified().await;
    bench.broker.broadcast(&revocation("1", false)).await.expect("heard");
    assert!(lock(&work.dropped).is_empty());
    assert_eq!(bench.broker.status()[0].revoking, 1);
    bench.broker.broadcast(&revocation("1", true)).await.expect("heard");
    let result = bench.result().await;
    assert_eq!(result.status, Status::Revoked);
    assert_eq!(result.exception.expect("one").exc_message, [json!("terminated")]);
    assert_eq!(*lock(&work.dropped), ["1"]);
    assert_eq!(bench.settled().await.0, key("1"));
}

#[tokio::test]
async fn a_queued_or_unknown_task_is_revoked_at_once() {
    let (mut bench, work) = bench().await;
    bench
        .broker
        .enqueue(&task("0", "block", json!([])), "0")
        .await
        .expect("queued");
    work.entered.notified().await;
    bench
        .broker
        .enqueue(&task("1", "echo", json!([])), "1")
        .await
        .expect("queued");
    for id in ["1", "not-yet-sent"] {
        bench.broker.watch("main", key(id), waiter(id)).expect("watched");
        bench.broker.broadcast(&revocation(id, false)).await.expect("heard");
        let result = bench.result().await;
        assert_eq!(result.exception.expect("one").exc_message, [json!("revoked")]);
        assert_eq!(bench.settled().await.0, key(id));
    }
    bench
        .broker
        .enqueue(&task("not-yet-sent", "echo", json!([])), "2")
        .await
        .expect("queued");
    bench.broker.broadcast(&revocation("0", true)).await.expect("heard");
    bench.call(&task("3", "echo", json!([]))).await;
    assert_eq!(*lock(&work.ran), ["0", "3"]);
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_so() {
    let work = Arc::new(Activities::default());
    let mut settings = settings();
    settings.memory.messages_max = 1;
    let bench = Bench::with(settings, work.clone()).await;
    bench
        .broker
        .enqueue(&task("0", "block", json!([])), "0")
        .await
        .expect("queued");
    work.entered.notified().await;
    bench
        .broker
        .enqueue(&task("1", "echo", json!([])), "1")
        .await
        .expect("queued");
    let error = bench
        .broker
        .enqueue(&task("2", "echo", json!([])), "2")
        .await
        .expect_err("full");
    assert!(
        error.is_transient() && error.to_string().contains("is full (1)"),
        "{error}"
    );
    bench.broker.close().await;
    assert_eq!(*lock(&work.dropped), ["0"]);
}

#[tokio::test]
async fn the_embedded_worker_explains_itself() {
    let (bench, _) = bench().await;
    let text = bench.broker.explain_wait("main", "celery", "no.such").await;
    assert!(text.is_some_and(|text| text.contains("has no task `no.such` (it has: echo, fail")));
    let inspection = bench.broker.inspect("main", PATIENCE).await.expect("asked");
    assert_eq!(inspection.receivers, 1);
    assert_eq!(inspection.workers[0].name, "embedded@main");
}
