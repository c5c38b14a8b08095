//! The one wasmtime engine: its configuration, the linker with all that a guest may import, and
//! the ticker that lets calls be interrupted.
//!
//! The linker offers `grepx:plugin`, WASI 0.2 and `wasi:http` with nothing behind them that was not
//! granted: every component that a standard library builds imports files and sockets, and those of
//! interpreted languages HTTP, so they have to exist, and they refuse.

#![allow(clippy::disallowed_methods, reason = "the ticker is a thread of its own, not a task")]

use std::path::Path;
use std::thread;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::bindings::activity::ActivityPlugin;
use super::bindings::extra::WithSecrets;
use super::call::kept;
use super::failure::Error;
use super::guest::Guest;
use super::settings::{KIB, MIB, Settings};

/// Resolution of every deadline.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// How long a guest computes before it lets other work of its thread go on.
pub(super) const SLICE_TICKS: u64 = 2;

/// Dirty memory that a slot keeps, cleared in place instead of given back to the kernel.
const KEEP_RESIDENT_BYTES: usize = 256 * KIB;
/// A Rust component is 3 core instances, one of an interpreted language 33 and more.
const CORE_INSTANCES_PER_CALL: u32 = 40;
const MEMORIES_PER_CALL: u32 = 2;
const TABLES_PER_CALL: u32 = 40;
/// Loading a file calls `describe` beside the running calls.
pub(super) const SPARE_CALLS: u32 = 4;

pub(super) struct Runtime {
    pub(super) engine: Engine,
    pub(super) linker: Linker<Guest>,
    /// False when the address space was too small for the pool: calls are slower.
    pub(super) pooled: bool,
}

impl Runtime {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let (engine, pooled) = match Engine::new(&pooled_config(settings)) {
            Ok(engine) => (engine, true),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "no pool of plugin instances: lower plugins.concurrent_calls or raise the limit on address space; \
                     calls are slower until then"
                );
                (
                    Engine::new(&config()).map_err(|e| Error::Engine(format!("{e:#}")))?,
                    false,
                )
            }
        };
        let linker = linker(&engine).map_err(|e| Error::Engine(format!("{e:#}")))?;
        start_ticker(&engine)?;
        Ok(Self { engine, linker, pooled })
    }
}

/// What decides about compiled code, the same with and without the pool.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        // Files are compiled beside each other, and one that comes while the host works leaves
        // the other cores to the work.
        .parallel_compilation(false)
        // Places in the component's code are shown to nobody, and take a third of the cache.
        .generate_address_map(false)
        // For debuggers alone: backtraces follow frame pointers. Registering it is a part of each start.
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    config
}

fn pooled_config(settings: &Settings) -> Config {
    let calls = settings.concurrent_calls.saturating_add(SPARE_CALLS + kept::PLACES);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES_PER_CALL))
        .total_memories(calls.saturating_mul(MEMORIES_PER_CALL))
        .total_tables(calls.saturating_mul(TABLES_PER_CALL))
        .total_stacks(calls)
        .table_elements(settings.table_elements_max())
        .max_tables_per_module(4)
        .max_memory_size(settings.memory_bytes_max().max(MIB).next_multiple_of(64 * KIB))
        .max_component_instance_size(4 * MIB)
        .max_core_instance_size(4 * MIB)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(16 * KIB);
    if swap_is_off(Path::new("/proc/swaps")) {
        // Without swap only: a page that was swapped out is not found by the scan and would show
        // its old content to the next call.
        pool.pagemap_scan(Enabled::Auto);
    }
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// `/proc/swaps` has a header and one line per active area. Unreadable counts as "on".
fn swap_is_off(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.lines().filter(|line| !line.trim().is_empty()).count() <= 1)
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    // The imports of all three worlds are the same.
    ActivityPlugin::add_to_linker::<_, wasmtime::component::HasSelf<Guest>>(&mut linker, |guest| guest)?;
    WithSecrets::add_to_linker::<_, wasmtime::component::HasSelf<Guest>>(&mut linker, |guest| guest)?;
    Ok(linker)
}

/// One thread for the engine's life; it ends with the engine.
fn start_ticker(engine: &Engine) -> Result<(), Error> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new()
        .name("plugin-ticks".to_owned())
        .spawn(tick)
        .map(drop)
        .map_err(|e| Error::Engine(e.to_string()))
}

#[cfg(test)]
mod tests;
