use std::collections::BTreeMap;
use std::sync::Arc;

use grepx_engine::{Command, Definition, Fact, FlowRunId, Message, NodeId, Op, Record, Run, Snapshot, Suspended};
use grepx_engine::{Task, Timestamp, Wake};

use super::super::live::{self, Head, Live};
use super::super::plan::Plan;
use super::{EXPLAINED_MAX, Watchdog};
use crate::store::testing::run;

/// Every message was given out at that time, to this queue.
fn waiting(n: u128, items: u32, queue: &str, at: Timestamp) -> (FlowRunId, Live) {
    let definition = Arc::new(Definition::new("flow", None, vec![Task::new("task", "celery")]).expect("a DAG"));
    let new = run(n);
    let plan = Arc::new(Plan::new(definition.clone()));
    let mut live = Live::new(Run::new(new.id, definition), Head::new(new), plan);
    for index in 0..items {
        let message = Message {
            connection: "celery".to_owned(),
            destination: queue.to_owned(),
            body: b"{}".to_vec().into(),
            meta: BTreeMap::from([("task-name".to_owned(), "tasks.add".to_owned())]),
        };
        let suspended = Suspended {
            state: Snapshot {
                version: 1,
                data: b"{}".to_vec().into(),
            },
            commands: vec![Command {
                key: "task".to_owned(),
                op: Op::Enqueue(message.into()),
            }],
            wake: Wake::Any(Vec::new()),
            status: None,
        };
        let fact = Fact::Suspended {
            node: NodeId::item(0, index),
            attempt: 1,
            step: 0,
            suspended,
            build: None,
        };
        live::follow(&mut live.queued, &Record { seq: 0, at, fact });
    }
    (live.id(), live)
}

fn asked(watchdog: &mut Watchdog, live: &BTreeMap<FlowRunId, Live>) -> Vec<(String, FlowRunId, NodeId)> {
    let mut all = Vec::new();
    for (to, runs) in watchdog.questions(live) {
        for (run, nodes) in runs {
            all.extend(nodes.into_iter().map(|node| (to.queue.clone(), run, node)));
        }
    }
    all
}

#[test]
fn each_has_its_turn_and_one_question_is_for_all_of_a_queue() {
    let few = u32::try_from(EXPLAINED_MAX).expect("few") * 2 / 5;
    let mut all: BTreeMap<_, _> = (1..=5).map(|n| waiting(n, few, "nobody", Timestamp(0))).collect();
    let mut watchdog = Watchdog::default();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let asked = watchdog.questions(&all);
        assert_eq!(asked.len(), 1, "one queue");
        seen.extend(
            asked
                .into_values()
                .flatten()
                .flat_map(|(run, nodes)| nodes.into_iter().map(move |node| (run, node))),
        );
    }
    assert_eq!(seen.len(), 2 * EXPLAINED_MAX);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 2 * EXPLAINED_MAX, "all were asked about, and none twice");
    // The last one that was asked about is gone.
    all.pop_last();
    let again = asked(&mut watchdog, &all);
    assert_eq!(again.len(), EXPLAINED_MAX);
    assert_eq!(again[0].1, run(1).id, "it begins again");
}

#[test]
fn what_was_taken_and_what_is_new_needs_no_explanation() {
    let now = crate::clock::now();
    let (mut taken, mut all) = (waiting(1, 2, "celery", Timestamp(0)), BTreeMap::new());
    for queued in taken.1.queued.values_mut() {
        queued.heard(now);
    }
    all.extend([
        taken,
        waiting(2, 2, "celery", now),
        waiting(3, 1, "other", Timestamp(0)),
    ]);
    let asked = asked(&mut Watchdog::default(), &all);
    assert_eq!(asked, [("other".to_owned(), run(3).id, NodeId::item(0, 0))]);
}

#[test]
fn messages_to_one_place_share_it() {
    let (_, live) = waiting(1, 3, "celery", Timestamp(0));
    let mut places = live.queued.values().map(|queued| Arc::as_ptr(&queued.to));
    let first = places.next();
    assert!(places.all(|place| Some(place) == first));
}
