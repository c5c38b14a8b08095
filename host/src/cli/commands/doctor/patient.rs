//! What several checks look at, read once by whichever comes first.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::app;
use crate::app::kinds::LoadedKinds;
use crate::app::worker::EmbeddedWorker;
use crate::broker::{Broker, ConnectionStatus, Inspection, Notice, Servers, Work, WorkError};
use crate::cli::arguments::Global;
use crate::cli::commands::plugin;
use crate::cli::commands::service::Running;
use crate::config::Settings;
use crate::definitions::{Catalog, Rows, Source, Timings, compile};
use crate::plugins::Plugins;

/// Notices that nobody reads.
const NOTICES: usize = 64;
/// How long workers are listened to: one that is busy with `--pool=solo` answers after its task.
const LISTEN: Duration = Duration::from_secs(2);

pub(super) struct Patient {
    pub(super) global: Global,
    pub(super) settings: Settings,
    /// For one check.
    pub(super) limit: Duration,
    running: OnceLock<Option<Running>>,
    plugins: OnceLock<Result<Loaded, String>>,
    rows: OnceLock<Result<Rows, String>>,
    catalog: OnceLock<Result<Catalog, String>>,
    connections: OnceLock<Result<BTreeMap<String, Connection>, String>>,
}

pub(super) struct Loaded {
    pub(super) plugins: Plugins,
    /// Files that do not load.
    pub(super) problems: Vec<String>,
    /// Calls run on it.
    pub(super) runtime: Runtime,
}

/// What a connection's servers and workers say.
pub(super) struct Connection {
    pub(super) url: String,
    pub(super) result_url: String,
    /// `None` for `memory://`.
    pub(super) servers: Option<Servers>,
    /// `None` when nobody could be asked, because the broker does not answer.
    pub(super) inspection: Option<Result<Inspection, String>>,
}

impl Patient {
    pub(super) fn new(global: Global, settings: Settings, limit: Duration) -> Self {
        Self {
            global,
            settings,
            limit,
            running: OnceLock::new(),
            plugins: OnceLock::new(),
            rows: OnceLock::new(),
            catalog: OnceLock::new(),
            connections: OnceLock::new(),
        }
    }

    /// The host that works on this state directory.
    pub(super) fn running(&self) -> Option<&Running> {
        let found = self.running.get_or_init(|| Running::find(&self.global, &self.settings));
        found.as_ref()
    }

    pub(super) fn plugins(&self) -> Result<&Loaded, String> {
        let loaded = self.plugins.get_or_init(|| {
            let (runtime, plugins, problems) =
                plugin::open(&self.settings).map_err(|failure| crate::report::chain(&*failure.error))?;
            Ok(Loaded {
                plugins,
                problems,
                runtime,
            })
        });
        loaded.as_ref().map_err(Clone::clone)
    }

    /// As they stand in the definitions database.
    pub(super) fn rows(&self) -> Result<&Rows, String> {
        let rows = self.rows.get_or_init(|| {
            let read = || Source::open(&self.settings.database.db_url)?.load();
            read().map_err(|error| crate::report::chain(&error))
        });
        rows.as_ref().map_err(Clone::clone)
    }

    pub(super) fn catalog(&self) -> Result<&Catalog, String> {
        let catalog = self.catalog.get_or_init(|| {
            let rows = self.rows()?;
            let kinds = LoadedKinds {
                plugins: self.plugins()?.plugins.clone(),
                lenient: false,
            };
            Ok(compile(rows, &kinds, &Timings::default()))
        });
        catalog.as_ref().map_err(Clone::clone)
    }

    /// By name. Servers that are away are part of the answer; an error is a configuration that
    /// cannot be used.
    pub(super) fn connections(&self) -> Result<&BTreeMap<String, Connection>, String> {
        let connections = self.connections.get_or_init(|| self.ask_connections());
        connections.as_ref().map_err(Clone::clone)
    }

    fn ask_connections(&self) -> Result<BTreeMap<String, Connection>, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start threads: {error}"))?;
        let work: Arc<dyn Work> = match self.plugins() {
            Ok(loaded) => Arc::new(EmbeddedWorker::new(loaded.plugins.clone())),
            Err(_) => Arc::new(Nobody),
        };
        let patience = (self.limit / 2).max(Duration::from_secs(1));
        let asked: Result<BTreeMap<String, Connection>, String> = runtime.block_on(async {
            let (notices, mut unheard) = mpsc::channel::<Notice>(NOTICES);
            crate::task::spawn("notices", async move { while unheard.recv().await.is_some() {} });
            let broker = Broker::start(app::connections(&self.settings), work, notices)
                .await
                .map_err(|error| crate::report::chain(&error))?;
            let each = broker.status().into_iter().map(|status| ask(&broker, status, patience));
            let asked = futures_util::future::join_all(each).await.into_iter().collect();
            broker.close().await;
            asked
        });
        runtime.shutdown_timeout(Duration::from_millis(100));
        asked
    }
}

async fn ask(broker: &Broker, status: ConnectionStatus, patience: Duration) -> Result<(String, Connection), String> {
    let name = status.name;
    let servers = broker.servers(&name, patience).await;
    let servers = servers.map_err(|error| error.to_string())?;
    let answers = servers.as_ref().is_none_or(|servers| servers.broker.is_ok());
    let inspection = match answers {
        true => Some(broker.inspect(&name, LISTEN).await.map_err(|error| error.to_string())),
        false => None,
    };
    let one = Connection {
        url: status.url,
        result_url: status.result_url,
        servers,
        inspection,
    };
    Ok((name, one))
}

/// The embedded worker, where no plugin can be loaded.
struct Nobody;

impl Work for Nobody {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn run(&self, name: &str, _: &str, _: serde_json::Value) -> BoxFuture<'_, Result<serde_json::Value, WorkError>> {
        let message = format!("{name} is not run by a look at the connections");
        let error = WorkError {
            exc_type: "RuntimeError".to_owned(),
            message,
            traceback: None,
        };
        Box::pin(async move { Err(error) })
    }
}
