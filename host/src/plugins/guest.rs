//! The host's side of one call: its limits, its log, what it was granted, and a WASI in which
//! nothing else is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::bindings::{log, secrets, types};
use super::call_log::{CallLog, Stream};
use super::grants::Grants;
use super::http::Outgoing;
use super::secrets::Held;
use super::settings::Limits;
use super::types::Level;

/// Host resources that a guest may hold: streams, polls, requests.
const RESOURCES_MAX: usize = 256;
const TABLES_MAX: usize = 200;
const MEMORIES_MAX: usize = 16;
const RANDOM_BYTES_MAX: u64 = 1024 * 1024;
/// Headers of one request or answer.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// What a guest sees of time and chance.
#[derive(Debug, Clone, Copy)]
pub(super) enum World {
    /// The machine's clock and randomness.
    Real,
    /// Both derived from the stored context, so that a repeated step is the same step.
    Stored { now_ms: u64, seed: u64 },
}

/// What a call may use, decided before it starts.
#[derive(Clone)]
pub(super) struct Rights {
    pub(super) kind: Arc<str>,
    pub(super) grants: Arc<Grants>,
    pub(super) secrets: Arc<Held>,
    /// Whether requests may go out: granted, and an activity.
    pub(super) http: bool,
}

pub(super) struct Guest {
    wasi: WasiCtx,
    resources: ResourceTable,
    limiter: Limiter,
    log: Arc<CallLog>,
    http: WasiHttpCtx,
    outgoing: Outgoing,
}

/// The call asked for more memory than it may have.
#[derive(Debug, thiserror::Error)]
#[error("the call asked for more than {limit} bytes of memory")]
pub(super) struct MemoryLimit {
    pub(super) limit: usize,
}

/// A store for one call, limited in memory and resources. `memory` is told the most that it had.
pub(super) fn store(
    engine: &Engine,
    limits: &Limits,
    world: World,
    rights: &Rights,
    log: Arc<CallLog>,
    memory: Arc<AtomicUsize>,
) -> Store<Guest> {
    let mut resources = ResourceTable::new();
    resources.set_max_capacity(RESOURCES_MAX);
    let mut http = WasiHttpCtx::new();
    http.set_field_size_limit(HEADER_BYTES_MAX);
    let granted = rights.grants.http.as_ref().filter(|_| rights.http);
    let guest = Guest {
        wasi: wasi(world, &rights.grants, &log),
        resources,
        limiter: Limiter {
            limit: limits.memory_bytes,
            elements: limits.table_elements,
            instances: limits.instances,
            used: 0,
            most: memory,
        },
        http,
        outgoing: Outgoing {
            kind: Arc::clone(&rights.kind),
            grant: granted.map(|grant| Arc::new(grant.clone())),
            secrets: Arc::clone(&rights.secrets),
            limits: *limits,
            log: Arc::clone(&log),
        },
        log,
    };
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.limiter);
    store
}

impl Guest {
    /// For the next call of a kept instance: another clock and other randomness.
    pub(super) fn renew(&mut self, world: World, rights: &Rights) {
        self.wasi = wasi(world, &rights.grants, &self.log);
    }
}

fn wasi(world: World, grants: &Grants, log: &Arc<CallLog>) -> WasiCtx {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(Stream::new(log, Level::Info))
        .stderr(Stream::new(log, Level::Warn))
        .max_random_size(RANDOM_BYTES_MAX)
        .allow_ip_name_lookup(false)
        .allow_tcp(false)
        .allow_udp(false);
    for (name, value) in &grants.env {
        if let Some(value) = value {
            builder.env(name, value);
        }
    }
    if let World::Stored { now_ms, seed } = world {
        builder
            .wall_clock(Frozen(Duration::from_millis(now_ms)))
            .monotonic_clock(Frozen(Duration::ZERO))
            .secure_random(random(seed, 0))
            .insecure_random(random(seed, 1))
            .insecure_random_seed(u128::from(seed));
    }
    builder.build()
}

/// Numbers that depend on nothing but the seed; none is made before one is asked for.
fn random(seed: u64, purpose: u8) -> StdRng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_be_bytes());
    key[8] = purpose;
    StdRng::from_seed(key)
}

#[derive(Clone, Copy)]
struct Frozen(Duration);

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for Frozen {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Unlike wasmtime's own limiter it counts all memories of a call together, and it fails the call
/// with an error of its own instead of handing the guest a failed allocation.
struct Limiter {
    limit: usize,
    elements: usize,
    instances: usize,
    used: usize,
    most: Arc<AtomicUsize>,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            return Err(MemoryLimit { limit: self.limit }.into());
        }
        self.used = used;
        self.most.fetch_max(used, Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.elements)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.resources,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.resources,
            hooks: &mut self.outgoing,
        }
    }
}

impl types::Host for Guest {}

impl secrets::Host for Guest {
    fn get(&mut self, name: String) -> Option<String> {
        self.outgoing.secrets.placeholder(&name).map(str::to_owned)
    }
}

impl log::Host for Guest {
    fn log(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.line(level, &message);
    }

    fn progress(&mut self, fraction: f64, note: String) {
        self.log.progress(fraction, &note);
    }
}
