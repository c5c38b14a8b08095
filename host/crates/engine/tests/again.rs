//! A flow run goes on after its end, and a task run is done because somebody says so: what begins
//! anew, what keeps its state, and what is refused.

use std::sync::Arc;

use grepx_engine::{
    Definition, Due, ErrorClass, Event, Fact, FlowRunId, Json, Mark, NodeId, Prepared, Rejected, Retry, Run, Step,
    Task, TaskError, Timestamp, TriggerRule, Verdict,
};
use uuid::Uuid;

const A: u32 = 0;
const B: u32 = 1;
const C: u32 = 2;
const ALONE: u32 = 3;
const HOUR_MS: u64 = 3_600_000;

fn now() -> Timestamp {
    Timestamp(1_000_000)
}

/// a → b → c, and one beside them; every task needs all before it.
fn chain(timeout_ms: Option<u64>) -> Run {
    let mut tasks: Vec<Task> = ["a", "b", "c", "alone"].map(|name| Task::new(name, "kind")).into();
    tasks[B as usize].upstreams = vec![A];
    tasks[C as usize].upstreams = vec![B];
    scheduled(tasks, timeout_ms)
}

fn scheduled(tasks: Vec<Task>, timeout_ms: Option<u64>) -> Run {
    let definition = Definition::new("flow", timeout_ms, tasks).expect("a DAG");
    let mut run = Run::new(FlowRunId(Uuid::from_u128(7)), Arc::new(definition));
    let _ = run.schedule(now(), now());
    run
}

/// Does all that is due, until nothing is; attempts of `failing` nodes fail. The attempts begun.
fn drive(run: &mut Run, failing: &[NodeId], at: Timestamp) -> Vec<(NodeId, u32)> {
    let mut begun = Vec::new();
    loop {
        let Some(due) = run.due(Mark::default()).0.into_iter().next() else {
            return begun;
        };
        let event = match due {
            Due::Slot => Event::Admitted,
            Due::Prepare { node } => Event::Prepared {
                node,
                renewals: run.renewals(),
                prepared: prepared(run, node),
            },
            Due::Call { node, attempt, step } => {
                begun.push((node, attempt));
                let answer = match failing.contains(&node) {
                    true => Step::Failed(TaskError::new(ErrorClass::Permanent, "bad", "bad")),
                    false => Step::Done(Json::null()),
                };
                answered(node, attempt, step, answer)
            }
            Due::Judge { node, attempt } => Event::Judged {
                node,
                attempt,
                verdict: Verdict::GiveUp("no retries".to_owned()),
            },
            Due::Stop { node, attempt, .. } => Event::Stopped {
                node,
                attempt,
                commands: Vec::new(),
            },
            Due::Watch { .. } => panic!("nothing is watched"),
        };
        run.apply(&event, at).expect("what is due is possible");
    }
}

fn prepared(run: &Run, node: NodeId) -> Prepared {
    let task = run.definition().task(node.task);
    if task.for_each.is_some() && node.index.is_none() {
        return Prepared::Map {
            items: (0..3).map(|item| Json::from(&serde_json::json!(item))).collect(),
        };
    }
    Prepared::Run {
        input: Json::null(),
        limit_ms: None,
    }
}

fn answered(node: NodeId, attempt: u32, step: u32, answer: Step) -> Event {
    Event::Answered {
        node,
        attempt,
        step,
        answer,
        build: None,
    }
}

fn retry(what: Retry) -> Event {
    Event::Retry { what, start_at: now() }
}

fn done(node: NodeId) -> Event {
    Event::MarkDone {
        node,
        note: "by hand".to_owned(),
        result: Json::null(),
    }
}

fn names(run: &Run) -> Vec<&'static str> {
    let tasks = 0..run.definition().tasks.len() as u32;
    tasks
        .map(|task| run.node_state(NodeId::task(task)).expect("it exists").name)
        .collect()
}

fn failed_at_b() -> Run {
    let mut run = chain(None);
    drive(&mut run, &[NodeId::task(B)], now());
    assert_eq!(run.state().name, "Failed");
    assert_eq!(names(&run), ["Completed", "Failed", "UpstreamFailed", "Completed"]);
    run
}

