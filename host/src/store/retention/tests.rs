use grepx_engine::{Fact, NodeId, StateType};

use super::super::testing::{Fixture, at, fact, first, fixture, id, json, line, run, run_state, settings, state, task};
use super::super::{
    Choice, Commit, FILE_NAME, FlowRunFilter, LogFilter, Page, Parent, Progress, SchedulePlan, Store, TaskRunFilter,
    TaskRunSort,
};
use super::*;

const TIME: Duration = Duration::from_secs(20);

/// Everything that ended before 1,000 ms goes, of cancelled runs nothing.
const CUTOFFS: Cutoffs = Cutoffs {
    completed: Some(at(1_000)),
    failed: Some(at(500)),
    cancelled: None,
};

async fn ended(store: &Store, n: u128, how: StateType, end: i64, rows: u32) {
    let mut end_state = run_state(how, "End", end);
    end_state.end_time = Some(at(end));
    let commit = Commit {
        facts: vec![fact(1, Fact::Started)],
        state: Some(end_state),
        tasks: (0..rows)
            .map(|n| task(n, state(StateType::Completed, "Completed", 8)))
            .collect(),
        results: (0..rows).map(|n| (NodeId::task(n), json("1"))).collect(),
        logs: (0..rows).map(|_| line("x")).collect(),
        ..Commit::new(id(n))
    };
    store.commit(commit).await.expect("kept");
}

async fn left(store: &Store) -> Vec<String> {
    let all = store.flow_runs(
        FlowRunFilter::default(),
        super::super::FlowRunSort::NameAsc,
        super::super::Page::first(200),
    );
    all.await.expect("read").into_iter().map(|one| one.run.name).collect()
}

fn rows(dir: &std::path::Path) -> Vec<(&'static str, i64)> {
    let file = Connection::open(dir.join(FILE_NAME)).expect("opens");
    ["flow_runs", "run_inputs", "removals"]
        .into_iter()
        .chain(TABLES.map(|(table, _)| table))
        .map(|table| {
            let sql = format!("SELECT count(*) FROM {table}");
            (table, file.query_row(&sql, [], |row| row.get(0)).expect("counted"))
        })
        .collect()
}

#[tokio::test]
async fn what_ended_before_its_time_goes_in_steps_and_wholly() {
    let Fixture { store, dir, .. } = fixture().await;
    for (n, how, end) in [
        (1, StateType::Completed, 900),
        (2, StateType::Completed, 1_000),
        (3, StateType::Failed, 499),
        (4, StateType::Failed, 900),
        (5, StateType::Cancelled, 1),
        (6, StateType::Crashed, 1),
    ] {
        store.create(run(n), None, first(id(n))).await.expect("created");
        ended(&store, n, how, end, 60).await;
    }
    store.create(run(7), None, first(id(7))).await.expect("created");
    assert_eq!(store.count_due(CUTOFFS).await.expect("counted"), 3);
    let removed = store.remove_ended(CUTOFFS, 50, TIME).await.expect("removed");
    assert_eq!((removed.flow_runs, removed.more), (3, false));
    assert_eq!(left(&store).await, ["run-2", "run-4", "run-5", "run-7"]);
    assert_eq!(store.count_due(CUTOFFS).await.expect("counted"), 0);
    drop(store);
    for (table, count) in rows(dir.path()) {
        let expected = match table {
            "flow_runs" | "run_inputs" => 4,
            "removals" | "outbox" | "flow_run_tags" | "task_run_tags" => 0,
            "facts" => 3 * 2 + 1,
            "states" => 3 * (2 + 60) + 1,
            _ => 3 * 60,
        };
        assert_eq!(count, expected, "{table}");
    }
}

#[tokio::test]
async fn one_step_takes_no_more_than_its_rows_and_the_next_start_goes_on() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    ended(&store, 1, StateType::Completed, 1, 300).await;
    let step = store
        .write(|writing| remove(writing, CUTOFFS, 40))
        .await
        .expect("removed");
    assert!(step.more && (1..=60).contains(&step.rows), "{step:?}");
    assert!(left(&store).await.is_empty(), "it is not seen any more");
    drop(store);
    let store = Store::open(&settings(dir.path())).expect("opens").store;
    let removed = store.remove_ended(CUTOFFS, 40, TIME).await.expect("removed");
    assert_eq!((removed.flow_runs, removed.more), (0, false));
    drop(store);
    assert!(
        rows(dir.path()).iter().all(|(_, count)| *count == 0),
        "{:?}",
        rows(dir.path())
    );
}

#[tokio::test]
async fn task_runs_that_are_counted_are_rows_of_a_step() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    for n in 1..=3 {
        store.create(run(n), None, first(id(n))).await.expect("created");
        ended(&store, n, StateType::Completed, 1, 60).await;
    }
    let step = store.write(|writing| remove(writing, CUTOFFS, 40)).await;
    assert!(step.expect("removed").more);
    assert_eq!(left(&store).await, ["run-2", "run-3"]);
    store.remove_ended(CUTOFFS, 40, TIME).await.expect("removed");
    assert!(left(&store).await.is_empty());
}

