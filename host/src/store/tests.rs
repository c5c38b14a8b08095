mod power_loss;

use grepx_engine::{Fact, StateType};
use tempfile::TempDir;

use super::SlotNews;
use super::testing::{Fixture, fact, first, fixture, id, json, line, run, run_state, settings, wait};
use super::{Commit, Created, Error, FlowRunFilter, LogFilter, Page, PoolLimits, QueueLimits, Settings, Store, Switch};

#[tokio::test]
async fn submitted_commits_are_made_in_the_order_of_the_calls() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    // Each commit is refused unless the one before it has been made.
    let receipts: Vec<_> = (1..200)
        .map(|seq| {
            store.submit(Commit {
                facts: vec![fact(seq, Fact::Queued)],
                ..Commit::new(id(1))
            })
        })
        .collect();
    for receipt in receipts {
        receipt.await.expect("in order");
    }
    drop(store);
    let opened = Store::open(&settings(dir.path())).expect("the lock was given back");
    let records = opened.store.records(id(1)).await.expect("readable");
    assert_eq!(records.len(), 200);
}

#[tokio::test]
async fn a_bad_member_of_a_group_costs_nobody_else() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    for n in 1..=3 {
        store.create(run(n), None, first(id(n))).await.expect("created");
    }
    let commit = |n, seq| Commit {
        facts: vec![fact(seq, Fact::Queued)],
        logs: vec![line("x")],
        ..Commit::new(id(n))
    };
    let good = store.submit(commit(1, 1));
    let fenced = store.submit(commit(2, 7));
    let unknown = store.submit(commit(99, 0));
    let also_good = store.submit(commit(3, 1));
    good.await.expect("kept");
    assert!(matches!(fenced.await, Err(Error::Fenced { seq: 7, next: 1, .. })));
    assert!(matches!(unknown.await, Err(Error::UnknownRun(run)) if run == id(99)));
    also_good.await.expect("kept");
    let lines = store
        .logs(LogFilter::default(), Page::first(10))
        .await
        .expect("readable");
    let runs: Vec<_> = lines.iter().map(|line| line.run).collect();
    assert_eq!(runs, [id(1), id(3)], "nothing of a refused commit is kept");
}

#[tokio::test]
async fn a_full_queue_refuses_instead_of_growing() {
    let dir = TempDir::new().expect("a temporary directory");
    let settings = Settings {
        queue: 2,
        ..settings(dir.path())
    };
    let store = Store::open(&settings).expect("opens").store;
    let (first, second) = (
        store.reserve().await.expect("a place"),
        store.reserve().await.expect("a place"),
    );
    let refused = store.submit(Commit::new(id(1))).await;
    assert!(matches!(refused, Err(Error::QueueFull { limit: 2 })));
    drop((first, second));
    assert!(matches!(
        store.submit(Commit::new(id(1))).await,
        Err(Error::UnknownRun(_))
    ));
}

#[tokio::test]
async fn an_idempotency_key_creates_one_run() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let with_key = |n| super::NewRun {
        idempotency_key: Some("key".to_owned()),
        ..run(n)
    };
    let (one, two) = tokio::join!(
        store.create(with_key(1), None, first(id(1))),
        store.create(with_key(2), None, first(id(2)))
    );
    assert_eq!(one.expect("created"), Created::New);
    assert_eq!(two.expect("found"), Created::Existing(id(1)));
    assert_eq!(
        store.count_flow_runs(FlowRunFilter::default()).await.expect("counted"),
        1
    );
    let other_flow = super::NewRun {
        flow_id: uuid::Uuid::from_u128(901),
        ..with_key(3)
    };
    let other = store.create(other_flow, None, first(id(3))).await;
    assert_eq!(other.expect("created"), Created::New);
    let twice = store.create(run(1), None, first(id(1))).await;
    assert!(matches!(twice, Err(Error::RunExists(run)) if run == id(1)));
}

#[tokio::test]
async fn a_second_host_is_told_who_holds_the_directory() {
    let Fixture { store, dir, .. } = fixture().await;
    let refused = Store::open(&settings(dir.path())).expect_err("the first one holds it");
    assert!(matches!(&refused, Error::Locked { holder, .. } if holder.process == Some(std::process::id())));
    drop(store);
    Store::open(&settings(dir.path())).expect("free again");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let Fixture { store, dir, .. } = fixture().await;
    drop(store);
    let file = rusqlite::Connection::open(dir.path().join(super::FILE_NAME)).expect("opens");
    file.execute("UPDATE refinery_schema_history SET version = 1000 WHERE version = (SELECT max(version) FROM refinery_schema_history)", [])
        .expect("updated");
    drop(file);
    let refused = Store::open(&settings(dir.path())).expect_err("too new");
    assert!(matches!(refused, Error::NewerSchema { found: 1000, .. }));
}

