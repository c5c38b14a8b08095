use uuid::Uuid;

use super::super::testing::{Fixture, at, fixture};
use super::super::{Error, Store};
use super::{ConcurrencyLimit, LimitChange, LimitKey, NewLease, SlotsAsked, SlotsGiven};

fn limit(n: u128, name: &str, slots: u32, decay_per_second: f64) -> ConcurrencyLimit {
    ConcurrencyLimit {
        id: Uuid::from_u128(n),
        name: name.to_owned(),
        slots,
        active: true,
        decay_per_second,
        taken: 0.0,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn asked(names: &[&str], slots: u32, lease: Option<(u128, i64)>) -> SlotsAsked {
    SlotsAsked {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        slots,
        lease: lease.map(|(id, until)| NewLease {
            id: Uuid::from_u128(id),
            expires_at: at(until),
            holder: None,
        }),
    }
}

async fn taken(store: &Store, now: i64) -> Vec<f64> {
    let limits = store.concurrency_limits(at(now)).await.expect("read");
    limits.iter().map(|limit| limit.taken).collect()
}

fn is_given(given: &SlotsGiven) -> bool {
    matches!(given, SlotsGiven::All(_))
}

#[tokio::test]
async fn slots_are_held_by_leases_that_end() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create_limit(limit(1, "a", 2, 0.0)).await.expect("kept");
    store.create_limit(limit(2, "b", 5, 0.0)).await.expect("kept");
    let take = |asked, now| store.take_slots(asked, at(now));
    assert!(is_given(
        &take(asked(&["a", "b", "unknown"], 1, Some((10, 1_000))), 0)
            .await
            .expect("kept")
    ));
    assert!(is_given(
        &take(asked(&["a"], 1, Some((11, 5_000))), 0).await.expect("kept")
    ));
    assert_eq!(taken(&store, 1).await, [2.0, 1.0]);
    let full = take(asked(&["a", "b"], 1, Some((12, 9_000))), 10).await.expect("asked");
    assert!(
        matches!(full, SlotsGiven::Full { ref name, .. } if name == "a"),
        "{full:?}"
    );
    assert_eq!(taken(&store, 11).await, [2.0, 1.0], "all or nothing");

    assert!(
        store
            .renew_lease(Uuid::from_u128(11), at(20_000), at(500))
            .await
            .expect("kept")
    );
    assert_eq!(taken(&store, 1_000).await, [1.0, 0.0], "the first lease has ended");
    assert!(
        !store
            .renew_lease(Uuid::from_u128(10), at(9_000), at(1_000))
            .await
            .expect("asked")
    );
    assert!(is_given(
        &take(asked(&["a"], 1, Some((13, 9_000))), 1_000).await.expect("kept")
    ));
    store.end_lease(Uuid::from_u128(11)).await.expect("kept");
    assert_eq!(taken(&store, 1_001).await, [1.0, 0.0]);
}

#[tokio::test]
async fn a_limit_that_decays_is_one_of_a_rate() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create_limit(limit(1, "rate", 2, 0.5)).await.expect("kept");
    let take = |slots, now| store.take_slots(asked(&["rate"], slots, None), at(now));
    assert!(is_given(&take(2, 1_000).await.expect("kept")));
    assert_eq!(
        take(1, 1_000).await.expect("asked"),
        SlotsGiven::Full {
            name: "rate".to_owned(),
            wait_seconds: 2.0
        }
    );
    assert_eq!(taken(&store, 2_000).await, [1.5]);
    assert!(is_given(&take(1, 3_000).await.expect("kept")));
    assert_eq!(taken(&store, 60_000).await, [0.0]);
}

#[tokio::test]
async fn what_can_never_be_given_is_refused() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create_limit(limit(1, "a", 2, 0.0)).await.expect("kept");
    let given = store
        .take_slots(asked(&["a"], 3, Some((1, 9))), at(0))
        .await
        .expect("asked");
    assert_eq!(
        given,
        SlotsGiven::TooMany {
            name: "a".to_owned(),
            slots: 2
        }
    );
    let given = store.take_slots(asked(&["a"], 1, None), at(0)).await.expect("asked");
    assert_eq!(given, SlotsGiven::NoLease { name: "a".to_owned() });
}

#[tokio::test]
async fn limits_are_changed_and_deleted_by_id_and_name() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create_limit(limit(1, "a", 2, 0.0)).await.expect("kept");
    store.create_limit(limit(2, "b", 2, 0.0)).await.expect("kept");
    let twice = store.create_limit(limit(3, "a", 2, 0.0)).await;
    assert!(
        matches!(twice, Err(Error::LimitNameTaken(ref name)) if name == "a"),
        "{twice:?}"
    );
    let off = LimitChange {
        active: Some(false),
        slots: Some(9),
        ..LimitChange::default()
    };
    let by_name = LimitKey::Name("a".to_owned());
    assert!(store.change_limit(by_name, off, at(7)).await.expect("kept"));
    let all = store.concurrency_limits(at(8)).await.expect("read");
    assert_eq!((all[0].slots, all[0].active, all[0].updated_at), (9, false, at(7)));
    let given = store
        .take_slots(asked(&["a"], 99, Some((1, 99))), at(8))
        .await
        .expect("asked");
    assert_eq!(given, SlotsGiven::All(vec![]), "an inactive one limits nothing");
    assert!(
        store
            .delete_limit(LimitKey::Id(Uuid::from_u128(2)))
            .await
            .expect("kept")
    );
    assert!(!store.delete_limit(LimitKey::Name("b".to_owned())).await.expect("asked"));
    let unknown = store
        .change_limit(LimitKey::Name("b".to_owned()), LimitChange::default(), at(9))
        .await;
    assert!(!unknown.expect("asked"));
}
