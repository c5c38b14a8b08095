use std::time::Duration;

use uuid::Uuid;

use super::*;

fn parent(key: &str) -> Parent {
    Parent {
        run: FlowRunId(Uuid::from_u128(1)),
        node: NodeId::task(0),
        attempt: 1,
        key: key.to_owned(),
    }
}

#[test]
fn a_start_is_under_way_once() {
    let children = Children::default();
    let first = children.begin(&parent("child")).expect("nothing is under way");
    assert!(children.begin(&parent("child")).is_none());
    assert!(children.begin(&parent("other")).is_some());
    drop(first);
    assert!(children.begin(&parent("child")).is_some());
}

#[tokio::test]
async fn a_withdrawal_waits_for_the_start_and_for_no_other() {
    let children = Children::default();
    let start = children.begin(&parent("child")).expect("nothing is under way");
    children.settled(&parent("other")).await;
    let child = parent("child");
    let waits = tokio::time::timeout(Duration::from_millis(20), children.settled(&child));
    assert!(waits.await.is_err(), "the start is under way");

    let waiting = tokio::spawn({
        let children = children.clone();
        async move { children.settled(&parent("child")).await }
    });
    tokio::task::yield_now().await;
    drop(start);
    waiting.await.expect("it is told");
}