#[cfg(unix)]
#[tokio::test]
async fn the_state_directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let outer = TempDir::new().expect("a temporary directory");
    let dir = outer.path().join("a/state");
    Store::open(&settings(&dir)).expect("made");
    let mode = std::fs::metadata(&dir).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn slots_are_told_after_the_commit_and_explained_while_missing() {
    let Fixture {
        store,
        mut admissions,
        dir: _dir,
    } = fixture().await;
    let pool = |limit| PoolLimits {
        name: "p".to_owned(),
        concurrency_limit: Some(limit),
        paused: false,
        queues: vec![QueueLimits {
            name: "urgent".to_owned(),
            priority: 1,
            concurrency_limit: None,
            paused: false,
        }],
    };
    for (n, queue) in [(1, "any"), (2, "any"), (3, "urgent")] {
        let waiting = Commit {
            slot: wait("p", queue, i64::try_from(n).expect("small")),
            ..first(id(n))
        };
        store.create(run(n), None, waiting).await.expect("created");
    }
    let unknown = store.reason_for(id(1)).await.expect("read");
    assert_eq!(
        unknown.as_deref(),
        Some("work pool p is unknown: no definition names it")
    );

    store.sync_limits(vec![pool(1)], vec![]).await.expect("kept");
    assert_eq!(
        admissions.recv().await,
        Some(vec![SlotNews::Admitted(id(3))]),
        "its queue goes first"
    );
    let reason = store.reason_for(id(2)).await.expect("read").expect("it waits");
    assert_eq!(
        reason,
        "work pool p: 1 of 1 slots taken, 1 run before this one (taken by run-3)"
    );
    assert_eq!(store.reason_for(id(3)).await.expect("read"), None);

    let over = Commit {
        state: Some(run_state(StateType::Completed, "Completed", 9)),
        ..Commit::new(id(3))
    };
    store.commit(over).await.expect("kept");
    assert_eq!(
        admissions.recv().await,
        Some(vec![SlotNews::Admitted(id(1))]),
        "an ended run gives its slot back"
    );

    let pause = Switch {
        paused: Some(true),
        concurrency_limit: Some(None),
        ..Switch::default()
    };
    store.set_pool_switch("p".to_owned(), None, pause).await.expect("kept");
    store.sync_limits(vec![pool(1)], vec![]).await.expect("kept");
    let paused = store.reason_for(id(2)).await.expect("read");
    assert_eq!(
        paused.as_deref(),
        Some("work pool p is paused"),
        "a switch survives a reload"
    );
    let go_on = Switch {
        paused: Some(false),
        ..Switch::default()
    };
    store.set_pool_switch("p".to_owned(), None, go_on).await.expect("kept");
    assert_eq!(
        admissions.recv().await,
        Some(vec![SlotNews::Admitted(id(2))]),
        "the lifted limit was kept"
    );
    let slots = store.slot_runs().await.expect("read");
    assert_eq!(slots, [(id(1), true), (id(2), true)].into());
    let status = store.pools().await.expect("read");
    assert_eq!(
        (status[0].held, status[0].waiting, status[0].concurrency_limit),
        (2, 0, None)
    );
}

#[tokio::test]
async fn only_an_ended_run_is_deleted_and_nothing_of_it_stays() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let refused = store.delete_flow_run(id(1)).await;
    assert!(matches!(refused, Err(Error::NotTerminal { state, .. }) if state == "SCHEDULED"));
    let node = grepx_engine::NodeId::task(0);
    let end = Commit {
        facts: vec![fact(1, Fact::Started)],
        state: Some(run_state(StateType::Failed, "Failed", 9)),
        tasks: vec![super::testing::task(
            0,
            super::testing::state(StateType::Completed, "Completed", 8),
        )],
        results: vec![(node, json("1"))],
        outbox: vec![super::NewSend {
            node,
            attempt: 1,
            key: "k".to_owned(),
            op: grepx_engine::Op::Signal("s".to_owned()),
            keep: true,
        }],
        logs: vec![line("x")],
        ..Commit::new(id(1))
    };
    store.commit(end).await.expect("kept");
    assert!(store.delete_flow_run(id(1)).await.expect("deleted"));
    assert!(!store.delete_flow_run(id(1)).await.expect("nothing left"));
    drop(store);
    let file = rusqlite::Connection::open(dir.path().join(super::FILE_NAME)).expect("opens");
    for table in [
        "flow_runs",
        "run_inputs",
        "facts",
        "task_runs",
        "states",
        "results",
        "outbox",
        "logs",
        "slots",
    ] {
        let rows: i64 = file
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .expect("counted");
        assert_eq!(rows, 0, "{table}");
    }
}
