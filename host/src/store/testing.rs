//! What the tests of the store share: a store in a directory of its own, and small runs.

use std::path::Path;

use grepx_engine::{Fact, FlowRunId, Json, NodeId, Record, State, StateType, Timestamp};
use tempfile::TempDir;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Commit, Durability, LogRow, NewRun, RunState, Settings, SlotChange, SlotNews, Store, TaskRow};

pub(super) struct Fixture {
    pub(super) store: Store,
    pub(super) admissions: mpsc::UnboundedReceiver<Vec<SlotNews>>,
    pub(super) dir: TempDir,
}

pub(super) fn settings(dir: &Path) -> Settings {
    Settings {
        durability: Durability::Normal,
        readers: 2,
        ..Settings::new(dir)
    }
}

/// With the definition `d1`, which [`run`] uses.
pub(super) async fn fixture() -> Fixture {
    let dir = TempDir::new().expect("a temporary directory");
    let opened = Store::open(&settings(dir.path())).expect("an empty store opens");
    opened
        .store
        .put_definition("d1".to_owned(), "flow".to_owned(), json(r#"{"flow":"flow"}"#), at(0))
        .await
        .expect("a definition is kept");
    Fixture {
        store: opened.store,
        admissions: opened.admissions,
        dir,
    }
}

pub(super) const fn at(ms: i64) -> Timestamp {
    Timestamp(ms)
}

pub(super) const fn id(n: u128) -> FlowRunId {
    FlowRunId(Uuid::from_u128(n))
}

pub(super) fn json(text: &str) -> Json {
    Json::parse(text.to_owned()).expect("the test's JSON is valid")
}

pub(crate) fn run(n: u128) -> NewRun {
    NewRun {
        id: id(n),
        name: format!("run-{n}"),
        flow_id: Uuid::from_u128(900),
        flow_name: "flow".to_owned(),
        deployment_id: None,
        deployment_name: None,
        definition: "d1".to_owned(),
        parameters: json(r#"{"a": 1.50}"#),
        tags: vec![],
        idempotency_key: None,
        work_pool: None,
        work_queue: None,
        created_at: at(1),
        expected_start: at(10),
        auto_scheduled: false,
        schedule_id: None,
        created_by: None,
        parent: None,
        labels: json("{}"),
    }
}

pub(super) fn state(state_type: StateType, name: &'static str, since: i64) -> State {
    State {
        state_type,
        name,
        message: None,
        since: at(since),
    }
}

pub(super) fn run_state(state_type: StateType, name: &'static str, since: i64) -> RunState {
    RunState::new(state(state_type, name, since))
}

pub(super) fn fact(seq: u64, fact: Fact) -> Record {
    Record {
        seq,
        at: at(100 + i64::try_from(seq).expect("small")),
        fact,
    }
}

/// The commit that a run begins with.
pub(super) fn first(run: FlowRunId) -> Commit {
    Commit {
        facts: vec![fact(0, Fact::Scheduled { start_at: at(10) })],
        state: Some(run_state(StateType::Scheduled, "Scheduled", 1)),
        ..Commit::new(run)
    }
}

pub(super) fn wait(pool: &str, queue: &str, since: i64) -> Option<SlotChange> {
    Some(SlotChange::Wait {
        pool: pool.to_owned(),
        queue: queue.to_owned(),
        deployment: None,
        since: at(since),
        expected_start: at(10),
    })
}

pub(super) fn task(task: u32, state: State) -> TaskRow {
    TaskRow {
        node: NodeId::task(task),
        name: format!("task-{task}"),
        kind: "celery".to_owned(),
        attempt: 1,
        state,
        expected_start: None,
        start_time: None,
        end_time: None,
        total_run_time_ms: 0,
        reason: None,
        status: None,
        external_id: None,
        tags: vec![],
        result_bytes: None,
        input: None,
    }
}

pub(super) fn line(text: &str) -> LogRow {
    LogRow {
        task_run: None,
        at: at(5),
        level: 20,
        logger: "test".to_owned(),
        message: text.to_owned(),
    }
}

/// Overwrites a page that belongs to a table.
pub(super) fn damage(path: &Path, table: &str) {
    let file = rusqlite::Connection::open(path).expect("opens");
    let root: i64 = file
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [table], |row| {
            row.get(0)
        })
        .expect("its root");
    let page: i64 = file
        .query_row("PRAGMA page_size", [], |row| row.get(0))
        .expect("its size");
    file.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("in one file");
    drop(file);
    let mut file = std::fs::OpenOptions::new().write(true).open(path).expect("opens");
    std::io::Seek::seek(
        &mut file,
        std::io::SeekFrom::Start(u64::try_from((root - 1) * page).expect("positive")),
    )
    .expect("there");
    std::io::Write::write_all(&mut file, &[0xA5; 512]).expect("written");
}
