//! Puts the parts together, in the order in which they need each other, and takes them apart again.
//!
//! The port is taken first and the run store second: a second host by mistake is told so before it
//! has done anything. Definitions, plugins and brokers may be broken or away: that is shown, and
//! the rest works.

mod definitions;
mod drive;
pub(crate) mod kinds;
mod retention;
mod secret;
mod shutdown;
mod supervisor;
mod told;
pub(crate) mod worker;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use grepx_celery::queue::QueueLayout;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::api::bus::{self, Bus};
use crate::api::{self, ApiState, Door, Hooks, Patience, Readiness};
use crate::broker::{Broker, ConnectionSettings};
use crate::config::{self, Settings};
use crate::definitions::Catalog;
use crate::plugins::{self, Plugins};
use crate::runner::{self, Runner};
use crate::scheduler;
use crate::store::{self, Store};
use crate::traces::Traces;

/// Notices of the broker that wait for a shard.
const NOTICES: usize = 4_096;
const RECORDS_WRITTEN: Duration = Duration::from_millis(500);

/// Serves until a signal ends it. The log line "serving" has the address.
///
/// # Errors
/// When the port is taken, the run store is in use or unreadable, or the machine lacks something
/// that everything needs. One line each.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let settings = Arc::new(settings);
    let listener = bind(&settings).await?;
    let address = listener.local_addr()?;
    let events = Bus::new(event_limits(&settings), crate::clock::now());
    let opened = Store::open(&store::Settings {
        observer: Some(Arc::new(events.clone())),
        address: Some(format!("http://{address}")),
        ..store_settings(&settings)
    })?;
    let hooks = Hooks::new(&settings, &secret::of_hooks(&settings)?)?;
    let door = Door::open(&opened.store, &settings, address).await?;
    let operator_file = door.hand_out(&settings.store.dir)?;
    tell_permissions(&settings);
    let noted = scheduler::look_up(&opened.store);
    let plugins = load_plugins(&settings).await?;
    let traces = settings.telemetry.as_ref().map(Traces::start).transpose()?;
    let catalog = Arc::new(ArcSwap::from_pointee(Catalog::default()));
    let source = definitions::Live::open(&settings, &plugins, &opened.store, &catalog, &events).await;
    let (notices, heard) = mpsc::channel(NOTICES);
    let work = Arc::new(worker::EmbeddedWorker::new(plugins.clone()));
    let broker = Broker::start(connections(&settings), work, notices).await?;
    let runner = runner::start(runner::Parts {
        store: opened.store.clone(),
        kinds: plugins.clone().into(),
        broker: broker.clone(),
        settings: runner_settings(&settings),
        catalog: catalog.clone(),
        admissions: opened.admissions,
        notices: heard,
        traces: traces.clone(),
    })
    .await
    .context("the live flow runs cannot be read back")?;
    let scheduler = scheduler::start(scheduler::Parts {
        store: opened.store.clone(),
        runner: runner.clone(),
        catalog: catalog.clone(),
        enabled: settings.scheduler.enabled,
        noted,
    });
    let builds = collect(runner.clone(), plugins.clone(), settings.plugins.collect);
    let housekeeping = [
        crate::task::spawn("definitions", source.watch(scheduler.clone())),
        crate::task::spawn("plugins", plugins.clone().watch()),
        crate::task::spawn("plugin builds", builds),
        crate::task::spawn("plugin events", told::plugins(plugins.clone(), events.clone())),
        crate::task::spawn("retention", retention::watch(opened.store.clone(), settings.retention)),
        crate::task::spawn("audit", write_records(opened.store.clone())),
    ];
    let state = ApiState::new(
        opened.store.clone(),
        drive::Drive::new(&runner, &scheduler),
        catalog,
        plugins,
        broker.clone(),
        settings.clone(),
        door,
    )
    .with_hooks(hooks)
    .with_events(events.clone())
    .with_traces(traces.clone());
    let stop = shutdown::Stop::listen()?;
    let (router, patience) = (api::router(state.clone()), Patience::from(&settings.server));
    let serving = api::serve(listener, router, patience, state.traffic(), stop.asked());
    let serving = crate::task::spawn("http", serving);
    tracing::info!(%address, "serving");
    supervisor::tell("READY=1");
    stop.asked().await;
    supervisor::tell("STOPPING=1");
    tracing::info!("stopping: no new work is taken, suspended work stays suspended; a second signal stops at once");
    state.set_readiness(Readiness::NotReady("the host is stopping".to_owned()));
    events.close();
    scheduler.stop();
    housekeeping.iter().for_each(tokio::task::JoinHandle::abort);
    drop(operator_file);
    take_apart(&runner, broker, opened.store, traces, settings.server.shutdown_grace).await;
    serving.abort();
    Ok(())
}

