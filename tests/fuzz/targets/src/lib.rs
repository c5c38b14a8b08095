//! What any bytes may do to the host: read them at one of its doors, within a bound of time and of
//! memory, without a panic, and with an answer that keeps its promises.
//!
//! One [`Target`] a door. The programs of `cargo fuzz` (in `..`) and `tests/corpus.rs`, which runs
//! with all other tests, do the same: [`Target::judge`]. A bound that is broken is a panic that
//! says so.
//!
//! Absent on purpose: a running host, Redis, workers. Those have `tests/faults`.

mod api;
mod celery;
mod config;
mod definitions;
mod expression;
mod rows;
mod schedule;
mod wasm;

use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

/// Counts what is allocated at once, in every program that has these targets in it.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
/// A machine that was busy for once is not a slow answer: the best of so many counts.
const TRIES: usize = 5;

/// A door for bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Of its program in `fuzz_targets` and of its folder in `corpus`.
    pub name: &'static str,
    read: fn(&[u8]),
    /// What one input may take.
    time: Duration,
    /// What it may hold at once, beside what it is itself.
    memory: usize,
}

impl Target {
    const fn new(name: &'static str, read: fn(&[u8])) -> Self {
        Self {
            name,
            read,
            time: Duration::from_secs(1),
            memory: 64 * MIB,
        }
    }

    const fn within(mut self, time: Duration, memory: usize) -> Self {
        self.time = time;
        self.memory = memory;
        self
    }

    /// Reads the input.
    ///
    /// # Panics
    /// When that panics, takes too long, holds too much memory, or breaks a promise.
    pub fn judge(&self, input: &[u8]) {
        let first = self.measured(input);
        let mut best = first;
        for _ in 1..TRIES {
            if best > self.time {
                best = best.min(self.measured(input));
            }
        }
        assert!(
            best <= self.time,
            "{}: {best:?}, {:?} are allowed",
            self.name,
            self.time
        );
    }

    fn measured(&self, input: &[u8]) -> Duration {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let clock = Instant::now();
        (self.read)(input);
        let time = clock.elapsed();
        let held = MEMORY.peak_usage().saturating_sub(before);
        assert!(
            held <= self.memory,
            "{}: {} MiB at once, {} are allowed",
            self.name,
            held / MIB,
            self.memory / MIB
        );
        time
    }
}

/// Definition files in YAML, to the catalog.
pub const YAML: Target = Target::new("yaml", definitions::read);
/// A configuration file.
pub const CONFIG: Target = Target::new("config", config::read);
/// The database of the definitions, to the catalog.
pub const ROWS: Target = Target::new("rows", rows::read);
/// The schedule of a deployment, by its type.
pub const CRON: Target = Target::new("cron", schedule::cron);
pub const INTERVAL: Target = Target::new("interval", schedule::interval);
pub const RRULE: Target = Target::new("rrule", schedule::rrule);
/// Messages, results, answers and addresses of Celery.
pub const CELERY: Target = Target::new("celery", celery::read);
/// HTTP requests.
pub const API: Target = Target::new("api", api::read);
/// `run_if`, `for_each`, `inputs`: checked, then evaluated. A value may have a million parts.
pub const EXPRESSION: Target = Target::new("expression", expression::read).within(Duration::from_secs(2), 384 * MIB);
/// The file of a plugin, up to what it says of itself.
pub const WASM: Target = Target::new("wasm", wasm::read).within(Duration::from_secs(5), 256 * MIB);

/// All of them.
pub const ALL: [Target; 10] = [YAML, CONFIG, ROWS, CRON, INTERVAL, RRULE, CELERY, API, EXPRESSION, WASM];

/// A folder that goes with the program, in memory where the machine has that.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a folder")
}
