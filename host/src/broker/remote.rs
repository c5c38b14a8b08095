//! A connection to real workers: one link to the broker for commands, one to the result backend
//! (subscribing and reading) for results. They are apart even on the same server, because a result
//! above 31 MB makes Redis cut the subscriber off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use grepx_celery::Endpoint;
use grepx_celery::control::{Mailbox, Request};
use grepx_engine::Message;
use redis::aio::MultiplexedConnection;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

mod address;
mod gate;
mod health;
mod link;
mod results;
mod search;
mod servers;
mod workers;

use super::delivery::Deliveries;
use super::revocation::Revocation;
use super::{ConnectionSettings, ConnectionStatus, Error, SendError};
use gate::Gate;
use health::{Health, Side};
use link::Link;
use workers::InspectionCache;

/// Remembers the guard and publishes, or does neither: a queue key of another type must not leave
/// a guard behind that suppresses the next try.
const PUBLISH: &str = r"
if redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then
  local pushed = redis.pcall('LPUSH', KEYS[2], ARGV[2])
  if type(pushed) == 'table' and pushed['err'] then
    redis.call('DEL', KEYS[1])
    return pushed
  end
  return 1
end
return 0";

/// Whoever sets the guard first decides: a message whose guard says `withdrawn` is not published.
/// One call, and its answer stands in the guard, so that a crash in between changes nothing.
const WITHDRAW: &str = r"
local guard = redis.call('GET', KEYS[1])
if guard == 'withdrawn' then
  return 1
end
if (guard or ARGV[3] == '1') and redis.call('LREM', KEYS[2], 1, ARGV[2]) == 0 then
  return 0
end
redis.call('SET', KEYS[1], 'withdrawn', 'EX', ARGV[1])
return 1";

pub(crate) struct Remote {
    pub(crate) settings: ConnectionSettings,
    pub(crate) deliveries: Arc<Deliveries>,
    broker: Arc<Link>,
    backend: Arc<Link>,
    health: Arc<Health>,
    mailbox: Mailbox,
    publish: redis::Script,
    withdraw: redis::Script,
    /// The server answers with errors; logged once until a command succeeds.
    refusing: AtomicBool,
    inspection: InspectionCache,
}

impl Remote {
    pub(crate) fn new(
        settings: ConnectionSettings,
        broker: Endpoint,
        deliveries: Arc<Deliveries>,
    ) -> Result<Arc<Self>, Error> {
        let name = &settings.name;
        let backend = settings.result_url().parse().map_err(|source| Error::Url {
            name: name.clone(),
            side: "result backend",
            source,
        })?;
        let mailbox = Mailbox {
            db: broker.db(),
            exchange: settings.control_exchange.clone(),
            layout: settings.layout.clone(),
        };
        let health = Arc::new(Health::new(name, deliveries.clone()));
        let timeout = settings.response_timeout;
        let broker = address::client(name, "broker", &broker)?;
        let backend = address::client(name, "result backend", &backend)?;
        Ok(Arc::new(Self {
            broker: Link::new(broker, Side::Broker, timeout, health.clone()),
            backend: Link::new(backend, Side::Backend, timeout, health.clone()),
            health,
            mailbox,
            publish: redis::Script::new(PUBLISH),
            withdraw: redis::Script::new(WITHDRAW),
            refusing: AtomicBool::new(false),
            inspection: InspectionCache::default(),
            deliveries,
            settings,
        }))
    }

    pub(crate) fn spawn(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        let (link, token) = (self.broker.clone(), stop.clone());
        tasks.spawn(async move {
            let gate = Arc::new(Gate::closed());
            token.run_until_cancelled(link.keep(&gate)).await;
            link.clear();
        });
        let (link, token) = (self.backend.clone(), stop.clone());
        let (deliveries, sweep) = (self.deliveries.clone(), self.settings.sweep);
        tasks.spawn(async move {
            token
                .run_until_cancelled(results::keep(&link, &deliveries, sweep))
                .await;
            link.clear();
        });
    }

