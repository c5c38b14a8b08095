use serde_json::{Value, json};

use super::{Board, Count};

pub(super) fn task(name: &str, index: Option<u64>, state_type: &str) -> Value {
    json!({"name": name, "index": index, "state": {"type": state_type, "name": state_type}})
}

fn plan() -> Value {
    json!({"tasks": [
        {"name": "load", "upstreams": []},
        {"name": "each", "upstreams": ["load"]},
        {"name": "report", "upstreams": ["load", "each"]},
    ]})
}

#[test]
fn tasks_stand_in_the_order_of_the_plan_and_others_after_them() {
    let mut board = Board::new(&json!({}), Some(plan()));
    board.take("task_run", task("stranger", None, "RUNNING"));
    board.take("task_run", task("report", None, "PENDING"));
    let names: Vec<&str> = board.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["load", "each", "report", "stranger"]);
}

#[test]
fn items_are_counted_and_telling_again_changes_nothing() {
    let mut board = Board::new(&json!({}), Some(plan()));
    for _ in 0..2 {
        board.take("task_run", task("each", Some(0), "COMPLETED"));
        board.take("task_run", task("each[1]", Some(1), "FAILED"));
        board.take("task_run", task("each", Some(2), "RUNNING"));
    }
    let count = Count {
        all: 3,
        done: 2,
        failed: 1,
        running: 1,
    };
    assert_eq!(board.entries[1].count(), count);
    assert!(!board.entries[1].is_over());
}

#[test]
fn a_task_waits_for_those_before_it_that_have_not_ended() {
    let mut board = Board::new(&json!({}), Some(plan()));
    board.take("task_run", task("load", None, "COMPLETED"));
    let waits: Vec<&str> = board.waits_for(&board.entries[2]).collect();
    assert_eq!(waits, ["each"]);
    assert_eq!(board.progress(), (1, 3));
}

#[test]
fn the_reason_of_a_flow_run_goes_with_the_wait() {
    let mut board = Board::new(&json!({"name": "swift-bison"}), None);
    board.take(
        "flow_run",
        json!({"name": null, "state": {"type": "SCHEDULED"}, "reason": "no slot"}),
    );
    assert_eq!(board.run["name"], "swift-bison");
    assert_eq!(board.run["reason"], "no slot");
    board.take("flow_run", json!({"state": {"type": "RUNNING"}, "reason": null}));
    assert_eq!(board.run["reason"], Value::Null);
}
