//! The long form: hundreds of kills at random instants and random failpoints, while Redis and the
//! workers are in trouble, then one long life of the host in which it must not grow; with a table
//! at the end. `cargo xtask torture --minutes 10 --seed 7`.

#![allow(clippy::print_stdout, reason = "a table for people")]

use std::time::{Duration, Instant};

use crate::flows::Kind;
use crate::judge::{Figures, judge};
use crate::life::Life;
use crate::random::Random;
use crate::vitals::Series;
use crate::{load_for, passed, points};

const MINUTES: &str = "GREPX_TORTURE_MINUTES";
const SEED: &str = "GREPX_TORTURE_SEED";
/// Open flow runs above which nothing new is started.
const OPEN_MAX: usize = 150;
/// In the long life there is always so much to do.
const STEADY: usize = 20;
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
    let mut life = Life::in_trouble(seed);
    let mut random = Random::new(seed);
    let points = points(&life);
    let began = Instant::now();
    while began.elapsed() < time * 3 / 4 {
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
    println!("{:>5} s  one long life", began.elapsed().as_secs());
    let series = life.live_for(time / 4, |load| {
        if load.open() < STEADY {
            load.want(&[*random.one_of(&Kind::ALL)]);
        }
    });
    life.go_on_to_the_end();
    let figures = judge(&mut life);
    show(&life, &figures, &series, seed);
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

fn show(life: &Life, figures: &Figures, series: &Series, seed: u64) {
    let (from, to) = series.ends();
    let lines = [
        ("seed", seed),
        ("kills", life.kills.into()),
        ("failpoints not reached", life.not_reached),
        ("flow runs", figures.flow_runs),
        ("task runs", figures.task_runs),
        ("executions by Celery workers", figures.executions),
        ("attempts lost with a worker", figures.lost_attempts),
        ("of them ended, result lost", figures.lost_after_end),
        ("delivered again by Celery", figures.redelivered),
        ("planned instants", figures.instants),
        ("duplicates", figures.duplicates),
        ("losses", figures.losses),
        ("limits exceeded", figures.limits_exceeded),
        ("instants missing", figures.instants_missing),
        ("instants doubled", figures.instants_doubled),
        ("long life: memory, early, KiB", from.memory_kib),
        ("long life: memory, late, KiB", to.memory_kib),
        ("long life: open files, early", from.files),
        ("long life: open files, late", to.files),
        ("violations", life.violations.len() as u64),
    ];
    for (fault, times) in &life.trouble.counts {
        println!("{:<30} {times:>8}", fault.name());
    }
    for (what, number) in lines {
        println!("{what:<30} {number:>8}");
    }
    println!("{:<30} {:>5} ms", "slowest start", life.slowest_start.as_millis());
}
