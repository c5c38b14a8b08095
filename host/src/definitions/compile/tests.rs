use serde_json::json;

use super::*;
use crate::definitions::{CatchUp, Files, Overlap, ScheduleType, rows_of};

/// Knows `celery`, which wants a name, and `sleep`, which wants seconds.
struct Known;

impl Kinds for Known {
    fn check(&self, kind: &str, input: &Value, dynamic_inputs: bool) -> Result<(), KindProblem> {
        match kind {
            "celery" if input["name"].is_null() => Err(KindProblem::Input(vec!["/name: is missing".to_owned()])),
            "celery" if input["kwargs"].get("bad").is_some() && !dynamic_inputs => {
                Err(KindProblem::Input(vec!["/kwargs/bad: is not wanted".to_owned()]))
            }
            "sleep" if !input["config"]["seconds"].is_number() => Err(KindProblem::Input(vec![
                "/config/seconds: expected a number".to_owned(),
            ])),
            "celery" | "sleep" => Ok(()),
            _ => Err(KindProblem::Unknown {
                known: vec!["celery".to_owned(), "sleep".to_owned()],
            }),
        }
    }

    fn check_retry(&self, config: &Value) -> Vec<String> {
        let backoff = config.get("backoff").is_some_and(|backoff| backoff != "fixed");
        backoff
            .then(|| "/backoff: expected fixed".to_owned())
            .into_iter()
            .collect()
    }
}

const SCHEMA: &str = "
    CREATE TABLE prefect_flows (id INTEGER PRIMARY KEY, name, description, flow_type, tags, is_active, created_at, timeout_seconds, parameters_schema);
    CREATE TABLE prefect_tasks (id INTEGER PRIMARY KEY, name, flow_id, description, celery_task_name, task_args, task_kwargs, depends_on, tags, retry_config, timeout_seconds, task_kind, task_config, inputs, run_if, for_each, trigger_rule, is_active, created_at);
    CREATE TABLE prefect_deployments (id INTEGER PRIMARY KEY, name, flow_id, description, work_pool_name, work_queue_name, schedule_type, schedule_config, parameters, tags, schedules, catch_up, catch_up_window_seconds, concurrency_limit, overlap, paused, is_active, created_at);
    CREATE TABLE prefect_work_pools (id INTEGER PRIMARY KEY, name, description, pool_type, config, concurrency_limit, paused, is_active, created_at);
    INSERT INTO prefect_work_pools (id, name) VALUES (1, 'pool');
    INSERT INTO prefect_flows (id, name) VALUES (1, 'good');
    INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name) VALUES (1, 'fine', 1, 'm.fine');
";

fn rows(sql: &str) -> Rows {
    let connection = rusqlite::Connection::open_in_memory().expect("opens");
    connection.execute_batch(SCHEMA).expect("creates");
    connection.execute_batch(sql).expect("writes");
    crate::definitions::source::read_tables(&connection, std::path::Path::new("x.db")).expect("reads")
}

/// The problems of `sql` on top of a good flow, which always survives.
fn problems(sql: &str) -> String {
    let catalog = compile(&rows(sql), &Known, &crate::definitions::Timings::default());
    assert!(catalog.flows.contains_key("good"), "a foreign fault cost the good flow");
    let lines: Vec<String> = catalog
        .problems
        .iter()
        .map(|problem| format!("{:?} {problem}", problem.severity))
        .collect();
    format!(
        "{}\nflows: {}",
        lines.join("\n"),
        catalog.flows.into_keys().collect::<Vec<_>>().join(" ")
    )
}

#[test]
fn nonsense_in_tasks_is_named_and_costs_its_flow() {
    insta::assert_snapshot!(problems(
        r#"
        INSERT INTO prefect_flows (id, name) VALUES (2, 'bad'), (3, 'other'), (4, 'idle');
        UPDATE prefect_flows SET is_active = 0 WHERE id = 4;
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name) VALUES (9, 'other task', 3, 'm.x'), (30, 'lost', 77, 'm.x'), (31, 'idle task', 4, 'm.x'), (32, 'nowhere', NULL, 'm.x');
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, is_active) VALUES (10, 'sleeping', 2, 'm.x', 0);
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, task_args) VALUES (11, 'args', 2, 'm.x', '{"a": 1}');
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, task_kwargs) VALUES (12, 'kwargs', 2, 'm.x', '{"a": '), (13, 'bad kwargs', 2, 'm.x', '{"bad": 1}'), (14, 'null kwargs', 2, 'm.x', 'null');
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, depends_on) VALUES (15, 'deps', 2, 'm.x', '["arg", "sleeping", "other task", 3]'), (16, 'deps2', 2, 'm.x', '["arg", "sleeping", "other task", "zzzzz"]');
        INSERT INTO prefect_tasks (id, name, flow_id, task_kind, task_config) VALUES (17, 'kind', 2, 'slep', NULL), (18, 'config', 2, 'sleep', '{"seconds": "1"}');
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, retry_config) VALUES (19, 'retries', 2, 'm.x', '{"max_retries": "3", "retry_delay_seconds": [1, -1], "mine": 1}'), (191, 'policy', 2, 'm.x', '{"backoff": "sometimes"}');
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, timeout_seconds, is_active) VALUES (20, 'time', 2, 'm.x', -5, 1), (21, 'flag', 2, 'm.x', 5, 'maybe');
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, trigger_rule) VALUES (22, 'rule', 2, 'm.x', 'all_sucess'), (23, NULL, 2, 'm.x', NULL);
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, inputs, run_if) VALUES (24, 'inputs', 2, 'm.x', '{"a": 1, "b": "results.x +", "c": "env.HOME", "d": "item"}', 'results');
        INSERT INTO prefect_tasks (id, name, flow_id) VALUES (25, 'no celery name', 2);
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name) VALUES (26, x'ff00', 2, 'm.x'), (27, 'args', 2, 'm.x');
    "#
    ));
}

