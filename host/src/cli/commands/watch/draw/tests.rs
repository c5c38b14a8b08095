use grepx_engine::Timestamp;
use serde_json::{Value, json};

use super::super::board::Board;
use super::{picture, window};
use crate::cli::out::width;
use crate::clock;

fn now() -> Timestamp {
    clock::parse_rfc3339("2026-03-01T12:00:30Z").expect("a time")
}

fn task(name: &str, index: Option<u64>, state: (&str, &str), more: Value) -> Value {
    let mut task = json!({"name": name, "index": index, "state": {"type": state.0, "name": state.1}});
    for (key, value) in more.as_object().into_iter().flatten() {
        task[key.as_str()] = value.clone();
    }
    task
}

fn board() -> Board {
    let run = json!({
        "name": "swift-bison",
        "flow_name": "market_report",
        "state": {"type": "RUNNING", "name": "Running"},
        "start_time": "2026-03-01T12:00:00Z",
    });
    let plan = json!({"tasks": [
        {"name": "load", "upstreams": []},
        {"name": "each", "upstreams": ["load"]},
        {"name": "flaky", "upstreams": ["load"]},
        {"name": "report", "upstreams": ["load", "each", "flaky"]},
    ]});
    let mut board = Board::new(&run, Some(plan));
    let times = json!({"start_time": "2026-03-01T12:00:00Z", "end_time": "2026-03-01T12:00:01.200Z"});
    board.take("task_run", task("load", None, ("COMPLETED", "Completed"), times));
    for index in 0..10 {
        let state = match index {
            0..3 => ("COMPLETED", "Completed"),
            3 => ("FAILED", "Failed"),
            4 => ("RUNNING", "Running"),
            _ => ("PENDING", "Pending"),
        };
        let more = json!({"status": "queued on celery", "start_time": "2026-03-01T12:00:25Z"});
        board.take("task_run", task("each", Some(index), state, more));
    }
    let more = json!({"attempt": 2, "expected_start_time": "2026-03-01T12:00:42Z"});
    board.take("task_run", task("flaky", None, ("SCHEDULED", "AwaitingRetry"), more));
    board
}

#[test]
fn a_run_in_the_middle() {
    insta::assert_snapshot!(picture(&board(), now(), 100, 30).join("\n"));
}

#[test]
fn no_line_is_wider_than_the_terminal_and_no_picture_higher() {
    let mut board = board();
    for n in 0..100 {
        let name = format!("a_task_with_a_name_that_takes_a_lot_of_room_{n}");
        let more = json!({"status": "日本語".repeat(40)});
        board.take("task_run", task(&name, None, ("RUNNING", "Running"), more));
    }
    for (columns, rows) in [(40, 10), (80, 24), (200, 50)] {
        let lines = picture(&board, now(), columns, rows);
        assert!(lines.len() < rows, "{} lines in {rows}", lines.len());
        for line in lines {
            assert!(width(&line) <= columns, "{columns}: {line}");
        }
    }
}

#[test]
fn what_runs_stays_in_sight() {
    let plan: Vec<Value> = (0..100)
        .map(|n| json!({"name": format!("t{n}"), "upstreams": []}))
        .collect();
    let mut board = Board::new(&json!({}), Some(json!({"tasks": plan})));
    assert_eq!(window(&board, 10), (0, 10));
    for n in 0..50 {
        board.take(
            "task_run",
            task(&format!("t{n}"), None, ("COMPLETED", "Completed"), json!({})),
        );
    }
    assert_eq!(window(&board, 10), (48, 58));
    for n in 50..100 {
        board.take(
            "task_run",
            task(&format!("t{n}"), None, ("COMPLETED", "Completed"), json!({})),
        );
    }
    assert_eq!(window(&board, 10), (90, 100));
}
