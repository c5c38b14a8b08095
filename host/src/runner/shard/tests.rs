//! What comes late, and what comes before its commit: a shard's mail in an order that seldom occurs.

mod bench;

use std::sync::atomic::Ordering;

use grepx_engine::{Due, Event, Fact, FlowRunId, Json, NodeId, Record, Retry, Task, TriggerRule};
use serde_json::json;

use super::super::draft;
use super::super::live::{Live, Work};
use super::super::mail::Mail;
use crate::failpoint::machine;
use crate::store::Commit;
use bench::{Bench, task};

const A: NodeId = NodeId::task(0);
const B: NodeId = NodeId::task(1);

fn marked(node: NodeId, result: &serde_json::Value) -> Event {
    Event::MarkDone {
        node,
        note: "by hand".to_owned(),
        result: Json::from(result),
    }
}

/// `b` reads the result of `a`, which fails, and runs whatever becomes of it.
fn reader() -> Vec<Task> {
    let mut b = task("b", "pure");
    b.upstreams = vec![0];
    b.trigger_rule = TriggerRule::Always;
    b.inputs = vec![("a".to_owned(), "results.a".to_owned())];
    vec![task("a", "fails"), b]
}

/// A run whose only task finds its tag full, and the answer that says so.
async fn refused_a_slot(bench: &mut Bench) -> (FlowRunId, Task, Mail) {
    bench.limit("db", 0);
    let tagged = Task {
        tags: vec!["db".to_owned()],
        ..task("a", "pure")
    };
    let run = bench.create(vec![tagged.clone()]).await;
    let refused = bench
        .until(|mail| matches!(mail, Mail::Done(done) if done.work == Work::Prepare))
        .await;
    (run, tagged, refused)
}

#[tokio::test]
async fn what_was_evaluated_without_a_result_is_evaluated_again() {
    let mut bench = Bench::new().await;
    let run = bench.create(reader()).await;
    let old = bench
        .until(|mail| matches!(mail, Mail::Done(done) if done.node == B && done.work == Work::Prepare))
        .await;
    bench.shard.event(run, marked(A, &json!(7)), None);
    bench.shard.take(old);
    bench.until_finished(run).await;
    assert_eq!(bench.live(run).run.state().name, "Completed");
    let calls = bench.calls();
    assert_eq!(calls.last().expect("b is called").input["kwargs"], json!({"a": 7}));
}

#[tokio::test]
async fn a_signal_for_an_earlier_attempt_reaches_no_later_one() {
    let mut bench = Bench::new().await;
    let mut asks = task("a", "asks");
    asks.retry_config = Json::from(&json!({"retries": 1}));
    let run = bench.create(vec![asks]).await;
    while bench.live(run).run.awaits_signal(A, "go").is_none() {
        let mail = bench.next().await;
        bench.shard.take(mail);
    }
    let signal = |attempt| Mail::Signal {
        run,
        node: A,
        attempt,
        name: "go".to_owned(),
        payload: Json::null(),
        reply: None,
    };
    bench.shard.take(signal(Some(1)));
    let waits = bench.live(run).run.awaits_signal(A, "go");
    assert_eq!(waits, Some((2, "go".to_owned())), "the second attempt waits on");
    bench.shard.take(signal(Some(2)));
    assert_eq!(bench.live(run).run.awaits_signal(A, "go"), None);
}

#[tokio::test]
async fn a_slot_of_a_tag_is_held_until_the_end_is_kept() {
    let mut bench = Bench::new().await;
    bench.limit("db", 1);
    let tagged = Task {
        tags: vec!["db".to_owned()],
        ..task("a", "pure")
    };
    let run = bench.create(vec![tagged.clone()]).await;
    bench.until_finished(run).await;
    let next = (FlowRunId(uuid::Uuid::nil()), A);
    let slots = bench.slots();
    assert!(slots.take(next, &tagged.tags).is_err(), "a crash now begins it anew");
    assert!(bench.woken.try_recv().is_err());
    bench.shard.settle().await;
    assert_eq!(bench.woken.recv().await, Some(next));
    assert!(slots.holders("db").is_empty());
}