/// Records that no change has taken along are on the disk a moment later.
async fn write_records(store: Store) {
    let mut every = tokio::time::interval(RECORDS_WRITTEN);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        // What concerns the whole store, the store has told.
        if let Err(error) = store.flush_records().await
            && !error.concerns_all()
        {
            tracing::warn!(error = %crate::report::chain(&error), "the audit log is behind");
        }
    }
}

/// Files of an older host, or of somebody's own making.
fn tell_permissions(settings: &Settings) {
    let key = &settings.plugins.key_file;
    for (path, mode) in store::too_wide(&settings.store.dir, &[key]) {
        tracing::warn!(
            path = %path.display(),
            mode = format!("{mode:o}"),
            "others on this machine can read this: take it from them with `chmod go-rwx`"
        );
    }
}

/// Lets builds go that no suspended task run needs any more.
async fn collect(runner: Runner, plugins: Plugins, every: Duration) {
    let mut every = tokio::time::interval(every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(needed) = runner.builds().await else { continue };
        let gone = plugins.collect(needed).await;
        if gone > 0 {
            tracing::info!(builds = gone, "plugin builds that nothing needs were removed");
        }
    }
}

async fn take_apart(runner: &Runner, broker: Broker, store: Store, traces: Option<Traces>, grace: Duration) {
    let put_away = async {
        runner.drain().await;
        broker.close().await;
        drop(store);
    };
    if tokio::time::timeout(grace, put_away).await.is_err() {
        tracing::warn!(
            seconds = grace.as_secs(),
            "not everything was put away in time; the next start picks it up"
        );
    }
    // Nothing ends any more: what has, is sent.
    if let Some(traces) = traces {
        traces.stop().await;
    }
}

async fn bind(settings: &Settings) -> anyhow::Result<TcpListener> {
    let (host, port) = (settings.server.host.as_str(), settings.server.port);
    TcpListener::bind((host, port)).await.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "port {port} on {host} is taken by another program (`ss -ltnp 'sport = :{port}'` names it): \
                 stop that one, or choose another with --port or server.port"
            ),
            _ => format!("cannot listen on {host}:{port} (server.host, server.port): {error}"),
        };
        anyhow::Error::msg(why)
    })
}

/// As a command uses it, which serves nowhere.
pub(crate) fn store_settings(settings: &Settings) -> store::Settings {
    store::Settings {
        durability: match settings.store.durability {
            config::Durability::Full => store::Durability::Full,
            config::Durability::Normal => store::Durability::Normal,
        },
        since: crate::clock::now(),
        log_lines_per_run: i64::try_from(settings.limits.log_lines_per_run).unwrap_or(i64::MAX),
        audit_rows: settings.limits.audit_rows,
        ..store::Settings::new(settings.store.dir.clone())
    }
}

fn event_limits(settings: &Settings) -> bus::Limits {
    bus::Limits {
        events: settings.limits.events_kept,
        bytes: settings.limits.events_bytes,
    }
}

fn runner_settings(settings: &Settings) -> runner::Settings {
    let usual = runner::Settings::default();
    runner::Settings {
        // No fewer than plugins take.
        turns: usual.turns.max(settings.plugins.concurrent_calls as usize),
        result_bytes: settings.limits.result_bytes,
        mapped_items: settings.limits.mapped_items,
        when_missing: match settings.plugins.when_missing {
            config::WhenMissing::Wait => runner::WhenMissing::Wait,
            config::WhenMissing::Fail => runner::WhenMissing::Fail,
        },
        ..usual
    }
}

/// The plugins of the folder; used by commands that need no server, too.
///
/// # Errors
/// When WebAssembly cannot run at all. A file that does not load is a logged problem.
pub async fn load_plugins(settings: &Settings) -> anyhow::Result<Plugins> {
    let (plugins, problems) = Plugins::load(kinds::plugin_settings(settings)?).await?;
    if plugins.kinds().is_empty() && problems.is_empty() {
        tracing::error!(
            dir = %settings.plugins.dir.display(),
            "there is no plugin: every task waits until one is put there (`cargo xtask build-plugins` builds the shipped ones)"
        );
    }
    Ok(plugins)
}

/// As the broker has them, by name.
pub(crate) fn connections(settings: &Settings) -> Vec<ConnectionSettings> {
    settings
        .connections
        .iter()
        .map(|(name, one)| ConnectionSettings {
            result_backend: one.result_backend.clone(),
            default_queue: one.default_queue.clone(),
            layout: QueueLayout {
                separator: one.separator.clone(),
                priority_steps: one.priority_steps.clone(),
                key_prefix: one.global_keyprefix.clone(),
            },
            control_exchange: one.control_exchange.clone(),
            result_keyprefix: one.result_keyprefix.clone(),
            guard_ttl: one.guard_ttl,
            revoke_ttl: one.revoke_ttl,
            response_timeout: one.response_timeout,
            lost_after: one.lost_after,
            ..ConnectionSettings::new(name.clone(), one.broker_url.clone())
        })
        .collect()
}

pub use plugins::Problem as PluginProblem;

#[cfg(test)]
mod tests;
