//! Random definitions: flows of every shape, pools and deployments with limits, schedules.

use std::collections::BTreeMap;
use std::sync::Arc;

use grepx_engine::{Definition, Json, Task, Timestamp, TriggerRule};
use serde_json::{Map, Value, json};

use crate::definitions::{
    Catalog, CatchUp, Deployment, Flow, Overlap, Pool, Queue, ScheduleSpec, ScheduleType, Timing, deployment_id,
    flow_id, pool_id, queue_id,
};

use super::luck::Luck;

pub(super) const CONNECTION: &str = "celery";
/// What children run: it has no limits, so that no parent waits for itself.
pub(super) const LEAF: &str = "leaf";
/// The input that is the result of an upstream, if there is one.
pub(super) const ABOVE: &str = "above";
/// The tag that is limited. Tasks of `LEAF` have none, so that no parent waits for itself.
pub(super) const TAG: &str = "db";
/// Schedules end so long after the beginning.
pub(super) const SCHEDULES_MS: i64 = 25_000;

/// Definitions from a seed; schedules count from about `begin`.
pub(super) fn catalog(luck: &mut Luck, begin: Timestamp) -> Catalog {
    let mut catalog = Catalog::default();
    for pool in pools(luck) {
        catalog.pools.insert(pool.name.clone(), Arc::new(pool));
    }
    let leaf = flow(LEAF, vec![task(luck, 0, "work")], None);
    catalog.deployments.push(Arc::new(deployment(leaf, "open", "default")));
    for number in 0..luck.between(1, 3) {
        let name = format!("flow-{number}");
        let timeout = luck.percent(10).then(|| luck.between(3_000, 20_000));
        let pool = *luck.one_of(&["open", "narrow", "narrow"]).expect("some");
        let tagged = if luck.percent(50) { 50 } else { 0 };
        let tasks = tasks(luck, tagged);
        let queue = *luck.one_of(&["default", "first"]).expect("some");
        let mut deployment = deployment(flow(&name, tasks, timeout), pool, queue);
        limit(luck, &mut deployment);
        schedule(luck, &mut deployment, begin);
        catalog.deployments.push(Arc::new(deployment));
    }
    catalog.deployments.sort_by(|a, b| a.name.cmp(&b.name));
    for deployment in &catalog.deployments {
        catalog
            .flows
            .insert(deployment.flow.name.clone(), deployment.flow.clone());
    }
    catalog
}

fn pools(luck: &mut Luck) -> [Pool; 2] {
    let narrow = u32::try_from(luck.between(1, 3)).ok();
    let first = luck.percent(50).then_some(1);
    [pool("open", None, None), pool("narrow", narrow, first)]
}

fn pool(name: &str, limit: Option<u32>, first: Option<u32>) -> Pool {
    let queue = |queue: &str, priority, concurrency_limit| Queue {
        id: queue_id(name, queue),
        name: queue.to_owned(),
        priority,
        concurrency_limit,
        paused: false,
    };
    Pool {
        id: pool_id(name),
        row_id: 1,
        name: name.to_owned(),
        pool_type: "celery".to_owned(),
        description: None,
        config: Map::new(),
        created_at: None,
        concurrency_limit: limit,
        paused: false,
        queues: vec![queue("first", 1, first), queue("default", 2, None)],
    }
}

fn flow(name: &str, tasks: Vec<Task>, timeout_ms: Option<u64>) -> Arc<Flow> {
    let definition = Definition::new(name, timeout_ms, tasks).expect("edges lead back");
    Arc::new(Flow {
        id: flow_id(name),
        row_id: 1,
        name: name.to_owned(),
        description: None,
        flow_type: None,
        tags: Vec::new(),
        created_at: None,
        digest: format!("digest of {name}"),
        definition: Arc::new(definition),
        parameters: Map::from_iter([("debug".to_owned(), Value::Bool(false))]),
        parameters_schema: None,
    })
}

fn deployment(flow: Arc<Flow>, pool: &str, queue: &str) -> Deployment {
    Deployment {
        id: deployment_id(&flow.name),
        row_id: 1,
        name: flow.name.clone(),
        flow,
        description: None,
        tags: Vec::new(),
        created_at: None,
        work_pool: pool.to_owned(),
        work_queue: queue.to_owned(),
        parameters: Map::new(),
        schedules: Vec::new(),
        paused: false,
        concurrency_limit: None,
        overlap: Overlap::Enqueue,
        catch_up: CatchUp::All,
        catch_up_window_seconds: None,
    }
}

fn limit(luck: &mut Luck, deployment: &mut Deployment) {
    if !luck.percent(50) {
        return;
    }
    deployment.concurrency_limit = u32::try_from(luck.between(1, 2)).ok();
    let all = [
        Overlap::Enqueue,
        Overlap::CancelNew,
        Overlap::CancelRunning,
        Overlap::Skip,
    ];
    deployment.overlap = *luck.one_of(&all).expect("some");
}