#[tokio::test]
async fn a_retry_gives_its_slot_of_a_tag_back_and_waits_for_one() {
    machine::boot(crate::clock::now(), 7, None);
    let mut bench = Bench::new().await;
    bench.limit("db", 1);
    let tagged = Task {
        tags: vec!["db".to_owned()],
        retry_config: Json::from(&json!({"retries": 1, "ms": 60_000})),
        ..task("a", "fails")
    };
    let run = bench.create(vec![tagged.clone()]).await;
    let next = (FlowRunId(uuid::Uuid::nil()), A);
    let slots = bench.slots();
    while bench.live(run).run.retry_at(A).is_none() {
        let mail = bench.next().await;
        bench.shard.take(mail);
    }
    assert!(slots.take(next, &tagged.tags).is_err(), "a crash now judges it anew");
    bench.shard.settle().await;
    assert_eq!(bench.woken.recv().await, Some(next));
    let slot = slots.take(next, &tagged.tags).expect("it is free");
    let due = bench.live(run).run.retry_at(A).expect("a retry is planned");
    assert_eq!(bench.shard.timers.first(), Some(&(due, run)));
    machine::set_clock(due);
    bench.shard.tick();
    bench.shard.settle().await;
    let live = bench.live(run);
    assert_eq!(live.run.attempts(A), 1);
    assert_eq!(live.holds[&A].as_ref(), "tag db: 1 of 1 task runs are under way");
    assert!(
        bench.shard.timers.is_empty(),
        "there is nothing to be waited for but the slot"
    );
    drop(slot);
    assert_eq!(bench.woken.recv().await, Some((run, A)));
    bench.shard.take(Mail::Again { run, node: A });
    let live = bench.live(run);
    assert_eq!((live.run.attempts(A), live.holds.len()), (2, 0));
    assert_eq!(slots.holders("db"), [A.run_id(run)]);
    machine::shut_down();
}

#[tokio::test]
async fn a_paused_run_leaves_the_slot_of_a_tag_to_the_next() {
    let mut bench = Bench::new().await;
    let (run, tagged, refused) = refused_a_slot(&mut bench).await;
    bench.shard.take(refused);
    bench.shard.event(run, Event::Pause, None);
    let slots = bench.slots();
    let next = (FlowRunId(uuid::Uuid::max()), A);
    assert!(slots.take(next, &tagged.tags).is_err());
    bench.limit("db", 1);
    for place in [(run, A), next] {
        assert_eq!(bench.woken.try_recv(), Ok(place), "all ask again");
    }
    let holder = slots
        .take((FlowRunId(uuid::Uuid::nil()), A), &tagged.tags)
        .expect("a slot");
    for place in [(run, A), next] {
        assert!(slots.take(place, &tagged.tags).is_err());
    }
    drop(holder);
    assert_eq!(bench.woken.try_recv(), Ok((run, A)), "the first in line");
    bench.shard.take(Mail::Again { run, node: A });
    assert_eq!(bench.woken.try_recv(), Ok(next));
}

#[tokio::test]
async fn what_was_committed_for_one_attempt_calls_no_other() {
    let mut bench = Bench::new().await;
    let run = bench.create(vec![task("a", "effect")]).await;
    while bench.live(run).run.call(A).is_none() {
        let mail = bench.next().await;
        bench.shard.take(mail);
    }
    let committed = |attempt, step| Mail::Committed {
        run,
        perform: vec![Due::Call { node: A, attempt, step }],
    };
    for (attempt, step) in [(0, 0), (1, 1), (2, 0)] {
        bench.shard.take(committed(attempt, step));
        assert!(bench.live(run).inflight.is_empty(), "that is not what is due");
    }
    bench.shard.take(committed(1, 0));
    bench.until_finished(run).await;
    assert_eq!(bench.calls()[0].attempt, 1);
}

#[tokio::test]
async fn what_has_ended_is_held_by_nothing() {
    let mut bench = Bench::new().await;
    let (run, tagged, refused) = refused_a_slot(&mut bench).await;
    bench.shard.event(run, marked(A, &json!(null)), None);
    let (slots, place) = (bench.slots(), (run, A));
    // As if it had been refused only now.
    assert!(slots.take(place, &tagged.tags).is_err() && slots.must_wait(place, &tagged.tags));
    bench.shard.take(refused);
    assert!(bench.live(run).holds.is_empty());
    assert!(!slots.must_wait(place, &tagged.tags), "it stands in no line");
}

