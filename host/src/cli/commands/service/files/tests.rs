use std::io::Write as _;

use super::{Files, put_aside};

#[test]
fn the_tail_of_the_log_begins_where_this_start_began() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = Files::of(&dir.path().join("state"));
    let (mut log, length) = files.open_log().expect("a log");
    assert_eq!(length, 0);
    writeln!(log, "of yesterday").expect("written");
    let (_, from) = files.open_log().expect("the log again");
    writeln!(log, "one\ntwo\nthree").expect("written");
    assert_eq!(files.log_tail(from, 2), ["two", "three"]);
    assert_eq!(files.log_tail(from, 9), ["one", "two", "three"]);
    // It was cut meanwhile.
    assert_eq!(files.log_tail(from + 1_000, 9).len(), 4);
}

#[test]
fn a_log_that_is_put_aside_is_written_on_from_its_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = Files::of(dir.path());
    let (mut log, _) = files.open_log().expect("a log");
    writeln!(log, "old").expect("written");
    put_aside(&files.log).expect("put aside");
    writeln!(log, "new").expect("written");
    let read = |path| std::fs::read_to_string(path).expect("a text");
    assert_eq!(read(files.log.clone()), "new\n");
    assert_eq!(read(dir.path().join("grepx-host.log.1")), "old\n");
}

#[test]
fn only_its_own_number_is_taken_out_of_the_pid_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = Files::of(dir.path());
    files.note(1).expect("written");
    files.forget_own();
    assert_eq!(files.pid(), Some(1));
    files.note(std::process::id()).expect("written");
    files.forget_own();
    assert_eq!(files.pid(), None);
}
