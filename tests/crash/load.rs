//! Starts flow runs and does to them what they wait for, whether the host is there or not: a
//! request that was not answered is asked again, as a careful client would.

use std::collections::BTreeMap;
use std::time::Duration;

use grepx_tests::Host;
use redis::Commands as _;
use serde_json::{Value, json};

use crate::flows::Kind;

/// How long Redis is waited for.
const REDIS_ANSWERS: Duration = Duration::from_millis(200);
/// Flow runs that are asked about in one request.
const AT_ONCE: usize = 200;

#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    /// Idempotency key.
    pub(crate) key: String,
    /// Once the host has answered.
    pub(crate) id: Option<String>,
    /// The state type in which it was last seen.
    pub(crate) state: String,
    /// It was seen paused.
    was_paused: bool,
}

impl Asked {
    /// Some fail first, and are to go on.
    pub(crate) fn is_over(&self) -> bool {
        if matches!(self.kind, Kind::Retried | Kind::Marked) && self.state == "FAILED" {
            return false;
        }
        ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"].contains(&self.state.as_str())
    }
}

pub(crate) struct Load {
    pub(crate) asked: Vec<Asked>,
    /// Ids of deployments by name; they never change.
    deployments: BTreeMap<&'static str, String>,
    redis: redis::Client,
}

impl Load {
    pub(crate) fn new(host: &Host, redis: redis::Client) -> Self {
        let deployments = Kind::ALL.iter().map(|kind| {
            let name = kind.name();
            let (status, found) = host.get(&format!("/deployments/name/{name}/{name}"));
            assert_eq!(status, 200, "{found}");
            (name, found["id"].as_str().expect("an id").to_owned())
        });
        Self {
            asked: Vec::new(),
            deployments: deployments.collect(),
            redis,
        }
    }

