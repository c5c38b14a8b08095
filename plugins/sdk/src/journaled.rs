//! Durable kinds as an `async fn`: what the function waits for becomes commands, and the function
//! is brought back to its place by replaying its journal.
//!
//! Every call of the host is a *round*. A replay shows the function one round after the other, as
//! they came, and polls it after each: so a race between two answers ends as it ended when it was
//! live, and the time that the function sees is the time that it saw. In rounds that are history,
//! the function has to give the commands that the journal has; anything else is told as
//! `journal-mismatch` instead of going on from a place where the attempt never was.
//!
//! Deliberately absent: any other reason to wait. A future that does not come from [`AsyncCtx`]
//! has nothing that could wake it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::journal::{self, Document, Journal};
use crate::{Command, Ctx, Durable, Error, Event, Op, Outcome, Step, StopReason, Wake, glue, log};

mod context;
mod replay;
mod wait;

pub use context::{AsyncCtx, FlowRunEnd};
use replay::Replay;
pub use wait::{All, Either, Elapsed, Pending, Race, Sent, race};

/// A durable kind whose state is a journal. Written by `#[durable]` on an `async fn`.
pub trait Journaled {
    /// What a task's `task_kind` says.
    const KIND: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// `None`: the version of the crate that exports the kind.
    const VERSION: Option<&'static str> = None;
    /// What the operator has to grant.
    const CAPABILITIES: &'static [&'static str] = &[];
    /// Raise it when the function's way changes: another command, or another order of them.
    const STATE_VERSION: u32 = 1;
    /// The oldest version whose journals this function can replay; see [`AsyncCtx::started_with`].
    const OLDEST_STATE: u32 = Self::STATE_VERSION;

    type Input: DeserializeOwned;
    type Output: Serialize;

    fn input_schema() -> Value;

    fn output_schema() -> Value;

    /// May be polled from its beginning any number of times.
    fn run(ctx: AsyncCtx, input: Self::Input) -> impl Future<Output = Result<Self::Output, Error>>;
}

impl<J: Journaled> Durable for J {
    const KIND: &'static str = J::KIND;
    const SUMMARY: &'static str = J::SUMMARY;
    const VERSION: Option<&'static str> = J::VERSION;
    const CAPABILITIES: &'static [&'static str] = J::CAPABILITIES;
    const STATE_VERSION: u32 = J::STATE_VERSION;
    const OLDEST_STATE: u32 = J::OLDEST_STATE;

    type Input = Document;
    type Output = J::Output;
    type State = Journal;

    fn input_schema() -> Value {
        J::input_schema()
    }

    fn output_schema() -> Value {
        J::output_schema()
    }

    fn start(ctx: &Ctx, input: Document) -> Result<Step<J::Output, Journal>, Error> {
        let journal = Journal::new(ctx, input, J::STATE_VERSION)?;
        advance::<J>(ctx, journal)
    }

    fn resume(ctx: &Ctx, mut state: Journal, events: Vec<Event>) -> Result<Step<J::Output, Journal>, Error> {
        state.check()?;
        state.add(ctx.now_ms, events);
        advance::<J>(ctx, state)
    }

    fn stop(ctx: &Ctx, state: Journal, _reason: StopReason) -> Vec<Command> {
        let silence = log::Silence::new();
        let replay = state.check().map(|()| Replay::new::<J>(ctx, state));
        let cleaned = replay.and_then(|replay| {
            let shared = Rc::new(RefCell::new(replay));
            play::<J>(&shared)?;
            let mut replay = shared.borrow_mut();
            Ok(replay.clean_up())
        });
        drop(silence);
        cleaned.unwrap_or_else(|error| {
            log::error(format!("nothing is cleaned up: {error}"));
            Vec::new()
        })
    }

    /// The form of a journal does not depend on the state version.
    fn migrate(_version: u32, state: Value) -> Result<Journal, Error> {
        glue::parse(state.to_string().as_bytes())
            .map_err(|problem| Error::permanent("unreadable-state", format!("the journal cannot be read: {problem}")))
    }
}

fn advance<J: Journaled>(ctx: &Ctx, journal: Journal) -> Result<Step<J::Output, Journal>, Error> {
    let shared = Rc::new(RefCell::new(Replay::new::<J>(ctx, journal)));
    let ended = play::<J>(&shared)?;
    let mut replay = shared.borrow_mut();
    if let Some(error) = replay.unheard_failure() {
        return Err(error);
    }
    match ended {
        Some(result) => {
            let output = result?;
            if !replay.must_go_out() {
                return Ok(Step::Done(output));
            }
            // A step that is done carries no commands, so the answer comes with the next one.
            replay.end_here();
            replay.suspend(Some("its last messages"))
        }
        None => replay.suspend(None),
    }
}

type Ended<J> = Option<Result<<J as Journaled>::Output, Error>>;

/// Brings the function to where it waits or ends.
fn play<J: Journaled>(shared: &Rc<RefCell<Replay>>) -> Result<Ended<J>, Error> {
    let input = glue::parse_input(J::KIND, shared.borrow().input().as_bytes())?;
    let mut future = pin!(J::run(AsyncCtx::new(Rc::clone(shared)), input));
    let mut task = Context::from_waker(Waker::noop());
    let last = shared.borrow().last_round();
    for round in 0..=last {
        let wakers = shared.borrow_mut().begin(round);
        wakers.into_iter().for_each(Waker::wake);
        let silence = (round < last).then(log::Silence::new);
        let polled = future.as_mut().poll(&mut task);
        drop(silence);
        let mut replay = shared.borrow_mut();
        let ended = replay.finish_round(polled.is_ready())?;
        if let Poll::Ready(result) = polled
            && (ended || round == last)
        {
            return Ok(Some(result));
        }
    }
    Ok(None)
}
