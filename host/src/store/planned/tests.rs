use grepx_engine::{StateType, Timestamp};
use uuid::Uuid;

use super::super::testing::{Fixture, at, first, fixture, id, line, run, run_state};
use super::super::{
    Commit, Created, DeploymentLimit, FlowRunFilter, FlowRunSort, NewRun, Page, Planned, Progress, SchedulePlan, Store,
    WhenBusy,
};

const SCHEDULE: Uuid = Uuid::from_u128(77);
const DEPLOYMENT: Uuid = Uuid::from_u128(70);

fn planned_run(n: u128) -> NewRun {
    NewRun {
        schedule_id: Some(SCHEDULE),
        deployment_id: Some(DEPLOYMENT),
        auto_scheduled: true,
        idempotency_key: Some(format!("scheduled {n}")),
        expected_start: at(i64::try_from(n).expect("small") * 1_000),
        ..run(n)
    }
}

fn plan(anew: bool, runs: &[u128]) -> SchedulePlan {
    SchedulePlan {
        id: SCHEDULE,
        deployment_id: DEPLOYMENT,
        rule: "r1".to_owned(),
        progress: progress(0),
        planned_until: at(9_000),
        anew,
        runs: runs.iter().map(|n| planned_run(*n)).collect(),
    }
}

const fn progress(ms: i64) -> Progress {
    Progress {
        handled_until: at(ms),
        next_at: Some(at(ms + 1_000)),
    }
}

const fn instant(ms: i64) -> Option<Planned> {
    Some(Planned {
        progress: Some(progress(ms)),
        skip_if_busy: false,
    })
}

async fn shown(store: &Store) -> Vec<u128> {
    let page = Page::first(100);
    let found = store.flow_runs(FlowRunFilter::default(), FlowRunSort::ExpectedStartAsc, page);
    let found = found.await.expect("read");
    found.iter().map(|one| one.run.id.0.as_u128()).collect()
}

async fn handled_until(store: &Store) -> Timestamp {
    store.schedules().await.expect("read")[0].progress.handled_until
}

#[tokio::test]
async fn planned_runs_are_seen_but_are_not_live_until_they_are_created() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.plan(vec![plan(false, &[1, 2, 3])]).await.expect("planned");
    assert_eq!(shown(&store).await, [1, 2, 3]);
    assert!(
        store.live_runs(super::super::Share::ALL).recv().await.is_none(),
        "none of them is live"
    );
    assert_eq!(store.is_planned(id(1)).await.expect("read"), Some(true));
    let deleted = store.delete_flow_run(id(1)).await;
    assert!(
        deleted
            .expect_err("refused")
            .to_string()
            .contains("planned by a schedule")
    );

    let newer = NewRun {
        name: "ignored: people know it by its first name".to_owned(),
        work_queue: Some("now".to_owned()),
        ..planned_run(1)
    };
    let made = store.create(newer, instant(1_000), first(id(1))).await;
    assert_eq!(made.expect("created"), Created::New);
    let found = store.flow_run(id(1)).await.expect("read").expect("there");
    assert_eq!(
        found.run.work_queue.as_deref(),
        Some("now"),
        "as the definitions are now"
    );
    assert_eq!(found.run.name, "run-1");
    assert_eq!(store.states(id(1)).await.expect("read").len(), 1);
    assert_eq!(store.is_planned(id(1)).await.expect("read"), Some(false));
    assert_eq!(handled_until(&store).await, at(1_000));
    let live = store
        .live_runs(super::super::Share::ALL)
        .recv()
        .await
        .expect("live")
        .expect("readable");
    assert_eq!(live.run.id, id(1));
}

#[tokio::test]
async fn an_instant_has_one_run_whatever_is_planned_anew() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.plan(vec![plan(false, &[1, 2])]).await.expect("planned");
    let made = store.create(planned_run(1), instant(1_000), first(id(1))).await;
    assert_eq!(made.expect("created"), Created::New);
    // Another rule, the first again, and a clock that went back: the run of instant 1 stays one.
    store.plan(vec![plan(true, &[3])]).await.expect("planned");
    assert_eq!(shown(&store).await, [1, 3]);
    store.plan(vec![plan(true, &[1, 2])]).await.expect("planned");
    assert_eq!(shown(&store).await, [1, 2]);
    let again = store.create(planned_run(1), instant(1_000), first(id(1))).await;
    assert_eq!(again.expect("found"), Created::Existing(id(1)));
    assert_eq!(store.records(id(1)).await.expect("read").len(), 1, "its log began once");

    store.pass(SCHEDULE, progress(2_000), at(2_000)).await.expect("passed");
    assert_eq!(shown(&store).await, [1], "what was passed over is not shown as to come");
    assert_eq!(handled_until(&store).await, at(2_000));
    store.forget_schedules(vec![SCHEDULE]).await.expect("forgotten");
    assert!(store.schedules().await.expect("read").is_empty());
    assert_eq!(shown(&store).await, [1], "what ran stays");
}