    /// Wants one more flow run of each of these.
    pub(crate) fn want(&mut self, kinds: &[Kind]) {
        for kind in kinds {
            self.asked.push(Asked {
                kind: *kind,
                key: format!("{}-{}", kind.name(), self.asked.len()),
                id: None,
                state: String::new(),
                was_paused: false,
            });
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.asked.iter().filter(|one| !one.is_over()).count()
    }

    /// One round: starts what is not known to be started, looks at the rest, gives it what it waits
    /// for. `None` when the host has gone away meanwhile.
    pub(crate) fn step(&mut self, host: &Host) -> Option<()> {
        for one in self.asked.iter_mut().filter(|one| one.id.is_none()) {
            let path = format!("/deployments/{}/create_flow_run", self.deployments[one.kind.name()]);
            let body = json!({"idempotency_key": one.key});
            let (status, run) = host.try_post(&path, &body)?;
            if status < 300 {
                one.id = run["id"].as_str().map(str::to_owned);
            }
        }
        let mut open: Vec<&mut Asked> = self.asked.iter_mut().filter(|one| !one.is_over()).collect();
        for some in open.chunks_mut(AT_ONCE) {
            let states = states(host, some)?;
            for one in some {
                let Some((state, name)) = one.id.as_ref().and_then(|id| states.get(id)) else {
                    continue;
                };
                one.state.clone_from(state);
                steer(host, &self.redis, one, name)?;
            }
        }
        Some(())
    }
}

/// State type and state name by id.
fn states(host: &Host, runs: &[&mut Asked]) -> Option<BTreeMap<String, (String, String)>> {
    let ids: Vec<&String> = runs.iter().filter_map(|one| one.id.as_ref()).collect();
    let filter = json!({"flow_runs": {"id": {"any_": ids}}, "limit": AT_ONCE});
    let (status, found) = host.try_post("/flow_runs/filter", &filter)?;
    assert_eq!(status, 200, "{found}");
    let text = |run: &Value, field: &str| run["state"][field].as_str().unwrap_or_default().to_owned();
    let found = found.as_array().cloned().unwrap_or_default();
    Some(
        found
            .iter()
            .map(|run| {
                let id = run["id"].as_str().unwrap_or_default().to_owned();
                (id, (text(run, "type"), text(run, "name")))
            })
            .collect(),
    )
}

fn steer(host: &Host, redis: &redis::Client, one: &mut Asked, name: &str) -> Option<()> {
    let Some(id) = one.id.clone() else { return Some(()) };
    match (one.kind, one.state.as_str()) {
        (Kind::Approval, "RUNNING") => approve(host, &id),
        (Kind::Cancelled, "RUNNING") if is_taken(redis, &id) => set_state(host, &id, "CANCELLING"),
        (Kind::Withdrawn, "RUNNING") if is_queued(host, &id)? => set_state(host, &id, "CANCELLING"),
        (Kind::Retried, "FAILED") => host
            .try_post(&format!("/flow_runs/{id}/retry"), &json!({"from": "failed"}))
            .map(drop),
        (Kind::Marked, "FAILED") => mark_done(host, &id),
        (Kind::Paused, "RUNNING") if !one.was_paused => set_state(host, &id, "PAUSED"),
        (Kind::Paused, "PAUSED") => {
            one.was_paused = true;
            host.try_post(&format!("/flow_runs/{id}/resume"), &json!({})).map(drop)
        }
        // Resumed, and the host was gone before it answered.
        (Kind::Paused, "SCHEDULED") if name == "Resuming" => {
            one.was_paused = true;
            Some(())
        }
        _ => Some(()),
    }
}

fn set_state(host: &Host, id: &str, state: &str) -> Option<()> {
    let body = json!({"state": {"type": state}, "force": false});
    host.try_post(&format!("/flow_runs/{id}/set_state"), &body).map(drop)
}

fn tasks(host: &Host, id: &str) -> Option<Vec<Value>> {
    let filter = json!({"flow_runs": {"id": {"any_": [id]}}});
    let (_, found) = host.try_post("/task_runs/filter", &filter)?;
    Some(found.as_array().cloned().unwrap_or_default())
}

/// What is done already is refused.
fn mark_done(host: &Host, id: &str) -> Option<()> {
    let failed = |task: &&Value| task["state"]["type"] == "FAILED";
    let Some(task) = tasks(host, id)?.iter().find(failed).map(|task| task["id"].clone()) else {
        return Some(());
    };
    let path = format!("/task_runs/{}/mark_done", task.as_str().unwrap_or_default());
    host.try_post(&path, &json!({"note": "by hand", "result": 41}))
        .map(drop)
}

/// An answer that comes twice is refused, not taken twice.
fn approve(host: &Host, id: &str) -> Option<()> {
    let tasks = tasks(host, id)?;
    let Some(task) = tasks.iter().find(|task| task["name"] == "sign_off") else {
        return Some(());
    };
    if task["state"]["type"] == "RUNNING" && task["status"].is_string() {
        let task = task["id"].as_str().unwrap_or_default();
        let answer = host.try_post(&format!("/task_runs/{task}/signal/approve"), &json!({"by": "the test"}))?;
        assert!([200, 409].contains(&answer.0), "{answer:?}");
    }
    Some(())
}

/// A worker has begun with a task of the run; not known while Redis is in trouble.
fn is_taken(redis: &redis::Client, id: &str) -> bool {
    let asked = redis.get_connection_with_timeout(REDIS_ANSWERS).and_then(|mut redis| {
        redis.set_read_timeout(Some(REDIS_ANSWERS))?;
        redis.keys::<_, Vec<String>>(format!("ran:*:{id}:*"))
    });
    asked.is_ok_and(|keys| !keys.is_empty())
}

fn is_queued(host: &Host, id: &str) -> Option<bool> {
    let tasks = tasks(host, id)?;
    let queued = |task: &Value| task["status"].as_str().is_some_and(|status| status.contains("queued"));
    Some(tasks.iter().any(queued))
}
