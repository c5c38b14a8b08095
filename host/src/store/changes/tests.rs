use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use grepx_engine::{NodeId, StateType};
use tempfile::TempDir;

use super::super::testing::{at, id, json, line, run, run_state, settings};
use super::super::{Commit, Settings, Store, Switch};
use super::super::{TaskRow, testing};
use super::{Changed, Observer, RunChange};

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Notebook {
    told: Mutex<Vec<Changed>>,
    position: AtomicU64,
}

impl Observer for Notebook {
    fn committed(&self, changes: Vec<Changed>) {
        self.position.fetch_add(changes.len() as u64, Ordering::SeqCst);
        self.told.lock().expect("no panic").extend(changes);
    }

    fn position(&self) -> u64 {
        self.position.load(Ordering::SeqCst)
    }
}

impl Notebook {
    fn take(&self) -> Vec<Changed> {
        std::mem::take(&mut self.told.lock().expect("no panic"))
    }

    fn one(&self) -> Arc<RunChange> {
        let mut told = self.take();
        assert_eq!(told.len(), 1, "{told:?}");
        match told.remove(0) {
            Changed::Run(change) => change,
            other => panic!("{other:?}"),
        }
    }
}

async fn watched() -> (Store, Arc<Notebook>, TempDir) {
    let dir = TempDir::new().expect("a temporary directory");
    let notebook = Arc::new(Notebook::default());
    let opened = Store::open(&Settings {
        observer: Some(notebook.clone()),
        ..settings(dir.path())
    })
    .expect("it opens");
    let definition = opened
        .store
        .put_definition("d1".into(), "flow".into(), json("{}"), at(0));
    definition.await.expect("kept");
    (opened.store, notebook, dir)
}

fn state(state_type: StateType, name: &'static str) -> Commit {
    Commit {
        state: Some(run_state(state_type, name, 5)),
        ..Commit::new(id(1))
    }
}

fn task(node: NodeId, state_type: StateType) -> TaskRow {
    testing::task(node.task, testing::state(state_type, "Any", 5))
}

#[tokio::test]
async fn a_change_is_told_once_with_the_state_before() {
    let (store, notebook, _dir) = watched().await;
    let first = state(StateType::Scheduled, "Scheduled");
    store.create(run(1), None, first).await.expect("made");
    let created = notebook.one();
    let step = created.state.as_ref().expect("a state");
    assert!(step.new && step.from.is_none() && step.n == 0);

    store.commit(state(StateType::Running, "Running")).await.expect("kept");
    let step = notebook.one().state.clone().expect("a state");
    assert_eq!(step.n, 1);
    assert_eq!(step.from, Some((StateType::Scheduled, "Scheduled".into())));
    let shown = store.flow_run(id(1)).await.expect("read").expect("there");
    assert_eq!(step.state_id(id(1).0), shown.state.id);

    store.commit(state(StateType::Running, "Running")).await.expect("kept");
    assert!(notebook.take().is_empty(), "nothing that people see has changed");
    let mut explained = state(StateType::Running, "Running");
    explained.state.as_mut().expect("there").reason = Some("no slot".into());
    store.commit(explained).await.expect("kept");
    let step = notebook.one().state.clone().expect("a reason");
    assert!(!step.is_new_state() && step.n == 1);
}

#[tokio::test]
async fn only_task_runs_that_are_not_as_they_were_are_told() {
    let (store, notebook, _dir) = watched().await;
    store
        .create(run(1), None, state(StateType::Running, "Running"))
        .await
        .expect("made");
    notebook.take();
    let (one, two) = (NodeId::task(0), NodeId::task(1));
    let both = Commit {
        tasks: vec![task(one, StateType::Running), task(two, StateType::Pending)],
        ..Commit::new(id(1))
    };
    store.commit(both).await.expect("kept");
    assert_eq!(notebook.one().tasks.len(), 2);
    let mut told = task(two, StateType::Pending);
    told.status = Some("waits for approval".into());
    let again = Commit {
        tasks: vec![task(one, StateType::Running), told],
        ..Commit::new(id(1))
    };
    store.commit(again).await.expect("kept");
    let change = notebook.one();
    let [(place, step)] = change.tasks.as_slice() else {
        panic!("{:?}", change.tasks)
    };
    assert_eq!(change.rows.tasks[*place as usize].node, two);
    assert!(!step.is_new_state(), "a status alone is no state");
}

