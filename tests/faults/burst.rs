//! Twenty thousand flow runs asked for at once: each is recorded, or its client is told that it is
//! not.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use grepx_tests::Host;
use serde_json::json;

use crate::deployment;

const ASKED: usize = 20_000;
const CLIENTS: usize = 64;
const FLOWS: &str = "prefect_work_pools: [{name: pool, concurrency_limit: 2}]
prefect_flows: [{name: flow}]
prefect_tasks: [{name: task, flow_name: flow, task_kind: sleep, task_config: {seconds: 3600}}]
prefect_deployments: [{name: deployment, flow_name: flow, work_pool_name: pool}]
";

/// Keys by what was answered.
#[derive(Debug, Default)]
struct Answers {
    recorded: BTreeSet<String>,
    refused: BTreeSet<String>,
    otherwise: Vec<String>,
}

#[test]
fn every_request_of_a_burst_is_recorded_or_refused() {
    let mut host = Host::with(FLOWS).start();
    let path = format!("/deployments/{}/create_flow_run", deployment(&host, "flow/deployment"));
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Answers::default());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut own = Answers::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ASKED {
                        break;
                    }
                    own.ask(&host, &path, format!("key-{number}"));
                }
                answers.lock().expect("no client panics").add(own);
            });
        }
    });
    let answers = answers.into_inner().expect("no client panics");
    assert!(
        answers.otherwise.is_empty(),
        "{:?}",
        &answers.otherwise[..answers.otherwise.len().min(10)]
    );
    assert_eq!(answers.recorded.len() + answers.refused.len(), ASKED);
    // As good as a crash: what was answered is on the disk.
    host.kill();
    let kept = kept(&host);
    let lost: Vec<&String> = answers.recorded.difference(&kept).take(10).collect();
    assert!(lost.is_empty(), "answered and not recorded: {lost:?}");
    let secret: Vec<&String> = kept.intersection(&answers.refused).take(10).collect();
    assert!(secret.is_empty(), "refused and recorded: {secret:?}");
    assert_eq!(kept.len(), answers.recorded.len());
    assert!(answers.recorded.len() > ASKED / 2, "{} refused", answers.refused.len());
}

impl Answers {
    fn ask(&mut self, host: &Host, path: &str, key: String) {
        let answer = host.try_post(path, &json!({"idempotency_key": key}));
        match answer.as_ref().map(|(status, _)| *status) {
            Some(201) => drop(self.recorded.insert(key)),
            Some(429 | 503) => drop(self.refused.insert(key)),
            _ => self.otherwise.push(format!("{key}: {answer:?}")),
        }
    }

    fn add(&mut self, other: Self) {
        self.recorded.extend(other.recorded);
        self.refused.extend(other.refused);
        self.otherwise.extend(other.otherwise);
    }
}

/// Keys of the flow runs in the store.
fn kept(host: &Host) -> BTreeSet<String> {
    let path = host.folder().join("state/grepx-host.db");
    let database = rusqlite::Connection::open(path).expect("the run database");
    let mut select = database
        .prepare("SELECT idempotency_key FROM flow_runs")
        .expect("a query");
    let keys = select.query_map([], |row| row.get(0)).expect("rows");
    let keys: Vec<String> = keys.collect::<Result<_, _>>().expect("every one has a key");
    let set: BTreeSet<String> = keys.iter().cloned().collect();
    assert_eq!(set.len(), keys.len(), "two flow runs with one key");
    set
}
