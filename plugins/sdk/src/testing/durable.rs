//! A durable kind in virtual time: the test is the world, the run is what the host keeps of an
//! attempt. Every step goes through JSON, as it does in the host, and is made twice: a step that
//! does not answer the same a second time would differ after a crash.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde_json::Value;

use super::{fitting, refuse};
use crate::bindings::durable::exports::grepx::plugin::durable as raw;
use crate::{ChildRun, Command, Ctx, Durable, Error, Event, Message, Op, Outcome, StopReason, Wake, glue};

/// Steps of one run; more are a loop.
const STEPS_MAX: u32 = 10_000;

/// One attempt of the durable kind `D`.
pub struct TestRun<D> {
    ctx: Ctx,
    state: Option<raw::Snapshot>,
    keys: Vec<String>,
    open: Vec<Command>,
    timers: Vec<(u64, String)>,
    arrived: Vec<Event>,
    wake: Wake,
    status: Option<String>,
    sent: Vec<Message>,
    ended: Option<Result<Value, Error>>,
    kind: PhantomData<fn() -> D>,
}

impl<D> fmt::Debug for TestRun<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TestRun");
        shown.field("step", &self.ctx.step).field("status", &self.status);
        shown
            .field("open", &self.open)
            .field("wake", &self.wake)
            .field("ended", &self.ended)
            .finish()
    }
}

impl<D: Durable> TestRun<D> {
    /// With a context of the test: settings, an attempt, a time.
    pub fn start(ctx: Ctx, input: Value) -> Self {
        crate::log::collect();
        let mut run = Self {
            ctx,
            state: None,
            keys: Vec::new(),
            open: Vec::new(),
            timers: Vec::new(),
            arrived: Vec::new(),
            wake: Wake::Any(Vec::new()),
            status: None,
            sent: Vec::new(),
            ended: None,
            kind: PhantomData,
        };
        match refuse(D::KIND, &D::input_schema(), &input) {
            Err(error) => run.ended = Some(Err(error)),
            Ok(()) => {
                let input = input.to_string();
                let step = twice(|| glue::start_durable::<D>(&run.ctx, input.as_bytes()));
                run.take(step);
            }
        }
        run
    }

    /// The result or the failure, once the attempt has ended.
    pub fn ended(&self) -> Option<&Result<Value, Error>> {
        self.ended.as_ref()
    }

    /// What people see while it waits.
    pub fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// Milliseconds since 1970, UTC.
    pub fn now_ms(&self) -> u64 {
        self.ctx.now_ms
    }

    /// Commands without an answer.
    pub fn open(&self) -> &[Command] {
        &self.open
    }

    /// Messages that were given so far, to queues and to whoever listens.
    pub fn sent(&self) -> &[Message] {
        &self.sent
    }

    /// Flow runs that were started and have not ended.
    pub fn flow_runs(&self) -> Vec<&ChildRun> {
        let started = self.open.iter().filter_map(|command| match &command.op {
            Op::StartFlow(child) => Some(child),
            _ => None,
        });
        started.collect()
    }

    /// Lets time pass; timers fire in order, each at its own time.
    pub fn advance(&mut self, time: Duration) {
        let until = self.ctx.now_ms + u64::try_from(time.as_millis()).expect("a time that a test can mean");
        while let Some(at) = self.next_timer().filter(|at| *at <= until && self.ended.is_none()) {
            self.fire(at);
        }
        self.ctx.now_ms = until;
    }

    /// Lets time pass until the attempt has ended.
    ///
    /// # Panics
    /// When it waits for something that no timer brings.
    pub fn finish(&mut self) -> Result<Value, Error> {
        loop {
            if let Some(ended) = &self.ended {
                return ended.clone();
            }
            let at = self
                .next_timer()
                .unwrap_or_else(|| panic!("it waits for the test to act: {self:#?}"));
            self.fire(at);
        }
    }

    /// A signal from outside.
    ///
    /// # Panics
    /// As all of these: when no such command is open.
    pub fn signal(&mut self, name: &str, value: Value) {
        let key = self.key_of(name, |op| matches!(op, Op::Signal(open) if open == name));
        self.answer(key, Outcome::Signal(value));
    }