#[test]
fn edges_and_references_are_checked_over_the_whole_flow() {
    insta::assert_snapshot!(problems(
        r#"
        INSERT INTO prefect_flows (id, name) VALUES (2, 'circle'), (3, 'refs'), (4, 'twins'), (5, 'empty');
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, depends_on) VALUES (10, 'a', 2, 'm', '["c"]'), (11, 'b', 2, 'm', '["a"]'), (12, 'c', 2, 'm', '["b"]'), (13, 'me', 2, 'm', '["me"]');
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, depends_on, inputs) VALUES
            (20, 'r1', 3, 'm', NULL, '{"x": "results.r2"}'), (21, 'r2', 3, 'm', '["r1"]', NULL),
            (22, 'r3', 3, 'm', '["r2"]', '{"bad": "results.r1 + results.gone", "y": "results.r4"}'), (23, 'r4', 3, 'm', NULL, NULL);
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name) VALUES (30, 't', 4, 'm'), (31, 't', 4, 'm');
    "#
    ));
}

#[test]
fn nonsense_in_flows_pools_and_deployments_is_named() {
    insta::assert_snapshot!(problems(
        r#"
        INSERT INTO prefect_work_pools (id, name, config, is_active) VALUES (2, 'broken pool', '{"work_queues": [{"name": "a", "priority": 0}, {"nam": "b"}, 4]}', 1), (3, 'off', NULL, 0), (4, 'pool', NULL, 1);
        INSERT INTO prefect_flows (id, name, tags) VALUES (2, 'tags', '"x"'), (3, 'good', NULL), (4, '', NULL);
        INSERT INTO prefect_flows (id, name, parameters_schema, is_active, created_at, timeout_seconds) VALUES (5, 'schema', '{"type": "objekt"}', 1, 'yesterday', -1), (6, 'off', NULL, 0, NULL, NULL), (7, 'typed', '{"properties": {"n": {"type": "integer"}}, "required": ["m"], "additionalProperties": false}', 1, '2026-01-31 12:00:00', NULL);
        INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name) VALUES (5, 'st', 5, 'm'), (6, 'tt', 7, 'm');
        INSERT INTO prefect_deployments (id, name, flow_id, work_pool_name) VALUES (1, 'ok', 1, 'pool'), (2, 'no flow', 99, 'pool'), (3, 'off flow', 6, 'pool'), (4, 'bad flow', 5, 'pool'), (5, 'no pool', 1, 'poool'), (6, 'off pool', 1, 'off'), (7, 'bad pool', 1, 'broken pool'), (8, 'null', NULL, NULL), (9, 'ok', 1, 'pool');
        INSERT INTO prefect_deployments (id, name, flow_id, work_pool_name, schedule_type, schedules) VALUES (10, 'weekly', 1, 'pool', 'crn', '[{"schedule_type": "cron", "slug": "a"}, {"schedule_type": "interval", "slug": "a"}, {"schedule_typ": "cron"}, 7, {"slug": "z"}, {"schedule_type": "rrule", "active": "yes"}]');
        INSERT INTO prefect_deployments (id, name, flow_id, work_pool_name, overlap, catch_up, concurrency_limit, catch_up_window_seconds) VALUES (11, 'words', 1, 'pool', 'cancel-new', 'sometimes', 0, -3);
        INSERT INTO prefect_deployments (id, name, flow_id, work_pool_name, parameters) VALUES (12, 'parameters', 7, 'pool', '{"n": "one"}'), (13, 'unknown parameter', 7, 'pool', '{"k": 1}'), (14, 'list', 7, 'pool', '[1]'), (15, 'fits', 7, 'pool', '{"n": 1, "debug": true}');
    "#
    ));
}

