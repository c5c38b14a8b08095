//! Rows as a host of some months would have written them, by SQL alone: a flow run every
//! 10 seconds, 1,000 deployments of very different weight, one flow that nobody runs any more.

use std::path::Path;

use rusqlite::Connection;

pub(crate) const FLOWS: i64 = 200;
pub(crate) const DEPLOYMENTS: i64 = 1_000;
pub(crate) const POOLS: i64 = 10;
/// The first run was expected at this time, in milliseconds since 1970 (UTC).
pub(crate) const FIRST_AT: i64 = 1_764_000_000_000;
pub(crate) const EVERY_MS: i64 = 10_000;
/// The first runs are of the flow that nobody runs any more: one of so many.
pub(crate) const RETIRED_SHARE: i64 = 20;
/// The last runs are planned: one of so many.
const PLANNED_SHARE: i64 = 100;

pub(crate) fn fill(path: &Path, flow_runs: i64) {
    let store = Connection::open(path).expect("the store");
    let run = |sql: &str| {
        store
            .execute_batch(sql)
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
    };
    run(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY",
    );
    let indexes = without_indexes(&store);
    run("BEGIN");
    run(&numbers(flow_runs));
    run(ROWS);
    run(TAGS_AND_TALLIES);
    run("DROP TABLE numbers");
    for index in indexes {
        run(&index);
    }
    run("COMMIT");
    run("PRAGMA journal_mode = WAL");
}

/// They are made at the end: sorted once instead of row by row.
fn without_indexes(store: &Connection) -> Vec<String> {
    let mut select = store
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        .expect("a query");
    let all = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("rows");
    let all: Vec<(String, String)> = all.map(|row| row.expect("a row")).collect();
    for (name, _) in &all {
        store.execute_batch(&format!("DROP INDEX {name}")).expect("dropped");
    }
    all.into_iter().map(|(_, sql)| sql).collect()
}

/// What is chosen for each flow run; `h` scatters.
fn numbers(flow_runs: i64) -> String {
    let (retired, planned) = (flow_runs / RETIRED_SHARE, flow_runs - flow_runs / PLANNED_SHARE);
    format!(
        "CREATE TABLE numbers AS
         WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {flow_runs}),
         scattered AS (SELECT n, (n * 2654435761) % 4294967296 AS h, (n * 40503 + 7) % 65536 AS k FROM series)
         SELECT n, h, {FIRST_AT} + n * {EVERY_MS} AS at,
             unhex(printf('%012x7%03x8%03x%012x', {FIRST_AT} + n * {EVERY_MS}, h % 4096, k % 4096, h)) AS id,
             CASE WHEN n < {retired} AND h % 2 = 0 THEN -1 ELSE (h % {DEPLOYMENTS}) * (k % 1000) / 1000 END AS d,
             CASE WHEN n >= {planned} THEN 'planned' WHEN k % 100 < 90 THEN 'completed' WHEN k % 100 < 97 THEN 'failed'
                 WHEN k % 100 < 98 THEN 'timed out' WHEN h % 5000 = 0 THEN 'crashed' ELSE 'cancelled' END AS fate,
             '[\"team-' || (h % 20) || '\"' || CASE WHEN k % 10 = 0 THEN ',\"nightly\"' ELSE '' END
                 || CASE WHEN h % 5003 = 0 THEN ',\"rare\"' ELSE '' END || ']' AS tags
         FROM scattered"
    )
}

