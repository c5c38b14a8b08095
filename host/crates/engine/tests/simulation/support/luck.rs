//! What a simulation is made of: a flow and how likely things go wrong, both from a seed.

use std::sync::Arc;

use grepx_engine::{Definition, Task, TriggerRule};

/// Splitmix64: enough for luck, the same everywhere.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// How likely things go wrong, in percent.
pub(crate) struct Luck {
    pub(super) fails: u64,
    pub(super) suspends: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) restarts: u64,
    pub(super) pauses: u64,
    pub(super) cancels: u64,
    pub(super) retries: u64,
    pub(super) marks: u64,
}

impl Luck {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        Self {
            fails: rng.below(30),
            suspends: rng.below(60),
            lost: rng.below(10),
            doubled: rng.below(10),
            restarts: rng.below(6),
            pauses: rng.below(4),
            cancels: if rng.percent(30) { rng.below(5) } else { 0 },
            retries: if rng.percent(50) { rng.below(100) } else { 0 },
            marks: if rng.percent(30) { rng.below(8) } else { 0 },
        }
    }
}

pub(super) fn definition(rng: &mut Rng) -> Arc<Definition> {
    let count = rng.below(12) as u32;
    let tasks = (0..count)
        .map(|place| {
            let mut task = Task::new(format!("t{place}"), "kind");
            for upstream in 0..place {
                if rng.percent(30) {
                    task.upstreams.push(upstream);
                }
            }
            task.trigger_rule = match rng.below(3) {
                0 => TriggerRule::ALL[rng.below(6) as usize].1,
                _ => TriggerRule::AllSuccess,
            };
            if rng.percent(15) {
                task.for_each = Some("items".to_owned());
            }
            task
        })
        .collect();
    let timeout = rng.percent(20).then(|| 50 + rng.below(5_000));
    Arc::new(Definition::new("sim", timeout, tasks).expect("edges only point back"))
}
