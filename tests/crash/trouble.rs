//! What goes wrong around the host while it lives and dies: connections are cut, Redis freezes or
//! is killed and comes back with its data, workers freeze or are killed and come back.
//!
//! One trouble at a time, at instants that the seed gives. Absent on purpose: a Redis that forgets
//! (`tests/faults` has it). It forgets the guards as well, so then nothing exact could be said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use grepx_tests::{Pool, RedisServer, Worker};

use crate::flows::GAUGES;
use crate::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Every connection of the host is closed by Redis.
    HostCut,
    /// Every connection is, also those of the workers.
    AllCut,
    RedisFrozen,
    /// SIGKILL; it comes back with its data.
    RedisKilled,
    WorkerFrozen,
    /// SIGKILL with everything that it runs; another one comes.
    WorkerKilled,
    /// By itself, over a connection that was cut (kombu raises `KeyError` in `on_readable`); another
    /// one comes, as from whoever supervises it.
    WorkerFallen,
}

impl Fault {
    /// That are done to them.
    const ALL: [Self; 6] = [
        Self::HostCut,
        Self::AllCut,
        Self::RedisFrozen,
        Self::RedisKilled,
        Self::WorkerFrozen,
        Self::WorkerKilled,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::HostCut => "connections of the host cut",
            Self::AllCut => "all connections cut",
            Self::RedisFrozen => "Redis frozen",
            Self::RedisKilled => "Redis killed",
            Self::WorkerFrozen => "worker frozen",
            Self::WorkerKilled => "worker killed",
            Self::WorkerFallen => "worker fallen over a cut",
        }
    }
}

/// Redis and the worker of a series, and what is done to them.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) redis: RedisServer,
    worker: Option<Worker>,
    random: Random,
    /// What is wrong now, and until when.
    now: Option<(Fault, Instant)>,
    next: Instant,
    pub(crate) counts: BTreeMap<Fault, u64>,
}

impl Trouble {
    pub(crate) fn new(seed: u64) -> Self {
        let redis = RedisServer::durable();
        let worker = Worker::start(&redis, Pool::Prefork, "celery");
        Self {
            redis,
            worker: Some(worker),
            random: Random::new(seed),
            now: None,
            next: Instant::now(),
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn count(&self, kind: Fault) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// Begins or ends what is due.
    pub(crate) fn step(&mut self) {
        self.replace_fallen();
        let now = Instant::now();
        match self.now {
            Some((_, until)) if now >= until => self.heal(),
            None if now >= self.next => self.begin(),
            _ => {}
        }
    }

    fn begin(&mut self) {
        let kind = *self.random.one_of(&Fault::ALL);
        *self.counts.entry(kind).or_default() += 1;
        match kind {
            Fault::HostCut => self.redis.cut(Some("redis-rs")),
            Fault::AllCut => self.redis.cut(None),
            Fault::RedisFrozen => self.redis.signal("STOP"),
            Fault::RedisKilled => self.redis.kill(),
            Fault::WorkerFrozen => self.worker().process.signal("STOP"),
            Fault::WorkerKilled => {
                self.worker().process.kill_all();
                self.without_worker();
            }
            Fault::WorkerFallen => {}
        }
        let time = Duration::from_millis(self.random.between(50, 2_500));
        self.now = Some((kind, Instant::now() + time));
    }

    /// Everything is well again, or on its way to be.
    pub(crate) fn heal(&mut self) {
        match self.now.take() {
            Some((Fault::RedisFrozen, _)) => self.redis.signal("CONT"),
            Some((Fault::RedisKilled, _)) => self.redis.restart(),
            Some((Fault::WorkerFrozen, _)) => self.worker().process.signal("CONT"),
            Some((Fault::WorkerKilled, _)) => self.worker = Some(Worker::spawn(&self.redis, Pool::Prefork, "celery")),
            Some((Fault::HostCut | Fault::AllCut | Fault::WorkerFallen, _)) | None => {}
        }
        self.next = Instant::now() + Duration::from_millis(self.random.between(500, 6_000));
    }

    /// When nothing else is wrong.
    pub(crate) fn replace_fallen(&mut self) {
        let has_fallen = |worker: &mut Worker| worker.process.ended().is_some();
        if self.now.is_none() && self.worker.as_mut().is_some_and(has_fallen) {
            *self.counts.entry(Fault::WorkerFallen).or_default() += 1;
            self.without_worker();
            self.worker = Some(Worker::spawn(&self.redis, Pool::Prefork, "celery"));
        }
    }

    fn without_worker(&mut self) {
        self.worker = None;
        // What it was doing will never say that it has ended.
        let mut redis = self.redis.connect();
        for gauge in GAUGES {
            let done: redis::RedisResult<()> = redis::cmd("DEL").arg(format!("live:{gauge}")).query(&mut redis);
            done.expect("Redis answers");
        }
    }

    fn worker(&mut self) -> &mut Worker {
        self.worker.as_mut().expect("one trouble at a time")
    }
}
