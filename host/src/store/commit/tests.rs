use grepx_engine::{NodeId, StateType};

use super::super::testing::{Fixture, at, first, fixture, id, json, run, run_state, state, task};
use super::super::{Commit, INPUT_BYTES_MAX, TaskRow};

#[tokio::test]
async fn history_has_a_row_for_every_change_of_type_or_name() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    for (name, since) in [
        ("AwaitingConcurrencySlot", 2),
        ("AwaitingConcurrencySlot", 3),
        ("Late", 4),
    ] {
        let mut state = run_state(StateType::Scheduled, name, since);
        state.state.message = Some(format!("at {since}"));
        let commit = Commit {
            state: Some(state),
            ..Commit::new(id(1))
        };
        store.commit(commit).await.expect("kept");
    }
    let history = store.states(id(1)).await.expect("read");
    let names: Vec<_> = history.iter().map(|state| state.name.as_str()).collect();
    assert_eq!(names, ["Scheduled", "AwaitingConcurrencySlot", "Late"]);
    let now = store.flow_run(id(1)).await.expect("read").expect("there");
    assert_eq!(
        now.state, history[2],
        "the current state is the last of the history, id and all"
    );
    assert_eq!(now.run.parameters, json(r#"{"a": 1.50}"#), "to the letter");
}

#[tokio::test]
async fn a_task_run_keeps_its_input_and_result_over_later_states() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let running = TaskRow {
        input: Some(json(r#"{"n":1}"#)),
        tags: vec!["x".to_owned()],
        ..task(0, state(StateType::Running, "Running", 5))
    };
    let done = TaskRow {
        result_bytes: Some(2),
        end_time: Some(at(9)),
        ..task(0, state(StateType::Completed, "Completed", 9))
    };
    let long = TaskRow {
        input: Some(json(&format!("\"{}\"", "x".repeat(INPUT_BYTES_MAX)))),
        ..task(1, state(StateType::Pending, "Pending", 5))
    };
    let node = NodeId::task(0);
    for (tasks, results) in [(vec![running, long], vec![]), (vec![done], vec![(node, json("42"))])] {
        let commit = Commit {
            tasks,
            results,
            ..Commit::new(id(1))
        };
        store.commit(commit).await.expect("kept");
    }
    let task_id = node.run_id(id(1));
    let row = store.task_run(task_id).await.expect("read").expect("there");
    assert_eq!(
        (row.input, row.result_bytes, row.end_time),
        (Some(json(r#"{"n":1}"#)), Some(2), Some(at(9)))
    );
    assert_eq!(row.state.name, "Completed");
    assert_eq!(store.result(task_id).await.expect("read"), Some(json("42")));
    let history = store.task_states(task_id).await.expect("read");
    assert_eq!(
        history.iter().map(|state| state.since).collect::<Vec<_>>(),
        [at(5), at(9)]
    );
    assert_eq!(history[1], row.state);
    let long = store
        .task_run(NodeId::task(1).run_id(id(1)))
        .await
        .expect("read")
        .expect("there");
    let marker = format!(r#"{{"truncated": true, "bytes": {}}}"#, INPUT_BYTES_MAX + 2);
    assert_eq!(long.input, Some(json(&marker)));
}
