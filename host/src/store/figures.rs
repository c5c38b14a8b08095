//! What the store tells of itself: how many rows there are, what waits for what, how long commits
//! take. For metrics; nothing is decided by it.

use prometheus_client::metrics::histogram::Histogram;
use rusqlite::Connection;

use super::rows::{self, PoolStatus};
use super::tallies::{self, Of, StateCount};
use super::{Error, Store, slots};

/// Seconds of a group commit, with its `fsync`.
const SECONDS: [f64; 12] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// Changes of one group commit.
const CHANGES: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 256.0, 512.0, 1_024.0];

/// Group commits since the start.
#[derive(Debug, Clone)]
pub struct Commits {
    pub seconds: Histogram,
    pub changes: Histogram,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            seconds: Histogram::new(SECONDS),
            changes: Histogram::new(CHANGES),
        }
    }
}

/// Of queues with a bound: how many wait, and how many may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    pub waiting: usize,
    pub limit: usize,
}

/// The rows as they stand.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub flow_runs: Vec<StateCount>,
    pub task_runs: Vec<StateCount>,
    pub pools: Vec<PoolStatus>,
    /// Flow runs that wait for their deployment, by work pool and work queue.
    pub parked: Vec<(String, String, u64)>,
    /// Commands that are not over.
    pub outbox: u64,
    /// Those that are still to be sent.
    pub unsent: u64,
}

impl Store {
    #[must_use]
    pub fn commits(&self) -> &Commits {
        &self.0.commits
    }

    /// Changes that wait for the writer.
    #[must_use]
    pub fn queue_depth(&self) -> Depth {
        let limit = self.0.queue_max;
        let free = self.queue().map_or(limit, tokio::sync::mpsc::Sender::capacity);
        Depth {
            waiting: limit.saturating_sub(free),
            limit,
        }
    }
}

pub(super) fn read(sql: &Connection) -> Result<Figures, Error> {
    Ok(Figures {
        flow_runs: tallies::by_state(sql, Of::FlowRuns)?,
        task_runs: tallies::by_state(sql, Of::TaskRuns)?,
        pools: slots::pool_status(sql)?,
        parked: parked(sql)?,
        outbox: count(sql, "SELECT count(*) AS n FROM outbox")?,
        unsent: count(
            sql,
            "SELECT count(*) AS n FROM outbox INDEXED BY outbox_unsent WHERE sent_at IS NULL",
        )?,
    })
}

fn parked(sql: &Connection) -> Result<Vec<(String, String, u64)>, Error> {
    let mut select = sql.prepare_cached(
        "SELECT pool, queue, count(*) AS n FROM slots WHERE deployment_id IS NOT NULL AND held = -1 GROUP BY 1, 2",
    )?;
    let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, rows::number(row, "n")?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn count(sql: &Connection, select: &str) -> Result<u64, Error> {
    Ok(sql
        .prepare_cached(select)?
        .query_row([], |row| rows::number(row, "n"))?)
}
