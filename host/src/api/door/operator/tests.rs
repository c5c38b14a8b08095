use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{FILE, OperatorFile, OperatorKey};

#[test]
fn the_key_is_for_the_owner_only_and_goes_with_the_host() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join(FILE);
    // Of a host that was killed, and made wide by somebody.
    fs::write(&path, "{}").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("ours");
    let address = "127.0.0.1:4200".parse().expect("an address");
    let file = OperatorFile::write(dir.path(), address, "grepx_k").expect("written");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let key = "grepx_k".to_owned();
    assert_eq!(OperatorKey::read(dir.path()), Some(OperatorKey { address, key }));
    drop(file);
    assert_eq!(OperatorKey::read(dir.path()), None);
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0);
}

#[test]
fn a_file_of_something_else_is_no_key() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for content in [
        "",
        "{}",
        "nonsense",
        "{\"address\": \"x\", \"key\": \"y\"}",
        &"x".repeat(10_000),
    ] {
        fs::write(dir.path().join(FILE), content).expect("written");
        assert_eq!(OperatorKey::read(dir.path()), None, "{content}");
    }
}
