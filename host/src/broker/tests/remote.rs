//! Against a real redis-server.

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use super::server::Server;
use super::*;

/// As a worker stores a result.
async fn store(client: &mut MultiplexedConnection, id: &str, value: &[u8]) {
    let mut pipe = redis::pipe();
    pipe.atomic().set_ex(key(id), value, 86_400).publish(key(id), value);
    pipe.exec_async(client).await.expect("stored");
}

/// Waits until somebody is subscribed to the result of `id`.
async fn subscribed(client: &mut MultiplexedConnection, id: &str) {
    let subscribed = async {
        loop {
            let mut command = redis::cmd("PUBSUB");
            command.arg("NUMSUB").arg(key(id));
            let (_, count): (String, u64) = command.query_async(client).await.expect("counted");
            if count > 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, subscribed)
        .await
        .expect("a subscription");
}

#[tokio::test]
async fn a_second_publication_under_one_guard_publishes_nothing() {
    let server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    let message = task("1", "tasks.add", json!([1, 2]));
    bench.broker.enqueue(&message, "guard").await.expect("published");
    bench.broker.enqueue(&message, "guard").await.expect("known already");
    let mut client = server.client().await;
    let list: Vec<Vec<u8>> = client.lrange("celery", 0, -1).await.expect("the list");
    assert_eq!(list, [message.body.as_ref()]);
    let ttl: i64 = client.ttl("grepx:guard:guard").await.expect("the guard");
    assert!((604_000..=604_800).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn prefix_and_priority_choose_the_list() {
    let server = Server::start();
    let mut settings = server.settings();
    settings.layout.key_prefix = "app1:".into();
    let mut bench = Bench::start(settings).await;
    bench.up().await;
    let mut message = task("1", "tasks.add", json!([]));
    message.meta.insert("priority".into(), "5".into());
    bench.broker.enqueue(&message, "g").await.expect("published");
    let mut client = server.client().await;
    let mut keys: Vec<String> = client.keys("*").await.expect("the keys");
    keys.sort();
    assert_eq!(keys, ["app1:celery\u{6}\u{16}3", "app1:grepx:guard:g"]);
    message.meta.insert("priority".into(), "ten".into());
    let error = bench.broker.enqueue(&message, "h").await.expect_err("no priority");
    assert!(matches!(error, SendError::Invalid { .. }), "{error}");
}

#[tokio::test]
async fn a_refused_publication_leaves_no_guard() {
    let server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    let mut client = server.client().await;
    let () = client.set("celery", "not a list").await.expect("set");
    let message = task("1", "tasks.add", json!([]));
    let error = bench.broker.enqueue(&message, "g").await.expect_err("wrong type");
    assert!(error.to_string().contains("not a list"), "{error}");
    let () = client.del("celery").await.expect("deleted");
    bench.broker.enqueue(&message, "g").await.expect("published");
    assert_eq!(client.llen::<_, u64>("celery").await.expect("length"), 1);
}

#[tokio::test]
async fn out_of_memory_is_named_and_passes() {
    let server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    let mut client = server.client().await;
    let mut config = async |value: &str| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory").arg(value);
        command.query_async::<()>(&mut client).await.expect("configured");
    };
    config("1").await;
    let message = task("1", "tasks.add", json!([]));
    let error = bench.broker.enqueue(&message, "g").await.expect_err("no memory");
    assert!(
        matches!(error, SendError::Refused { .. }) && error.is_transient(),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("OOM command not allowed") && text.contains("raise maxmemory"),
        "{text}"
    );
    config("0").await;
    bench.broker.enqueue(&message, "g").await.expect("published");
}

#[tokio::test]
async fn many_publications_at_once_all_arrive() {
    let server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    let sends = (0..3_000).map(|n| {
        let broker = bench.broker.clone();
        tokio::spawn(async move {
            let message = task(&n.to_string(), "tasks.add", json!([n]));
            broker.enqueue(&message, &n.to_string()).await
        })
    });
    for sent in futures_util::future::join_all(sends).await {
        sent.expect("no panic").expect("published");
    }
    let length: u64 = server.client().await.llen("celery").await.expect("length");
    assert_eq!(length, 3_000);
}

#[tokio::test]
async fn a_message_that_nobody_took_can_be_withdrawn() {
    let server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    let (first, second) = (task("1", "t", json!([])), task("2", "t", json!([])));
    bench.broker.enqueue(&first, "1").await.expect("published");
    bench.broker.enqueue(&second, "2").await.expect("published");
    for _ in 0..2 {
        // Whoever asks again, after a crash, hears the same.
        assert!(bench.broker.withdraw(&first, "1", true).await.expect("asked"));
    }
    let taken: Vec<u8> = server.client().await.rpop("celery", None).await.expect("popped");
    assert_eq!(taken, second.body.as_ref());
    for published in [true, false] {
        assert!(!bench.broker.withdraw(&second, "2", published).await.expect("asked"));
    }
}

#[tokio::test]
async fn what_was_withdrawn_before_its_publication_is_never_published() {
    let server = Server::start();
    let mut bench = Bench::start(server.settings()).await;
    bench.up().await;
    let late = task("1", "t", json!([]));
    assert!(bench.broker.withdraw(&late, "1", false).await.expect("asked"));
    bench.broker.enqueue(&late, "1").await.expect("nothing to do");
    let taken: Option<Vec<u8>> = server.client().await.rpop("celery", None).await.expect("asked");
    assert_eq!(taken, None);
}

#[tokio::test]
async fn a_result_that_was_there_before_is_found() {
    let server = Server::start();
    let mut client = server.client().await;
    store(&mut client, "1", &success("1")).await;
    let mut bench = Bench::start(server.settings()).await;
    bench.broker.watch("main", key("1"), waiter("a")).expect("watched");
    let (to, value) = bench.value().await;
    assert_eq!((to, value.as_ref()), (waiter("a"), &*success("1")));
}

#[tokio::test]
async fn a_result_that_comes_later_is_delivered_to_all_who_wait() {
    let server = Server::start();
    let mut client = server.client().await;
    let mut bench = Bench::start(server.settings()).await;
    for name in ["a", "b", "b"] {
        bench.broker.watch("main", key("1"), waiter(name)).expect("watched");
    }
    subscribed(&mut client, "1").await;
    store(&mut client, "1", br#"{"status":"STARTED","result":null}"#).await;
    for name in ["a", "b"] {
        let (to, value) = bench.value().await;
        assert_eq!(to, waiter(name));
        assert!(value.as_ref().starts_with(br#"{"status":"STARTED""#));
    }
    bench.broker.unwatch("main", &key("1"), &waiter("a"));
    store(&mut client, "1", &success("1")).await;
    let (to, value) = bench.value().await;
    assert_eq!((to, value.as_ref()), (waiter("b"), &*success("1")));
    bench.broker.unwatch("main", &key("1"), &waiter("b"));
    assert_eq!(bench.broker.status()[0].waiting, 0);
}

#[tokio::test]
async fn thousands_of_results_are_delivered_once_each() {
    const COUNT: usize = 12_000;
    let server = Server::start();
    let mut client = server.client().await;
    let mut bench = Bench::start(server.settings()).await;
    for n in 0..COUNT {
        let id = n.to_string();
        bench.broker.watch("main", key(&id), waiter(&id)).expect("watched");
    }
    for chunk in (0..COUNT).collect::<Vec<_>>().chunks(1_000) {
        let mut pipe = redis::pipe();
        for id in chunk.iter().map(usize::to_string) {
            pipe.set(key(&id), success(&id)).ignore();
            pipe.publish(key(&id), success(&id)).ignore();
        }
        pipe.exec_async(&mut client).await.expect("stored");
    }
    let mut seen = std::collections::HashSet::new();
    while seen.len() < COUNT {
        let (to, value) = bench.value().await;
        assert_eq!(value.as_ref(), success(&to.key));
        assert!(seen.insert(to.key), "delivered twice");
    }
}

#[tokio::test]
async fn the_sweep_finds_what_was_never_published() {
    let server = Server::start();
    let mut client = server.client().await;
    let mut settings = server.settings();
    settings.sweep = Duration::from_millis(100);
    let mut bench = Bench::start(settings).await;
    bench.broker.watch("main", key("1"), waiter("a")).expect("watched");
    subscribed(&mut client, "1").await;
    let () = client.set(key("1"), success("1")).await.expect("set");
    assert_eq!(bench.value().await.1.as_ref(), success("1"));
}

/// Redis cuts a subscriber off whose output buffer exceeds 32 MB.
#[tokio::test]
async fn a_result_too_large_for_a_subscription_arrives() {
    let server = Server::start();
    let mut client = server.client().await;
    let mut settings = server.settings();
    settings.sweep = Duration::from_secs(3_600);
    let mut bench = Bench::start(settings).await;
    bench.up().await;
    bench.broker.watch("main", key("1"), waiter("a")).expect("watched");
    subscribed(&mut client, "1").await;
    let mut large = br#"{"status":"SUCCESS","result":""#.to_vec();
    large.resize(34 << 20, b'x');
    large.extend(br#""}"#);
    store(&mut client, "1", &large).await;
    let (_, value) = bench.value().await;
    assert_eq!(value.0.len(), large.len());
}

#[tokio::test]
async fn the_table_of_waiting_keys_has_a_limit() {
    let server = Server::start();
    let mut settings = server.settings();
    settings.waiting_max = 1;
    let bench = Bench::start(settings).await;
    bench.broker.watch("main", "a", waiter("a")).expect("watched");
    let error = bench.broker.watch("main", "b", waiter("b")).expect_err("full");
    assert!(error.to_string().contains("waiting_max"), "{error}");
    let error = bench.broker.watch("other", "b", waiter("b")).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "there is no connection `other`; the configuration has main"
    );
}