fn schedule(luck: &mut Luck, deployment: &mut Deployment, begin: Timestamp) {
    if !luck.percent(60) {
        return;
    }
    let end = begin.0 + SCHEDULES_MS;
    let config = json!({
        "interval_seconds": luck.between(4, 12),
        "anchor_date": crate::clock::rfc3339(begin),
        "end_at": crate::clock::rfc3339(Timestamp(end)),
        "jitter_seconds": if luck.percent(20) { 2 } else { 0 },
    });
    let Value::Object(config) = config else { return };
    let timing = Timing::parse(ScheduleType::Interval, &config, None).expect("a schedule");
    deployment.schedules.push(ScheduleSpec {
        key: "schedule".to_owned(),
        id: uuid::Uuid::new_v5(&deployment.id, b"schedule"),
        schedule_type: ScheduleType::Interval,
        config,
        parameters: Map::new(),
        active: true,
        timing: Ok(Arc::new(timing)),
    });
    deployment.catch_up = match luck.percent(75) {
        true => CatchUp::All,
        false => CatchUp::Latest,
    };
}

fn tasks(luck: &mut Luck, tagged: u64) -> Vec<Task> {
    const KINDS: [&str; 12] = [
        "pure", "pure", "effect", "work", "work", "work", "work", "timer", "ask", "child", "list", "list",
    ];
    let count = u32::try_from(luck.between(1, 5)).expect("few");
    let mut tasks: Vec<Task> = Vec::new();
    for number in 0..count {
        let kind = *luck.one_of(&KINDS).expect("some");
        let mut task = task(luck, number, kind);
        if luck.percent(tagged) {
            task.tags.push(TAG.to_owned());
        }
        for above in 0..number {
            if luck.percent(45) {
                task.upstreams.push(above);
            }
        }
        let list = task
            .upstreams
            .iter()
            .find(|above| tasks[**above as usize].kind == "list");
        if let Some(list) = list
            && luck.percent(80)
        {
            task.for_each = Some(format!("results.{}", tasks[*list as usize].name));
            task.inputs.push(("item".to_owned(), "item".to_owned()));
        }
        if let Some(above) = luck.one_of(&task.upstreams).copied()
            && luck.percent(50)
        {
            let above = format!("results.{} | default(none)", tasks[above as usize].name);
            task.inputs.push((ABOVE.to_owned(), above));
        }
        tasks.push(task);
    }
    tasks
}

fn task(luck: &mut Luck, number: u32, kind: &str) -> Task {
    let retries = match luck.percent(60) {
        true => luck.between(1, 3),
        false => 0,
    };
    let rule = match luck.percent(30) {
        true => luck.one_of(&TriggerRule::ALL).map(|(_, rule)| *rule),
        false => None,
    };
    Task {
        config: Json::from(&json!({"ms": luck.below(2_000), "fails": luck.below(30), "waits": luck.percent(80)})),
        retry_config: Json::from(&json!({"retries": retries, "ms": luck.below(1_500)})),
        timeout_seconds: luck.percent(20).then(|| luck.between(1, 8)),
        trigger_rule: rule.unwrap_or_default(),
        run_if: luck.percent(10).then(|| "not params.debug".to_owned()),
        work_name: Some("tasks.work".to_owned()),
        ..Task::new(format!("task{number}"), kind)
    }
}

/// Deployments by whether a person may ask for them.
pub(super) fn triggered(catalog: &Catalog) -> Vec<Arc<Deployment>> {
    catalog
        .deployments
        .iter()
        .filter(|one| one.name != LEAF)
        .cloned()
        .collect()
}

/// Live runs that a pool, a queue of it and a deployment may have.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) pools: BTreeMap<String, u32>,
    pub(super) queues: BTreeMap<(String, String), u32>,
    pub(super) deployments: BTreeMap<String, u32>,
    /// Task runs with [`TAG`].
    pub(super) tagged: u32,
}

impl Limits {
    pub(super) fn of(catalog: &Catalog, tagged: u32) -> Self {
        let mut limits = Self {
            tagged,
            ..Self::default()
        };
        for pool in catalog.pools.values() {
            limits
                .pools
                .extend(pool.concurrency_limit.map(|most| (pool.name.clone(), most)));
            for queue in &pool.queues {
                let place = (pool.name.clone(), queue.name.clone());
                limits.queues.extend(queue.concurrency_limit.map(|most| (place, most)));
            }
        }
        for one in &catalog.deployments {
            limits
                .deployments
                .extend(one.live_runs_max().map(|most| (one.name.clone(), most)));
        }
        limits
    }
}
