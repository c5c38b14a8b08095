//! A store that somebody keeps locked: what concerns every change is waited out and told.

use std::time::Duration;

use grepx_engine::Fact;
use rusqlite::Connection;

use super::super::testing::{Fixture, at, damage, fact, first, fixture, id, json, line, run, settings};
use super::super::{Commit, Error, FILE_NAME, Store};

fn queued(seq: u64) -> Commit {
    Commit {
        facts: vec![fact(seq, Fact::Queued)],
        ..Commit::new(id(1))
    }
}

/// With a run, and locked by another connection.
async fn locked() -> (Fixture, Connection) {
    let fixture = fixture().await;
    let store = &fixture.store;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let other = Connection::open(fixture.dir.path().join(FILE_NAME)).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    (fixture, other)
}

#[tokio::test]
async fn commits_of_runs_wait_in_their_order_and_requests_are_refused() {
    let (Fixture { store, dir, .. }, other) = locked().await;
    let held = [store.submit(queued(1)), store.submit(queued(2))];
    let trouble = store.troubled().await;
    assert!(matches!(trouble, Error::Busy { .. }), "{trouble}");
    let asked = store.put_definition("d2".to_owned(), "flow".to_owned(), json("{}"), at(0));
    let refused = asked.await;
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    let refused = store.create(run(2), None, first(id(2))).await;
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    assert_eq!(store.records(id(1)).await.expect("reads go on").len(), 1);
    let more = store.submit(queued(3));
    other.execute_batch("COMMIT").expect("unlocked");
    for receipt in held.into_iter().chain([more]) {
        receipt.await.expect("made when it can be");
    }
    assert_eq!(store.records(id(1)).await.expect("readable").len(), 4);
    assert!(store.trouble().is_none(), "told before the answers");
    store.create(run(2), None, first(id(2))).await.expect("taken again");
    assert!(!dir.path().join("grepx-host.room").exists());
}

#[tokio::test]
async fn a_store_that_takes_nothing_closes_all_the_same() {
    let (Fixture { store, dir, .. }, _other) = locked().await;
    let held = store.submit(queued(1));
    let _ = store.troubled().await;
    let closed = tokio::task::spawn_blocking(move || drop(store));
    let closed = tokio::time::timeout(Duration::from_secs(20), closed).await;
    closed.expect("without the lock").expect("closed");
    let refused = held.await;
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    drop(dir);
}

#[tokio::test]
async fn a_file_that_was_taken_away_takes_no_changes_until_it_is_back() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let (path, away) = (dir.path().join(FILE_NAME), dir.path().join("away"));
    std::fs::rename(&path, &away).expect("moved");
    let held = store.submit(queued(1));
    let trouble = store.troubled().await;
    assert!(matches!(trouble, Error::Gone { .. }), "{trouble}");
    std::fs::rename(&away, &path).expect("back");
    held.await.expect("made");
    assert_eq!(store.records(id(1)).await.expect("readable").len(), 2);
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_what_to_do() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let lines = Commit {
        logs: (0..100).map(|_| line(&"x".repeat(400))).collect(),
        ..Commit::new(id(1))
    };
    store.commit(lines).await.expect("kept");
    drop(store);
    damage(&dir.path().join(FILE_NAME), "logs");
    let refused = Store::open(&settings(dir.path())).expect_err("damaged");
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused}");
    assert!(refused.to_string().contains("grepx-host restore FILE"), "{refused}");
}

#[tokio::test]
async fn damage_that_a_reader_meets_ends_the_writing() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    drop(store);
    let opened = Store::open(&settings(dir.path())).expect("sound");
    let store = opened.store;
    damage(&dir.path().join(FILE_NAME), "run_inputs");
    let read = store.flow_run(id(1)).await;
    assert!(matches!(read, Err(Error::Corrupt { .. })), "{read:?}");
    assert!(matches!(store.trouble(), Some(Error::Corrupt { .. })));
    let refused = store.create(run(2), None, first(id(2))).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
}