#[tokio::test]
async fn a_run_that_goes_on_begins_with_nothing_under_way() {
    let mut bench = Bench::new().await;
    let each = Task {
        for_each: Some("[1, 2]".to_owned()),
        ..task("a", "pure")
    };
    let run = bench.create(vec![each, task("b", "pure")]).await;
    let late = bench
        .until(|mail| matches!(mail, Mail::Done(done) if done.node == B && done.work == Work::Prepare))
        .await;
    bench.shard.event(run, marked(B, &json!(null)), None);
    bench.until_finished(run).await;
    let again = Event::Retry {
        what: Retry::From(0),
        start_at: crate::clock::now(),
    };
    assert!(
        !bench.live(run).inflight.is_empty(),
        "the answer for b has not been taken"
    );
    bench.shard.event(run, again, None);
    assert!(bench.live(run).inflight.is_empty());
    bench.shard.take(late);
    assert_eq!(
        bench.live(run).run.node_state(B).map(|state| state.name),
        Some("Completed")
    );
    assert_eq!(bench.live(run).run.items(0), None, "it is to be mapped again");
}

#[tokio::test]
async fn results_of_what_begins_anew_are_not_kept() {
    let mut bench = Bench::new().await;
    let run = bench.create(vec![task("a", "pure"), task("b", "pure")]).await;
    let live = bench.live(run);
    drop(live.take_commits());
    let succeeded = |node| Fact::Succeeded {
        node,
        attempt: 1,
        bytes: 4,
        result: Some(Json::null()),
        build: None,
    };
    let facts = [
        succeeded(NodeId::item(0, 0)),
        succeeded(A),
        succeeded(B),
        Fact::Renewed { nodes: vec![A] },
    ];
    for (seq, fact) in (0..).zip(facts) {
        let at = crate::clock::now();
        live.draft.record(&live.run, &Record { seq, at, fact });
    }
    let (commit, _) = draft::take(live);
    let results: Vec<NodeId> = commit.results.iter().map(|(node, _)| *node).collect();
    assert_eq!(results, [B], "items go with their task");
}

#[tokio::test]
async fn only_the_first_start_may_be_late() {
    let mut bench = Bench::new().await;
    let run = bench.create(vec![task("a", "fails")]).await;
    bench.until_finished(run).await;
    assert_eq!(starts(bench.live(run)), [true]);
    let again = Event::Retry {
        what: Retry::Failed,
        start_at: crate::clock::now(),
    };
    bench.shard.event(run, again, None);
    let began = bench.live(run).run.started_at().expect("it has started");
    while crate::clock::now() == began {
        tokio::task::yield_now().await;
    }
    bench.until_finished(run).await;
    assert_eq!(starts(bench.live(run)), [false], "it goes on");
}

/// Of the commits with a start, whether they count as late or in time.
fn starts(live: &mut Live) -> Vec<bool> {
    let starts = |commit: &Commit| commit.facts.iter().any(|record| record.fact == Fact::Started);
    let commits = live.take_commits().into_iter().filter(|(commit, _)| starts(commit));
    commits.map(|(_, after)| after.late_by.is_some()).collect()
}

#[tokio::test]
async fn a_call_that_waits_for_its_plugin_is_tried_again_without_a_commit() {
    let mut bench = Bench::new().await;
    bench.kinds.missing.store(true, Ordering::Relaxed);
    let run = bench.create(vec![task("a", "effect")]).await;
    while bench.live(run).run.call(A).is_none() {
        let mail = bench.next().await;
        bench.shard.take(mail);
    }
    let perform = vec![Due::Call {
        node: A,
        attempt: 1,
        step: 0,
    }];
    bench.shard.take(Mail::Committed { run, perform });
    while bench.live(run).holds.is_empty() {
        let mail = bench.next().await;
        bench.shard.take(mail);
    }
    drop(bench.live(run).take_commits());
    bench.shard.look(false);
    assert!(bench.live(run).is_submitted(), "nothing has changed");
    assert!(bench.live(run).inflight.contains_key(&(A, Work::Call)));
    bench.kinds.missing.store(false, Ordering::Relaxed);
    while bench.live(run).inflight.contains_key(&(A, Work::Call)) {
        let mail = bench.next().await;
        bench.shard.take(mail);
    }
    bench.shard.look(false);
    bench.until_finished(run).await;
    assert!(bench.live(run).allowed.is_empty());
}
