use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::too_wide;
use crate::store::testing::{Fixture, fixture, settings};
use crate::store::{FILE_NAME, Store};

#[tokio::test]
async fn what_the_store_makes_is_for_its_owner_only() {
    let outer = tempfile::tempdir().expect("a temporary directory");
    let dir = outer.path().join("state");
    let opened = Store::open(&settings(&dir)).expect("made");
    opened.store.flush_records().await.expect("nothing waits");
    let mode = |name: &str| fs::metadata(dir.join(name)).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(FILE_NAME), 0o600);
    assert_eq!(mode(&format!("{FILE_NAME}-wal")), 0o600);
    assert_eq!(mode("lock"), 0o600);
    assert_eq!(too_wide(&dir, &[]), []);
}

#[tokio::test]
async fn what_others_may_read_is_named() {
    let Fixture { dir, .. } = fixture().await;
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("ours");
    let database = dir.path().join(FILE_NAME);
    fs::set_permissions(&database, Permissions::from_mode(0o644)).expect("ours");
    assert_eq!(too_wide(dir.path(), &[]), [(database, 0o644)]);
}
