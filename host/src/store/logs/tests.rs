use rusqlite::Connection;

use super::super::model::{LOG_BYTES_MAX, LogRow};
use super::super::testing::{id, line};
use super::super::writer::Writing;
use super::{append_up_to, cut};

#[test]
fn a_run_that_writes_too_much_is_told_so_once() {
    let mut sql = Connection::open_in_memory().expect("memory");
    super::super::open::migrate(&mut sql, std::path::Path::new(":memory:")).expect("the schema");
    let writing = Writing::new(&sql, 6);
    for _ in 0..3 {
        let rows: Vec<LogRow> = (0..4).map(|n| line(&format!("line {n}"))).collect();
        append_up_to(&writing, id(1), &rows, 6).expect("kept");
    }
    append_up_to(&writing, id(2), &[line("another run")], 6).expect("kept");
    let mut select = sql
        .prepare("SELECT message FROM logs ORDER BY run_id, n")
        .expect("prepared");
    let messages = select.query_map([], |row| row.get(0)).expect("read");
    let messages: Vec<String> = messages.collect::<Result<_, _>>().expect("read");
    let (bounded, other) = messages.split_at(7);
    assert_eq!(bounded[5], "line 1");
    assert_eq!(
        bounded[6],
        "this flow run has written 6 log lines, the limit: later lines are dropped"
    );
    assert_eq!(other, ["another run"]);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let mut message = "ä".repeat(LOG_BYTES_MAX);
    cut(&mut message);
    assert!(message.len() < LOG_BYTES_MAX + 40);
    assert!(
        message.ends_with("ä… (cut, 65536 bytes)"),
        "{}",
        &message[LOG_BYTES_MAX - 4..]
    );
    let mut short = "short".to_owned();
    cut(&mut short);
    assert_eq!(short, "short");
}
