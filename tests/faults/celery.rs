//! What goes wrong around Redis and the workers: it must neither lose a task, nor run one twice, nor
//! stop what does not need the part that is away.

mod redis;
mod workers;

use grepx_tests::{Host, HostBuilder, RedisServer};

/// A deployment `flow/deployment` with one task `task` of this row, and `quiet/quiet`, which needs
/// no Redis. Lost messages are looked for every second.
fn host(redis: &RedisServer, task: &str) -> HostBuilder {
    host_over(&redis.url(), task)
}

/// As `host`, with this way to Redis.
fn host_over(url: &str, task: &str) -> HostBuilder {
    let row: String = task.lines().map(|line| format!("    {line}\n")).collect();
    let flows = format!(
        "prefect_work_pools: [{{name: pool}}]
prefect_flows: [{{name: flow}}, {{name: quiet}}]
prefect_tasks:
  - {{name: still, flow_name: quiet, task_kind: noop}}
  - name: task
    flow_name: flow
{row}prefect_deployments:
  - {{name: deployment, flow_name: flow, work_pool_name: pool}}
  - {{name: quiet, flow_name: quiet, work_pool_name: pool}}
"
    );
    let celery = format!("celery:\n  broker_url: {url}\n  result_backend: {url}\n  lost_after_seconds: 1");
    Host::with(&flows).config(&celery)
}

const NAME: &str = "flow/deployment";
const QUIET: &str = "quiet/quiet";

/// How often a task has run, by its own count.
fn ran(redis: &RedisServer, name: &str) -> i64 {
    let key = format!("ran:{name}");
    let count = ::redis::Commands::get::<_, Option<i64>>(&mut redis.connect(), key);
    count.expect("a count").unwrap_or(0)
}
