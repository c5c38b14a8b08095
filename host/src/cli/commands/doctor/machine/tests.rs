use std::path::Path;

use super::{judge_room, nearest};
use crate::cli::commands::doctor::Level;

#[test]
fn a_disk_is_judged_by_its_room_and_its_files() {
    const GB: u64 = 1_000_000_000;
    let level = |free, inodes| judge_room("/state", free, 100 * GB, inodes).level;
    assert_eq!(level(50 * GB, None), Level::Ok);
    assert_eq!(level(GB / 2, Some(1_000_000)), Level::Warning);
    assert_eq!(level(1_000, None), Level::Error);
    assert_eq!(level(50 * GB, Some(3)), Level::Error);
}

#[test]
fn the_nearest_folder_of_a_path_that_is_not_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let deep = dir.path().join("a/b/c");
    assert_eq!(nearest(&deep).as_deref(), Some(dir.path()));
    assert_eq!(nearest(dir.path()).as_deref(), Some(dir.path()));
    assert_eq!(nearest(Path::new("/")).as_deref(), Some(Path::new("/")));
}
