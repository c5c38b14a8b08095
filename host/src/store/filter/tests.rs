mod asked_by;

use grepx_engine::StateType;
use uuid::Uuid;

use super::super::testing::{Fixture, at, first, fixture, id, line, run, run_state, state, task};
use super::super::{
    Choice, Commit, FlowRunFilter, FlowRunSort, Join, LogFilter, LogRow, NewRun, Page, Period, Store, Tags,
    TaskRunFilter, TaskRunSort, Text,
};

const PAGE: Page = Page::first(10);

/// Runs 1 to 4: `n` in most columns, run 4 completed and named with a `%`.
async fn four() -> Fixture {
    let fixture = fixture().await;
    for n in 1..=4_u128 {
        let ms = i64::try_from(n).expect("small") * 10;
        let new = NewRun {
            name: if n == 4 {
                "100%_done".to_owned()
            } else {
                format!("Run-{n}")
            },
            flow_id: Uuid::from_u128(n % 2),
            flow_name: format!("flow-{}", n % 2),
            deployment_id: (n > 1).then(|| Uuid::from_u128(50 + n)),
            deployment_name: (n > 1).then(|| format!("deployment-{n}")),
            tags: (1..=n).map(|tag| format!("t{tag}")).collect(),
            idempotency_key: Some(format!("key-{n}")),
            work_pool: (n > 2).then(|| "pool".to_owned()),
            work_queue: (n > 2).then(|| format!("queue-{n}")),
            expected_start: at(ms),
            ..run(n)
        };
        fixture.store.create(new, None, first(id(n))).await.expect("created");
        let mut view = match n {
            4 => run_state(StateType::Completed, "Completed", ms),
            3 => run_state(StateType::Running, "Running", ms),
            _ => run_state(StateType::Scheduled, "Late", ms),
        };
        view.start_time = (n > 2).then(|| at(ms + 1));
        view.end_time = (n > 3).then(|| at(ms + 2));
        let commit = Commit {
            state: Some(view),
            tasks: vec![task(
                u32::try_from(n).expect("small"),
                state(StateType::Running, "Running", ms),
            )],
            logs: vec![line(&format!("Hello {n}")), line("bye")],
            ..Commit::new(id(n))
        };
        fixture.store.commit(commit).await.expect("kept");
    }
    fixture
}

