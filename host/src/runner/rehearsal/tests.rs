use grepx_engine::{Definition, Task};
use serde_json::json;

use super::{Known, known, stages};

fn of(text: &str) -> Known {
    known(
        text,
        &json!({"n": 2, "tickers": ["A", "B"]}),
        &json!({}),
        &json!({"name": "t"}),
    )
}

#[test]
fn what_needs_no_result_has_a_value_and_the_rest_stays_open() {
    assert_eq!(of("params.n + 1"), Known::Value(json!(3)));
    assert_eq!(of("params.tickers"), Known::Value(json!(["A", "B"])));
    assert_eq!(of("task.name"), Known::Value(json!("t")));
    assert_eq!(of("results.load.rows"), Known::Open);
    assert_eq!(of("item.price * params.n"), Known::Open);
    // Its id and its time are given when it is made.
    assert_eq!(of("run.id"), Known::Open);
}

#[test]
fn what_will_fail_says_why_before_it_does() {
    let Known::Fails(why) = of("params.nobody.name") else {
        panic!("it has no value");
    };
    assert!(why.contains("params.nobody.name"), "{why}");
}

#[test]
fn a_task_stands_one_stage_after_the_last_of_its_upstreams() {
    let task = |name: &str, upstreams: &[u32]| Task {
        upstreams: upstreams.to_vec(),
        ..Task::new(name, "noop")
    };
    // d → c → b → a, and a → d directly; e alone.
    let tasks = vec![
        task("d", &[1, 3]),
        task("c", &[2]),
        task("b", &[3]),
        task("a", &[]),
        task("e", &[]),
    ];
    let definition = Definition::new("flow", None, tasks).expect("a DAG");
    assert_eq!(stages(&definition), [3, 2, 1, 0, 0]);
}
