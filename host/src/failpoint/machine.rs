//! The machine as a simulation makes it: a wall clock that can be set, ids from a seed, a process
//! that dies where the simulation wants it to.
//!
//! It belongs to the thread, because a simulation is one thread; where there is none, the real
//! clock, real chance and a real death serve. Tests only.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use grepx_engine::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Point;

thread_local! {
    static MACHINE: RefCell<Option<Machine>> = const { RefCell::new(None) };
}

struct Machine {
    /// What the wall clock said at a moment of the virtual one.
    wall: (Timestamp, Instant),
    chance: u64,
    /// Where the process dies, and how many passages are left until then.
    armed: Option<(Point, u64)>,
    dead: Option<Point>,
    died: Arc<Notify>,
    /// What tasks have panicked with.
    panics: Vec<String>,
}

/// Thrown where the process dies; nobody is told.
struct Death;

/// Starts a process whose wall clock says `wall` now. To be called in the runtime whose clock it
/// follows. The answer resolves when the process has died.
pub(crate) fn boot(wall: Timestamp, seed: u64, armed: Option<(Point, u64)>) -> Arc<Notify> {
    let died = Arc::new(Notify::new());
    let machine = Machine {
        wall: (wall, Instant::now()),
        chance: seed,
        armed,
        dead: None,
        died: died.clone(),
        panics: Vec::new(),
    };
    MACHINE.with_borrow_mut(|here| *here = Some(machine));
    died
}

/// Back to the real machine: where the process had died, if it had, and what its tasks have
/// panicked with.
pub(crate) fn shut_down() -> (Option<Point>, Vec<String>) {
    let machine = MACHINE.take();
    machine.map_or_else(Default::default, |machine| (machine.dead, machine.panics))
}

/// A task has panicked, or has come no further because the process has died.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send), text: &str) {
    if panic.is::<Death>() {
        return;
    }
    MACHINE.with_borrow_mut(|here| {
        if let Some(machine) = here {
            machine.panics.push(text.to_owned());
            machine.died.notify_one();
        }
    });
}

pub(crate) fn now() -> Option<Timestamp> {
    MACHINE.with_borrow(|here| {
        let (wall, since) = here.as_ref()?.wall;
        let elapsed = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
        Some(Timestamp(wall.0.saturating_add(elapsed)))
    })
}

/// Sets the wall clock; the virtual one, which timers follow, goes on as before.
pub(crate) fn set_clock(to: Timestamp) {
    MACHINE.with_borrow_mut(|here| {
        if let Some(machine) = here {
            machine.wall = (to, Instant::now());
        }
    });
}

/// The next number of the seed.
pub(crate) fn chance() -> Option<u64> {
    MACHINE.with_borrow_mut(|here| Some(split_mix(&mut here.as_mut()?.chance)))
}

/// As Steele, Lea and Flood give it (`SplitMix64`, OOPSLA 2014).
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The process comes by here, and may go no further.
pub(crate) fn reach(point: Point) {
    let dies = MACHINE.with_borrow_mut(|here| {
        let Some(machine) = here else { return false };
        match &mut machine.armed {
            Some((armed, left)) if *armed == point && machine.dead.is_none() => {
                *left -= 1;
                if *left == 0 {
                    machine.dead = Some(point);
                    machine.died.notify_one();
                }
                *left == 0
            }
            _ => false,
        }
    });
    if dies {
        std::panic::resume_unwind(Box::new(Death));
    }
}

fn is_dead() -> bool {
    MACHINE.with_borrow(|here| here.as_ref().is_some_and(|machine| machine.dead.is_some()))
}

/// A task of a process that may die: then it goes no further, wherever it stands.
pub(crate) fn mortal<F: Future>(task: F) -> Mortal<F> {
    Mortal(Box::pin(task))
}

pub(crate) struct Mortal<F>(Pin<Box<F>>);

impl<F: Future> Future for Mortal<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if is_dead() {
            return Poll::Pending;
        }
        let polled = self.0.as_mut().poll(context);
        if is_dead() { Poll::Pending } else { polled }
    }
}
