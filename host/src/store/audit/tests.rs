use super::AuditEntry;
use crate::store::testing::{Fixture, at, first, fixture, id, run, settings};
use crate::store::{Error, Settings, Store};

fn entry(path: &str) -> AuditEntry {
    AuditEntry {
        at: at(1),
        who: "key ci".to_owned(),
        address: Some("10.0.0.1".to_owned()),
        method: "POST".to_owned(),
        route: "/api/x/{id}".to_owned(),
        path: path.to_owned(),
    }
}

#[tokio::test]
async fn a_record_is_there_as_soon_as_the_change_is() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let mark = store.record(entry("/api/x/1")).expect("room");
    store.create(run(1), None, first(id(1))).await.expect("created");
    let rows = store.audit(None, 10).await.expect("read");
    assert_eq!(rows.len(), 1, "it came with the change: nothing was flushed");
    assert_eq!((rows[0].status, &rows[0].entry), (None, &entry("/api/x/1")));
    store.record_end(mark, 201, Some("made".to_owned()));
    store.flush_records().await.expect("kept");
    let rows = store.audit(None, 10).await.expect("read");
    assert_eq!((rows[0].status, rows[0].note.as_deref()), (Some(201), Some("made")));
}

#[tokio::test]
async fn a_change_that_fails_loses_no_record() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let mark = store.record(entry("/api/x/1")).expect("room");
    let twice = store.create(run(1), None, first(id(1))).await;
    assert!(matches!(twice, Err(Error::RunExists(_))));
    store.record_end(mark, 409, None);
    store.flush_records().await.expect("kept");
    assert_eq!(store.audit(None, 10).await.expect("read")[0].status, Some(409));
}

#[tokio::test]
async fn the_oldest_rows_go_and_numbers_go_on_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let three = Settings {
        audit_rows: 3,
        ..settings(dir.path())
    };
    let store = Store::open(&three).expect("opens").store;
    for n in 0..5 {
        let mark = store.record(entry(&format!("/{n}"))).expect("room");
        store.record_end(mark, 200, None);
    }
    drop(store);
    let store = Store::open(&three).expect("what waited was written at the end").store;
    let paths = |rows: Vec<super::AuditRow>| rows.into_iter().map(|row| row.entry.path).collect::<Vec<_>>();
    assert_eq!(paths(store.audit(None, 10).await.expect("read")), ["/4", "/3", "/2"]);
    let mark = store.record(entry("/5")).expect("room");
    store.record_end(mark, 200, None);
    store.flush_records().await.expect("kept");
    let rows = store.audit(None, 1).await.expect("read");
    let last = rows[0].n;
    assert_eq!(paths(rows), ["/5"]);
    assert_eq!(paths(store.audit(Some(last), 1).await.expect("read")), ["/4"]);
}

#[tokio::test]
async fn records_are_bounded_while_nothing_is_written() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let mut marks = Vec::new();
    let refused = loop {
        match store.record(entry("/x")) {
            Ok(mark) => marks.push(mark),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::QueueFull { limit } if limit == marks.len()));
    store.flush_records().await.expect("kept");
    store
        .record(entry("/y"))
        .map(|mark| store.record_end(mark, 200, None))
        .expect("room again");
}

#[tokio::test]
async fn a_long_path_is_cut() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let mark = store.record(entry(&"ü".repeat(2_000))).expect("room");
    store.record_end(mark, 200, None);
    store.flush_records().await.expect("kept");
    let path = store.audit(None, 1).await.expect("read").remove(0).entry.path;
    assert_eq!(path.chars().count(), 501);
}
