use grepx_engine::{NodeId, StateType};
use rusqlite::{Connection, params_from_iter};
use uuid::Uuid;

use super::super::filter::{FlowRunFilter, FlowRunSort, Period, TaskRunFilter, TaskRunSort, Text};
use super::super::testing::{Fixture, at, first, fixture, id, run, run_state, state, task};
use super::super::{Commit, NewRun, Page, Tags, TaskRow};
use super::*;

const STATES: [(StateType, &str); 6] = [
    (StateType::Completed, "Completed"),
    (StateType::Failed, "Failed"),
    (StateType::Failed, "TimedOut"),
    (StateType::Running, "Running"),
    (StateType::Scheduled, "Late"),
    (StateType::Running, "Late"),
];

/// Forty flow runs, with a task run each. With the bounds of the tests every way is gone.
async fn forty() -> Fixture {
    let fixture = fixture().await;
    for n in 1..=40_u128 {
        let ms = i64::try_from(n * 7 % 40).expect("small");
        let new = NewRun {
            name: format!("run-{}", n % 6),
            flow_id: Uuid::from_u128(n % 3),
            flow_name: format!("flow-{}", n % 3),
            deployment_id: (n % 4 > 0).then(|| Uuid::from_u128(50 + n % 4)),
            deployment_name: (n % 4 > 0).then(|| format!("deployment-{}", n % 4)),
            tags: [(n % 2 == 0).then_some("even"), (n == 40).then_some("last")]
                .into_iter()
                .flatten()
                .map(str::to_owned)
                .collect(),
            work_pool: (n % 5 > 0).then(|| "pool".to_owned()),
            work_queue: (n % 5 > 0).then(|| "queue".to_owned()),
            idempotency_key: (n % 8 == 0).then(|| format!("key-{}", n / 16)),
            expected_start: at(ms),
            ..run(n)
        };
        fixture.store.create(new, None, first(id(n))).await.expect("created");
        let (state_type, name) = STATES[usize::try_from(n % 6).expect("small")];
        let mut view = run_state(state_type, name, ms);
        view.start_time = (n % 5 < 4).then(|| at(40 - ms));
        view.end_time = (n % 5 < 3).then(|| at(50 - ms));
        let of_task = TaskRow {
            name: format!("task-{}", n % 4),
            expected_start: Some(at(ms)),
            start_time: view.start_time,
            end_time: view.end_time,
            tags: if n % 9 == 0 { vec!["gpu".to_owned()] } else { Vec::new() },
            ..task(0, state(state_type, name, ms))
        };
        let commit = Commit {
            state: Some(view),
            tasks: vec![of_task],
            ..Commit::new(id(n))
        };
        fixture.store.commit(commit).await.expect("kept");
    }
    fixture
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn flow_run_filters() -> Vec<FlowRunFilter> {
    let none = FlowRunFilter::default;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let tagged = |all: &[&str]| Tags {
        all: Some(words(all)),
        ..Tags::default()
    };
    let failed = || Choice::any([StateType::Failed]);
    let within = Period {
        after: Some(at(5)),
        before: Some(at(20)),
        is_null: None,
    };
    vec![
        none(),
        FlowRunFilter {
            state_type: failed(),
            ..none()
        },
        FlowRunFilter {
            state_type: Choice::any([StateType::Crashed]),
            ..none()
        },
        FlowRunFilter {
            state_name: Choice::any(words(&["Late", "TimedOut"])),
            ..none()
        },
        FlowRunFilter {
            state_type: Choice {
                not: Some(vec![StateType::Completed]),
                ..Choice::default()
            },
            ..none()
        },
        FlowRunFilter {
            flow_name: Text::any(words(&["flow-1"])),
            ..none()
        },
        FlowRunFilter {
            flow_name: Text {
                like: Some("LOW-".to_owned()),
                ..Text::default()
            },
            ..none()
        },
        FlowRunFilter {
            flow_name: Text::any(words(&["flow-1"])),
            state_type: failed(),
            ..none()
        },
        FlowRunFilter {
            deployment_id: Choice {
                is_null: Some(true),
                ..Choice::default()
            },
            ..none()
        },
        FlowRunFilter {
            deployment_id: Choice::any([Uuid::from_u128(51)]),
            expected_start: within,
            ..none()
        },
        FlowRunFilter {
            work_pool: Choice {
                not: Some(words(&["pool"])),
                ..Choice::default()
            },
            ..none()
        },
        FlowRunFilter {
            tags: tagged(&["even"]),
            ..none()
        },
        FlowRunFilter {
            tags: tagged(&["even", "last"]),
            state_type: failed(),
            ..none()
        },
        FlowRunFilter {
            tags: tagged(&["even", "even", "last"]),
            ..none()
        },
        FlowRunFilter {
            tags: tagged(&[]),
            ..none()
        },
        FlowRunFilter {
            tags: tagged(&["nobody's"]),
            ..none()
        },
        FlowRunFilter {
            tags: Tags {
                any: Some(words(&["last", "x"])),
                ..Tags::default()
            },
            ..none()
        },
        FlowRunFilter {
            expected_start: within,
            ..none()
        },
        FlowRunFilter {
            start_time: within,
            state_type: failed(),
            ..none()
        },
        FlowRunFilter {
            end_time: within,
            ..none()
        },
        FlowRunFilter {
            name: Text::any(words(&["run-3"])),
            ..none()
        },
        FlowRunFilter {
            id: Choice::any([id(7), id(9)]),
            ..none()
        },
        FlowRunFilter {
            idempotency_key: Choice::any(words(&["key-1", "key-2", "none"])),
            state_type: failed(),
            ..none()
        },
        FlowRunFilter {
            idempotency_key: Choice::any(words(&[])),
            ..none()
        },
        // More values than a statement takes, if they were asked for at each place.
        FlowRunFilter {
            flow_name: Text {
                like: Some("LOW-".to_owned()),
                ..Text::default()
            },
            name: Text {
                choice: Choice {
                    not: Some((0..1_000).map(|n| format!("x-{n}")).collect()),
                    ..Choice::default()
                },
                ..Text::default()
            },
            definition: Choice {
                not: Some((0..1_000).map(|n| format!("x-{n}")).collect()),
                ..Choice::default()
            },
            ..none()
        },
        FlowRunFilter {
            join: Join::Any,
            state_type: failed(),
            tags: tagged(&["even"]),
            ..none()
        },
        FlowRunFilter {
            state_join: Join::Any,
            state_type: failed(),
            state_name: Choice::any(words(&["Late"])),
            ..none()
        },
        FlowRunFilter {
            state_join: Join::Any,
            state_type: Choice::any([StateType::Scheduled]),
            state_name: Choice::any(words(&["Running"])),
            work_pool: Choice {
                is_null: Some(true),
                ..Choice::default()
            },
            ..none()
        },
        FlowRunFilter {
            state_type: failed(),
            parts: vec![FlowRunFilter {
                join: Join::Any,
                flow_name: Text::any(words(&["flow-1"])),
                parts: vec![FlowRunFilter {
                    work_pool: Choice::any(words(&["pool"])),
                    deployment_id: Choice::any([Uuid::from_u128(52)]),
                    ..none()
                }],
                ..none()
            }],
            ..none()
        },
        FlowRunFilter {
            parts: vec![FlowRunFilter {
                expected_start: within,
                flow_name: Text::any(words(&["flow-2"])),
                ..none()
            }],
            ..none()
        },
    ]
}

fn task_run_filters() -> Vec<TaskRunFilter> {
    let none = TaskRunFilter::default;
    let failed = || Choice::any([StateType::Failed]);
    let mut filters = vec![
        none(),
        TaskRunFilter {
            state_type: failed(),
            ..none()
        },
        TaskRunFilter {
            state_name: Choice::any(["Late".to_owned()]),
            ..none()
        },
        TaskRunFilter {
            name: Text::any(["task-1".to_owned()]),
            ..none()
        },
        TaskRunFilter {
            name: Text::any(["task-1".to_owned()]),
            state_type: failed(),
            ..none()
        },
        TaskRunFilter {
            tags: Tags {
                all: Some(vec!["gpu".to_owned()]),
                ..Tags::default()
            },
            ..none()
        },
        TaskRunFilter {
            end_time: Period {
                after: Some(at(30)),
                ..Period::default()
            },
            ..none()
        },
        TaskRunFilter {
            run: Choice::any([id(3)]),
            ..none()
        },
    ];
    for flow_run in flow_run_filters() {
        filters.push(TaskRunFilter {
            flow_run: Some(Box::new(flow_run.clone())),
            ..none()
        });
        filters.push(TaskRunFilter {
            state_type: failed(),
            flow_run: Some(Box::new(flow_run)),
            ..none()
        });
    }
    filters
}

/// What SQLite finds by itself.
fn plainly(sql: &Connection, select: &str, clause: &Clause, order: &str) -> Vec<Vec<u8>> {
    let mut select = sql
        .prepare(&format!("{select} WHERE {} ORDER BY {order}", clause.sql))
        .expect("a query");
    let found = select
        .query_map(params_from_iter(&clause.values), |row| row.get(0))
        .expect("rows");
    found.map(|id| id.expect("an id")).collect()
}

#[tokio::test]
async fn every_way_finds_the_flow_runs_that_match_in_their_order() {
    let Fixture { store, dir, .. } = forty().await;
    let sql = super::super::open::reader(&dir.path().join(super::super::FILE_NAME)).expect("a reader");
    for filter in flow_run_filters() {
        let clause = Clause::of(|conditions| conditions.flow_runs(&filter));
        for sort in [
            FlowRunSort::IdDesc,
            FlowRunSort::ExpectedStartAsc,
            FlowRunSort::ExpectedStartDesc,
            FlowRunSort::StartAsc,
            FlowRunSort::StartDesc,
            FlowRunSort::EndDesc,
            FlowRunSort::NameAsc,
            FlowRunSort::NameDesc,
            FlowRunSort::NextScheduledStartAsc,
        ] {
            let wanted = plainly(&sql, "SELECT r.id FROM flow_runs r", &clause, sort.sql());
            let mut found = Vec::new();
            for offset in (0..50).step_by(7) {
                let page = Page { limit: 7, offset };
                found.extend(store.flow_runs(filter.clone(), sort, page).await.expect("read"));
            }
            let found: Vec<_> = found.iter().map(|run| run.run.id.0.as_bytes().to_vec()).collect();
            assert_eq!(found, wanted, "{filter:?} {sort:?}");
            let count = store.count_flow_runs(filter.clone()).await.expect("counted");
            assert_eq!(count, wanted.len() as u64, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn every_way_finds_the_task_runs_that_match_in_their_order() {
    let Fixture { store, dir, .. } = forty().await;
    let sql = super::super::open::reader(&dir.path().join(super::super::FILE_NAME)).expect("a reader");
    for filter in task_run_filters() {
        let clause = Clause::of(|conditions| conditions.task_runs(&filter));
        for sort in [
            TaskRunSort::DefinitionAsc,
            TaskRunSort::IdDesc,
            TaskRunSort::ExpectedStartAsc,
            TaskRunSort::ExpectedStartDesc,
            TaskRunSort::StartAsc,
            TaskRunSort::EndDesc,
            TaskRunSort::NameAsc,
            TaskRunSort::NameDesc,
        ] {
            let wanted = plainly(&sql, "SELECT t.id FROM task_runs t", &clause, sort.sql());
            let mut found = Vec::new();
            for offset in (0..50).step_by(7) {
                let page = Page { limit: 7, offset };
                found.extend(store.task_runs(filter.clone(), sort, page).await.expect("read"));
            }
            let found: Vec<_> = found.iter().map(|run| run.id.0.as_bytes().to_vec()).collect();
            assert_eq!(found, wanted, "{filter:?} {sort:?}");
            let count = store.count_task_runs(filter.clone()).await.expect("counted");
            assert_eq!(count, wanted.len() as u64, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn tallies_are_what_the_rows_say() {
    let Fixture { store, dir, .. } = forty().await;
    store.delete_flow_run(id(6)).await.expect("deleted");
    let commit = Commit {
        state: Some(run_state(StateType::Cancelled, "Cancelled", 90)),
        tasks: vec![TaskRow {
            node: NodeId::task(1),
            ..task(1, state(StateType::Cancelled, "UpstreamFailed", 90))
        }],
        ..Commit::new(id(8))
    };
    store.commit(commit).await.expect("kept");
    assert!(store.miscounted().await.expect("read").is_empty());

    let file = Connection::open(dir.path().join(super::super::FILE_NAME)).expect("opens");
    file.execute_batch(
        "UPDATE tallies SET runs = runs + 2 WHERE of = 0 AND origin = 0 AND state_name = 'TimedOut'; \
         DELETE FROM tallies WHERE of = 1 AND state_name = 'UpstreamFailed' AND origin > 0",
    )
    .expect("changed");
    let found = store.miscounted().await.expect("read");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0], "2 fewer flow runs are TimedOut (FAILED) than are counted");
    assert!(found[1].starts_with("1 more task runs of origin "), "{found:?}");
    assert_eq!(super::super::miscounted(dir.path()).expect("read"), found);
}

/// As many conditions, one around the other, are more than SQLite takes.
#[tokio::test]
async fn a_thousand_tags_may_be_demanded() {
    let Fixture { store, dir: _dir, .. } = forty().await;
    let tags = Tags {
        join: Join::Any,
        all: Some((0..1_500).map(|n| format!("tag-{n}")).collect()),
        is_null: Some(true),
        ..Tags::default()
    };
    let of_flow_runs = FlowRunFilter {
        tags: tags.clone(),
        ..FlowRunFilter::default()
    };
    assert_eq!(store.count_flow_runs(of_flow_runs).await.expect("counted"), 20);
    let of_task_runs = TaskRunFilter {
        tags,
        ..TaskRunFilter::default()
    };
    assert_eq!(store.count_task_runs(of_task_runs).await.expect("counted"), 36);
}