#[tokio::test]
async fn a_busy_deployment_skips_its_planned_runs() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let limit = DeploymentLimit {
        id: DEPLOYMENT,
        name: "d".to_owned(),
        concurrency_limit: 1,
        when_busy: WhenBusy::Wait,
    };
    store.sync_limits(vec![], vec![limit]).await.expect("kept");
    store.plan(vec![plan(false, &[1, 2])]).await.expect("planned");
    let waiting = super::super::Commit {
        slot: Some(super::super::SlotChange::Wait {
            pool: "p".to_owned(),
            queue: "q".to_owned(),
            deployment: Some(DEPLOYMENT),
            since: at(1),
            expected_start: at(1),
        }),
        ..first(id(1))
    };
    store
        .create(planned_run(1), instant(1_000), waiting)
        .await
        .expect("created");
    let skip = Some(Planned {
        progress: Some(progress(2_000)),
        skip_if_busy: true,
    });
    let skipped = store.create(planned_run(2), skip, first(id(2))).await;
    assert_eq!(skipped.expect("answered"), Created::Skipped);
    assert_eq!(shown(&store).await, [1]);
    assert_eq!(
        handled_until(&store).await,
        at(2_000),
        "a skipped time is not made up for"
    );
}

#[tokio::test]
async fn a_key_that_somebody_took_costs_one_run_and_no_planning() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let by_hand = NewRun {
        idempotency_key: Some("scheduled 1".to_owned()),
        ..run(50)
    };
    store.create(by_hand, None, first(id(50))).await.expect("created");
    store.plan(vec![plan(false, &[1, 2])]).await.expect("planned");
    assert_eq!(shown(&store).await, [50, 2]);
    let made = store.create(planned_run(1), instant(1_000), first(id(1))).await;
    assert_eq!(made.expect("found"), Created::Existing(id(50)));
    assert_eq!(handled_until(&store).await, at(1_000));
}

#[tokio::test]
async fn a_planned_run_is_made_for_the_flow_that_its_deployment_has_now() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.plan(vec![plan(false, &[1])]).await.expect("planned");
    let moved = NewRun {
        flow_id: Uuid::from_u128(901),
        flow_name: "other".to_owned(),
        ..planned_run(1)
    };
    store
        .create(moved, instant(1_000), first(id(1)))
        .await
        .expect("created");
    let found = store.flow_run(id(1)).await.expect("read").expect("there");
    assert_eq!(found.run.flow_id, Uuid::from_u128(901));
    assert_eq!(store.miscounted().await.expect("read"), Vec::<String>::new());
}

#[tokio::test]
async fn a_planned_run_whose_new_key_is_taken_goes() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.plan(vec![plan(false, &[1])]).await.expect("planned");
    let by_hand = NewRun {
        idempotency_key: Some("taken".to_owned()),
        ..run(50)
    };
    store.create(by_hand, None, first(id(50))).await.expect("created");
    let other_key = NewRun {
        idempotency_key: Some("taken".to_owned()),
        ..planned_run(1)
    };
    let made = store.create(other_key, instant(1_000), first(id(1))).await;
    assert_eq!(made.expect("found"), Created::Existing(id(50)));
    assert_eq!(shown(&store).await, [50], "no run without a log is left");
    assert_eq!(store.miscounted().await.expect("read"), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_being_removed_is_not_planned_or_made_again() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.plan(vec![plan(false, &[1])]).await.expect("planned");
    store
        .create(planned_run(1), instant(1_000), first(id(1)))
        .await
        .expect("created");
    let end = Commit {
        state: Some(run_state(StateType::Completed, "Completed", 9)),
        logs: (0..3_000).map(|_| line("x")).collect(),
        ..Commit::new(id(1))
    };
    store.commit(end).await.expect("kept");
    assert!(store.delete_flow_run(id(1)).await.expect("deleted"));
    store.plan(vec![plan(true, &[1, 2])]).await.expect("planned");
    assert_eq!(shown(&store).await, [2]);
    let again = store.create(planned_run(1), instant(1_000), first(id(1))).await;
    assert_eq!(again.expect("answered"), Created::Existing(id(1)));
    assert_eq!(shown(&store).await, [2]);
}
