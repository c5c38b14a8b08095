//! Keeps the catalog in step with the database: looked at often, swapped as a whole, and never lost
//! because the database is away or half-written for a moment.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::Settings;
use crate::definitions::{self, Catalog, Deployment, Problem, Rows, Source, Table};
use crate::plugins::Plugins;
use crate::store::{PoolLimits, QueueLimits, Store};

use super::kinds::LoadedKinds;

pub(crate) struct Live {
    url: String,
    poll: Duration,
    /// Whether the operator expects schedules to start runs.
    schedules: bool,
    plugins: Plugins,
    store: Store,
    catalog: Arc<ArcSwap<Catalog>>,
    source: Option<Source>,
    /// What went wrong at the last look, so that it is told once.
    trouble: Option<String>,
    /// The plugins that the catalog was checked against.
    checked_with: Option<u64>,
}

impl Live {
    /// Reads the definitions for the first time. A database that cannot be read is a problem in
    /// the catalog, and looked for again.
    pub(crate) async fn open(
        settings: &Settings,
        plugins: &Plugins,
        store: &Store,
        catalog: &Arc<ArcSwap<Catalog>>,
    ) -> Self {
        let mut live = Self {
            url: settings.database.db_url.clone(),
            poll: settings.scheduler.definitions_poll,
            schedules: settings.scheduler.enabled,
            plugins: plugins.clone(),
            store: store.clone(),
            catalog: catalog.clone(),
            source: None,
            trouble: None,
            checked_with: None,
        };
        live.look().await;
        live
    }

    pub(crate) async fn watch(mut self) {
        let mut every = tokio::time::interval(self.poll);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.look().await;
        }
    }

    /// Reads again if something has changed.
    async fn look(&mut self) {
        let (mut source, url) = (self.source.take(), self.url.clone());
        let plugins_now = Some(self.plugins.kinds().generation());
        let force = plugins_now != self.checked_with;
        let read = tokio::task::spawn_blocking(move || {
            let rows = read(&mut source, &url, force);
            (source, rows)
        })
        .await;
        let Ok((source, rows)) = read else { return };
        self.source = source;
        match rows {
            Ok(None) => self.recovered(),
            Ok(Some(rows)) => {
                self.recovered();
                self.checked_with = plugins_now;
                self.swap(&rows).await;
            }
            Err(error) => self.troubled(&error),
        }
    }

    async fn swap(&mut self, rows: &Rows) {
        let next = definitions::compile(rows, &LoadedKinds(self.plugins.clone()));
        let before = self.catalog.load_full();
        tell(&before, &next, self.schedules);
        if let Err(error) = self.store.sync_pools(limits(&next)).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the limits of the work pools were not taken over; it is tried again"
            );
            self.checked_with = None;
        }
        self.catalog.store(Arc::new(next));
    }

    /// The last good definitions keep working; the problem stands beside them.
    fn troubled(&mut self, error: &definitions::SourceError) {
        let text = crate::report::chain(error);
        if self.trouble.as_ref() == Some(&text) {
            return;
        }
        tracing::error!(problem = %text, "the definitions cannot be read; the last good ones stay in force");
        let mut catalog = (*self.catalog.load_full()).clone();
        catalog.problems.retain(|problem| problem.table != Table::Database);
        catalog.problems.insert(0, Problem::of_database(&text));
        self.catalog.store(Arc::new(catalog));
        self.trouble = Some(text);
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("the definitions can be read again");
            let mut catalog = (*self.catalog.load_full()).clone();
            catalog.problems.retain(|problem| problem.table != Table::Database);
            self.catalog.store(Arc::new(catalog));
        }
    }
}

fn read(source: &mut Option<Source>, url: &str, force: bool) -> Result<Option<Rows>, definitions::SourceError> {
    if source.is_none() {
        *source = Some(Source::open(url)?);
    }
    let Some(open) = source else { return Ok(None) };
    if !open.changed() && !force {
        return Ok(None);
    }
    open.load().map(Some)
}

/// One line about the whole, and one for each problem that is new.
fn tell(before: &Catalog, next: &Catalog, schedules: bool) {
    tracing::info!(
        flows = next.flows.len(),
        deployments = next.deployments.len(),
        work_pools = next.pools.len(),
        problems = next.problems.len(),
        "definitions loaded"
    );
    let scheduled = |one: &&Arc<Deployment>| one.schedules.iter().any(|schedule| schedule.active);
    let scheduled = next.deployments.iter().filter(scheduled).count();
    if schedules && scheduled > 0 {
        tracing::warn!(
            deployments = scheduled,
            "schedules are read and kept, but this release starts runs only when asked"
        );
    }
    for problem in next
        .problems
        .iter()
        .filter(|problem| !before.problems.contains(problem))
    {
        tracing::warn!(%problem, "definition problem");
    }
}

fn limits(catalog: &Catalog) -> Vec<PoolLimits> {
    catalog
        .pools
        .values()
        .map(|pool| PoolLimits {
            name: pool.name.clone(),
            concurrency_limit: pool.concurrency_limit,
            paused: pool.paused,
            queues: pool
                .queues
                .iter()
                .map(|queue| QueueLimits {
                    name: queue.name.clone(),
                    priority: queue.priority,
                    concurrency_limit: queue.concurrency_limit,
                    paused: queue.paused,
                })
                .collect(),
        })
        .collect()
}
