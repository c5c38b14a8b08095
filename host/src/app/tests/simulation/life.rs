//! One life of the host: the real runner, scheduler and store, put together as `serve` does it, in a
//! runtime of one thread whose clock is virtual. It ends by a death at any point, or in order; the
//! outside and the database outlive it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use grepx_engine::Timestamp;
use tokio::sync::mpsc;

use crate::app::definitions;
use crate::broker::{Broker, ConnectionSettings};
use crate::definitions::Catalog;
use crate::failpoint::{Point, machine};
use crate::runner::{self, Kinds as TaskKinds, Runner};
use crate::scheduler::{self, Scheduler};
use crate::store::{self, ConcurrencyLimit, Eyes, InLine, Moment, Store, TAG_PREFIX};
use crate::task;

use super::flows::{CONNECTION, Limits, TAG};
use super::ledger::Ledger;
use super::luck::Luck;
use super::outside::Shared;
use super::{clients, echoes, judge, script};

/// Notices of the broker that wait for the runner.
const NOTICES: usize = 64;

/// What all lives have in common.
#[derive(Clone)]
pub(super) struct Sim {
    pub(super) outside: Shared,
    pub(super) catalog: Arc<ArcSwap<Catalog>>,
    pub(super) limits: Arc<Limits>,
    pub(super) dir: std::path::PathBuf,
    /// By the wall clock, the last instants included.
    pub(super) schedules_end: Timestamp,
    pub(super) ledger: Ledger,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// After so many milliseconds, in the middle of whatever goes on.
    Killed,
    /// At a passage of a point, or when the time is over.
    DiesAt(Point, u64),
    Stopped,
    /// Everything goes well from now on, until all is done; then it is judged.
    Judged,
}

/// A host at work.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) store: Store,
    pub(super) runner: Runner,
    pub(super) scheduler: Scheduler,
    pub(super) eyes: Eyes,
    broker: Broker,
}

/// Lives for at most so long, or until all is done. The point at which it has died, if it has.
pub(super) fn live(sim: &Sim, luck: &mut Luck, end: End, ms: u64) -> Option<Point> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let wall = {
            let mut outside = sim.outside.lock();
            outside.born();
            outside.note(&format!("a host starts, to be {end:?}"));
            outside.wall()
        };
        let armed = match end {
            End::DiesAt(point, passage) => Some((point, passage)),
            _ => None,
        };
        let died = machine::boot(wall, luck.next(), armed);
        // The outside is no part of the host: it goes on while that dies.
        let _outside = tokio::spawn(sim.outside.clone().go_on());
        tokio::select! {
            biased;
            () = died.notified() => {}
            () = work(sim, luck, end, ms) => {}
        }
        sim.outside.lock().gone();
    });
    drop(runtime);
    let (died, panics) = machine::shut_down();
    let mut outside = sim.outside.lock();
    if let Some(point) = died {
        outside.note(&format!("it died at {}", point.name()));
    }
    outside
        .violations
        .extend(panics.into_iter().map(|text| format!("a task panicked: {text}")));
    died
}

async fn work(sim: &Sim, luck: &mut Luck, end: End, ms: u64) {
    let starting = task::spawn("start", start(sim.clone()));
    let Ok(Some(host)) = starting.await else {
        return std::future::pending().await;
    };
    if end == End::Judged {
        sim.outside.lock().heal();
        clients::finish(sim, &host).await;
        let _ = task::spawn("stop", stop(host.clone())).await;
        return judge::judge(sim, &host).await;
    }
    clients::chaos(sim, &host, luck, ms).await;
    if end == End::Stopped {
        let _ = task::spawn("stop", stop(host)).await;
    }
}

