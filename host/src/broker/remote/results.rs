//! Results of real workers. The order for each key is: subscribe, acknowledgement, read; so a
//! result is either pushed or found. After a new connection everything open goes through that
//! again, and a slow sweep reads what pub/sub may have lost.

use std::sync::Arc;
use std::time::Duration;

use grepx_engine::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::gate::{Gate, Push};
use super::link::{Backoff, Link};
use crate::broker::delivery::{Deliveries, NobodyListens};

/// Keys in one SUBSCRIBE or MGET.
const CHUNK: usize = 5_000;
const CHUNK_MIN: usize = 8;
/// An MGET answer above this makes the next ones smaller.
const ANSWER_MAX: usize = 16 << 20;
/// Unsubscribing is put off until so many keys are dropped, or until the sweep.
const DROPPED: usize = 64;

/// Keeps the subscription connection and delivers. Returns when nobody listens any more.
pub(crate) async fn keep(link: &Link, deliveries: &Arc<Deliveries>, sweep: Duration) {
    let (gate, mut pushes) = Gate::new();
    let mut backoff = Backoff::default();
    loop {
        let live = link.connect(&gate, &mut backoff).await;
        let mut reader = Reader {
            subscriber: live.connection.clone(),
            reading: live.reading.clone(),
            deliveries,
            gate: &gate,
            pushes: &mut pushes,
            chunk: CHUNK,
        };
        let end = tokio::select! {
            reason = live.ended(link) => Some(reason),
            end = reader.run(sweep) => match end {
                End::Failed(error) => Some(link.explain(&error)),
                End::NobodyListens => None,
            },
        };
        let Some(reason) = end else { return };
        drop(live);
        link.lost(&reason).await;
    }
}

enum End {
    Failed(RedisError),
    NobodyListens,
}

impl From<RedisError> for End {
    fn from(error: RedisError) -> Self {
        Self::Failed(error)
    }
}

impl From<NobodyListens> for End {
    fn from(_: NobodyListens) -> Self {
        Self::NobodyListens
    }
}

struct Reader<'a> {
    subscriber: MultiplexedConnection,
    reading: MultiplexedConnection,
    deliveries: &'a Arc<Deliveries>,
    gate: &'a Arc<Gate>,
    pushes: &'a mut mpsc::Receiver<Push>,
    /// Keys in the next MGET of a sweep.
    chunk: usize,
}

impl Reader<'_> {
    async fn run(&mut self, sweep: Duration) -> End {
        match self.serve(sweep).await {
            Ok(never) => never,
            Err(end) => end,
        }
    }

    async fn serve(&mut self, sweep: Duration) -> Result<End, End> {
        self.deliveries.waiting().forget_subscriptions();
        self.read_all().await?;
        let mut tick = tokio::time::interval_at(Instant::now() + sweep, sweep);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                push = self.pushes.recv() => match push {
                    Some(push) => self.take(push).await?,
                    None => return Ok(End::NobodyListens),
                },
                () = self.deliveries.changed.notified() => {
                    self.read_changed().await?;
                    self.unsubscribe(DROPPED).await?;
                }
                () = self.gate.gap_opened.notified() => {
                    if self.gate.take_gap() {
                        self.read_all().await?;
                    }
                }
                _ = tick.tick() => {
                    self.read_all().await?;
                    self.unsubscribe(1).await?;
                }
            }
        }
    }

    async fn take(&mut self, push: Push) -> Result<(), End> {
        self.gate.release(&push);
        Ok(self.deliveries.deliver(&push.key, push.value).await?)
    }

    /// Keeps the gate open during long reads.
    async fn take_waiting(&mut self) -> Result<(), End> {
        while let Ok(push) = self.pushes.try_recv() {
            self.take(push).await?;
        }
        Ok(())
    }

    /// Subscribes to the keys that came up and reads them.
    async fn read_changed(&mut self) -> Result<(), End> {
        loop {
            let keys = self.deliveries.waiting().take_changed(CHUNK);
            if keys.is_empty() && !self.deliveries.waiting().has_changes() {
                return Ok(());
            }
            self.subscribe(&keys).await?;
            self.read(&keys).await?;
            self.take_waiting().await?;
        }
    }

    /// Reads everything open, and subscribes to what is not subscribed yet.
    async fn read_all(&mut self) -> Result<(), End> {
        let mut after: Option<Arc<str>> = None;
        loop {
            let keys = self.deliveries.waiting().open_after(after.as_deref(), self.chunk);
            let Some(last) = keys.last() else { return Ok(()) };
            after = Some(last.clone());
            self.subscribe(&keys).await?;
            self.read(&keys).await?;
            self.take_waiting().await?;
        }
    }

    async fn subscribe(&mut self, keys: &[Arc<str>]) -> Result<(), End> {
        let new: Vec<Arc<str>> = {
            let waiting = self.deliveries.waiting();
            let open = keys
                .iter()
                .filter(|key| waiting.is_open(key) && !waiting.is_subscribed(key));
            open.cloned().collect()
        };
        if new.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = new.iter().map(|key| &**key).collect();
        self.subscriber.subscribe(&names).await?;
        self.deliveries.waiting().mark_subscribed(&new);
        Ok(())
    }

    async fn unsubscribe(&mut self, min: usize) -> Result<(), End> {
        let dropped = self.deliveries.waiting().take_dropped(min);
        for keys in dropped.chunks(CHUNK) {
            let names: Vec<&str> = keys.iter().map(|key| &**key).collect();
            self.subscriber.unsubscribe(&names).await?;
        }
        Ok(())
    }

    async fn read(&mut self, keys: &[Arc<str>]) -> Result<(), End> {
        for keys in keys.chunks(self.chunk.max(CHUNK_MIN)) {
            let mut command = redis::cmd("MGET");
            for key in keys {
                command.arg(&**key);
            }
            let values: Vec<Value> = command.query_async(&mut self.reading).await?;
            let mut size = 0;
            for (key, value) in keys.iter().zip(values) {
                if let Value::BulkString(value) = value {
                    size += value.len();
                    self.deliveries.deliver(key, Bytes::from(value)).await?;
                }
            }
            self.chunk = match size {
                0..ANSWER_MAX => (self.chunk * 2).min(CHUNK),
                _ => (self.chunk / 8).max(CHUNK_MIN),
            };
        }
        Ok(())
    }
}
