//! A connection whose server a simulation plays: it answers when and as it likes. Who waits for
//! which result, what was delivered and which revocation is repeated is kept by the real code.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use grepx_engine::{Bytes, Message};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::delivery::{Deliveries, NobodyListens};
use super::revocation::Revocation;
use super::{Connection, ConnectionSettings, ConnectionStatus, Inspection, Notice, SendError, Whereabouts, lock};

/// What a server is asked. Each future is one exchange over the network.
pub(crate) trait Played: Send + Sync + std::fmt::Debug {
    fn enqueue(&self, message: Message, guard: String) -> BoxFuture<'_, Result<(), SendError>>;
    fn withdraw(&self, message: Message, guard: String, published: bool) -> BoxFuture<'_, Result<bool, SendError>>;
    fn revoke(&self, ids: Vec<String>, terminate: bool) -> BoxFuture<'_, Result<u64, SendError>>;
    /// The state under a result key; `None` also when the server is away.
    fn read(&self, key: String) -> BoxFuture<'_, Option<Bytes>>;
    fn whereabouts(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<Vec<Whereabouts>, SendError>>;
    fn give_up(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<(), SendError>>;
}

/// What a server says unasked, in the order in which the network lets it arrive.
#[derive(Debug)]
pub(crate) enum Push {
    Value { key: String, value: Bytes },
    Up,
    Down { reason: String },
}

pub(crate) struct Simulated {
    pub(crate) settings: ConnectionSettings,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) server: Arc<dyn Played>,
    pushes: Mutex<Option<mpsc::UnboundedReceiver<Push>>>,
}

impl Simulated {
    pub(super) fn connection(
        settings: ConnectionSettings,
        deliveries: Arc<Deliveries>,
        server: Arc<dyn Played>,
    ) -> (Connection, mpsc::UnboundedSender<Push>) {
        let (push, pushes) = mpsc::unbounded_channel();
        let simulated = Self {
            settings,
            deliveries,
            server,
            pushes: Mutex::new(Some(pushes)),
        };
        (Connection::Simulated(Arc::new(simulated)), push)
    }

    pub(crate) fn spawn(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let (this, ended) = (self.clone(), stop.clone());
        tasks.spawn(crate::failpoint::machine::mortal(async move {
            ended.run_until_cancelled(this.look()).await
        }));
        let (this, ended) = (self.clone(), stop.clone());
        let Some(pushes) = lock(&self.pushes).take() else {
            return;
        };
        tasks.spawn(crate::failpoint::machine::mortal(async move {
            ended.run_until_cancelled(this.listen(pushes)).await
        }));
    }

    /// Reads what has to be looked at, and everything that is open by a slow sweep.
    async fn look(&self) {
        loop {
            let keys = self.deliveries.waiting().take_changed(100);
            for key in &keys {
                let found = self.server.read(key.to_string()).await;
                if let Some(value) = found
                    && self.deliveries.deliver(key, value).await.is_err()
                {
                    return;
                }
            }
            if keys.is_empty() && !self.deliveries.waiting().has_changes() {
                let changed = self.deliveries.changed.notified();
                if tokio::time::timeout(self.settings.sweep, changed).await.is_err() {
                    self.look_at_all();
                }
            }
        }
    }

    fn look_at_all(&self) {
        let open = self.deliveries.waiting().open_after(None, usize::MAX);
        for key in open {
            self.deliveries.waiting().queue(&key);
        }
    }

    async fn listen(&self, mut pushes: mpsc::UnboundedReceiver<Push>) {
        while let Some(push) = pushes.recv().await {
            if self.take(push).await.is_err() {
                return;
            }
        }
    }

    async fn take(&self, push: Push) -> Result<(), NobodyListens> {
        let connection = self.settings.name.clone();
        match push {
            Push::Value { key, value } => self.deliveries.deliver(&key, value).await,
            Push::Up => {
                self.look_at_all();
                self.deliveries.changed.notify_one();
                self.deliveries.notify(Notice::Up { connection }).await
            }
            Push::Down { reason } => self.deliveries.notify(Notice::Down { connection, reason }).await,
        }
    }

    pub(crate) async fn revoke(&self, revocation: &Revocation) -> Result<u64, SendError> {
        self.server.revoke(revocation.ids.clone(), revocation.terminate).await
    }

    pub(crate) fn status(&self) -> ConnectionStatus {
        ConnectionStatus {
            name: self.settings.name.clone(),
            url: "simulated".to_owned(),
            result_url: "simulated".to_owned(),
            up: true,
            since: crate::clock::system(),
            reason: None,
            server: None,
            waiting: self.deliveries.waiting().len(),
            revoking: 0,
        }
    }

    /// Nobody knows why a message waits.
    pub(crate) fn inspect(&self) -> Inspection {
        Inspection::default()
    }
}
