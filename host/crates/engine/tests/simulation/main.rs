//! Random flows under random luck: answers that come late, twice or never, restarts, pauses,
//! cancels and timeouts; runs that go on after their end, task runs that somebody calls done. Whatever
//! happens, a run keeps its promises.
//!
//! `GREPX_SEED=123 cargo test -p grepx-engine --test simulation` replays one seed.

mod support;

use support::{Luck, Rng, Seen, Simulation};

const SEEDS: u64 = 20_000;

#[test]
fn every_run_keeps_its_promises() {
    if let Ok(seed) = std::env::var("GREPX_SEED") {
        let seed = seed.parse().expect("GREPX_SEED is a number");
        Simulation::new(seed, Luck::of(&mut Rng::new(seed))).run();
        return;
    }
    let mut seen = Seen::default();
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| Simulation::new(seed, Luck::of(&mut Rng::new(seed))).run());
        let Ok(of_run) = outcome else {
            panic!("seed {seed} failed: GREPX_SEED={seed} cargo test -p grepx-engine --test simulation");
        };
        seen.add(of_run);
    }
    let Seen {
        reopened,
        marked,
        marked_in_an_ended_run,
        marked_while_running,
        items_renewed,
    } = seen;
    let rarest = [
        reopened,
        marked,
        marked_in_an_ended_run,
        marked_while_running,
        items_renewed,
    ];
    assert!(rarest.iter().all(|times| *times > 100), "it is tried: {seen:?}");
}

/// Ten thousand tasks, one after the other and side by side: the work per event does not grow
/// with the flow. Counted, not timed.
#[test]
fn ten_thousand_tasks_are_linear() {
    for (layers, width) in [(10_000, 1), (2, 5_000), (100, 100)] {
        let facts = support::run_grid(layers, width);
        assert_eq!(facts, 3 + 2 * layers * width + 1);
    }
}