#[test]
fn from_what_failed_only_that_and_what_waited_for_it_begins_anew() {
    let mut run = failed_at_b();
    let records = run.apply(&retry(Retry::Failed), now()).expect("it has failed");
    let facts: Vec<&Fact> = records.iter().map(|record| &record.fact).collect();
    let nodes = vec![NodeId::task(B), NodeId::task(C)];
    assert_eq!(
        facts,
        [
            &Fact::Reopened { start_at: now() },
            &Fact::Renewed { nodes },
            &Fact::Queued
        ]
    );
    assert_eq!(run.state().name, "AwaitingConcurrencySlot");
    assert_eq!(names(&run), ["Completed", "Pending", "Pending", "Completed"]);
    assert_eq!((run.starts(), run.ended_at()), (1, None));

    let mut early = run.clone();
    for event in [
        Event::Admitted,
        Event::Prepared {
            node: NodeId::task(B),
            renewals: early.renewals(),
            prepared: prepared(&early, NodeId::task(B)),
        },
    ] {
        early.apply(&event, now()).expect("it is its turn");
    }
    assert_eq!(
        names(&early)[B as usize],
        "Running",
        "its first try since it began anew"
    );

    let begun = drive(&mut run, &[], now());
    assert_eq!(
        begun,
        [(NodeId::task(B), 2), (NodeId::task(C), 1)],
        "attempts keep counting"
    );
    assert_eq!(run.state().name, "Completed");
    assert_eq!(run.starts(), 2);
}

#[test]
fn an_answer_of_an_earlier_attempt_is_stale_for_ever() {
    let mut run = failed_at_b();
    let late = answered(NodeId::task(B), 1, 0, Step::Done(Json::null()));
    assert!(matches!(run.apply(&late, now()), Err(Rejected::Terminal(_))));
    let prepared = Event::Prepared {
        node: NodeId::task(B),
        renewals: run.renewals(),
        prepared: prepared(&run, NodeId::task(B)),
    };
    run.apply(&retry(Retry::Failed), now()).expect("it has failed");
    run.apply(&Event::Admitted, now()).expect("it waits");
    assert!(matches!(run.apply(&prepared, now()), Err(Rejected::Stale { .. })));
    assert!(matches!(run.apply(&late, now()), Err(Rejected::Stale { .. })));
    drive(&mut run, &[NodeId::task(B)], now());
    assert!(matches!(run.apply(&late, now()), Err(Rejected::Terminal(_))));
    assert_eq!(run.attempts(NodeId::task(B)), 2);
}

#[test]
fn from_a_task_all_below_it_begins_anew_and_only_a_task_nothing_else() {
    let mut run = chain(None);
    drive(&mut run, &[], now());
    let nothing = run.apply(&retry(Retry::Failed), now());
    assert_eq!(nothing, Err(Rejected::NothingFailed));

    run.apply(&retry(Retry::From(B)), now()).expect("it has ended");
    let begun = drive(&mut run, &[], now());
    assert_eq!(begun, [(NodeId::task(B), 2), (NodeId::task(C), 2)]);

    run.apply(&retry(Retry::Only(A)), now()).expect("it has ended");
    assert_eq!(names(&run), ["Pending", "Completed", "Completed", "Completed"]);
    assert_eq!(drive(&mut run, &[NodeId::task(A)], now()), [(NodeId::task(A), 2)]);
    assert_eq!(run.state().name, "Failed", "one of its task runs has failed now");
    assert_eq!(names(&run), ["Failed", "Completed", "Completed", "Completed"]);

    run.apply(&retry(Retry::All), now()).expect("it has ended");
    assert_eq!(drive(&mut run, &[], now()).len(), 4);
    assert_eq!((run.state().name, run.starts()), ("Completed", 4));
}

#[test]
fn a_task_that_could_not_run_is_refused_and_so_is_a_run_that_has_not_ended() {
    let mut run = failed_at_b();
    for what in [Retry::Only(C), Retry::From(C)] {
        let before = run.clone();
        let refused = run.apply(&retry(what), now()).expect_err("b has failed");
        assert!(
            matches!(&refused, Rejected::CannotRun { task, .. } if task == "c"),
            "{refused}"
        );
        assert_eq!(run, before);
    }
    assert!(matches!(
        run.apply(&retry(Retry::Only(99)), now()),
        Err(Rejected::UnknownNode(_))
    ));
    run.apply(&retry(Retry::Failed), now()).expect("it has failed");
    assert!(matches!(
        run.apply(&retry(Retry::Failed), now()),
        Err(Rejected::WrongState { .. })
    ));
}

