use super::super::tests::span;
use super::*;

#[test]
fn what_finds_no_room_is_refused() {
    let queue = Queue::default();
    assert_eq!(queue.put(vec![span(1); SPANS_MAX - 1]), 0);
    assert_eq!(queue.put(vec![span(2); 3]), 2);
    assert_eq!(queue.len(), SPANS_MAX);
    assert_eq!(queue.take().expect("spans").len(), BATCH);
    assert_eq!(queue.put(vec![span(3); BATCH]), 0);
}

#[test]
fn a_closed_queue_gives_what_it_has_at_once_and_takes_no_more() {
    let queue = Queue::default();
    assert_eq!(queue.put(vec![span(1), span(2)]), 0);
    queue.close();
    assert_eq!(queue.put(vec![span(3)]), 1);
    assert_eq!(queue.take(), Some(vec![span(1), span(2)]));
    assert_eq!(queue.take(), None);
    queue.pause(Duration::from_secs(3_600));
}

#[test]
fn whoever_waits_gets_what_comes_later() {
    let queue = std::sync::Arc::new(Queue::default());
    let taker = queue.clone();
    let taken = std::thread::spawn(move || taker.take());
    assert_eq!(queue.put(vec![span(1); BATCH]), 0);
    assert_eq!(taken.join().expect("no panic"), Some(vec![span(1); BATCH]));
}
