use std::sync::Arc;

use grepx_engine::Timestamp;

use super::{Bus, DefinitionsNews, Event, Limits, News, Reader, Subscription, Taken, Told, What};
use crate::store::Changed;

const START: Timestamp = Timestamp(1_000);
const FIRST: u64 = 1_000_001;

fn bus(events: usize, bytes: usize) -> Bus {
    Bus::new(Limits { events, bytes }, START)
}

fn news(n: usize) -> News {
    News::Definitions(DefinitionsNews {
        flows: n,
        deployments: 0,
        work_pools: 0,
        problems: 0,
    })
}

fn number(event: &Event<'_>) -> usize {
    match event.what {
        What::Definitions(now) => now.flows,
        other => panic!("{other:?}"),
    }
}

/// Positions and numbers of what is there, and the gaps before it.
fn take(subscription: &mut Subscription) -> (Vec<(u64, usize)>, Vec<Option<u64>>) {
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    while let Some(taken) = subscription.try_next() {
        match taken {
            Taken::Gap(gap) => gaps.push(gap.missed),
            Taken::Entries { after, entries } => {
                let all = entries.iter().flat_map(|entry| entry.events_after(after));
                events.extend(all.map(|event| (event.position, number(&event))));
            }
        }
    }
    (events, gaps)
}

#[test]
fn a_subscriber_is_told_what_comes_after_it_and_each_thing_once() {
    let bus = bus(10, 1 << 20);
    bus.tell([news(0)]);
    let mut subscription = bus.subscribe();
    assert!(subscription.try_next().is_none());
    bus.tell([news(1), news(2)]);
    assert_eq!(take(&mut subscription), (vec![(FIRST + 1, 1), (FIRST + 2, 2)], vec![]));
    assert!(subscription.try_next().is_none());
    let mut late = bus.subscribe_after(FIRST + 1);
    assert_eq!(take(&mut late).0, [(FIRST + 2, 2)]);
    assert_eq!(take(&mut bus.subscribe_to_kept()).0.len(), 3);
}

#[test]
fn who_is_slow_is_told_how_many_are_gone_and_goes_on_with_what_is_kept() {
    let bus = bus(4, 1 << 20);
    let mut slow = bus.subscribe();
    bus.tell((0..10).map(news));
    let (events, gaps) = take(&mut slow);
    assert_eq!(gaps, [Some(6)]);
    assert_eq!(
        events.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
        [6, 7, 8, 9]
    );
}

#[test]
fn the_ring_is_bounded_by_memory_too_and_keeps_the_newest_in_any_case() {
    let bus = bus(1_000, 10_000);
    let large = |n: usize| News::Client(Arc::new(serde_json::json!(n)), 4_000);
    bus.tell((0..5).map(large));
    let mut kept = bus.subscribe_to_kept();
    let mut count = 0;
    while let Some(Taken::Entries { after, entries }) = kept.try_next() {
        count += entries.iter().flat_map(|entry| entry.events_after(after)).count();
    }
    assert_eq!(count, 1, "two would take more than 10,000 bytes");
}

#[test]
fn nobody_knows_how_many_are_missing_since_another_start() {
    let bus = bus(10, 1 << 20);
    bus.tell([news(1)]);
    let (events, gaps) = take(&mut bus.subscribe_after(17));
    assert_eq!(gaps, [None]);
    assert_eq!(events, [(FIRST, 1)], "what this start has is told");
    let (events, gaps) = take(&mut bus.subscribe_after(u64::MAX));
    assert_eq!((events, gaps), (vec![], vec![None]), "a clock that was ahead");
    bus.tell([news(2)]);
}

#[test]
fn a_change_that_nobody_sees_is_no_event() {
    let bus = bus(10, 1 << 20);
    let before = bus.position();
    bus.tell(Vec::new());
    assert_eq!(bus.position(), before);
    bus.tell([News::Stored(Changed::Removed(grepx_engine::FlowRunId(
        uuid::Uuid::from_u128(1),
    )))]);
    assert_eq!(bus.position(), before + 1);
}

#[tokio::test]
async fn who_waits_is_woken_by_an_event_and_by_the_end() {
    let bus = bus(10, 1 << 20);
    let mut subscription = bus.subscribe();
    assert_eq!(bus.subscriptions(), 1);
    let waiting = tokio::spawn(async move {
        let first = subscription.next().await;
        let second = subscription.next().await;
        (first.is_some(), second.is_none())
    });
    tokio::task::yield_now().await;
    bus.tell([news(1)]);
    while bus.subscriptions() > 0 {
        bus.close();
        tokio::task::yield_now().await;
    }
    let (first, second) = waiting.await.expect("it ends");
    assert!(second);
    let _ = first;
    assert!(bus.subscribe().next().await.is_none(), "closed for good");
}

#[tokio::test]
async fn a_reader_is_told_one_event_after_the_other_and_of_the_gap_between_them() {
    let bus = bus(4, 1 << 20);
    let mut reader = Reader::new(bus.subscribe());
    bus.tell((1..=3).map(news));
    let mut next = async || match reader.next().await.expect("open") {
        Told::Event(happened) => Ok(number(&happened.event())),
        Told::Gap(gap) => Err(gap.missed),
    };
    assert_eq!(next().await, Ok(1));
    // Two that were taken are still told; of what came after them, two are kept no longer.
    bus.tell((4..=9).map(news));
    let mut told = Vec::new();
    for _ in 0..7 {
        told.push(next().await);
    }
    assert_eq!(told, [Ok(2), Ok(3), Err(Some(2)), Ok(6), Ok(7), Ok(8), Ok(9)]);
}

#[tokio::test]
async fn a_reader_passes_over_entries_that_are_not_wanted() {
    let bus = bus(100, 1 << 20);
    let mut reader = Reader::new(bus.subscribe());
    bus.tell((1..=50).map(news));
    let fifty = reader
        .next_in(|entry| matches!(entry.news(), News::Definitions(now) if now.flows == 50))
        .await;
    let Some(Told::Event(happened)) = fifty else {
        panic!("{fifty:?}");
    };
    assert_eq!(happened.event().position, FIRST + 49);
    assert_eq!(reader.position(), bus.position());
}

#[test]
fn clients_push_out_their_own_events_and_no_others() {
    let bus = bus(40, 1 << 20);
    let mut listener = bus.subscribe();
    bus.tell([news(1)]);
    bus.tell((0..30).map(|n| News::Client(Arc::new(serde_json::json!(n)), 10)));
    bus.tell([news(2)]);
    let Some(Taken::Entries { entries, .. }) = listener.try_next() else {
        panic!("what has happened here is still there");
    };
    assert_eq!(entries.len(), 1, "up to the hole");
    let Some(Taken::Gap(gap)) = listener.try_next() else {
        panic!("a hole is told");
    };
    assert_eq!((gap.missed, gap.of_clients), (Some(20), true));
    let Some(Taken::Entries { entries, .. }) = listener.try_next() else {
        panic!("then the rest");
    };
    assert_eq!(entries.len(), 11, "ten of the clients, and one of ours");
}
