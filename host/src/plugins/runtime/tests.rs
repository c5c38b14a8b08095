use super::*;

#[test]
fn swap_counts_as_off_only_without_an_area() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("swaps");
    assert!(!swap_is_off(&path), "unreadable");
    std::fs::write(&path, "Filename\tType\tSize\tUsed\tPriority\n").expect("write");
    assert!(swap_is_off(&path));
    std::fs::write(&path, "Filename\tType\n/dev/vda2 partition 1 0 -2\n").expect("write");
    assert!(!swap_is_off(&path));
}
