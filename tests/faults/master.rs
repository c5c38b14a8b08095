//! The database of the definitions, which belongs to others and may be anything at any time.

use std::time::{Duration, Instant};

use grepx_tests::{Host, wait_for};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::told;

const FLOWS: &str = "prefect_work_pools: [{name: pool}]
prefect_flows: [{name: flow}]
prefect_tasks:
  - {name: task, flow_name: flow, task_kind: transform, task_config: {program: '1'}}
prefect_deployments:
  - {name: deployment, flow_name: flow, work_pool_name: pool}
";
const OFTEN: &str = "scheduler: {definitions_poll_ms: 50}";

fn problems(host: &Host) -> Vec<Value> {
    let (status, problems) = host.get("/definitions/problems");
    assert_eq!(status, 200, "{problems}");
    problems.as_array().cloned().expect("a list")
}

fn in_trouble(host: &Host) -> String {
    wait_for("a problem of the database", || {
        let found = problems(host).into_iter().find(|one| one["table"] == "database")?;
        Some(found["text"].as_str()?.to_owned())
    })
}

fn healed(host: &Host) {
    wait_for("no problem", || problems(host).is_empty().then_some(()));
}

fn works(host: &Host, name: &str) {
    assert_eq!(host.run_to_end(name, &json!({}))["state"]["type"], "COMPLETED");
}

fn sql(host: &Host, statement: &str) {
    let database = Connection::open(host.database()).expect("the database");
    // As programs do that know nothing of keys.
    let whole = format!("PRAGMA foreign_keys = OFF; BEGIN; {statement}; COMMIT");
    database.execute_batch(&whole).expect("the statement");
}

#[test]
fn whatever_takes_the_place_of_the_database_the_last_good_definitions_work_until_it_heals() {
    let host = Host::with(FLOWS).config(OFTEN).start();
    let good = std::fs::read(host.database()).expect("the database");
    let mut half = good.clone();
    half.truncate(good.len() / 2 + 100);
    let mut torn = good.clone();
    torn[100..4096].fill(0x5A);
    let other = {
        let path = host.folder().join("other.db");
        let other = Connection::open(&path).expect("made");
        other.execute_batch("CREATE TABLE something (other)").expect("made");
        drop(other);
        std::fs::read(path).expect("read")
    };
    let broken: [(&str, Option<&[u8]>); 6] = [
        ("gone", None),
        ("empty", Some(b"")),
        (
            "text",
            Some(b"not a database, but long enough to be taken for one by somebody who only counts"),
        ),
        ("half", Some(&half)),
        ("torn", Some(&torn)),
        ("another", Some(&other)),
    ];
    for (round, (what, bytes)) in broken.into_iter().enumerate() {
        let path = host.database();
        match bytes {
            None => std::fs::remove_file(&path).expect("removed"),
            Some(bytes) => replace(&host, bytes),
        }
        let first = in_trouble(&host);
        works(&host, "flow/deployment");
        let polls = Instant::now();
        wait_for("some looks at the same trouble", || {
            assert_eq!(in_trouble(&host), first, "{what}");
            (polls.elapsed() > Duration::from_millis(300)).then_some(())
        });
        assert_eq!(
            told(&host, "the last good ones stay in force"),
            round + 1,
            "{what}: told once"
        );
        replace(&host, &good);
        healed(&host);
        sql(
            &host,
            &format!("UPDATE prefect_flows SET description = 'round {round}'"),
        );
        wait_for("a change after it", || {
            let (_, flow) = host.get("/flows/name/flow");
            flow.to_string().contains(&format!("round {round}")).then_some(())
        });
    }
}

/// In one step, as a careful program does it.
fn replace(host: &Host, bytes: &[u8]) {
    let beside = host.folder().join("beside.db");
    std::fs::write(&beside, bytes).expect("written");
    std::fs::rename(beside, host.database()).expect("replaced");
}

#[test]
fn a_writer_that_holds_the_database_holds_up_nothing_else() {
    let host = Host::with(FLOWS).config(OFTEN).start();
    let writer = Connection::open(host.database()).expect("the database");
    writer
        .execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE; UPDATE prefect_tasks SET task_config = '{\"program\": \"7\"}'")
        .expect("locked");
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    wait_for("two seconds of a lock", || {
        let asked = Instant::now();
        works(&host, "flow/deployment");
        slowest = slowest.max(asked.elapsed());
        (began.elapsed() > Duration::from_secs(2)).then_some(())
    });
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let said = in_trouble(&host);
    assert!(said.contains("locked"), "{said}");
    writer.execute_batch("COMMIT").expect("unlocked");
    wait_for("the change", || {
        let run = host.run_to_end("flow/deployment", &json!({}));
        (host.result(run["id"].as_str().expect("an id"), "task") == json!(7)).then_some(())
    });
    healed(&host);
}