    /// A value under the key of a connection.
    pub fn reply(&mut self, reply_key: &str, value: impl Into<Vec<u8>>) {
        let key = self.key_of(reply_key, |op| matches!(op, Op::Reply { key, .. } if key == reply_key));
        self.answer(key, Outcome::Reply(value.into()));
    }

    /// The end of a flow run, as the host tells it.
    pub fn flow_run_ended(&mut self, deployment: &str, end: Value) {
        let key = self.key_of(
            deployment,
            |op| matches!(op, Op::StartFlow(child) if child.deployment == deployment),
        );
        self.answer(key, Outcome::Child(end));
    }

    /// The host could not do what the command asks.
    pub fn fail(&mut self, key: &str, error: Error) {
        let key = self.key_of(key, |_| false);
        self.answer(key, Outcome::Failed(error));
    }

    /// The attempt ends early: what the kind wants to clean up with.
    pub fn stop(&mut self, reason: StopReason) -> Vec<Command> {
        let state = self.state.clone().unwrap_or_else(|| panic!("it has ended: {self:?}"));
        let commands = twice(|| glue::stop_durable::<D>(&self.ctx, &state, reason));
        self.ended = Some(Err(Error::cancelled("stopped", format!("{reason:?}"))));
        commands.into_iter().map(Into::into).collect()
    }

    /// Goes on with another build of the kind.
    ///
    /// # Panics
    /// When the host would not hand it the state: it says that it reads other versions.
    pub fn resumed_by<E: Durable>(self) -> TestRun<E> {
        if let Some(state) = &self.state {
            let reads = E::OLDEST_STATE..=E::STATE_VERSION;
            assert!(
                reads.contains(&state.version),
                "the host keeps the old build: {} is not in {reads:?}",
                state.version
            );
        }
        TestRun {
            ctx: self.ctx,
            state: self.state,
            keys: self.keys,
            open: self.open,
            timers: self.timers,
            arrived: self.arrived,
            wake: self.wake,
            status: self.status,
            sent: self.sent,
            ended: self.ended,
            kind: PhantomData,
        }
    }

    fn key_of(&self, name: &str, is: impl Fn(&Op) -> bool) -> String {
        let found = self.open.iter().find(|command| is(&command.op) || command.key == name);
        found
            .unwrap_or_else(|| panic!("nothing is open for {name:?}: {self:#?}"))
            .key
            .clone()
    }

    fn next_timer(&self) -> Option<u64> {
        self.timers.iter().map(|(at, _)| *at).min()
    }

    fn fire(&mut self, at: u64) {
        let Some(place) = self.timers.iter().position(|(due, _)| *due == at) else {
            return;
        };
        let (_, key) = self.timers.remove(place);
        self.ctx.now_ms = self.ctx.now_ms.max(at);
        self.answer(key, Outcome::Fired);
    }

    fn answer(&mut self, key: String, outcome: Outcome) {
        assert!(self.ended.is_none(), "it has ended: {self:?}");
        // A reply stays open; of several that were not seen, the last one counts.
        if matches!(outcome, Outcome::Reply(_)) {
            self.arrived
                .retain(|event| event.key != key || !matches!(event.outcome, Outcome::Reply(_)));
        } else {
            self.open.retain(|command| command.key != key);
        }
        self.arrived.push(Event { key, outcome });
        self.wake();
    }

    fn wake(&mut self) {
        while self.ended.is_none() && self.is_woken() {
            self.ctx.step += 1;
            assert!(
                self.ctx.step < STEPS_MAX,
                "after {STEPS_MAX} steps it has not ended: {self:?}"
            );
            self.ctx.seed = self.ctx.seed.wrapping_mul(31).wrapping_add(17);
            let events = std::mem::take(&mut self.arrived);
            let state = self.state.clone().expect("a suspended attempt has a state");
            let step = twice(|| {
                glue::resume_durable::<D>(&self.ctx, &state, events.iter().cloned().map(Into::into).collect())
            });
            self.take(step);
        }
    }

