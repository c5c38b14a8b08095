use grepx_engine::{Fact, NodeId, Op, StateType};

use super::super::testing::{Fixture, at, fact, first, fixture, id, json, run, run_state, settings};
use super::super::{Commit, Error, LiveRun, NewSend, Parent, SendId, Share, Store};

async fn live(store: &Store) -> Vec<Result<LiveRun, Error>> {
    let mut runs = store.live_runs(Share::ALL);
    let mut all = Vec::new();
    while let Some(run) = runs.recv().await {
        all.push(run);
    }
    all
}

#[tokio::test]
async fn live_runs_come_back_as_they_were() {
    let Fixture { store, dir, .. } = fixture().await;
    let parent = Parent {
        run: id(1),
        node: NodeId::item(0, 4),
        attempt: 2,
        key: "child".to_owned(),
    };
    let mut child = run(2);
    child.parent = Some(parent);
    child.created_by = Some(json(r#"{"who":"me"}"#));
    child.tags = vec!["t".to_owned()];
    child.deployment_id = Some(uuid::Uuid::from_u128(5));
    for new in [run(1), child.clone(), run(3)] {
        let commit = first(new.id);
        store.create(new, None, commit).await.expect("created");
    }
    let node = NodeId::item(1, 0);
    let succeeded = Fact::Succeeded {
        node,
        attempt: 1,
        bytes: 3,
        result: Some(json("[1]")),
        build: None,
    };
    let records = vec![fact(1, Fact::Started), fact(2, succeeded)];
    let commit = Commit {
        facts: records.clone(),
        results: vec![(node, json("[1]"))],
        ..Commit::new(id(2))
    };
    store.commit(commit).await.expect("kept");
    let over = Commit {
        state: Some(run_state(StateType::Cancelled, "Cancelled", 3)),
        ..Commit::new(id(3))
    };
    store.commit(over).await.expect("kept");
    drop(store);

    let store = Store::open(&settings(dir.path())).expect("reopened").store;
    let runs: Vec<_> = live(&store)
        .await
        .into_iter()
        .map(|run| run.expect("readable"))
        .collect();
    assert_eq!(runs.len(), 2, "an ended run is not live");
    assert_eq!(runs[0].run, run(1));
    assert_eq!(runs[1].run, child);
    assert_eq!(runs[1].definition, json(r#"{"flow":"flow"}"#));
    assert_eq!(
        runs[1].records[1..],
        records,
        "with the result that is kept beside the log"
    );
}

#[tokio::test]
async fn a_damaged_run_does_not_keep_the_others_away() {
    let Fixture { store, dir, .. } = fixture().await;
    for n in 1..=4 {
        store.create(run(n), None, first(id(n))).await.expect("created");
    }
    let mut orphan = run(5);
    orphan.definition = "gone".to_owned();
    store.create(orphan, None, first(id(5))).await.expect("created");
    drop(store);
    let file = rusqlite::Connection::open(dir.path().join(super::super::FILE_NAME)).expect("opens");
    let update = |set: &str, n: u128| {
        file.execute(
            &format!("UPDATE facts SET {set} WHERE run_id = ?"),
            [id(n).0.as_bytes()],
        )
        .expect("updated");
    };
    update("fact = '{\"from_the_future\":{}}'", 2);
    update("seq = 9", 3);
    drop(file);

    let store = Store::open(&settings(dir.path())).expect("reopened").store;
    let told: Vec<_> = live(&store)
        .await
        .into_iter()
        .map(|run| match run {
            Ok(live) => (live.run.id, "read".to_owned()),
            Err(Error::Unreadable { run, what, .. }) => (run, what),
            Err(other) => panic!("{other}"),
        })
        .collect();
    let expected = [
        (id(1), "read"),
        (id(2), "fact 0"),
        (id(3), "fact 0 (missing)"),
        (id(4), "read"),
        (id(5), "its definition gone"),
    ];
    assert_eq!(told, expected.map(|(run, what)| (run, what.to_owned())));
}

#[tokio::test]
async fn sends_stay_open_until_their_attempt_is_over() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    store.create(run(1), None, first(id(1))).await.expect("created");
    let send = |attempt, key: &str, keep| NewSend {
        node: NodeId::task(0),
        attempt,
        key: key.to_owned(),
        op: Op::Signal(key.to_owned()),
        keep,
    };
    let commit = Commit {
        outbox: vec![send(1, "task", false), send(1, "revoke", true), send(2, "again", false)],
        ..Commit::new(id(1))
    };
    let ids = store.commit(commit).await.expect("kept");
    store.mark_sent(vec![ids[0], ids[1]], at(7)).await.expect("kept");
    let open = store.open_sends(SendId(0), 10, true).await.expect("read");
    assert_eq!(open.iter().map(|send| send.id).collect::<Vec<_>>(), ids);
    assert_eq!(
        open.iter().map(|send| send.sent_at).collect::<Vec<_>>(),
        [Some(at(7)), Some(at(7)), None]
    );
    assert_eq!(open[2].op, Op::Signal("again".to_owned()));
    let unsent = store.open_sends(SendId(0), 10, false).await.expect("read");
    assert_eq!(unsent.iter().map(|send| send.id).collect::<Vec<_>>(), [ids[2]]);

    let over = Commit {
        sends_over: vec![(NodeId::task(0), 1)],
        ..Commit::new(id(1))
    };
    store.commit(over).await.expect("kept");
    let open = store.open_sends(SendId(0), 10, true).await.expect("read");
    assert_eq!(
        open.iter().map(|send| send.key.as_str()).collect::<Vec<_>>(),
        ["revoke", "again"]
    );
    store.drop_sends(vec![ids[1]]).await.expect("kept");
    let open = store.open_sends(SendId(0), 10, true).await.expect("read");
    assert_eq!(open.iter().map(|send| send.id).collect::<Vec<_>>(), [ids[2]]);
}

#[tokio::test]
async fn shares_together_are_all_runs_and_each_is_in_one() {
    let Fixture { store, dir: _dir, .. } = fixture().await;
    for n in [0, 1, 127, 128, 200, 255] {
        store.create(run(n), None, first(id(n))).await.expect("created");
    }
    for parts in [1, 2, 3, 8, 256] {
        let mut found = Vec::new();
        for share in Share::split(parts) {
            let mut runs = store.live_runs(share);
            while let Some(live) = runs.recv().await {
                found.push(live.expect("readable").run.id);
            }
        }
        assert_eq!(found, [0, 1, 127, 128, 200, 255].map(id), "{parts} parts");
    }
}
