//! Remote control, with workers that the tests play.

use futures_util::StreamExt;
use grepx_celery::control::{Answer, Command, Mailbox, Reply, Request};
use redis::AsyncCommands;
use redis::aio::{MultiplexedConnection, PubSubStream};

use super::server::Server;
use super::*;

/// A worker that hears all commands.
async fn listen(server: &Server) -> PubSubStream {
    let client = redis::Client::open(server.url()).expect("a URL");
    let (mut sink, stream) = client.get_async_pubsub().await.expect("connected").split();
    sink.psubscribe(Mailbox::new(0).channel()).await.expect("subscribed");
    stream
}

async fn hear(stream: &mut PubSubStream) -> Request {
    let message = tokio::time::timeout(PATIENCE, stream.next()).await;
    let message = message.expect("a command").expect("a connection");
    Request::decode(message.get_payload_bytes()).expect("a control envelope")
}

fn reading(settings: ConnectionSettings) -> ConnectionSettings {
    ConnectionSettings {
        resend_revoke: Duration::from_millis(50),
        ..settings
    }
}

#[tokio::test]
async fn a_revocation_is_repeated_until_a_final_state_stands() {
    let server = Server::start();
    let mut bench = Bench::start(reading(server.settings())).await;
    bench.up().await;
    let message = revocation("1", true);
    assert_eq!(bench.broker.broadcast(&message).await.expect("published"), 0);
    let mut worker = listen(&server).await;
    let mut tags = std::collections::HashSet::new();
    for _ in 0..3 {
        let request = hear(&mut worker).await;
        let Command::Revoke { ids, terminate, .. } = request.command else {
            panic!("not a revocation: {request:?}");
        };
        assert_eq!((ids, terminate), (vec!["1".to_owned()], true));
        assert!(tags.insert(request.delivery_tag), "each publication has its own tag");
    }
    assert_eq!(bench.broker.status()[0].revoking, 1);
    let mut client = server.client().await;
    let started: &[u8] = br#"{"status":"STARTED","result":null}"#;
    let receivers: u64 = client.publish(key("1"), started).await.expect("published");
    assert_eq!(receivers, 1);
    hear(&mut worker).await;
    let _: u64 = client.publish(key("1"), success("1")).await.expect("published");
    let (settled, end) = bench.settled().await;
    assert_eq!((settled, end), (key("1"), RevocationEnd::Final(success("1").into())));
    let status = bench.broker.status().remove(0);
    assert_eq!((status.revoking, status.waiting), (0, 0));
}

#[tokio::test]
async fn a_revocation_without_an_answer_is_given_up() {
    let server = Server::start();
    let mut settings = reading(server.settings());
    settings.revoke_ttl = Duration::from_millis(200);
    let mut bench = Bench::start(settings).await;
    bench.up().await;
    bench
        .broker
        .broadcast(&revocation("1", false))
        .await
        .expect("published");
    assert_eq!(bench.settled().await, (key("1"), RevocationEnd::Unanswered));
    assert_eq!(bench.broker.status()[0].waiting, 0);
}

#[tokio::test]
async fn a_revocation_during_an_outage_is_sent_later() {
    let mut server = Server::stopped(&[]);
    let mut bench = Bench::start(reading(server.settings())).await;
    bench.down().await;
    let error = bench.broker.broadcast(&revocation("1", false)).await.expect_err("away");
    assert!(error.is_transient(), "{error}");
    assert!(server.run(), "the port is still free");
    let mut worker = listen(&server).await;
    bench.up().await;
    hear(&mut worker).await;
}

#[tokio::test]
async fn only_revocations_are_broadcast_and_the_table_is_bounded() {
    let server = Server::start();
    let mut settings = server.settings();
    settings.revoking_max = 1;
    let mut bench = Bench::start(settings).await;
    bench.up().await;
    let mut shutdown = revocation("1", false);
    shutdown.body = br#"{"method":"shutdown","arguments":{"task_id":"1"}}"#.to_vec().into();
    let error = bench.broker.broadcast(&shutdown).await.expect_err("not allowed");
    assert!(error.to_string().contains("\"shutdown\" is not allowed"), "{error}");
    bench
        .broker
        .broadcast(&revocation("1", false))
        .await
        .expect("published");
    bench
        .broker
        .broadcast(&revocation("1", false))
        .await
        .expect("the same again");
    let error = bench.broker.broadcast(&revocation("2", false)).await.expect_err("full");
    assert!(error.to_string().contains("revoking_max"), "{error}");
}