#[tokio::test]
async fn nobody_sees_what_is_left_of_a_run() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    ended(&store, 1, StateType::Completed, 1, 300).await;
    let step = store.write(|writing| remove(writing, CUTOFFS, 40)).await;
    assert!(step.expect("removed").more);
    assert_eq!(
        store.orphans().await.expect("read").len(),
        0,
        "rows are left, and being removed"
    );
    let page = Page::first(10);
    for filter in [
        TaskRunFilter::default(),
        TaskRunFilter {
            run: Choice::any([id(1)]),
            ..TaskRunFilter::default()
        },
    ] {
        let found = store.task_runs(filter.clone(), TaskRunSort::default(), page).await;
        assert!(found.expect("read").is_empty(), "{filter:?}");
        assert_eq!(store.count_task_runs(filter).await.expect("counted"), 0);
    }
    let last = NodeId::task(299).run_id(id(1));
    assert_eq!(store.task_run(last).await.expect("read"), None);
    assert!(store.logs(LogFilter::default(), page).await.expect("read").is_empty());
}

#[tokio::test]
async fn a_child_stays_with_its_live_parent_and_its_key_is_free_afterwards() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let mut child = run(2);
    child.idempotency_key = Some("once".to_owned());
    child.parent = Some(Parent {
        run: id(1),
        node: NodeId::task(0),
        attempt: 1,
        key: "child".to_owned(),
    });
    store.create(child.clone(), None, first(id(2))).await.expect("created");
    ended(&store, 2, StateType::Completed, 1, 1).await;
    let removed = store.remove_ended(CUTOFFS, 100, TIME).await.expect("removed");
    assert_eq!(removed.flow_runs, 0, "the parent may ask for it");
    ended(&store, 1, StateType::Completed, 2, 1).await;
    let removed = store.remove_ended(CUTOFFS, 100, TIME).await.expect("removed");
    assert_eq!(removed.flow_runs, 2);
    child.id = id(3);
    let again = store.create(child, None, first(id(3))).await.expect("created");
    assert_eq!(again, super::super::Created::New);
}

#[tokio::test]
async fn planned_runs_are_never_too_old() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let schedule = uuid::Uuid::from_u128(70);
    let mut planned = run(1);
    planned.schedule_id = Some(schedule);
    let progress = Progress {
        handled_until: at(0),
        next_at: Some(at(10)),
    };
    let plan = SchedulePlan {
        id: schedule,
        deployment_id: uuid::Uuid::from_u128(71),
        rule: "r".to_owned(),
        progress,
        planned_until: at(20),
        anew: false,
        runs: vec![planned],
    };
    store.plan(vec![plan]).await.expect("planned");
    let removed = store.collect(CUTOFFS, 100, TIME).await.expect("removed");
    assert_eq!((removed.removed, removed.orphaned), (Removed::default(), 0));
    assert_eq!(left(&store).await, ["run-1"]);
}

#[tokio::test]
async fn rows_without_a_run_and_definitions_without_use_go() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let unused = store.put_definition("d2".to_owned(), "flow".to_owned(), json("{}"), at(0));
    unused.await.expect("kept");
    let file = Connection::open(dir.path().join(FILE_NAME)).expect("opens");
    file.execute(
        "INSERT INTO logs (run_id, n, at, level, logger, message) VALUES (?, 0, 0, 20, 'x', 'lost')",
        [id(9).0.as_bytes()],
    )
    .expect("put");
    assert_eq!(store.take_up_orphans().await.expect("found"), 1);
    let removed = store
        .remove_ended(Cutoffs::default(), 100, TIME)
        .await
        .expect("removed");
    assert_eq!((removed.flow_runs, removed.rows), (0, 1));
    assert_eq!(store.forget_definitions().await.expect("forgotten"), 1);
    assert!(store.definition("d1".to_owned()).await.expect("read").is_some());
}

#[tokio::test]
async fn free_pages_are_used_again_and_go_back_when_no_host_works() {
    let Fixture { store, dir, .. } = fixture().await;
    let much = |n| Commit {
        logs: (0..500).map(|_| line(&"x".repeat(8_000))).collect(),
        state: Some(super::super::RunState {
            end_time: Some(at(1)),
            ..run_state(StateType::Completed, "Completed", 1)
        }),
        ..Commit::new(id(n))
    };
    let mut bytes = Vec::new();
    for n in 1..4 {
        store.create(run(n), None, first(id(n))).await.expect("created");
        store.commit(much(n)).await.expect("kept");
        store.remove_ended(CUTOFFS, 500, TIME).await.expect("removed");
        let space = store.space().await.expect("read");
        assert!(space.free > 3_000_000, "{space:?}");
        bytes.push(space.bytes);
    }
    assert!(
        bytes[2] < bytes[0] + bytes[0] / 10,
        "the file grows no further: {bytes:?}"
    );
    drop(store);
    let settings = super::super::Settings::new(dir.path());
    super::super::vacuum(&settings).expect("written anew");
    let after = std::fs::metadata(dir.path().join(super::super::FILE_NAME))
        .expect("there")
        .len();
    assert!(after < bytes[0] / 10, "{after} {bytes:?}");
    let sound = super::super::check(dir.path()).expect("read");
    assert_eq!(sound, super::super::Found::Sound);
}

#[tokio::test]
async fn a_step_takes_few_rows_where_they_are_long() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    ended(&store, 1, StateType::Completed, 1, 4).await;
    let long = json(&format!("{:?}", "x".repeat(3 << 20)));
    let results = Commit {
        results: (0..4).map(|n| (NodeId::task(n), long.clone())).collect(),
        ..Commit::new(id(1))
    };
    store.commit(results).await.expect("kept");
    let mut steps = 0;
    while store
        .write(|writing| remove(writing, CUTOFFS, 1_000))
        .await
        .expect("removed")
        .more
    {
        steps += 1;
    }
    assert!((3..=5).contains(&steps), "{steps}");
    assert_eq!(store.count_due(CUTOFFS).await.expect("counted"), 0);
}