async fn found(store: &Store, filter: FlowRunFilter) -> Vec<u128> {
    let runs = store
        .flow_runs(filter.clone(), FlowRunSort::ExpectedStartAsc, PAGE)
        .await;
    let runs = runs.expect("read");
    assert_eq!(store.count_flow_runs(filter).await.expect("counted"), runs.len() as u64);
    runs.iter().map(|run| run.run.id.0.as_u128()).collect()
}

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn every_filter_of_flow_runs_finds_its_runs() {
    let Fixture { store, dir: _dir, .. } = four().await;
    let none = FlowRunFilter::default;
    let like = |part: &str| Text {
        like: Some(part.to_owned()),
        ..Text::default()
    };
    let period = |after: i64, before: i64| Period {
        after: Some(at(after)),
        before: Some(at(before)),
        is_null: None,
    };
    let cases: Vec<(FlowRunFilter, &[u128])> = vec![
        (none(), &[1, 2, 3, 4]),
        (
            FlowRunFilter {
                id: Choice::any([id(2), id(4)]),
                ..none()
            },
            &[2, 4],
        ),
        (
            FlowRunFilter {
                id: Choice::any([]),
                ..none()
            },
            &[],
        ),
        (
            FlowRunFilter {
                id: Choice {
                    not: Some(vec![id(2)]),
                    ..Choice::default()
                },
                ..none()
            },
            &[1, 3, 4],
        ),
        (
            FlowRunFilter {
                name: Text::any(strings(["Run-1"])),
                ..none()
            },
            &[1],
        ),
        (
            FlowRunFilter {
                name: like("run"),
                ..none()
            },
            &[1, 2, 3],
        ),
        (
            FlowRunFilter {
                name: like("0%_"),
                ..none()
            },
            &[4],
        ),
        (
            FlowRunFilter {
                name: like("_un"),
                ..none()
            },
            &[],
        ),
        (
            FlowRunFilter {
                name: Text::any(strings(["' OR 1 --"])),
                ..none()
            },
            &[],
        ),
        (
            FlowRunFilter {
                flow_id: Choice::any([Uuid::from_u128(1)]),
                ..none()
            },
            &[1, 3],
        ),
        (
            FlowRunFilter {
                flow_name: Text::any(strings(["flow-0"])),
                ..none()
            },
            &[2, 4],
        ),
        (
            FlowRunFilter {
                deployment_id: Choice::any([Uuid::from_u128(53)]),
                ..none()
            },
            &[3],
        ),
        (
            FlowRunFilter {
                deployment_id: Choice {
                    is_null: Some(true),
                    ..Choice::default()
                },
                ..none()
            },
            &[1],
        ),
        (
            FlowRunFilter {
                deployment_name: like("MENT-2"),
                ..none()
            },
            &[2],
        ),
        (
            FlowRunFilter {
                state_type: Choice::any([StateType::Running, StateType::Completed]),
                ..none()
            },
            &[3, 4],
        ),
        (
            FlowRunFilter {
                state_type: Choice {
                    not: Some(vec![StateType::Scheduled]),
                    ..Choice::default()
                },
                ..none()
            },
            &[3, 4],
        ),
        (
            FlowRunFilter {
                state_name: Choice::any(strings(["Late"])),
                ..none()
            },
            &[1, 2],
        ),
        (
            FlowRunFilter {
                tags: Tags {
                    all: Some(strings(["t1", "t3"])),
                    ..Tags::default()
                },
                ..none()
            },
            &[3, 4],
        ),
        (
            FlowRunFilter {
                tags: Tags {
                    any: Some(strings(["t2", "t9"])),
                    ..Tags::default()
                },
                ..none()
            },
            &[2, 3, 4],
        ),
        (
            FlowRunFilter {
                expected_start: period(20, 30),
                ..none()
            },
            &[2, 3],
        ),
        (
            FlowRunFilter {
                start_time: period(31, 40),
                ..none()
            },
            &[3],
        ),
        (
            FlowRunFilter {
                end_time: Period {
                    is_null: Some(true),
                    ..Period::default()
                },
                ..none()
            },
            &[1, 2, 3],
        ),
        (
            FlowRunFilter {
                work_pool: Choice::any(strings(["pool"])),
                ..none()
            },
            &[3, 4],
        ),
        (
            FlowRunFilter {
                work_pool: Choice {
                    not: Some(strings(["pool"])),
                    ..Choice::default()
                },
                ..none()
            },
            &[1, 2],
        ),
        (
            FlowRunFilter {
                work_queue: Choice::any(strings(["queue-4"])),
                ..none()
            },
            &[4],
        ),
        (
            FlowRunFilter {
                idempotency_key: Choice::any(strings(["key-3"])),
                ..none()
            },
            &[3],
        ),
        (
            FlowRunFilter {
                state_type: Choice::any([StateType::Scheduled]),
                expected_start: period(15, 99),
                ..none()
            },
            &[2],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(&store, filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn sorts_and_pages_cut_the_same_list() {
    let Fixture { store, dir: _dir, .. } = four().await;
    let sorted = async |sort, page| {
        let runs = store
            .flow_runs(FlowRunFilter::default(), sort, page)
            .await
            .expect("read");
        runs.iter().map(|run| run.run.id.0.as_u128()).collect::<Vec<_>>()
    };
    for (sort, expected) in [
        (FlowRunSort::IdDesc, [4, 3, 2, 1]),
        (FlowRunSort::ExpectedStartAsc, [1, 2, 3, 4]),
        (FlowRunSort::ExpectedStartDesc, [4, 3, 2, 1]),
        (FlowRunSort::StartAsc, [3, 4, 1, 2]),
        (FlowRunSort::StartDesc, [4, 3, 2, 1]),
        (FlowRunSort::EndDesc, [4, 3, 2, 1]),
        (FlowRunSort::NameAsc, [4, 1, 2, 3]),
        (FlowRunSort::NameDesc, [3, 2, 1, 4]),
        (FlowRunSort::NextScheduledStartAsc, [1, 2, 3, 4]),
    ] {
        assert_eq!(sorted(sort, PAGE).await, expected, "{sort:?}");
        let page = Page { limit: 2, offset: 1 };
        assert_eq!(sorted(sort, page).await, expected[1..3], "{sort:?}");
    }
}

#[tokio::test]
async fn task_runs_and_logs_are_filtered_too() {
    let Fixture { store, dir: _dir, .. } = four().await;
    let filter = TaskRunFilter {
        flow_run: Some(Box::new(FlowRunFilter {
            work_pool: Choice::any(strings(["pool"])),
            ..FlowRunFilter::default()
        })),
        name: Text {
            like: Some("TASK-3".to_owned()),
            ..Text::default()
        },
        state_type: Choice::any([StateType::Running]),
        ..TaskRunFilter::default()
    };
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
        let tasks = store.task_runs(filter.clone(), sort, PAGE).await.expect("read");
        assert_eq!(tasks.iter().map(|task| task.run).collect::<Vec<_>>(), [id(3)]);
    }
    assert_eq!(
        store.count_task_runs(TaskRunFilter::default()).await.expect("counted"),
        4
    );

    let filter = LogFilter {
        run: Choice::any([id(2), id(3)]),
        text: Some("hello".to_owned()),
        level_min: Some(20),
        newest_first: true,
        ..LogFilter::default()
    };
    let lines = store.logs(filter.clone(), PAGE).await.expect("read");
    assert_eq!(
        lines.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(),
        ["Hello 3", "Hello 2"]
    );
    let louder = LogFilter {
        level_min: Some(30),
        ..filter
    };
    assert!(store.logs(louder, PAGE).await.expect("read").is_empty());
    let earlier = Commit {
        logs: vec![LogRow {
            at: at(1),
            ..line("Hello again")
        }],
        ..Commit::new(id(4))
    };
    store.commit(earlier).await.expect("kept");
    let any = LogFilter {
        join: Join::Any,
        run: Choice::any([id(4)]),
        text: Some("hello".to_owned()),
        ..LogFilter::default()
    };
    let lines = store.logs(any, PAGE).await.expect("read");
    let lines: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(
        lines,
        ["Hello again", "Hello 1", "Hello 2", "Hello 3", "Hello 4", "bye"]
    );
}

#[tokio::test]
async fn conditions_are_joined_as_the_filter_says() {
    let Fixture { store, dir: _dir, .. } = four().await;
    let none = FlowRunFilter::default;
    let named = |n: u128| FlowRunFilter {
        name: Text::any([format!("Run-{n}")]),
        ..none()
    };
    let running = Choice::any([StateType::Running]);
    let any = FlowRunFilter {
        join: Join::Any,
        id: Choice::any([id(1)]),
        state_type: running.clone(),
        ..none()
    };
    assert_eq!(found(&store, any.clone()).await, [1, 3]);
    let states = FlowRunFilter {
        state_join: Join::Any,
        state_type: running.clone(),
        state_name: Choice::any(strings(["Completed"])),
        ..none()
    };
    assert_eq!(found(&store, states).await, [3, 4]);
    let parts = FlowRunFilter {
        join: Join::Any,
        parts: vec![named(2), named(4), any.clone()],
        ..none()
    };
    assert_eq!(found(&store, parts).await, [1, 2, 3]);
    let both = FlowRunFilter {
        state_type: running,
        parts: vec![any],
        ..none()
    };
    assert_eq!(found(&store, both).await, [3]);
    let without = FlowRunFilter {
        deployment_id: Choice {
            join: Join::Any,
            any: Some(vec![Uuid::from_u128(52)]),
            is_null: Some(true),
            ..Choice::default()
        },
        ..none()
    };
    assert_eq!(found(&store, without).await, [1, 2]);
}

#[tokio::test]
async fn flow_runs_are_found_by_their_task_runs() {
    let Fixture { store, dir: _dir, .. } = four().await;
    let of = |tasks: TaskRunFilter| FlowRunFilter {
        task_run: Some(Box::new(tasks)),
        ..FlowRunFilter::default()
    };
    let by_name = of(TaskRunFilter {
        name: Text::any(strings(["task-2", "task-3"])),
        ..TaskRunFilter::default()
    });
    assert_eq!(found(&store, by_name).await, [2, 3]);
    let by_id = of(TaskRunFilter {
        id: Choice::any([grepx_engine::NodeId::task(4).run_id(id(4))]),
        ..TaskRunFilter::default()
    });
    assert_eq!(found(&store, by_id).await, [4]);
    let next = FlowRunFilter {
        next_start: Period {
            after: Some(at(15)),
            ..Period::default()
        },
        ..FlowRunFilter::default()
    };
    assert_eq!(found(&store, next).await, [2], "the others have started");
}

/// More than a statement takes one by one.
#[tokio::test]
async fn a_list_may_be_long() {
    let Fixture { store, dir: _dir, .. } = four().await;
    let ids: Vec<_> = (3..40_000).map(id).collect();
    let by_id = FlowRunFilter {
        id: Choice::any(ids),
        ..FlowRunFilter::default()
    };
    assert_eq!(found(&store, by_id).await, [3, 4]);
    let names: Vec<_> = (0..2_000).map(|n| format!("Run-{n}")).collect();
    let by_name = FlowRunFilter {
        name: Text::any(names),
        ..FlowRunFilter::default()
    };
    assert_eq!(found(&store, by_name).await, [1, 2, 3]);
}
