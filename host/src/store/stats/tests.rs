use grepx_engine::StateType;
use uuid::Uuid;

use super::super::testing::{Fixture, at, first, fixture, id, run, run_state, state, task};
use super::super::{Commit, FlowRunFilter, NewRun, RunState, TaskRow, TaskRunFilter};
use super::{Intervals, Tally};

const HOUR: Intervals = Intervals {
    from: at(1_000),
    length_ms: 1_000,
    count: 3,
    now: at(10_000),
};

/// Run 1 is due at 900, before everything; 2 and 3 at 1,500; 4 at 3,999; 5 at 4,000, too late.
async fn five() -> Fixture {
    let fixture = fixture().await;
    for (n, due) in [(1, 900), (2, 1_500), (3, 1_500), (4, 3_999), (5, 4_000)] {
        let new = NewRun {
            flow_id: Uuid::from_u128(n % 2),
            deployment_id: (n > 3).then(|| Uuid::from_u128(n)),
            expected_start: at(due),
            ..run(n)
        };
        fixture.store.create(new, None, first(id(n))).await.expect("created");
    }
    let commit = Commit {
        state: Some(RunState {
            start_time: Some(at(1_700)),
            total_run_time_ms: 40,
            ..run_state(StateType::Running, "Running", 9_990)
        }),
        tasks: vec![TaskRow {
            expected_start: Some(at(2_000)),
            start_time: Some(at(2_005)),
            total_run_time_ms: 7,
            ..task(0, state(StateType::Completed, "Completed", 2_012))
        }],
        ..Commit::new(id(2))
    };
    fixture.store.commit(commit).await.expect("kept");
    fixture
}

fn tally(interval: u32, state_type: StateType, state_name: &str, sums: [u64; 3]) -> Tally {
    let [runs, run_time_ms, late_ms] = sums;
    Tally {
        interval,
        state_type,
        state_name: state_name.to_owned(),
        runs,
        run_time_ms,
        late_ms,
    }
}

#[tokio::test]
async fn runs_are_summed_by_interval_and_state() {
    let Fixture { store, dir: _dir, .. } = five().await;
    let found = store.flow_run_history(FlowRunFilter::default(), HOUR).await;
    assert_eq!(
        found.expect("read"),
        [
            tally(0, StateType::Running, "Running", [1, 50, 200]),
            tally(0, StateType::Scheduled, "Scheduled", [1, 0, 8_500]),
            tally(2, StateType::Scheduled, "Scheduled", [1, 0, 6_001]),
        ]
    );
    let found = store.task_run_history(TaskRunFilter::default(), HOUR).await;
    assert_eq!(
        found.expect("read"),
        [tally(1, StateType::Completed, "Completed", [1, 7, 5])]
    );
}

#[tokio::test]
async fn lateness_is_a_mean_of_those_that_match() {
    let Fixture { store, dir: _dir, .. } = five().await;
    let of = |n| FlowRunFilter {
        id: super::super::Choice::any([id(n)]),
        ..FlowRunFilter::default()
    };
    let late = |filter| store.mean_lateness(filter, at(10_000));
    assert_eq!(late(of(2)).await.expect("read"), Some(200.0));
    assert_eq!(late(of(9)).await.expect("read"), None);
    let all = late(FlowRunFilter::default()).await.expect("read");
    assert_eq!(all, Some((9_100.0 + 200.0 + 8_500.0 + 6_001.0 + 6_000.0) / 5.0));
}

#[tokio::test]
async fn flows_and_deployments_are_known_by_their_runs() {
    let Fixture { store, dir: _dir, .. } = five().await;
    let running = FlowRunFilter {
        state_type: super::super::Choice::any([StateType::Running]),
        ..FlowRunFilter::default()
    };
    let flows = store.flows_of(running).await.expect("read");
    assert_eq!(flows, [Uuid::from_u128(0)].into());
    let deployments = store.deployments_of(FlowRunFilter::default()).await.expect("read");
    assert_eq!(deployments, [4, 5].map(Uuid::from_u128).into());
}
