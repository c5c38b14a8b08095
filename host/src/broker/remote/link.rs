//! One physical connection that is kept for ever: connect, tell, notice its end, back off, again.
//! Whoever needs it takes a clone of what is connected now, or the reason why nothing is.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use tokio_util::sync::CancellationToken;

use super::address::Place;
use super::gate::Gate;
use super::health::{Health, Side};
use crate::broker::error::explain;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A connection that ends sooner than this did not work: the back-off goes on growing.
const STABLE: Duration = Duration::from_secs(5);
/// How often a silent connection is tested, to notice a server that vanished without a word.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Commands on their way to the socket; further ones wait in their callers.
const PIPELINE: usize = 1_024;

pub(crate) struct Link {
    place: Place,
    side: Side,
    response_timeout: Duration,
    health: Arc<Health>,
    current: ArcSwapOption<MultiplexedConnection>,
}

/// A connection that works now.
pub(crate) struct Live {
    pub(crate) connection: MultiplexedConnection,
    /// Of the backend: a second connection for reading, that never subscribes. On one with
    /// subscriptions the server counts every answer against the limit for subscribers, so a
    /// result above it could not even be read.
    pub(crate) reading: MultiplexedConnection,
    gone: CancellationToken,
}

impl Link {
    pub(crate) fn new(place: Place, side: Side, response_timeout: Duration, health: Arc<Health>) -> Arc<Self> {
        Arc::new(Self {
            place,
            side,
            response_timeout,
            health,
            current: ArcSwapOption::empty(),
        })
    }

    /// The URL without its password.
    pub(crate) fn place(&self) -> &str {
        &self.place.shown
    }

    /// What is connected now, or why nothing is.
    pub(crate) fn connection(&self) -> Result<MultiplexedConnection, String> {
        match &*self.current.load() {
            Some(connection) => Ok(MultiplexedConnection::clone(connection)),
            None => Err(self.health.reason(self.side)),
        }
    }

    pub(crate) fn explain(&self, error: &RedisError) -> String {
        explain(&self.place.shown, error)
    }

    /// Keeps the connection without doing anything else on it. Does not return.
    pub(crate) async fn keep(&self, gate: &Arc<Gate>) {
        let mut backoff = Backoff::default();
        loop {
            let live = self.connect(gate, &mut backoff).await;
            let reason = live.ended(self).await;
            self.lost(&reason).await;
        }
    }

    /// Tries until it is connected.
    pub(crate) async fn connect(&self, gate: &Arc<Gate>, backoff: &mut Backoff) -> Live {
        loop {
            backoff.pause().await;
            match self.try_connect(gate).await {
                Ok((live, server)) => {
                    self.current.store(Some(Arc::new(live.connection.clone())));
                    self.health.up(self.side, server).await;
                    return live;
                }
                Err(error) => self.lost(&self.explain(&error)).await,
            }
        }
    }

    async fn try_connect(&self, gate: &Arc<Gate>) -> Result<(Live, Option<String>), RedisError> {
        let gone = CancellationToken::new();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.response_timeout))
            .set_pipeline_buffer_size(PIPELINE)
            .set_push_sender(gate.sink(gone.clone()));
        let client = &self.place.client;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let reading = match self.side {
            Side::Broker => connection.clone(),
            Side::Backend => client.get_multiplexed_async_connection_with_config(&config).await?,
        };
        // A server that is loading accepts connections and refuses commands.
        let _pong: String = redis::cmd("PING").query_async(&mut connection).await?;
        let server = version(&mut connection).await;
        let live = Live {
            connection,
            reading,
            gone,
        };
        Ok((live, server))
    }

    pub(crate) async fn lost(&self, reason: &str) {
        self.clear();
        self.health.down(self.side, reason).await;
    }

    pub(crate) fn clear(&self) {
        self.current.store(None);
    }
}

impl Live {
    /// Returns the reason when the connection has ended.
    pub(crate) async fn ended(&self, link: &Link) -> String {
        let mut connection = self.connection.clone();
        loop {
            tokio::select! {
                () = self.gone.cancelled() => return format!("{} closed the connection", link.place()),
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            let pong = redis::cmd("PING").query_async::<String>(&mut connection).await;
            if let Err(error) = pong {
                return link.explain(&error);
            }
        }
    }
}

/// `Redis 7.0.15`; an ACL may forbid to ask.
async fn version(connection: &mut MultiplexedConnection) -> Option<String> {
    let info: String = redis::cmd("INFO").arg("server").query_async(connection).await.ok()?;
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    match field("valkey_version") {
        Some(version) => Some(format!("Valkey {version}")),
        None => field("redis_version").map(|version| format!("Redis {version}")),
    }
}

/// Doubles from 100 ms to 5 s; starts over after a connection that lasted.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    last_try: Option<tokio::time::Instant>,
}

impl Backoff {
    async fn pause(&mut self) {
        if self.last_try.is_some_and(|last| last.elapsed() > STABLE + BACKOFF_MAX) {
            self.failures = 0;
        }
        if self.last_try.is_some() {
            let factor = 2_u32.saturating_pow(self.failures.min(16));
            tokio::time::sleep((BACKOFF_MIN * factor).min(BACKOFF_MAX)).await;
            self.failures += 1;
        }
        self.last_try = Some(tokio::time::Instant::now());
    }
}