/// As `serve` does it.
async fn start(sim: Sim) -> Host {
    let pace = Pace {
        outside: sim.outside.clone(),
        limits: sim.limits.clone(),
    };
    let opened = Store::open(&store::Settings {
        durability: store::Durability::Normal,
        readers: 1,
        in_line: Some(Arc::new(pace)),
        ..store::Settings::new(sim.dir.clone())
    })
    .expect("the store opens");
    let noted = scheduler::look_up(&opened.store);
    let catalog = sim.catalog.load_full();
    let (pools, deployments) = (definitions::limits(&catalog), definitions::deployment_limits(&catalog));
    let synced = opened.store.sync_limits(pools, deployments).await;
    synced.expect("the limits are kept");
    limit_tag(&opened.store, sim.limits.tagged).await;
    let (notices, said) = mpsc::channel(NOTICES);
    let settings = ConnectionSettings {
        sweep: Duration::from_secs(5),
        resend_revoke: Duration::from_secs(4),
        revoke_ttl: Duration::from_secs(60),
        lost_after: Duration::from_secs(20),
        ..ConnectionSettings::new(CONNECTION, "simulated")
    };
    let (broker, push) = Broker::simulated(settings, Arc::new(sim.outside.clone()), notices);
    sim.outside.lock().push = Some(push);
    let eyes = Eyes::open(&sim.dir);
    // Few, so that work has to wait for its turn.
    let turns = usize::try_from(sim.outside.lock().luck.between(1, 6)).expect("few");
    let runner = runner::start(runner::Parts {
        store: opened.store.clone(),
        kinds: TaskKinds::Script(Arc::new(script::Kinds {
            outside: sim.outside.clone(),
            eyes: eyes.clone(),
        })),
        broker: broker.clone(),
        settings: runner::Settings {
            shards: 2,
            turns,
            ..runner::Settings::default()
        },
        catalog: sim.catalog.clone(),
        admissions: opened.admissions,
        notices: echoes::between(&sim.outside, said),
        traces: None,
    })
    .await
    .expect("the live flow runs are read back");
    let scheduler = scheduler::start(scheduler::Parts {
        store: opened.store.clone(),
        runner: runner.clone(),
        catalog: sim.catalog.clone(),
        enabled: true,
        noted,
    });
    scheduler.sync().await;
    sim.ledger.in_force(crate::clock::now());
    Host {
        eyes,
        store: opened.store,
        runner,
        scheduler,
        broker,
    }
}

/// The first life makes the limit, if it gets there.
async fn limit_tag(store: &Store, slots: u32) {
    let name = format!("{TAG_PREFIX}{TAG}");
    let known = store
        .concurrency_limits(crate::clock::now())
        .await
        .expect("they are read");
    if known.iter().any(|limit| limit.name == name) {
        return;
    }
    let now = crate::clock::now();
    let made = store.create_limit(ConcurrencyLimit {
        id: crate::names::new_id(),
        name,
        slots,
        active: true,
        decay_per_second: 0.0,
        taken: 0.0,
        created_at: now,
        updated_at: now,
    });
    made.await.expect("the limit is kept");
}

async fn stop(host: Host) {
    host.scheduler.stop();
    host.runner.drain().await;
    host.broker.close().await;
}

/// How fast the store is, and what must hold whenever it has committed.
#[derive(Debug)]
struct Pace {
    outside: Shared,
    limits: Arc<Limits>,
}

impl InLine for Pace {
    fn before_group(&self) -> BoxFuture<'_, usize> {
        let (pause, most) = {
            let mut outside = self.outside.lock();
            let slow = if outside.bad_luck(3) { 800 } else { 4 };
            let most = if outside.luck.percent(30) { 1 } else { 64 };
            (outside.luck.ms(slow), most)
        };
        tokio::time::sleep(pause).map(move |()| most).boxed()
    }

    fn before_read(&self) -> BoxFuture<'_, ()> {
        let pause = self.outside.lock().luck.ms(3);
        tokio::time::sleep(pause).boxed()
    }

    fn committed(&self, now: Moment) {
        let wrong = judge::of_this_moment(&now, &self.limits);
        if !wrong.is_empty() {
            let mut outside = self.outside.lock();
            for what in wrong {
                outside.note(&format!("WRONG: {what}"));
                outside.violations.push(what);
            }
        }
    }
}
