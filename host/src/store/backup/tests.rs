use std::fs;

use grepx_engine::Fact;
use tempfile::TempDir;

use super::super::testing::{Fixture, at, damage, fact, first, fixture, id, run, settings};
use super::super::{Commit, Error, FILE_NAME, FlowRunFilter, Store};
use super::*;

async fn runs(store: &Store) -> u64 {
    store.count_flow_runs(FlowRunFilter::default()).await.expect("counted")
}

#[tokio::test]
async fn a_copy_of_a_store_at_work_is_one_moment_of_it() {
    let Fixture { store, dir, .. } = fixture().await;
    for n in 1..=20 {
        store.create(run(n), None, first(id(n))).await.expect("created");
    }
    let to = dir.path().join("copy.db");
    let (from, file) = (dir.path().to_owned(), to.clone());
    let copying = tokio::task::spawn_blocking(move || backup(&from, &file, false));
    // One run has one more fact each time: the copy has some number of them, without a gap.
    for seq in 1..200 {
        let more = Commit {
            facts: vec![fact(seq, Fact::Queued)],
            ..Commit::new(id(1))
        };
        store.commit(more).await.expect("nobody waits for a copy");
    }
    let copied = copying.await.expect("ends").expect("copied");
    assert_eq!(copied.flow_runs, 20);
    assert_eq!(fs::metadata(&to).expect("there").permissions().mode() & 0o777, 0o600);
    let refused = backup(dir.path(), &to, false).expect_err("it is there");
    assert!(matches!(refused, BackupError::Exists { .. }), "{refused}");
    backup(dir.path(), &to, true).expect("overwritten");
    let itself = backup(dir.path(), &dir.path().join(FILE_NAME), true).expect_err("the store");
    assert!(matches!(itself, BackupError::Same { .. }), "{itself}");

    let other = TempDir::new().expect("a folder");
    restore(other.path(), &to, at(0)).expect("restored");
    let restored = Store::open(&settings(other.path())).expect("opens").store;
    assert_eq!(runs(&restored).await, 20);
    assert_eq!(restored.records(id(1)).await.expect("without a gap").len(), 200);
}

#[tokio::test]
async fn restoring_is_refused_while_a_host_runs_and_keeps_what_was_there() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let copy = dir.path().join("copy.db");
    backup(dir.path(), &copy, false).expect("copied");
    store.create(run(2), None, first(id(2))).await.expect("created");
    let refused = restore(dir.path(), &copy, at(0)).expect_err("in use");
    assert!(matches!(refused, BackupError::Store(Error::Locked { .. })), "{refused}");
    drop(store);

    let done = restore(dir.path(), &copy, at(0)).expect("restored");
    let store = Store::open(&settings(dir.path())).expect("opens").store;
    assert_eq!(runs(&store).await, 1);
    drop(store);
    let before = done.before.expect("kept");
    restore(dir.path(), &before, at(1)).expect("and back");
    let store = Store::open(&settings(dir.path())).expect("opens").store;
    assert_eq!(runs(&store).await, 2);
}

#[tokio::test]
async fn what_is_no_sound_run_store_is_not_restored() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let copy = dir.path().join("copy.db");
    backup(dir.path(), &copy, false).expect("copied");
    drop(store);
    let other = dir.path().join("other.db");
    let foreign = rusqlite::Connection::open(&other).expect("opens");
    foreign.execute_batch("CREATE TABLE x (y)").expect("made");
    drop(foreign);
    fs::write(
        dir.path().join("text"),
        "no database at all, but some words that are long enough",
    )
    .expect("written");
    let newer = dir.path().join("newer.db");
    fs::copy(&copy, &newer).expect("copied");
    let file = rusqlite::Connection::open(&newer).expect("opens");
    file.execute(
        "UPDATE refinery_schema_history SET version = 1000 WHERE version = 1",
        [],
    )
    .expect("updated");
    drop(file);
    damage(&copy, "facts");
    for name in ["copy.db", "other.db", "text", "newer.db", "nothing"] {
        let refused = restore(dir.path(), &dir.path().join(name), at(0)).expect_err(name);
        let said = crate::report::chain(&refused);
        let expected = match name {
            "newer.db" => "run the newer grepx-host",
            _ => "cannot be restored",
        };
        assert!(said.contains(expected), "{name}: {said}");
    }
    let store = Store::open(&settings(dir.path())).expect("untouched").store;
    assert_eq!(runs(&store).await, 1);
}

#[tokio::test]
async fn a_start_finishes_a_restoring_that_was_interrupted() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let copy = dir.path().join("copy.db");
    backup(dir.path(), &copy, false).expect("copied");
    store.create(run(2), None, first(id(2))).await.expect("created");
    // As a crash leaves it: the log of the old store is still there.
    let (path, log) = (dir.path().join(FILE_NAME), beside(&dir.path().join(FILE_NAME), "-wal"));
    let (old, old_log) = (fs::read(&path).expect("read"), fs::read(&log).expect("read"));
    drop(store);
    fs::write(&path, old).expect("written");
    fs::write(&log, old_log).expect("written");
    fs::rename(&copy, restoring(dir.path())).expect("complete");
    let store = Store::open(&settings(dir.path())).expect("opens").store;
    assert_eq!(runs(&store).await, 1, "the copy, without the log of the other one");
    assert!(!restoring(dir.path()).exists());
}
