use grepx_engine::Timestamp;
use uuid::Uuid;

use super::{KEYS_MAX, NewKey, Scope};
use crate::store::Error;
use crate::store::testing::{Fixture, at, fixture, settings};

fn key(n: u128, name: &str) -> NewKey {
    let mut digest = [7; 32];
    digest[..16].copy_from_slice(&n.to_be_bytes());
    NewKey {
        id: Uuid::from_u128(n),
        name: name.to_owned(),
        digest,
        scope: Scope::Run,
        created_at: at(i64::try_from(n).expect("small")),
        expires_at: None,
    }
}

#[test]
fn each_scope_includes_those_before_it() {
    assert!(Scope::Admin > Scope::Run && Scope::Run > Scope::Read);
    for scope in [Scope::Read, Scope::Run, Scope::Admin] {
        assert_eq!(Scope::parse(scope.as_str()), Some(scope));
    }
    assert_eq!(Scope::parse("Admin"), None);
}

#[tokio::test]
async fn a_key_is_kept_used_and_revoked_once() {
    let Fixture { store, dir, .. } = fixture().await;
    store.create_key(key(1, "ci")).await.expect("kept");
    store.record_use(Uuid::from_u128(1), at(50));
    store.record_use(Uuid::from_u128(1), at(40));
    assert!(store.revoke_key(Uuid::from_u128(1), at(60)).await.expect("kept"));
    assert!(store.revoke_key(Uuid::from_u128(1), at(70)).await.expect("kept"));
    assert!(!store.revoke_key(Uuid::from_u128(2), at(70)).await.expect("kept"));
    drop(store);
    let store = crate::store::Store::open(&settings(dir.path())).expect("again").store;
    let all = store.keys().await.expect("read");
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].key, key(1, "ci"));
    assert_eq!(all[0].last_used_at, Some(at(50)));
    assert_eq!(all[0].revoked_at, Some(at(60)));
}

#[tokio::test]
async fn a_name_is_free_again_when_its_key_is_revoked() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create_key(key(1, "ci")).await.expect("kept");
    let taken = store.create_key(key(2, "ci")).await;
    assert!(matches!(taken, Err(Error::KeyNameTaken(name)) if name == "ci"));
    store.revoke_key(Uuid::from_u128(1), at(5)).await.expect("kept");
    store.create_key(key(2, "ci")).await.expect("free again");
}

#[tokio::test]
async fn revoked_keys_make_room_and_live_ones_do_not() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    for n in 0..u128::try_from(KEYS_MAX).expect("small") {
        store.create_key(key(n, &format!("k{n}"))).await.expect("kept");
    }
    let full = store.create_key(key(5_000, "more")).await;
    assert!(matches!(full, Err(Error::KeysFull { max: KEYS_MAX })));
    store.revoke_key(Uuid::from_u128(3), at(9)).await.expect("kept");
    store
        .create_key(key(5_000, "more"))
        .await
        .expect("the revoked one has gone");
    let all = store.keys().await.expect("read");
    assert_eq!(all.len(), KEYS_MAX);
    assert!(all.iter().all(|row| row.key.id != Uuid::from_u128(3)));
}

#[tokio::test]
async fn a_key_lives_until_its_end() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    let mut short = key(1, "short");
    short.expires_at = Some(at(100));
    store.create_key(short).await.expect("kept");
    let row = store.keys().await.expect("read").remove(0);
    assert!(row.is_live(Timestamp(99)));
    assert!(!row.is_live(Timestamp(100)));
}
