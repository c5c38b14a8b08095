//! Keeps the catalog in step with the database: looked at often, swapped as a whole, and never lost
//! because the database is away or half-written for a moment.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::api::bus::Bus;
use crate::config::Settings;
use crate::definitions::{
    self, Catalog, Deployment, Overlap, Problem, Rows, ScheduleSpec, Source, Table, Timing, Timings,
};
use crate::plugins::Plugins;
use crate::scheduler::Scheduler;
use crate::store::{AuditEntry, DeploymentLimit, PoolLimits, QueueLimits, Store, WhenBusy};

use super::kinds::LoadedKinds;
use super::told;

/// Schedules that one reading describes in the log.
const DESCRIBED_MAX: usize = 50;

pub(crate) struct Live {
    url: String,
    poll: Duration,
    plugins: Plugins,
    store: Store,
    catalog: Arc<ArcSwap<Catalog>>,
    events: Bus,
    source: Option<Source>,
    timings: Timings,
    /// What went wrong at the last look, so that it is told once.
    trouble: Option<String>,
    /// The plugins that the catalog was checked against.
    checked_with: Option<u64>,
    /// The store has not taken the limits yet.
    limits_owed: bool,
}

impl Live {
    /// Reads the definitions for the first time. A database that cannot be read is a problem in
    /// the catalog, and looked for again.
    pub(crate) async fn open(
        settings: &Settings,
        plugins: &Plugins,
        store: &Store,
        catalog: &Arc<ArcSwap<Catalog>>,
        events: &Bus,
    ) -> Self {
        let mut live = Self {
            url: settings.database.db_url.clone(),
            poll: settings.scheduler.definitions_poll,
            plugins: plugins.clone(),
            store: store.clone(),
            catalog: catalog.clone(),
            events: events.clone(),
            source: None,
            timings: Timings::default(),
            trouble: None,
            checked_with: None,
            limits_owed: false,
        };
        live.look().await;
        live
    }

    /// Looks for changes; the scheduler follows each of them.
    pub(crate) async fn watch(mut self, scheduler: Scheduler) {
        let mut every = tokio::time::interval(self.poll);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if self.look().await {
                scheduler.sync().await;
            }
        }
    }

    /// Reads again if something has changed. True when the catalog is another one.
    async fn look(&mut self) -> bool {
        if self.limits_owed && self.store.trouble().is_some() {
            return false;
        }
        let began = std::time::Instant::now();
        let (mut source, url) = (self.source.take(), self.url.clone());
        let plugins_now = Some(self.plugins.kinds().generation());
        // What could not be read is tried again until it can, whether it seems to have changed or not.
        let force = plugins_now != self.checked_with || self.trouble.is_some() || std::mem::take(&mut self.limits_owed);
        let read = tokio::task::spawn_blocking(move || {
            let changed = source.as_mut().is_some_and(Source::changed);
            let rows = read(&mut source, &url, force || changed);
            (source, rows, changed)
        })
        .await;
        let Ok((source, rows, changed)) = read else {
            return false;
        };
        self.source = source;
        match rows {
            Ok(None) => {
                self.recovered();
                false
            }
            Ok(Some(rows)) => {
                self.recovered();
                self.checked_with = plugins_now;
                if changed {
                    self.record();
                }
                self.swap(&rows, began).await;
                true
            }
            Err(error) => {
                self.troubled(&error);
                false
            }
        }
    }

    async fn swap(&mut self, rows: &Rows, began: std::time::Instant) {
        let kinds = LoadedKinds {
            plugins: self.plugins.clone(),
            lenient: true,
        };
        // Thousands of flows take their time: others go on meanwhile.
        let next = tokio::task::block_in_place(|| definitions::compile(rows, &kinds, &self.timings));
        let before = self.catalog.load_full();
        tell(&before, &next, began.elapsed());
        if let Err(error) = self.store.sync_limits(limits(&next), deployment_limits(&next)).await {
            self.limits_owed = true;
            // What concerns the whole store, the store has told.
            if !error.concerns_all() {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the limits of work pools and deployments were not taken over; it is tried again"
                );
            }
        }
        let next = Arc::new(next);
        self.catalog.store(next.clone());
        told::definitions(&self.events, &next);
    }

    /// Somebody has written into the database: not through us, so it is not known who.
    fn record(&self) {
        let entry = AuditEntry {
            at: crate::clock::now(),
            who: "definitions database".to_owned(),
            address: None,
            method: "LOAD".to_owned(),
            route: "definitions".to_owned(),
            path: crate::config::mask_url(&self.url),
        };
        match self.store.record(entry) {
            Ok(mark) => self.store.record_end(mark, 200, None),
            Err(error) => tracing::warn!(%error, "a change of the definitions is missing in the audit log"),
        }
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
fn tell(before: &Catalog, next: &Catalog, took: Duration) {
    tracing::info!(
        flows = next.flows.len(),
        deployments = next.deployments.len(),
        work_pools = next.pools.len(),
        problems = next.problems.len(),
        milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "definitions loaded"
    );
    describe(before, next);
    for problem in next
        .problems
        .iter()
        .filter(|problem| !before.problems.contains(problem))
    {
        tracing::warn!(%problem, "definition problem");
    }
}

/// Schedules that are likely to mean something else than they seem to, in words, so that a shifted
/// week is seen before it fires.
fn describe(before: &Catalog, next: &Catalog) {
    let known: HashSet<*const Timing> = timings(before).map(|(_, _, timing)| Arc::as_ptr(timing)).collect();
    let mut described = 0_usize;
    for (deployment, schedule, timing) in timings(next) {
        let notes = timing.rule().notes();
        if notes.is_empty() || known.contains(&Arc::as_ptr(timing)) {
            continue;
        }
        described += 1;
        if described <= DESCRIBED_MAX {
            let name = format!("{}/{}", deployment.flow.name, deployment.name);
            let (means, notes) = (timing.describe(), notes.join(" "));
            tracing::info!(deployment = %name, schedule = %schedule.key, means, notes, "schedule");
        }
    }
    if described > DESCRIBED_MAX {
        let more = described - DESCRIBED_MAX;
        tracing::info!(more, "further schedules: see `grepx-host deployment schedule ls`");
    }
}

fn timings(catalog: &Catalog) -> impl Iterator<Item = (&Deployment, &ScheduleSpec, &Arc<Timing>)> {
    catalog.deployments.iter().flat_map(|deployment| {
        let schedules = deployment.schedules.iter();
        schedules.filter_map(|schedule| Some((&**deployment, schedule, schedule.timing.as_ref().ok()?)))
    })
}

pub(super) fn limits(catalog: &Catalog) -> Vec<PoolLimits> {
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

/// Deployments that limit their runs; an overlap that is not "enqueue" means one run at a time.
pub(super) fn deployment_limits(catalog: &Catalog) -> Vec<DeploymentLimit> {
    let limited = catalog.deployments.iter().filter_map(|one| {
        Some(DeploymentLimit {
            id: one.id,
            name: one.name.clone(),
            concurrency_limit: one.live_runs_max()?,
            when_busy: match one.overlap {
                Overlap::Enqueue | Overlap::Skip => WhenBusy::Wait,
                Overlap::CancelNew => WhenBusy::CancelNew,
                Overlap::CancelRunning => WhenBusy::CancelRunning,
            },
        })
    });
    limited.collect()
}