    pub(crate) async fn enqueue(&self, message: &Message, guard: &str) -> Result<(), SendError> {
        let list = self.list(message)?;
        let guard = self.guard_key(guard);
        let mut connection = self.connected()?;
        let mut invocation = self.publish.prepare_invoke();
        invocation
            .key(guard)
            .key(list)
            .arg(self.settings.guard_ttl.as_secs())
            .arg(message.body.as_ref());
        let _published: u64 = self.answered(invocation.invoke_async(&mut connection).await)?;
        Ok(())
    }

    fn guard_key(&self, guard: &str) -> String {
        format!("{}grepx:guard:{guard}", self.settings.layout.key_prefix)
    }

    pub(crate) async fn withdraw(&self, message: &Message, guard: &str, published: bool) -> Result<bool, SendError> {
        let list = self.list(message)?;
        let mut connection = self.connected()?;
        let mut invocation = self.withdraw.prepare_invoke();
        invocation
            .key(self.guard_key(guard))
            .key(list)
            .arg(self.settings.guard_ttl.as_secs())
            .arg(message.body.as_ref())
            .arg(u8::from(published));
        let withdrawn: u64 = self.answered(invocation.invoke_async(&mut connection).await)?;
        Ok(withdrawn > 0)
    }

    pub(crate) async fn revoke(&self, revocation: &Revocation) -> Result<u64, SendError> {
        let tag = Uuid::new_v4().to_string();
        let envelope = Request::new(revocation.command(), &tag)
            .encode(&self.mailbox)
            .map_err(|error| self.invalid(error.to_string()))?;
        let mut connection = self.connected()?;
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.mailbox.channel()).arg(envelope);
        self.answered(command.query_async(&mut connection).await)
    }

    pub(crate) fn status(&self) -> ConnectionStatus {
        let health = self.health.report();
        ConnectionStatus {
            name: self.settings.name.clone(),
            url: self.broker.place().to_owned(),
            result_url: self.backend.place().to_owned(),
            up: health.up,
            since: health.since,
            reason: health.reason,
            server: health.server,
            waiting: self.deliveries.waiting().len(),
            revoking: 0,
        }
    }

    /// The list that the message's queue and priority stand for.
    fn list(&self, message: &Message) -> Result<String, SendError> {
        let priority = match message.meta.get("priority") {
            None => None,
            Some(text) => Some(
                text.parse::<u8>()
                    .ok()
                    .filter(|priority| *priority <= 9)
                    .ok_or_else(|| self.invalid(format!("the priority {text:?} is not a number from 0 to 9")))?,
            ),
        };
        let queue = match message.destination.as_str() {
            "" => &self.settings.default_queue,
            queue => queue,
        };
        Ok(self.settings.layout.list(queue, priority))
    }

    fn invalid(&self, reason: String) -> SendError {
        SendError::Invalid {
            connection: self.settings.name.clone(),
            reason,
        }
    }

    fn connected(&self) -> Result<MultiplexedConnection, SendError> {
        self.broker.connection().map_err(|reason| SendError::Unavailable {
            connection: self.settings.name.clone(),
            reason,
        })
    }

    /// Names the failure of a command; the first of a series is logged.
    fn answered<T>(&self, answer: redis::RedisResult<T>) -> Result<T, SendError> {
        match answer {
            Ok(value) => {
                if self.refusing.load(Ordering::Relaxed) && self.refusing.swap(false, Ordering::Relaxed) {
                    tracing::info!(connection = %self.settings.name, "the broker takes commands again");
                }
                Ok(value)
            }
            Err(error) => {
                let error = SendError::from_redis(&self.settings.name, self.broker.place(), &error);
                if matches!(error, SendError::Refused { .. }) && !self.refusing.swap(true, Ordering::Relaxed) {
                    tracing::warn!("{error}");
                }
                Err(error)
            }
        }
    }
}