fn catalog(text: &str) -> Catalog {
    let files = Files::parse(std::path::Path::new("f.yaml"), text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    compile(
        &rows_of(&files).unwrap_or_else(|error| panic!("{error}")),
        &Known,
        &crate::definitions::Timings::default(),
    )
}

#[test]
fn a_sound_flow_arrives_complete() {
    let catalog = catalog("\
prefect_work_pools:
  - {name: p, config: {work_queues: [{name: fast, priority: 2, concurrency_limit: 3}, slow]}}
prefect_flows:
  - {name: f, timeout_seconds: 60, parameters_schema: {properties: {n: {type: integer, default: 3}}}}
prefect_tasks:
  - {name: b, flow_name: f, celery_task_name: m.b, depends_on: [a], for_each: results.a.rows, inputs: {row: item, z: params.n}, timeout_seconds: 0}
  - {name: a, flow_name: f, celery_task_name: m.a, task_args: [1], retry_config: {max_retries: 3}}
  - {name: c, flow_name: f, task_kind: sleep, task_config: {seconds: 1}, depends_on: [b], trigger_rule: all_done, run_if: results.a.rows | length > 0}
prefect_deployments:
  - {name: d, flow_name: f, work_pool_name: p, work_queue_name: urgent, schedule_type: Cron, schedule_config: {cron_string: 0 9 * * *}, schedules: [{schedule_type: interval, schedule_config: {interval_seconds: 5}, parameters: {n: 4}}], parameters: {debug: true}, overlap: skip, catch_up: all}
  - {name: a manual one, flow_name: f, work_pool_name: p}
");
    assert_eq!(catalog.problems, []);
    let flow = &catalog.flows["f"];
    assert_eq!(flow.id, crate::definitions::flow_id("f"));
    assert_eq!(flow.definition.timeout_ms, Some(60_000));
    assert_eq!(
        Value::from(flow.parameters.clone()),
        json!({"environment": "production", "debug": false, "n": 3})
    );
    let names: Vec<&str> = flow.definition.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    let [b, a, c] = flow.definition.tasks.as_slice() else {
        panic!("three tasks")
    };
    assert_eq!(
        (&b.upstreams, b.timeout_seconds, a.timeout_seconds),
        (&vec![1], None, Some(300))
    );
    assert_eq!(
        b.inputs,
        [
            ("row".to_owned(), "item".to_owned()),
            ("z".to_owned(), "params.n".to_owned())
        ]
    );
    assert_eq!(
        (c.kind.as_str(), c.work_name.as_deref(), c.trigger_rule),
        ("sleep", None, grepx_engine::TriggerRule::AllDone)
    );
    let deployment = catalog.deployment("d").expect("the deployment");
    assert_eq!((deployment.overlap, deployment.catch_up), (Overlap::Skip, CatchUp::All));
    let schedules: Vec<_> = deployment
        .schedules
        .iter()
        .map(|one| (one.key.as_str(), one.schedule_type))
        .collect();
    assert_eq!(
        schedules,
        [("schedule", ScheduleType::Cron), ("schedule-1", ScheduleType::Interval)]
    );
    let own = json!({"n": 9}).as_object().cloned().expect("an object");
    assert_eq!(
        Value::from(deployment.parameters_with(&own)),
        json!({"environment": "production", "debug": true, "n": 9})
    );
    assert_eq!(
        deployment.parameter_schema()["properties"]["debug"]["default"],
        json!(true)
    );
    let queues: Vec<_> = catalog.pools["p"]
        .queues
        .iter()
        .map(|queue| (queue.name.as_str(), queue.priority))
        .collect();
    assert_eq!(queues, [("default", 1), ("slow", 1), ("fast", 2), ("urgent", 3)]);
    assert_eq!(catalog.deployments[0].name, "a manual one");
}

#[test]
fn the_digest_follows_the_meaning_only() {
    let digest = |task: &str| {
        let text = format!(
            "prefect_flows: [{{name: f}}]\nprefect_tasks: [{{name: a, flow_name: f, celery_task_name: m, {task}}}]"
        );
        catalog(&text).flows["f"].digest.clone()
    };
    assert_eq!(digest("timeout_seconds: 300"), digest("is_active: true"));
    assert_ne!(digest("timeout_seconds: 300"), digest("timeout_seconds: 301"));
    assert_eq!(digest("tags: []").len(), 64);
}

#[test]
fn a_database_with_nothing_but_flows_is_read() {
    let connection = rusqlite::Connection::open_in_memory().expect("opens");
    connection
        .execute_batch(
            "CREATE TABLE prefect_flows (id INTEGER PRIMARY KEY, NAME); INSERT INTO prefect_flows VALUES (1, 'f');",
        )
        .expect("writes");
    let rows = crate::definitions::source::read_tables(&connection, std::path::Path::new("x.db")).expect("reads");
    let catalog = compile(&rows, &Known, &crate::definitions::Timings::default());
    assert!(catalog.flows.contains_key("f"));
    assert!(
        catalog
            .problems
            .iter()
            .all(|problem| problem.severity == Severity::Warning)
    );
    assert_eq!(catalog.problems.len(), 4);
}
