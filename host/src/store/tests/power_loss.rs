//! A power cut leaves the write-ahead log at any byte. Whatever it is, the store opens, has the
//! transactions up to some point and nothing else, and every log folds to the state beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grepx_engine::{
    Definition, Event, FlowRunId, Json, NodeId, Prepared, Record, Run, Step, Task, TaskError, Timestamp,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::super::testing::{at, id, json, run, settings, task};
use super::super::{Commit, Durability, FILE_NAME, LogRow, RunState, Settings, Store, boot};

const RUNS: u128 = 3;
/// Bytes of a page, of the log's header, and of what stands before each page in the log.
const PAGE: usize = 4_096;
const LOG_HEADER: usize = 32;
const FRAME: usize = PAGE + 24;
/// Transactions whose every part is cut.
const LAST: usize = 6;

fn definition() -> Arc<Definition> {
    Arc::new(Definition::new("flow", None, vec![Task::new("task", "kind")]).expect("one task"))
}

/// What a run goes through, one commit each.
fn events(failing: bool) -> Vec<Event> {
    let node = NodeId::task(0);
    let answer = if failing {
        let error = TaskError::new(grepx_engine::ErrorClass::Permanent, "no", "no".to_owned());
        Step::Failed(error)
    } else {
        Step::Done(json(r#"{"rows": [1, 2, 3]}"#))
    };
    vec![
        Event::Admitted,
        Event::Prepared {
            renewals: 0,
            node,
            prepared: Prepared::Run {
                input: Json::null(),
                limit_ms: None,
            },
        },
        Event::Answered {
            node,
            attempt: 1,
            step: 0,
            answer,
            build: None,
        },
    ]
}

fn commit(run: &Run, records: Vec<Record>) -> Commit {
    let state = run.state();
    let results = records.iter().filter_map(|record| match &record.fact {
        grepx_engine::Fact::Succeeded {
            node,
            result: Some(result),
            ..
        } => Some((*node, result.clone())),
        _ => None,
    });
    Commit {
        results: results.collect(),
        state: Some(RunState {
            state: state.clone(),
            start_time: run.started_at(),
            end_time: run.ended_at(),
            total_run_time_ms: 0,
            run_count: 1,
            starts_again: None,
            reason: None,
        }),
        tasks: run
            .node_state(NodeId::task(0))
            .map(|state| task(0, state))
            .into_iter()
            .collect(),
        logs: vec![LogRow {
            message: "x".repeat(3_000),
            ..super::super::testing::line("")
        }],
        facts: records,
        ..Commit::new(run.id())
    }
}

/// A recorded store: the files as they lie while it is open, the length of the log after each
/// transaction, and the facts of all runs then.
struct Recording {
    database: Vec<u8>,
    log: Vec<u8>,
    after: Vec<(usize, i64)>,
    folder: TempDir,
}

async fn record() -> Recording {
    let folder = TempDir::new().expect("a folder");
    let store = Store::open(&Settings {
        durability: Durability::Full,
        ..settings(folder.path())
    });
    let store = store.expect("opens").store;
    let text = serde_json::to_string(&*definition()).expect("JSON");
    let kept = store.put_definition("d1".to_owned(), "flow".to_owned(), json(&text), at(0));
    kept.await.expect("kept");
    let path = folder.path().join(FILE_NAME);
    let log = folder.path().join(format!("{FILE_NAME}-wal"));
    let mut after = Vec::new();
    let mut facts = 0;
    let mut note = |facts: &mut i64, more: usize| {
        *facts += i64::try_from(more).expect("few");
        let length = fs::metadata(&log).expect("a log").len();
        after.push((usize::try_from(length).expect("small"), *facts));
    };
    note(&mut facts, 0);
    for n in 1..=RUNS {
        let mut live = Run::new(id(n), definition());
        let records = live.schedule(at(10), at(10));
        let count = records.len();
        store
            .create(run(n), None, commit(&live, records))
            .await
            .expect("created");
        note(&mut facts, count);
        for event in events(n == 2) {
            let records = live.apply(&event, Timestamp(1_000)).expect("possible");
            let count = records.len();
            store.commit(commit(&live, records)).await.expect("kept");
            note(&mut facts, count);
        }
    }
    Recording {
        database: fs::read(&path).expect("read"),
        log: fs::read(&log).expect("read"),
        after,
        folder,
    }
}

/// Every 512 bytes, and close around each frame, of the last transactions.
fn cuts(recording: &Recording) -> BTreeSet<usize> {
    let from = recording.after[recording.after.len() - 1 - LAST].0;
    let to = recording.log.len();
    let mut cuts: BTreeSet<usize> = (from..to).step_by(512).collect();
    for frame in (LOG_HEADER..=to).step_by(FRAME).filter(|frame| *frame >= from) {
        cuts.extend([
            frame.saturating_sub(1),
            frame,
            frame + 1,
            frame + 8,
            frame + 23,
            frame + 24,
            frame + 25,
        ]);
    }
    cuts.retain(|cut| *cut <= to);
    cuts.insert(0);
    cuts.insert(LOG_HEADER - 1);
    cuts.insert(to);
    cuts
}

fn leave(recording: &Recording, dir: &Path, log: &[u8]) -> PathBuf {
    let path = dir.join(FILE_NAME);
    let _ = fs::remove_file(dir.join(format!("{FILE_NAME}-shm")));
    fs::write(&path, &recording.database).expect("written");
    fs::write(dir.join(format!("{FILE_NAME}-wal")), log).expect("written");
    path
}

/// The facts that are there. Every log folds to the state that stands beside it.
fn facts(path: &Path, cut: usize) -> i64 {
    let sql = Connection::open(path).expect("opens");
    // What is written on closing is thrown away.
    sql.execute_batch("PRAGMA synchronous = OFF").expect("set");
    let sound: String = sql.query_row("PRAGMA quick_check", [], |row| row.get(0)).expect("read");
    assert_eq!(sound, "ok", "cut at {cut}");
    let tables: i64 = sql
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'facts'", [], |row| {
            row.get(0)
        })
        .expect("read");
    if tables == 0 {
        return 0;
    }
    let mut rows = sql
        .prepare("SELECT id, state_type, state_name FROM flow_runs")
        .expect("a query");
    let runs = rows.query_map([], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?, row.get(2)?)));
    for found in runs.expect("read") {
        let (run, state_type, name): (_, String, String) = found.expect("a row");
        let run = FlowRunId(uuid::Uuid::from_bytes(run));
        let records = boot::records(&sql, run).expect("without a gap");
        let state = Run::replay(run, definition(), records).state();
        assert_eq!(
            (state.state_type.as_str(), state.name),
            (state_type.as_str(), name.as_str()),
            "cut at {cut}"
        );
    }
    sql.query_row("SELECT count(*) FROM facts", [], |row| row.get(0))
        .expect("counted")
}

