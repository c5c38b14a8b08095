//! What the two servers of a connection say of themselves, for whoever looks for what is wrong.

use std::time::Duration;

use grepx_engine::Timestamp;
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

use super::Remote;
use super::health::Side;
use super::link::Link;
use crate::broker::{Server, Servers};
use crate::clock;

/// Between two looks at a link that is being connected.
const LOOK: Duration = Duration::from_millis(20);

impl Remote {
    pub(crate) async fn servers(&self, timeout: Duration) -> Servers {
        let until = Instant::now() + timeout;
        Servers {
            broker: self.server(&self.broker, Side::Broker, until).await,
            backend: self.server(&self.backend, Side::Backend, until).await,
        }
    }

    async fn server(&self, link: &Link, side: Side, until: Instant) -> Result<Server, String> {
        let mut connection = loop {
            match link.connection() {
                Ok(connection) => break connection,
                Err(reason) if self.health.is_down(side) || Instant::now() >= until => return Err(reason),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        };
        let asked = tokio::time::timeout_at(until, ask(&mut connection)).await;
        let in_time = asked.map_err(|_| format!("{} does not answer INFO in time", link.place()))?;
        in_time.map_err(|error| link.explain(&error))
    }
}

async fn ask(connection: &mut MultiplexedConnection) -> redis::RedisResult<Server> {
    let before = clock::now();
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
    let after = clock::now();
    let info: String = redis::cmd("INFO").query_async(connection).await?;
    let here = before.0.midpoint(after.0);
    let there = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
    Ok(Server {
        clock: Timestamp(there),
        clock_ahead_ms: there.saturating_sub(here),
        ..read(&info)
    })
}

/// The fields of INFO that matter here.
fn read(info: &str) -> Server {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    let number = |name: &str| field(name).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
    let (product, version) = match field("valkey_version") {
        Some(version) => ("Valkey", Some(version)),
        None => ("Redis", field("redis_version")),
    };
    Server {
        product,
        version: version.unwrap_or_default(),
        role: field("role").unwrap_or_default(),
        maxmemory: number("maxmemory"),
        maxmemory_policy: field("maxmemory_policy").unwrap_or_default(),
        used_memory: number("used_memory"),
        evicted_keys: number("evicted_keys"),
        append_only: number("aof_enabled") == 1,
        last_save_failed: field("rdb_last_bgsave_status").is_some_and(|status| status != "ok"),
        clock: Timestamp(0),
        clock_ahead_ms: 0,
    }
}

#[cfg(test)]
mod tests;