#[test]
fn of_a_task_with_items_only_those_that_failed_begin_anew_and_their_keys_stay_unique() {
    let mut each = Task::new("each", "kind");
    each.for_each = Some("items".to_owned());
    let mut run = scheduled(vec![each], None);
    drive(&mut run, &[NodeId::item(0, 1)], now());
    assert_eq!(names(&run), ["Failed"]);
    run.apply(&retry(Retry::Failed), now()).expect("it has failed");
    assert_eq!(drive(&mut run, &[], now()), [(NodeId::item(0, 1), 2)]);
    assert_eq!(run.state().name, "Completed");

    run.apply(&retry(Retry::From(0)), now()).expect("it has ended");
    assert_eq!(run.items(0), None, "it is mapped again");
    let begun = drive(&mut run, &[], now());
    let expected = [(0, 2), (1, 3), (2, 2)].map(|(item, attempt)| (NodeId::item(0, item), attempt));
    assert_eq!(begun, expected);
}

#[test]
fn a_planned_retry_waits_for_its_time_and_can_be_cancelled() {
    let mut run = failed_at_b();
    let at = now().plus_ms(HOUR_MS);
    let event = Event::Retry {
        what: Retry::Failed,
        start_at: at,
    };
    run.apply(&event, now()).expect("it has failed");
    assert_eq!(run.state().name, "Scheduled");
    assert_eq!(run.next_timer(Timestamp(0)), Some(at));
    assert_eq!(drive(&mut run, &[], now()), [], "nothing is due before");
    let cancel = Event::Cancel {
        reason: "no".to_owned(),
    };
    run.apply(&cancel, now()).expect("it is live again");
    assert_eq!(run.state().name, "Cancelled");
    assert_eq!(names(&run), ["Completed", "Cancelled", "Cancelled", "Completed"]);
}

#[test]
fn the_time_limit_of_the_flow_counts_from_the_new_start() {
    let mut run = chain(Some(10_000));
    drive(&mut run, &[NodeId::task(B)], now());
    let later = now().plus_ms(HOUR_MS);
    let event = Event::Retry {
        what: Retry::Failed,
        start_at: later,
    };
    run.apply(&event, later).expect("it has failed");
    run.apply(&Event::Admitted, later).expect("it waits");
    assert_eq!(run.next_timer(Timestamp(0)), Some(later.plus_ms(10_000)));
    assert_eq!(run.started_at(), Some(now()), "the first start stays");
    assert_eq!(
        run.run_time_ms(later.plus_ms(5)),
        5,
        "without the time for which it had ended"
    );
}

#[test]
fn a_task_run_that_is_marked_lets_an_ended_run_go_on() {
    let mut run = failed_at_b();
    assert_eq!(
        run.apply(&done(NodeId::task(A)), now()),
        Err(Rejected::AlreadyDone("Completed"))
    );
    run.apply(&done(NodeId::task(B)), now()).expect("it has failed");
    let state = run.node_state(NodeId::task(B)).expect("it exists");
    assert_eq!(
        (state.name, state.message.as_deref()),
        ("Completed", Some("Marked as done: by hand"))
    );
    assert!(run.has_result(NodeId::task(B)));
    assert_eq!(drive(&mut run, &[], now()), [(NodeId::task(C), 1)]);
    assert_eq!(run.state().name, "Completed");
}

