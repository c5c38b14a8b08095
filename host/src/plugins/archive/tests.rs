use super::*;

#[test]
fn what_is_kept_is_read_back_unless_it_was_altered() {
    let dir = tempfile::tempdir().expect("a folder");
    let archive = Archive::open(dir.path()).expect("opens");
    let digest = hex(&Sha256::digest(b"build"));
    archive.keep(&digest, b"build").expect("kept");
    assert_eq!(archive.read(&digest, 100).expect("read"), b"build");
    assert!(archive.read(&digest, 4).is_err(), "too large");
    fs::write(archive.path(&digest), b"guild").expect("altered");
    let error = archive.read(&digest, 100).expect_err("altered");
    assert!(error.to_string().contains("not what its name says"));
}

#[test]
fn a_build_goes_when_two_looks_in_a_row_found_no_need() {
    let dir = tempfile::tempdir().expect("a folder");
    let archive = Archive::open(dir.path()).expect("opens");
    let digest: Arc<str> = hex(&Sha256::digest(b"build")).into();
    archive.keep(&digest, b"build").expect("kept");
    let (needed, nothing) = (HashSet::from([digest.clone()]), HashSet::new());
    assert_eq!(archive.collect(&nothing), 0);
    assert_eq!(archive.collect(&needed), 0);
    assert_eq!(archive.collect(&nothing), 0, "the need in between counts");
    assert_eq!(archive.collect(&nothing), 1);
    assert!(archive.read(&digest, 100).is_err());
}

#[test]
fn an_unreadable_index_is_an_empty_one() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("index.json"), b"{").expect("written");
    let archive = Archive::open(dir.path()).expect("opens");
    assert_eq!(archive.last_good(Path::new("a.wasm")), None);
    assert!(!archive.knows("a"));
}
