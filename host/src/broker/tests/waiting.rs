//! Who waits for which key.

use std::sync::Arc;

use super::waiter;
use crate::broker::waiting::{Delivery, LimitReached, Waiting};

fn to(names: &[&str]) -> Delivery {
    Delivery {
        waiters: names.iter().map(|name| waiter(name)).collect(),
        revoking: false,
    }
}

fn name(name: &str) -> Arc<str> {
    name.into()
}

#[test]
fn a_value_is_news_once_for_each_waiter() {
    let mut waiting = Waiting::new(10);
    waiting.watch("k", waiter("a")).expect("room");
    assert_eq!(waiting.deliver("k", b"1", false), to(&["a"]));
    assert_eq!(waiting.deliver("k", b"1", false), to(&[]));
    waiting.watch("k", waiter("a")).expect("room");
    assert_eq!(
        waiting.deliver("k", b"1", false),
        to(&[]),
        "the same waiter again changes nothing"
    );
    waiting.watch("k", waiter("b")).expect("room");
    assert_eq!(waiting.deliver("k", b"1", false), to(&["a", "b"]));
    assert_eq!(waiting.deliver("other", b"1", false), to(&[]));
}

#[test]
fn a_late_state_does_not_follow_a_final_one() {
    let mut waiting = Waiting::new(10);
    waiting.watch("k", waiter("a")).expect("room");
    assert_eq!(waiting.deliver("k", b"REVOKED", true), to(&["a"]));
    assert_eq!(waiting.deliver("k", b"STARTED", false), to(&[]));
    assert_eq!(waiting.deliver("k", b"SUCCESS", true), to(&["a"]));
}

#[test]
fn changed_keys_come_once_and_only_while_open() {
    let mut waiting = Waiting::new(10);
    for key in ["a", "b", "c"] {
        waiting.watch(key, waiter(key)).expect("room");
        waiting.queue(key);
    }
    assert!(waiting.unwatch("b", &waiter("b")));
    let mut changed = waiting.take_changed(10);
    changed.sort();
    assert_eq!(changed, [name("a"), name("c")]);
    assert!(waiting.take_changed(10).is_empty());
    assert_eq!(waiting.len(), 2);
}

#[test]
fn what_was_subscribed_is_unsubscribed_unless_it_came_back() {
    let mut waiting = Waiting::new(10);
    for key in ["a", "b", "c"] {
        waiting.watch(key, waiter(key)).expect("room");
    }
    waiting.mark_subscribed(&[name("a"), name("b")]);
    for key in ["a", "b", "c"] {
        waiting.unwatch(key, &waiter(key));
    }
    waiting.watch("b", waiter("again")).expect("room");
    // Dropped while the subscription was under way.
    waiting.mark_subscribed(&[name("c")]);
    assert!(waiting.take_dropped(4).is_empty());
    assert_eq!(waiting.take_dropped(1), [name("a"), name("c")]);
    assert!(!waiting.is_subscribed("b"), "subscribed anew before the next read");
}

#[test]
fn open_keys_are_visited_in_chunks() {
    let mut waiting = Waiting::new(5);
    for key in ["e", "a", "d", "b", "c"] {
        waiting.watch(key, waiter(key)).expect("room");
    }
    assert!(matches!(waiting.watch("f", waiter("f")), Err(LimitReached)));
    let first = waiting.open_after(None, 3);
    assert_eq!(first, [name("a"), name("b"), name("c")]);
    assert_eq!(waiting.open_after(Some("c"), 3), [name("d"), name("e")]);
    assert!(waiting.open_after(Some("e"), 3).is_empty());
}