#[test]
fn a_task_run_that_is_marked_while_it_runs_is_stopped_first() {
    let mut run = chain(None);
    run.apply(&Event::Admitted, now()).expect("it waits");
    let event = Event::Prepared {
        node: NodeId::task(A),
        renewals: 0,
        prepared: prepared(&run, NodeId::task(A)),
    };
    run.apply(&event, now()).expect("it is ready");
    run.apply(&done(NodeId::task(A)), now()).expect("it runs");
    assert!(matches!(
        run.apply(&done(NodeId::task(A)), now()),
        Err(Rejected::AlreadyDone(_))
    ));
    assert_eq!(names(&run)[A as usize], "Running", "until it has been stopped");
    let late = answered(NodeId::task(A), 1, 0, Step::Done(Json::null()));
    assert!(matches!(run.apply(&late, now()), Err(Rejected::Stale { .. })));
    let begun = drive(&mut run, &[], now());
    assert!(begun.contains(&(NodeId::task(B), 1)), "{begun:?}");
    assert_eq!(run.state().name, "Completed");
}

#[test]
fn an_item_can_be_marked_and_a_task_with_items_cannot() {
    let mut each = Task::new("each", "kind");
    each.for_each = Some("items".to_owned());
    let mut after = Task::new("after", "kind");
    after.upstreams = vec![0];
    let mut run = scheduled(vec![each, after], None);
    drive(&mut run, &[NodeId::item(0, 2)], now());
    assert_eq!(
        run.apply(&done(NodeId::task(0)), now()),
        Err(Rejected::HasItems("each".to_owned()))
    );
    run.apply(&done(NodeId::item(0, 2)), now()).expect("it has failed");
    assert_eq!(drive(&mut run, &[], now()), [(NodeId::task(1), 1)]);
    assert_eq!(names(&run), ["Completed", "Completed"]);
}

#[test]
fn a_run_in_which_something_never_ran_has_not_completed() {
    let mut run = failed_at_b();
    run.apply(&retry(Retry::Only(B)), now()).expect("a has completed");
    drive(&mut run, &[], now());
    assert_eq!(names(&run), ["Completed", "Completed", "UpstreamFailed", "Completed"]);
    assert_eq!(run.state().name, "Failed", "c never ran");

    let mut cancelled = chain(None);
    let cancel = Event::Cancel {
        reason: "no".to_owned(),
    };
    cancelled.apply(&cancel, now()).expect("it waits");
    cancelled
        .apply(&retry(Retry::Only(ALONE)), now())
        .expect("it has ended");
    drive(&mut cancelled, &[], now());
    assert_eq!(cancelled.state().name, "Cancelled", "only one of its tasks ran");
}

#[test]
fn clean_up_that_has_run_is_not_repeated() {
    let mut clean = Task::new("clean", "kind");
    clean.upstreams = vec![0];
    clean.trigger_rule = TriggerRule::Always;
    let mut run = scheduled(vec![Task::new("work", "kind"), clean], None);
    drive(&mut run, &[NodeId::task(0)], now());
    run.apply(&retry(Retry::Failed), now()).expect("it has failed");
    assert_eq!(drive(&mut run, &[], now()), [(NodeId::task(0), 2)]);
    assert_eq!(run.state().name, "Completed");
}

#[test]
fn what_was_evaluated_before_a_task_run_was_marked_is_stale() {
    let mut reads = Task::new("reads", "kind");
    reads.upstreams = vec![0];
    reads.trigger_rule = TriggerRule::Always;
    let mut run = scheduled(vec![Task::new("work", "kind"), reads], None);
    let (work, reads) = (NodeId::task(0), NodeId::task(1));
    run.apply(&Event::Admitted, now()).expect("it waits");
    let prepare = |run: &Run, node| Event::Prepared {
        node,
        renewals: run.renewals(),
        prepared: prepared(run, node),
    };
    run.apply(&prepare(&run, work), now()).expect("it is ready");
    let failed = Step::Failed(TaskError::new(ErrorClass::Permanent, "bad", "bad"));
    run.apply(&answered(work, 1, 0, failed), now()).expect("it is called");
    let judged = Event::Judged {
        node: work,
        attempt: 1,
        verdict: Verdict::GiveUp("no retries".to_owned()),
    };
    run.apply(&judged, now()).expect("it has failed");

    let before = prepare(&run, reads);
    run.apply(&done(work), now()).expect("it has failed");
    assert!(run.may_prepare(reads), "it waited, and is ready again at once");
    let late = run.apply(&before, now());
    assert!(
        matches!(late, Err(Rejected::Stale { .. })),
        "it does not know of the result: {late:?}"
    );
    run.apply(&prepare(&run, reads), now()).expect("evaluated anew");
}