/// Answers one inspection as the worker `name`, or only its ping.
async fn answer(client: &mut MultiplexedConnection, stream: &mut PubSubStream, name: &str, tasks: Value, queue: &str) {
    let mailbox = Mailbox::new(0);
    for _ in 0..3 {
        let request = hear(stream).await;
        let reply_to = request.reply_to.expect("an address");
        let members: Vec<String> = client.smembers(mailbox.binding_key()).await.expect("bindings");
        assert!(members.contains(&mailbox.binding_member(&reply_to.oid)));
        let value = match request.command {
            Command::Ping => json!({"ok": "pong"}),
            Command::Registered => tasks.clone(),
            Command::ActiveQueues => json!([{"name": queue}]),
            other => panic!("not asked for: {other:?}"),
        };
        let reply = Reply {
            ticket: Some(reply_to.ticket),
            worker: name.to_owned(),
            answer: Answer::Value(value),
        };
        let reply = reply.encode(&mailbox, &reply_to.oid, "tag").expect("encodable");
        let _: u64 = client
            .lpush(mailbox.reply_list(&reply_to.oid), reply)
            .await
            .expect("answered");
    }
}

#[tokio::test]
async fn workers_are_asked_and_leave_nothing_behind() {
    let server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    let mut client = server.client().await;
    let (mut stream, _silent) = (listen(&server).await, listen(&server).await);
    let tasks = json!(["tasks.add", "tasks.slow [rate_limit=10/m]"]);
    let inspect = bench.broker.inspect("main", Duration::from_millis(500));
    let (inspection, ()) = tokio::join!(inspect, answer(&mut client, &mut stream, "w1@vm", tasks, "gpu"));
    let expected = Worker {
        name: "w1@vm".into(),
        tasks: Some(vec!["tasks.add".into(), "tasks.slow".into()]),
        queues: Some(vec!["gpu".into()]),
    };
    let expected = Inspection {
        workers: vec![expected],
        receivers: 2,
        silent: 1,
    };
    assert_eq!(inspection.expect("asked"), expected);
    let left: u64 = redis::cmd("DBSIZE").query_async(&mut client).await.expect("size");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_wait_is_explained() {
    let server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    bench
        .broker
        .enqueue(&task("1", "tasks.add", json!([])), "g")
        .await
        .expect("published");
    let text = bench.broker.explain_wait("main", "celery", "tasks.add").await;
    assert!(
        text.as_deref()
            .is_some_and(|text| text.starts_with("no worker listens on connection `main` (1 waiting")),
        "{text:?}"
    );
}

#[test]
fn each_reason_has_its_own_sentence() {
    let worker = |name: &str, tasks: &[&str], queue: &str| Worker {
        name: name.into(),
        tasks: Some(tasks.iter().map(|task| task.to_string()).collect()),
        queues: Some(vec![queue.into()]),
    };
    let inspection = Inspection {
        workers: vec![worker("w1", &["a"], "celery"), worker("w2", &["b"], "gpu")],
        receivers: 2,
        silent: 0,
    };
    let explain = |queue, task, waiting| inspection.explain("main", queue, task, waiting).unwrap_or_default();
    assert_eq!(explain("celery", "a", 0), "");
    assert_eq!(explain("celery", "a", 12), "queue `celery`: 12 waiting");
    assert!(explain("celery", "b", 0).starts_with("no worker of queue `celery` serves task `b` (workers: w1)"));
    assert!(explain("cpu", "a", 3).starts_with("no worker reads queue `cpu` (3 waiting"));
    let busy = Inspection {
        receivers: 3,
        silent: 1,
        ..inspection.clone()
    };
    let text = busy.explain("main", "celery", "b", 1).unwrap_or_default();
    assert!(text.contains("1 of 3 workers did not answer"), "{text}");
}