#[tokio::test]
async fn lines_are_numbered_as_they_are_kept() {
    let (store, notebook, _dir) = watched().await;
    store
        .create(run(1), None, state(StateType::Running, "Running"))
        .await
        .expect("made");
    notebook.take();
    for texts in [vec!["a", "b"], vec!["c"]] {
        let commit = Commit {
            logs: texts.into_iter().map(line).collect(),
            ..Commit::new(id(1))
        };
        store.commit(commit).await.expect("kept");
    }
    let told = notebook.take();
    let lines: Vec<(i64, String)> = told
        .iter()
        .flat_map(|change| match change {
            Changed::Run(change) => (0..change.lines)
                .filter_map(|place| change.line(place))
                .map(|(n, line)| (n, line.message.clone()))
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        })
        .collect();
    let texts: Vec<(i64, &str)> = lines.iter().map(|(n, text)| (*n, text.as_str())).collect();
    assert_eq!(texts, [(0, "a"), (1, "b"), (2, "c")]);
    let read = store.log_lines(id(1), 1, 10).await.expect("read");
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].id, super::line_id(id(1), 1));
}

#[tokio::test]
async fn what_is_refused_is_not_told() {
    let (store, notebook, _dir) = watched().await;
    let unknown = store.commit(state(StateType::Running, "Running")).await;
    assert!(unknown.is_err());
    assert!(notebook.take().is_empty());
}

#[tokio::test]
async fn a_read_says_at_which_position_it_stands() {
    let (store, notebook, _dir) = watched().await;
    store
        .create(run(1), None, state(StateType::Running, "Running"))
        .await
        .expect("made");
    let before = store.flow_run_at(id(1)).await.expect("read");
    assert_eq!(before.position, notebook.position());
    let (found, lines) = before.read.expect("there");
    assert_eq!((found.state.name.as_str(), lines), ("Running", 0));
    // Reads and commits side by side: what a read shows has been told up to its position, no more.
    let writing = async {
        for n in 0_u32..200 {
            let commit = Commit {
                logs: vec![line(&n.to_string())],
                ..Commit::new(id(1))
            };
            store.commit(commit).await.expect("kept");
        }
    };
    let reading = async {
        let mut seen = 0;
        while seen < 200 {
            let at = store.flow_run_at(id(1)).await.expect("read");
            let (_, lines) = at.read.expect("there");
            assert_eq!(at.position, before.position + u64::try_from(lines).expect("a count"));
            seen = lines;
        }
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn switches_and_removals_are_told() {
    let (store, notebook, _dir) = watched().await;
    let deployment = uuid::Uuid::from_u128(5);
    store
        .set_deployment_switch(deployment, None, false)
        .await
        .expect("kept");
    let paused = Switch {
        paused: Some(true),
        ..Switch::default()
    };
    store.set_pool_switch("pool".into(), None, paused).await.expect("kept");
    store.clear_pool_switch("pool".into(), None).await.expect("kept");
    let end = state(StateType::Completed, "Completed");
    store.create(run(1), None, end).await.expect("made");
    store.delete_flow_run(id(1)).await.expect("removed");
    let told = notebook.take();
    assert!(matches!(told[0], Changed::DeploymentSwitch { active: false, .. }));
    assert!(matches!(told[1], Changed::PoolSwitch { switch: Some(_), .. }));
    assert!(matches!(told[2], Changed::PoolSwitch { switch: None, .. }));
    assert!(matches!(told[3], Changed::Run(_)));
    assert!(matches!(told[4], Changed::Removed(run) if run == id(1)));
}
