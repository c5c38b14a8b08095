//! Who asked for a flow run, as a filter: what Prefect calls `created_by`.

use grepx_engine::{NodeId, StateType};
use uuid::Uuid;

use super::super::super::testing::{first, fixture, id, json, run};
use super::super::super::{Choice, Creator, FlowRunFilter, Join, NewRun, Parent};
use super::{found, strings};

#[tokio::test]
async fn flow_runs_are_found_by_who_asked_for_them_and_without_those_of_others() {
    let fixture = fixture().await;
    let key = Uuid::from_u128(7);
    let creators = [
        Some(format!(r#"{{"id": "{key}", "type": "KEY"}}"#)),
        Some(r#"{"id": null, "type": "SCHEDULE"}"#.to_owned()),
        None,
    ];
    for (n, creator) in (1..).zip(creators) {
        let new = NewRun {
            created_by: creator.as_deref().map(json),
            parent: (n == 3).then(|| Parent {
                run: id(1),
                node: NodeId::task(0),
                attempt: 1,
                key: "child".into(),
            }),
            ..run(n)
        };
        fixture.store.create(new, None, first(id(n))).await.expect("created");
    }
    let by = |creator: Creator| FlowRunFilter {
        creator,
        ..FlowRunFilter::default()
    };
    let of_key = Creator {
        id: Some(vec![key.to_string()]),
        ..Creator::default()
    };
    let scheduled_or_nobody = Creator {
        join: Join::Any,
        kind: Some(strings(["SCHEDULE"])),
        is_null: Some(true),
        ..Creator::default()
    };
    assert_eq!(found(&fixture.store, by(of_key)).await, [1]);
    assert_eq!(found(&fixture.store, by(scheduled_or_nobody)).await, [2, 3]);
    let any = FlowRunFilter {
        state_type: Choice::any([StateType::Scheduled]),
        ..FlowRunFilter::default()
    };
    let alone = FlowRunFilter {
        parent_outside: Some(Box::new(any.clone())),
        ..any
    };
    assert_eq!(fixture.store.count_flow_runs(alone.clone()).await.expect("counted"), 2);
    assert_eq!(found(&fixture.store, alone).await, [1, 2], "3 goes with 1");
}
