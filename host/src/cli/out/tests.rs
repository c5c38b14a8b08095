use super::plain;

#[test]
fn what_a_task_writes_cannot_steer_the_terminal() {
    assert_eq!(plain("a\u{1b}[2Jb\tä\n"), "a\\u{1b}[2Jb\tä\n");
    assert_eq!(plain("\u{6}\u{16}"), "\\u{6}\\u{16}");
}
