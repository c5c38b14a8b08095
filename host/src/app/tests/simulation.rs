//! The whole host, simulated: the real runner, scheduler and store, with a server, workers, kinds of
//! tasks, a clock and a network that a seed drives. Answers are lost, doubled, late and out of order;
//! clocks are set; people cancel, pause, signal, retry what has ended and mark task runs as done at bad
//! moments; the host dies at any point and starts again. Then everything heals, runs to its end, and is judged.
//!
//! It is one thread and its time is virtual, so a seed gives one course of events, always:
//! `GREPX_SIM_SEED=7 cargo nextest run -p grepx-host simulation::seeds --no-capture` replays one
//! and prints it.
//!
//! Absent on purpose: Redis and WebAssembly (`tests/` has them), a disk that is full or lies
//! (`tests/faults`, `store/tests/power_loss.rs`).

mod clients;
mod echoes;
mod flows;
mod histories;
mod judge;
mod ledger;
mod life;
mod luck;
mod outside;
mod script;
mod server;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use grepx_engine::Timestamp;

use crate::failpoint::Point;

use flows::{Limits, SCHEDULES_MS};
use ledger::Ledger;
use life::{End, Sim, live};
use luck::Luck;
use outside::Shared;

/// About 70 ms of one core each.
const SEEDS: u64 = 1_000;
const VARIABLE: &str = "GREPX_SIM_SEED";
/// With [`VARIABLE`]: the point at which the first life ends.
const POINT: &str = "GREPX_SIM_POINT";
/// Seeds in which a point is looked for.
const LOOKED_FOR: u64 = 500;
/// A life in which everything may happen.
const LONG_MS: u64 = 12_000;
/// 2026-03-01T12:00:00Z.
const BEGIN: Timestamp = Timestamp(1_772_366_400_000);

/// How a simulation went.
struct Course {
    violations: Vec<String>,
    trace: Vec<String>,
    fingerprint: u64,
    /// Where the host has died.
    deaths: BTreeSet<&'static str>,
}

/// `first` is where the first life ends, if it comes by there.
fn simulate(seed: u64, first: Option<Point>) -> Course {
    let folder = folder();
    let mut luck = Luck::new(seed);
    let catalog = flows::catalog(&mut luck.fork(), BEGIN);
    let tagged = u32::try_from(luck.between(1, 3)).expect("few");
    let sim = Sim {
        outside: Shared::new(luck.next(), BEGIN),
        limits: Arc::new(Limits::of(&catalog, tagged)),
        catalog: Arc::new(ArcSwap::from_pointee(catalog)),
        schedules_end: Timestamp(BEGIN.0 + SCHEDULES_MS + 5_000),
        dir: folder.path().to_owned(),
        ledger: Ledger::default(),
    };
    let mut deaths = BTreeSet::new();
    if let Some(point) = first {
        let died = live(&sim, &mut luck, End::DiesAt(point, 1), LONG_MS);
        deaths.extend(died.map(Point::name));
    }
    for _ in 0..luck.between(1, 4) {
        let end = match luck.below(10) {
            0..3 => End::Killed,
            3..8 => {
                let point = *luck.one_of(Point::ALL).expect("there are points");
                End::DiesAt(point, 1 + luck.below(3) * luck.below(6))
            }
            _ => End::Stopped,
        };
        let ms = luck.between(500, 12_000);
        let died = live(&sim, &mut luck, end, ms);
        deaths.extend(died.map(Point::name));
        let away = luck.below(3_000);
        sim.outside.lock().pass(away);
    }
    live(&sim, &mut luck, End::Judged, 0);
    let outside = sim.outside.lock();
    Course {
        violations: outside.violations.clone(),
        trace: outside.trace().to_vec(),
        fingerprint: outside.fingerprint(),
        deaths,
    }
}

/// In memory, where the machine has such a place: thousands of stores are made.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a temporary directory")
}

/// Where the host has died.
fn check(seed: u64, first: Option<Point>) -> BTreeSet<&'static str> {
    let at = first.map_or_else(String::new, |point| format!(" {POINT}={}", point.name()));
    let replay = format!("{VARIABLE}={seed}{at} cargo nextest run -p grepx-host simulation::seeds --no-capture");
    let course = std::panic::catch_unwind(|| simulate(seed, first));
    let course = course.unwrap_or_else(|_| panic!("seed {seed} panicked\nreplay: {replay}"));
    if course.violations.is_empty() {
        return course.deaths;
    }
    for line in &course.trace {
        println!("{line}");
    }
    panic!("seed {seed}:\n  {}\nreplay: {replay}", course.violations.join("\n  "));
}

#[test]
fn seeds() {
    if let Ok(seed) = std::env::var(VARIABLE) {
        let seed = seed.parse().expect("GREPX_SIM_SEED is a number");
        let named = std::env::var(POINT).ok();
        let first = named.and_then(|name| Point::ALL.iter().copied().find(|point| point.name() == name));
        let course = simulate(seed, first);
        for line in &course.trace {
            println!("{line}");
        }
        assert!(course.violations.is_empty(), "seed {seed}: {:#?}", course.violations);
        return;
    }
    let (first, seeds) = range();
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    check(seed, None);
                }
            });
        }
    });
}

/// Wherever a host may die, some did, and it has cost nothing.
#[test]
fn every_point() {
    // Not simulated: `memory://`, and commands on the store as a whole.
    const SIMULATED: [&str; 12] = [
        "store.",
        "run.",
        "plugin.",
        "outbox.",
        "reply.",
        "child.",
        "cancel.",
        "signal.",
        "retry.",
        "done.",
        "schedule.",
        "boot.",
    ];
    for point in Point::ALL {
        if !SIMULATED.iter().any(|part| point.name().starts_with(part)) {
            continue;
        }
        let found = (0..LOOKED_FOR).any(|seed| check(seed, Some(*point)).contains(point.name()));
        assert!(found, "the host never dies at {}", point.name());
    }
}

/// `GREPX_SIM_SEEDS=first..last` for more than the usual ones.
fn range() -> (u64, u64) {
    let Ok(asked) = std::env::var("GREPX_SIM_SEEDS") else {
        return (0, SEEDS);
    };
    let range = asked.split_once("..").and_then(|(first, last)| {
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        Some((first, last.checked_sub(first)?))
    });
    range.expect("GREPX_SIM_SEEDS is first..last")
}

#[test]
fn a_seed_gives_one_course() {
    for seed in 0..20 {
        let (once, again) = (simulate(seed, None), simulate(seed, None));
        let differs = once
            .trace
            .iter()
            .zip(&again.trace)
            .position(|(one, other)| one != other);
        if let Some(place) = differs {
            panic!(
                "seed {seed} differs in line {place}: {:?}, {:?}",
                once.trace[place], again.trace[place]
            );
        }
        assert_eq!(once.fingerprint, again.fingerprint, "seed {seed}");
    }
}