const ROWS: &str = "
    INSERT INTO flow_runs (id, name, flow_id, flow_name, deployment_id, deployment_name, definition, tags, work_pool,
        work_queue, auto_scheduled, created_at, expected_start, start_time, end_time, total_run_time_ms, run_count,
        terminal, states, state_type, state_name, state_message, state_since, planned, origin)
    SELECT id, 'run-' || (h % 90000), unhex(printf('%032x', d % 200 + 1000)),
        CASE d WHEN -1 THEN 'retired' ELSE 'flow-' || (d % 200) END,
        unhex(printf('%032x', d + 5000)), CASE d WHEN -1 THEN 'retired' ELSE 'deployment-' || d END,
        printf('%064x', d), tags, 'pool-' || (abs(d) % 10), CASE h % 3 WHEN 0 THEN 'fast' ELSE 'default' END, 1, at, at,
        CASE fate WHEN 'planned' THEN NULL ELSE at + h % 5000 END,
        CASE fate WHEN 'planned' THEN NULL ELSE at + 5000 + h % 900000 END, h % 900000, 1, fate <> 'planned', 3,
        CASE fate WHEN 'planned' THEN 'SCHEDULED' WHEN 'completed' THEN 'COMPLETED' WHEN 'crashed' THEN 'CRASHED'
            WHEN 'cancelled' THEN 'CANCELLED' ELSE 'FAILED' END,
        CASE fate WHEN 'planned' THEN 'Scheduled' WHEN 'completed' THEN 'Completed' WHEN 'crashed' THEN 'Crashed'
            WHEN 'cancelled' THEN 'Cancelled' WHEN 'timed out' THEN 'TimedOut' ELSE 'Failed' END,
        'All task runs completed or were skipped.', at + 5000 + h % 900000, fate = 'planned',
        d + 2 + 2000 * (h % 3 = 0)
    FROM numbers;
    INSERT INTO run_inputs SELECT id, '{\"tickers\": [\"AAPL\"], \"period\": \"1mo\"}', NULL, '{}' FROM numbers;
    INSERT INTO task_runs (run_id, task, item, id, name, kind, attempt, state_type, state_name, state_since, states,
        expected_start, start_time, end_time, total_run_time_ms, tags, result_bytes)
    SELECT numbers.id, t.value, -1, unhex(printf('%016x%016x', (h + t.value) * 2654435761, (h - t.value) * 40503 + n * 5 + t.value)),
        'task_' || ((d + t.value) % 300), 'celery', 1,
        CASE WHEN h % 100 < 93 THEN 'COMPLETED' WHEN h % 100 < 98 THEN 'FAILED' ELSE 'CANCELLED' END,
        CASE WHEN h % 100 < 92 THEN 'Completed' WHEN h % 100 < 93 THEN 'Skipped' WHEN h % 100 < 98 THEN 'Failed'
            ELSE 'UpstreamFailed' END,
        at + t.value * 2000 + h % 1000, 3, at + t.value * 1000, at + t.value * 1000 + h % 500,
        at + t.value * 2000 + h % 1000, h % 1000, CASE h % 1000 WHEN 0 THEN '[\"gpu\"]' ELSE '[]' END, 200
    FROM numbers, json_each('[0,1,2,3,4]') t WHERE fate <> 'planned';
    INSERT INTO states SELECT numbers.id, -1, -1, s.value, CASE s.value WHEN 0 THEN 'SCHEDULED' ELSE 'RUNNING' END,
        CASE s.value WHEN 0 THEN 'Scheduled' ELSE 'Running' END, NULL, at FROM numbers, json_each('[0,1,2]') s;
    INSERT INTO logs SELECT numbers.id, l.value, NULL, at + l.value, 20, 'grepx.host', 'Flow run started.'
    FROM numbers, json_each('[0,1,2]') l WHERE fate <> 'planned';
";

const TAGS_AND_TALLIES: &str = "
    INSERT INTO origins SELECT DISTINCT origin, flow_id, flow_name, deployment_id, deployment_name, work_pool, work_queue
    FROM flow_runs;
    INSERT INTO tallies SELECT 0, origin, state_type, state_name, count(*) FROM flow_runs GROUP BY 2, 3, 4;
    INSERT INTO tallies SELECT 1, r.origin, t.state_type, t.state_name, count(*)
    FROM task_runs t JOIN flow_runs r ON r.id = t.run_id GROUP BY 2, 3, 4;
    INSERT INTO tallies SELECT of, 0, state_type, state_name, sum(runs) FROM tallies GROUP BY 1, 3, 4;
    INSERT INTO flow_run_tags SELECT tag.value, r.id FROM flow_runs r, json_each(r.tags) tag ORDER BY 1, 2;
    INSERT INTO task_run_tags SELECT tag.value, t.run_id, t.task, t.item
    FROM task_runs t, json_each(t.tags) tag WHERE t.tags <> '[]' ORDER BY 1, 2, 3;
";
