use grepx_engine::StateType;
use uuid::Uuid;

use super::super::testing::{Fixture, at, first, fixture, id, run, run_state};
use super::super::{Commit, DeploymentLimit, NewRun, PoolLimits, SlotChange, SlotNews, Store, WhenBusy};

const DEPLOYMENT: Uuid = Uuid::from_u128(70);

fn pool() -> PoolLimits {
    PoolLimits {
        name: "p".to_owned(),
        concurrency_limit: None,
        paused: false,
        queues: vec![],
    }
}

fn limit(concurrency_limit: u32, when_busy: WhenBusy) -> DeploymentLimit {
    DeploymentLimit {
        id: DEPLOYMENT,
        name: "nightly".to_owned(),
        concurrency_limit,
        when_busy,
    }
}

async fn start(store: &Store, n: u128) {
    let new = NewRun {
        deployment_id: Some(DEPLOYMENT),
        ..run(n)
    };
    let waiting = Commit {
        slot: Some(SlotChange::Wait {
            pool: "p".to_owned(),
            queue: "q".to_owned(),
            deployment: Some(DEPLOYMENT),
            since: at(i64::try_from(n).expect("small")),
            expected_start: at(10),
        }),
        ..first(id(n))
    };
    store.create(new, None, waiting).await.expect("created");
}

async fn end(store: &Store, n: u128) {
    let over = Commit {
        state: Some(run_state(StateType::Completed, "Completed", 9)),
        ..Commit::new(id(n))
    };
    store.commit(over).await.expect("kept");
}

#[tokio::test]
async fn a_limited_deployment_lets_on_one_after_the_other() {
    let Fixture {
        store,
        mut admissions,
        dir: _dir,
    } = fixture().await;
    let sync = |most| store.sync_limits(vec![pool()], most);
    sync(vec![limit(1, WhenBusy::Wait)]).await.expect("kept");
    for n in 1..=3 {
        start(&store, n).await;
    }
    assert_eq!(admissions.recv().await, Some(vec![SlotNews::Admitted(id(1))]));
    let reason = store.reason_for(id(3)).await.expect("read").expect("it waits");
    assert_eq!(
        reason,
        "deployment nightly: 1 of 1 runs are live (run-1), 1 run before this one"
    );
    end(&store, 1).await;
    assert_eq!(admissions.recv().await, Some(vec![SlotNews::Admitted(id(2))]));
    sync(vec![]).await.expect("kept");
    assert_eq!(
        admissions.recv().await,
        Some(vec![SlotNews::Admitted(id(3))]),
        "a limit that is lifted holds nobody"
    );
}

#[tokio::test]
async fn who_has_to_go_is_told_until_it_has_gone() {
    let Fixture {
        store,
        mut admissions,
        dir: _dir,
    } = fixture().await;
    let sync = |most| store.sync_limits(vec![pool()], most);
    sync(vec![limit(1, WhenBusy::CancelNew)]).await.expect("kept");
    start(&store, 1).await;
    assert_eq!(admissions.recv().await, Some(vec![SlotNews::Admitted(id(1))]));
    start(&store, 2).await;
    let reason = "1 of 1 flow runs of deployment nightly are live, and its overlap is cancel_new".to_owned();
    let displaced = Some(vec![SlotNews::Displaced(id(2), reason)]);
    assert_eq!(admissions.recv().await, displaced);
    // A restart between the decision and its news.
    sync(vec![limit(1, WhenBusy::CancelNew)]).await.expect("kept");
    assert_eq!(admissions.recv().await, displaced);

    sync(vec![limit(1, WhenBusy::CancelRunning)]).await.expect("kept");
    let Some(news) = admissions.recv().await else {
        panic!("closed")
    };
    assert!(matches!(&news[..], [SlotNews::Displaced(one, why)] if *one == id(1) && why.contains("cancel_running")));
    end(&store, 1).await;
    assert_eq!(admissions.recv().await, Some(vec![SlotNews::Admitted(id(2))]));
}

#[tokio::test]
async fn switches_survive() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let schedule = Uuid::from_u128(7);
    store
        .set_deployment_switch(DEPLOYMENT, None, false)
        .await
        .expect("kept");
    store
        .set_deployment_switch(DEPLOYMENT, Some(schedule), false)
        .await
        .expect("kept");
    store
        .set_deployment_switch(DEPLOYMENT, Some(schedule), true)
        .await
        .expect("kept");
    let switches = store.deployment_switches().await.expect("read");
    assert_eq!(switches.get(&(DEPLOYMENT, None)), Some(&false));
    assert_eq!(switches.get(&(DEPLOYMENT, Some(schedule))), Some(&true));
}
