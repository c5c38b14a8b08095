use std::collections::HashMap;

use grepx_engine::{FlowRunId, NodeId};
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::{Freed, Place, TagSlots};

fn place(n: u32) -> Place {
    (FlowRunId(Uuid::from_u128(7)), NodeId::task(n))
}

fn tags(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn limits(all: &[(&str, u32)]) -> HashMap<String, u32> {
    all.iter().map(|(tag, limit)| ((*tag).to_owned(), *limit)).collect()
}

/// Its first attempt takes slots and begins.
fn begin(slots: &TagSlots, n: u32, tags: &[String]) {
    let slot = slots.take(place(n), tags).expect("a slot");
    slots.hold(place(n), 1, tags);
    drop(slot);
}

/// This attempt of it has ended, and that is kept.
fn end(slots: &TagSlots, n: u32, attempt: u32, tags: &[String]) {
    let (run, node) = place(n);
    slots.leave((run, node));
    let tags = tags.to_vec();
    slots.release(run, &Freed { node, attempt, tags });
}

fn woken(receiver: &mut UnboundedReceiver<Place>) -> Vec<Place> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

#[test]
fn a_tag_has_as_many_slots_as_its_limit() {
    let (slots, mut receiver) = TagSlots::new();
    slots.limit(limits(&[("db", 2)]));
    let db = tags(&["db", "free"]);
    begin(&slots, 1, &db);
    let second = slots.take(place(2), &db).expect("a slot");
    let refused = slots.take(place(3), &db).expect_err("none is left");
    assert_eq!(refused, "tag db: 2 of 2 task runs are under way");
    assert!(slots.must_wait(place(3), &db));
    assert!(!slots.must_wait(place(4), &db), "it has not asked");
    assert_eq!(slots.holders("db").len(), 2);
    drop(second);
    assert_eq!(woken(&mut receiver), [place(3)]);
    begin(&slots, 3, &db);
    end(&slots, 1, 1, &db);
    end(&slots, 3, 1, &db);
    assert!(slots.holders("db").is_empty() && slots.holders("free").is_empty());
    assert!(woken(&mut receiver).is_empty(), "nobody waits");
}

#[test]
fn those_who_wait_are_asked_in_their_order_and_once() {
    let (slots, mut receiver) = TagSlots::new();
    slots.limit(limits(&[("db", 1)]));
    let db = tags(&["db"]);
    slots.hold(place(1), 1, &db);
    for n in [2, 3, 2, 4] {
        assert!(slots.take(place(n), &db).is_err());
    }
    end(&slots, 3, 1, &db);
    assert!(woken(&mut receiver).is_empty(), "whoever waits has nothing to give");
    end(&slots, 1, 1, &db);
    assert_eq!(woken(&mut receiver), [place(2)]);
    begin(&slots, 2, &db);
    end(&slots, 2, 1, &db);
    assert_eq!(woken(&mut receiver), [place(4)], "whoever went away stands in no line");
}

#[test]
fn a_higher_limit_and_none_let_everybody_ask() {
    let (slots, mut receiver) = TagSlots::new();
    slots.limit(limits(&[("db", 0)]));
    let db = tags(&["db"]);
    assert!(slots.take(place(1), &db).is_err());
    assert!(slots.take(place(2), &db).is_err());
    slots.limit(limits(&[]));
    assert_eq!(woken(&mut receiver), [place(1), place(2)]);
    begin(&slots, 1, &db);
    slots.limit(limits(&[("db", 1)]));
    assert!(slots.take(place(2), &db).is_err(), "what was under way before counts");
}

#[test]
fn a_run_that_is_read_back_holds_what_it_did_then() {
    let (slots, mut receiver) = TagSlots::new();
    slots.limit(limits(&[("db", 2)]));
    let db = tags(&["db"]);
    slots.hold(place(1), 1, &db);
    slots.hold(place(2), 1, &db);
    assert!(slots.take(place(3), &db).is_err());
    let other = (FlowRunId(Uuid::from_u128(8)), NodeId::task(0));
    assert!(slots.take(other, &db).is_err());
    slots.settle(place(1).0, [(NodeId::task(2), 1, db.as_slice())]);
    assert_eq!(slots.holders("db").len(), 1);
    assert_eq!(woken(&mut receiver), [other]);
    slots.settle(place(1).0, []);
    assert!(slots.holders("db").is_empty());
}

#[test]
fn an_end_frees_nothing_of_a_later_attempt() {
    let (slots, mut receiver) = TagSlots::new();
    slots.limit(limits(&[("db", 1)]));
    let db = tags(&["db"]);
    slots.hold(place(1), 1, &db);
    let again = slots.take(place(1), &db).expect("its own, until its end is kept");
    assert!(slots.take(place(2), &db).is_err());
    drop(again);
    assert_eq!(slots.holders("db").len(), 1, "that taking was not the first attempt's");
    let again = slots.take(place(1), &db).expect("its own");
    end(&slots, 1, 1, &db);
    assert_eq!(slots.holders("db").len(), 1, "the second attempt may begin");
    slots.hold(place(1), 2, &db);
    drop(again);
    end(&slots, 1, 1, &db);
    assert_eq!(slots.holders("db").len(), 1, "the second attempt is under way");
    assert!(woken(&mut receiver).is_empty());
    end(&slots, 1, 2, &db);
    assert_eq!(woken(&mut receiver), [place(2)]);
}

#[test]
fn whoever_cannot_take_the_slot_leaves_it_to_the_next() {
    let (slots, mut receiver) = TagSlots::new();
    slots.limit(limits(&[("db", 1), ("gpu", 1)]));
    let (db, both) = (tags(&["db"]), tags(&["db", "gpu"]));
    slots.hold(place(1), 1, &db);
    slots.hold(place(9), 1, &tags(&["gpu"]));
    for (n, wants) in [(2, &db), (3, &both), (4, &db), (5, &db)] {
        assert!(slots.take(place(n), wants).is_err());
    }
    end(&slots, 1, 1, &db);
    assert_eq!(woken(&mut receiver), [place(2)]);
    slots.pass(place(2));
    slots.pass(place(2));
    assert_eq!(woken(&mut receiver), [place(3)], "once");
    assert!(slots.take(place(3), &both).is_err(), "it lacks the other tag");
    assert_eq!(woken(&mut receiver), [place(4)]);
    slots.leave(place(4));
    assert_eq!(woken(&mut receiver), [place(5)]);
    begin(&slots, 5, &db);
    slots.pass(place(5));
    assert!(woken(&mut receiver).is_empty(), "nobody is left");
}

#[test]
fn a_run_that_is_read_back_leaves_what_it_was_woken_for() {
    let (slots, mut receiver) = TagSlots::new();
    slots.limit(limits(&[("db", 1)]));
    let db = tags(&["db"]);
    let other = (FlowRunId(Uuid::from_u128(8)), NodeId::task(0));
    slots.hold(other, 1, &db);
    let next = (FlowRunId(Uuid::from_u128(9)), NodeId::task(0));
    for waits in [place(1), next] {
        assert!(slots.take(waits, &db).is_err());
    }
    let node = other.1;
    let tags = db.clone();
    slots.release(other.0, &Freed { node, attempt: 1, tags });
    assert_eq!(woken(&mut receiver), [place(1)]);
    slots.settle(place(1).0, []);
    assert_eq!(woken(&mut receiver), [next]);
}
