//! The long form: hundreds of kills at random instants and random failpoints, with a table at the
//! end. `cargo xtask torture --minutes 10 --seed 7`.

#![allow(clippy::print_stdout, reason = "a table for people")]

use std::time::{Duration, Instant};

use crate::flows::Kind;
use crate::judge::{Figures, judge};
use crate::life::Life;
use crate::random::Random;
use crate::{load_for, passed, points};

const MINUTES: &str = "GREPX_TORTURE_MINUTES";
const SEED: &str = "GREPX_TORTURE_SEED";
/// Open flow runs above which nothing new is started.
const OPEN_MAX: usize = 150;
/// Between two reports of how it goes.
const REPORT: u32 = 25;

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a number"))
    })
}

#[test]
#[ignore = "takes minutes: cargo xtask torture"]
fn torture() {
    let seed = number(SEED, 1);
    let time = Duration::from_secs(60 * number(MINUTES, 10));
    println!("seed {seed}, {} minutes", time.as_secs() / 60);
    let mut life = Life::begin();
    let mut random = Random::new(seed);
    let mut points = points(&life);
    points.retain(|point| !point.starts_with("memory."));
    let began = Instant::now();
    while began.elapsed() < time {
        kill_once(&mut life, &mut random, &points);
        if life.kills.is_multiple_of(REPORT) {
            println!(
                "{:>5} s  {} kills, {} flow runs asked for, {} open, {} violations",
                began.elapsed().as_secs(),
                life.kills,
                life.load.asked.len(),
                life.load.open(),
                life.violations.len()
            );
        }
    }
    life.go_on_to_the_end();
    let figures = judge(&mut life);
    show(&life, &figures, seed);
    passed(&life);
}

fn kill_once(life: &mut Life, random: &mut Random, points: &[String]) {
    let room = life.load.open() < OPEN_MAX;
    let some = if room { random.between(2, 10) } else { 0 };
    let load: Vec<Kind> = (0..some).map(|_| *random.one_of(&Kind::ALL)).collect();
    if random.between(0, 1) == 0 {
        let time = match random.between(0, 3) {
            // While it starts.
            0 => random.between(0, 300),
            _ => random.between(200, 2_000),
        };
        return life.die_after(Duration::from_millis(time), &load);
    }
    let point = random.one_of(points);
    let passage = match point.as_str() {
        "store.before-commit" | "store.after-commit" | "run.committed" => random.between(1, 40),
        // Once in a life.
        boot if boot.starts_with("boot.") => 1,
        _ => random.between(1, 2),
    };
    let mut load = load;
    for _ in 0..passage.min(2) {
        load.extend(load_for(point));
    }
    life.die_at(point, passage, &load);
}

fn show(life: &Life, figures: &Figures, seed: u64) {
    let lines = [
        ("seed", seed),
        ("kills", life.kills.into()),
        ("flow runs", figures.flow_runs),
        ("task runs", figures.task_runs),
        ("executions by Celery workers", figures.executions),
        ("planned instants", figures.instants),
        ("duplicates", figures.duplicates),
        ("losses", figures.losses),
        ("limits exceeded", figures.limits_exceeded),
        ("instants missing", figures.instants_missing),
        ("instants doubled", figures.instants_doubled),
        ("violations", life.violations.len() as u64),
    ];
    for (what, number) in lines {
        println!("{what:<30} {number:>8}");
    }
    println!("{:<30} {:>5} ms", "slowest start", life.slowest_start.as_millis());
}
