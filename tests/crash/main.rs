//! A crash at any instant loses no flow run and repeats no task: the host is killed at each of its
//! failpoints and at random instants, under a load that mixes everything it does, and what it leaves
//! is judged. The long form is `cargo xtask torture`.

mod exact;
mod flows;
mod judge;
mod life;
mod load;
mod random;
mod torture;
mod trouble;
mod upkeep;
mod vitals;

use std::collections::BTreeSet;
use std::time::Duration;

use flows::Kind;
use life::Life;
use random::Random;

/// The kinds of load that come by a failpoint; everything else is in flight anyway.
fn load_for(point: &str) -> &'static [Kind] {
    match point {
        "plugin.before-judge" | "plugin.after-judge" => &[Kind::Flaky],
        "plugin.before-stop" | "plugin.after-stop" => &[Kind::TooLong],
        "outbox.before-revoke" | "outbox.after-revoke" | "outbox.revoke-settled" => &[Kind::Cancelled],
        "outbox.before-withdraw" | "outbox.after-withdraw" | "outbox.stop-done" | "cancel.asked" | "cancel.taken" => {
            &[Kind::Withdrawn, Kind::Withdrawn]
        }
        "child.before-start" | "child.after-start" | "child.ended" => &[Kind::Nested],
        "signal.taken" => &[Kind::Approval],
        "retry.asked" | "retry.taken" => &[Kind::Retried],
        "retry.brought-back" => &[Kind::Retried, Kind::Marked],
        "done.taken" => &[Kind::Marked],
        "run.timer-fired" => &[Kind::Timer],
        "store.admission" | "store.admitted" | "store.release" => &[Kind::Narrow, Kind::Single, Kind::Paused],
        _ => &[Kind::Fan, Kind::Long],
    }
}

/// What has tests of its own: the embedded worker, and what looks after the store as a whole.
const APART: [&str; 5] = ["memory.", "removal.", "backup.", "restore.", "gc."];

/// Names of the failpoints that the mixed load comes by, from the binary.
fn points(life: &Life) -> Vec<String> {
    let listed = life.host.cli(&["failpoints"]).success();
    let points: Vec<String> = listed.out.lines().map(str::to_owned).collect();
    assert!(
        !points.is_empty(),
        "the binary has no failpoints: these tests need a debug build"
    );
    let (apart, points): (Vec<String>, Vec<String>) = points
        .into_iter()
        .partition(|point| APART.iter().any(|prefix| point.starts_with(prefix)));
    let upkeep: BTreeSet<&str> = apart
        .iter()
        .map(String::as_str)
        .filter(|point| !point.starts_with(APART[0]))
        .collect();
    assert_eq!(upkeep, upkeep::points(), "each has to be died at");
    points
}

fn passed(life: &Life) {
    let shown: Vec<&String> = life.violations.iter().take(40).collect();
    assert!(shown.is_empty(), "{} violations: {shown:#?}", life.violations.len());
}

/// A point that is never reached is a violation, too: so the list of points is true.
#[test]
fn a_crash_at_each_failpoint_costs_nothing() {
    let mut life = Life::begin();
    let mut random = Random::new(1);
    for point in points(&life) {
        let passage = match point.as_str() {
            "store.before-commit" | "store.after-commit" => random.between(5, 20),
            _ => 1,
        };
        life.die_at(&point, passage, load_for(&point));
    }
    life.go_on_to_the_end();
    let figures = judge::judge(&mut life);
    passed(&life);
    assert!(figures.executions > 0 && figures.instants > 10, "{figures:?}");
}

#[test]
fn crashes_at_random_instants_cost_nothing() {
    let mut life = Life::begin();
    let mut random = Random::new(2);
    for _ in 0..10 {
        let time = Duration::from_millis(random.between(0, 1_500));
        life.die_after(time, &Kind::ALL);
    }
    life.go_on_to_the_end();
    judge::judge(&mut life);
    passed(&life);
}

/// The host dies while Redis or the worker is in trouble, and lives on when that is over.
#[test]
fn crashes_in_the_middle_of_trouble_cost_nothing() {
    let mut life = Life::in_trouble(3);
    let mut random = Random::new(3);
    for _ in 0..8 {
        let time = Duration::from_millis(random.between(500, 3_000));
        life.die_after(time, &Kind::ALL);
    }
    life.go_on_to_the_end();
    judge::judge(&mut life);
    passed(&life);
    assert!(!life.trouble.counts.is_empty());
}
