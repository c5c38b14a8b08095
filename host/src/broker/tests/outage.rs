//! Servers that go away and come back.

use std::time::Instant;

use redis::AsyncCommands;

use super::server::Server;
use super::*;

#[tokio::test]
async fn after_all_connections_are_killed_results_arrive() {
    let server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    bench.broker.watch("main", key("1"), waiter("a")).expect("watched");
    bench.broker.watch("main", key("2"), waiter("b")).expect("watched");
    let mut client = server.client().await;
    let mut kill = redis::cmd("CLIENT");
    kill.arg("KILL").arg("USER").arg("default").arg("SKIPME").arg("yes");
    let killed: u64 = kill.query_async(&mut client).await.expect("killed");
    assert_eq!(killed, 3, "of the broker, for subscriptions, for reading");
    // Nobody hears this one.
    let () = client.set(key("1"), success("1")).await.expect("set");
    assert!(bench.down().await.contains("closed the connection"));
    assert_eq!(bench.value().await.1.as_ref(), success("1"));
    // Both are subscribed to before the first is read.
    let receivers: u64 = client.publish(key("2"), success("2")).await.expect("published");
    assert_eq!(receivers, 1);
    assert_eq!(bench.value().await.1.as_ref(), success("2"));
}

#[tokio::test]
async fn a_stopped_server_is_told_and_comes_back() {
    let mut server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    bench.broker.watch("main", key("1"), waiter("a")).expect("watched");
    let status = bench.broker.status().remove(0);
    assert!(status.up && status.server.is_some_and(|server| server.starts_with("Redis ")));

    server.stop();
    bench.down().await;
    let started = Instant::now();
    let message = task("1", "tasks.add", json!([]));
    let error = bench.broker.enqueue(&message, "g").await.expect_err("away");
    assert!(matches!(error, SendError::Unavailable { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(!bench.broker.status()[0].up);

    assert!(server.run(), "the port is still free");
    let mut client = server.client().await;
    let () = client.set(key("1"), success("1")).await.expect("set");
    let (mut up, mut value) = (false, false);
    while !(up && value) {
        match bench.next().await {
            Notice::Up { .. } => up = true,
            Notice::Value { .. } => value = true,
            other => panic!("unexpected: {other:?}"),
        }
    }
    bench.broker.enqueue(&message, "g").await.expect("published");
    assert_eq!(client.llen::<_, u64>("celery").await.expect("length"), 1);
}

#[tokio::test]
async fn a_server_that_is_away_at_the_start_is_waited_for() {
    let mut server = Server::stopped(&[]);
    let mut bench = Bench::start(server.settings()).await;
    let reason = bench.down().await;
    assert!(reason.contains("nothing listens at redis://127.0.0.1:"), "{reason}");
    bench.broker.watch("main", key("1"), waiter("a")).expect("watched");
    assert!(server.run(), "the port is still free");
    bench.up().await;
    let mut client = server.client().await;
    let () = client.set(key("1"), success("1")).await.expect("set");
    bench.broker.unwatch("main", &key("1"), &waiter("a"));
    bench.broker.watch("main", key("1"), waiter("a")).expect("watched");
    assert_eq!(bench.value().await.1.as_ref(), success("1"));
    bench.broker.close().await;
}

#[tokio::test]
async fn a_wrong_password_is_named_and_never_shown() {
    let server = Server::with(&["--requirepass", "right/one"]);
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}/0", server.port);
    let mut bench = Bench::start(ConnectionSettings::new("main", url("wr0ng"))).await;
    let reason = bench.down().await;
    assert!(reason.contains("refuses the user name or the password"), "{reason}");
    assert!(!reason.contains("wr0ng"), "{reason}");
    assert_eq!(
        bench.broker.status()[0].url,
        format!("redis://:***@127.0.0.1:{}/0", server.port)
    );
    let mut bench = Bench::start(ConnectionSettings::new("main", url("right%2Fone"))).await;
    bench.up().await;
}

#[tokio::test]
async fn a_missing_password_is_named() {
    let server = Server::with(&["--requirepass", "secret"]);
    let mut bench = Bench::start(server.settings()).await;
    let reason = bench.down().await;
    assert!(reason.contains("password"), "{reason}");
}

#[tokio::test]
async fn broker_and_backend_may_be_apart_and_on_unix_sockets() {
    let broker = Server::with(&["--unixsocket", "{dir}/redis.sock"]);
    let mut backend = Server::start();
    let socket = broker.dir.path().join("redis.sock");
    let url = format!("redis+socket://{}?virtual_host=3", socket.display());
    let mut settings = ConnectionSettings::new("main", url);
    settings.result_backend = backend.url();
    let mut bench = Bench::start(settings).await;
    bench.up().await;
    let message = task("1", "tasks.add", json!([]));
    bench.broker.enqueue(&message, "g").await.expect("published");
    let mut client = broker.client().await;
    let () = redis::cmd("SELECT")
        .arg(3)
        .query_async(&mut client)
        .await
        .expect("selected");
    assert_eq!(client.llen::<_, u64>("celery").await.expect("length"), 1);
    // Without its backend the connection is down, but messages still go out.
    backend.stop();
    bench.down().await;
    bench.broker.enqueue(&message, "h").await.expect("published");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let start = async |settings| {
        let (sender, _notices) = mpsc::channel(1);
        Broker::start(settings, Arc::new(NoWork), sender)
            .await
            .expect_err("not usable")
            .to_string()
    };
    let amqp = ConnectionSettings::new("a", "amqp://localhost");
    assert!(start(vec![amqp]).await.contains("the broker URL cannot be read"));
    let mut mixed = ConnectionSettings::new("a", "redis://localhost");
    mixed.result_backend = "memory://".into();
    assert!(
        start(vec![mixed])
            .await
            .contains("memory:// cannot be used as result backend")
    );
    let memory = ConnectionSettings::new("a", "memory://");
    assert!(
        start(vec![memory.clone(), memory])
            .await
            .contains("`a` is configured twice")
    );
    let mut zero = ConnectionSettings::new("a", "memory://");
    zero.sweep = Duration::ZERO;
    assert!(start(vec![zero]).await.contains("sweep is 0"));
    let tls = ConnectionSettings::new(
        "a",
        "rediss://localhost?ssl_ca_certs=/nowhere.pem&ssl_cert_reqs=required",
    );
    assert!(
        start(vec![tls])
            .await
            .contains("cannot read ssl_ca_certs `/nowhere.pem`")
    );
}