#[tokio::test]
async fn a_cut_log_gives_the_transactions_up_to_the_cut_and_nothing_else() {
    let recording = record().await;
    let dir = TempDir::new().expect("a folder");
    let mut seen = BTreeSet::new();
    let cuts = cuts(&recording);
    assert!(cuts.len() > 200, "{}", cuts.len());
    for cut in cuts {
        let path = leave(&recording, dir.path(), &recording.log[..cut]);
        let whole = recording.after.iter().filter(|(length, _)| *length <= cut);
        let expected = whole.map(|(_, facts)| *facts).next_back().unwrap_or(0);
        assert_eq!(facts(&path, cut), expected, "cut at {cut}");
        seen.insert(expected);
    }
    assert!(seen.len() > LAST, "{seen:?}");
    drop(recording.folder);
}

#[tokio::test]
async fn a_sector_that_was_never_written_ends_the_log_there() {
    let recording = record().await;
    let dir = TempDir::new().expect("a folder");
    let known: BTreeSet<i64> = recording.after.iter().map(|(_, facts)| *facts).collect();
    let from = recording.after[recording.after.len() - 1 - LAST].0;
    // The last sectors of a log reach the disk in any order.
    for sector in (from / 512 + 1..recording.log.len() / 512).step_by(3) {
        let mut log = recording.log.clone();
        log[sector * 512..(sector + 1) * 512].fill(0xFF);
        let path = leave(&recording, dir.path(), &log);
        let found = facts(&path, sector * 512);
        assert!(known.contains(&found), "{found} facts are no moment of the store");
        let (_, last) = recording.after.last().copied().expect("some");
        assert!(found < last, "sector {sector} is of a transaction");
    }
    drop(recording.folder);
}

#[tokio::test]
async fn a_host_goes_on_from_a_cut_log() {
    let recording = record().await;
    let dir = TempDir::new().expect("a folder");
    for (length, facts) in recording.after.iter().rev().step_by(2) {
        let log = &recording.log[..(length + 700).min(recording.log.len())];
        leave(&recording, dir.path(), log);
        let store = Store::open(&settings(dir.path())).expect("opens").store;
        let mut count = 0;
        for n in 1..=RUNS {
            count += store.records(id(n)).await.expect("readable").len();
        }
        assert_eq!(i64::try_from(count).expect("few"), *facts);
        let kept = store.put_definition("d2".to_owned(), "flow".to_owned(), json("{}"), at(0));
        kept.await.expect("it takes changes");
    }
    drop(recording.folder);
}