    fn is_woken(&self) -> bool {
        let has = |key: &String| self.arrived.iter().any(|event| event.key == *key);
        let failed = self
            .arrived
            .iter()
            .any(|event| matches!(event.outcome, Outcome::Failed(_)));
        failed
            || match &self.wake {
                Wake::Any(keys) => keys.iter().any(has),
                Wake::All(keys) => keys.iter().all(has),
            }
    }

    fn take(&mut self, step: raw::Step) {
        match step {
            raw::Step::Done(output) => {
                self.ended = Some(Ok(fitting(D::KIND, &D::output_schema(), &output)));
                self.state = None;
            }
            raw::Step::Failed(error) => {
                self.ended = Some(Err(error.into()));
                self.state = None;
            }
            raw::Step::Suspended(suspended) => {
                self.state = Some(suspended.state);
                self.status = suspended.status;
                self.wake = match suspended.wake {
                    raw::Wake::Any(keys) => Wake::Any(keys),
                    raw::Wake::All(keys) => Wake::All(keys),
                };
                suspended
                    .commands
                    .into_iter()
                    .for_each(|command| self.carry_out(command.into()));
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        assert!(
            !self.keys.contains(&command.key),
            "the key {:?} was given before",
            command.key
        );
        self.keys.push(command.key.clone());
        let key = command.key.clone();
        match &command.op {
            Op::TimerIn(after) => {
                let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                self.timers.push((self.ctx.now_ms.saturating_add(after), key));
            }
            Op::TimerAt(at) => self.timers.push((*at, key)),
            Op::Enqueue(message) | Op::Broadcast(message) => self.sent.push(message.clone()),
            Op::Cancel(earlier) => {
                self.timers.retain(|(_, key)| key != earlier);
                self.open.retain(|command| command.key != *earlier);
                return;
            }
            Op::Reply { .. } | Op::Signal(_) | Op::StartFlow(_) => {}
        }
        self.open.push(command);
    }
}

/// A step is a function of its arguments.
fn twice<T: fmt::Debug>(mut step: impl FnMut() -> T) -> T {
    let first = step();
    let silence = crate::log::Silence::new();
    let second = step();
    drop(silence);
    let (once, again) = (format!("{first:?}"), format!("{second:?}"));
    assert!(once == again, "the same step answered differently:\n{once}\n{again}");
    first
}

impl From<raw::Command> for Command {
    fn from(command: raw::Command) -> Self {
        let message = |message: raw::Message| Message {
            connection: message.connection,
            destination: message.destination,
            body: message.body,
            meta: message.meta,
        };
        let op = match command.op {
            raw::Op::TimerIn(ms) => Op::TimerIn(Duration::from_millis(ms)),
            raw::Op::TimerAt(at) => Op::TimerAt(at),
            raw::Op::Enqueue(it) => Op::Enqueue(message(it)),
            raw::Op::Broadcast(it) => Op::Broadcast(message(it)),
            raw::Op::Reply((connection, key)) => Op::Reply { connection, key },
            raw::Op::Signal(name) => Op::Signal(name),
            raw::Op::StartFlow(child) => Op::StartFlow(ChildRun {
                deployment: child.deployment,
                parameters: glue::lenient_json(&child.parameters),
                idempotency_key: child.idempotency_key,
            }),
            raw::Op::Cancel(earlier) => Op::Cancel(earlier),
        };
        Self { key: command.key, op }
    }
}

impl From<Event> for raw::Event {
    fn from(event: Event) -> Self {
        let outcome = match event.outcome {
            Outcome::Fired => raw::Outcome::Fired,
            Outcome::Reply(bytes) => raw::Outcome::Reply(bytes),
            Outcome::Signal(value) => raw::Outcome::Signal(value.to_string().into_bytes()),
            Outcome::Child(value) => raw::Outcome::Child(value.to_string().into_bytes()),
            Outcome::Failed(error) => raw::Outcome::Failed(error.into()),
            Outcome::Cancelled => raw::Outcome::Cancelled,
        };
        Self {
            key: event.key,
            outcome,
        }
    }
}