#[test]
fn ten_thousand_flows_arrive_while_others_work() {
    let host = Host::with(FLOWS).config(OFTEN).start();
    sql(
        &host,
        "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 10099)
           INSERT INTO prefect_flows (id, name) SELECT i, 'flow-' || i FROM n;
         INSERT INTO prefect_tasks (name, flow_id, celery_task_name, task_kind, task_config)
           SELECT 'task-' || id, id, '', 'transform', '{\"program\": \"1\"}' FROM prefect_flows WHERE id >= 100;
         INSERT INTO prefect_deployments (name, flow_id, work_pool_name)
           SELECT 'deployment-' || id, id, 'pool' FROM prefect_flows WHERE id >= 100;",
    );
    let mut slowest = Duration::ZERO;
    wait_for("all of them", || {
        let asked = Instant::now();
        assert_eq!(host.get("/health").0, 200);
        slowest = slowest.max(asked.elapsed());
        (host.get("/deployments/name/flow-10099/deployment-10099").0 == 200).then_some(())
    });
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    works(&host, "flow-10099/deployment-10099");
    assert!(problems(&host).is_empty());
}

/// One row of every kind of nonsense; the rows of a sound flow stand between them.
const NONSENSE: &str = "
    INSERT INTO prefect_flows (id, name, tags, timeout_seconds, parameters_schema) VALUES
      (50, x'fffe00', NULL, NULL, NULL), (51, 'types', '7', 'soon', '[]'), (52, 'circle', NULL, NULL, NULL),
      (53, 'long', NULL, NULL, NULL), (54, 'numbers', NULL, 9223372036854775807, NULL), (55, '', NULL, NULL, NULL);
    INSERT INTO prefect_tasks (id, name, flow_id, celery_task_name, task_kind, task_config, depends_on, retry_config, timeout_seconds) VALUES
      (60, 'one', 52, '', 'transform', '{\"program\": \"1\"}', '[\"two\"]', NULL, NULL),
      (61, 'two', 52, '', 'transform', '{\"program\": \"1\"}', '[\"one\"]', NULL, NULL),
      (62, 'unknown', 51, '', 'no-such-kind', x'00ff', '[\"nobody\"]', '{\"max_retries\": -1}', 1e300),
      (63, 'lost', 999999999999, '', NULL, NULL, 'nonsense', '7', -9223372036854775808),
      (64, 'huge', 53, '', 'transform', '{\"program\": \"' || hex(zeroblob(3000000)) || '\"}', NULL, NULL, NULL),
      (65, 'rich', 54, '', 'transform', '{\"program\": \"1\"}', NULL, '{\"max_retries\": 1e99, \"retry_delay_seconds\": 1e308}', 9223372036854775807);
    INSERT INTO prefect_deployments (id, name, flow_id, work_pool_name, schedule_type, schedule_config, parameters, concurrency_limit) VALUES
      (70, 'deep', 1, 'pool', 'cron', '{\"cron_string\": \"99 99 * * *\"}', '{}', 1),
      (71, 'nowhere', 1, x'80', 'interval', '{\"interval_seconds\": -1}', '[', 1e18),
      (72, 'blob', 1, 'pool', x'ff', x'ff', x'ff', x'ff');
    INSERT INTO prefect_work_pools (id, name, config, concurrency_limit) VALUES
      (80, x'c3', NULL, NULL), (81, 'odd', '{\"work_queues\": [[], 7, {\"name\": null}]}', 'many');
";

#[test]
fn rows_of_nonsense_cost_themselves_and_are_named() {
    let host = Host::with(FLOWS).config(OFTEN).start();
    sql(&host, NONSENSE);
    let rows = |found: &[Value]| -> std::collections::BTreeSet<(String, i64)> {
        let places = found.iter().filter(|one| one["severity"] == "error");
        places
            .map(|one| {
                let table = one["table"].as_str().expect("a table");
                (table.to_owned(), one["row_id"].as_i64().unwrap_or(0))
            })
            .collect()
    };
    let found = wait_for("the problems", || {
        Some(problems(&host)).filter(|found| !found.is_empty())
    });
    let named = rows(&found);
    for (table, ids) in [
        ("prefect_flows", &[50, 51, 55][..]),
        ("prefect_tasks", &[62, 63, 64]),
        ("prefect_deployments", &[71, 72]),
        ("prefect_work_pools", &[80, 81]),
    ] {
        for id in ids {
            assert!(named.contains(&(table.to_owned(), *id)), "{table} {id}: {named:?}");
        }
    }
    let all = json!(found).to_string();
    assert!(all.contains("circle") && all.contains("6000015 bytes"), "{all}");
    assert!(all.len() < 100_000, "what is huge is not repeated: {}", all.len());
    works(&host, "flow/deployment");
    sql(
        &host,
        "DELETE FROM prefect_flows WHERE id >= 50; DELETE FROM prefect_tasks WHERE id >= 60;
         DELETE FROM prefect_deployments WHERE id >= 70; DELETE FROM prefect_work_pools WHERE id >= 80;",
    );
    healed(&host);
    works(&host, "flow/deployment");
}
