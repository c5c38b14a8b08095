//! The hand of an `async` durable kind: what it knows, and the commands that it gives.

use serde::Deserialize;

use super::*;
use crate::{ChildRun, Message, Rng};

/// Who calls, and what can be waited for. A command is given when its method is called, in the
/// order of the calls; the answer comes when what the method gave back is awaited.
#[derive(Clone)]
pub struct AsyncCtx {
    shared: Rc<RefCell<Replay>>,
}

impl std::fmt::Debug for AsyncCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncCtx").finish_non_exhaustive()
    }
}

/// How a flow run ended that [`AsyncCtx::start_flow`] started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowRunEnd {
    #[serde(default)]
    pub flow_run_id: String,
    #[serde(default)]
    pub name: String,
    /// `COMPLETED`, `FAILED`, `CANCELLED`, `CRASHED`.
    #[serde(default)]
    pub state_type: String,
    #[serde(default)]
    pub state_name: String,
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub completed: bool,
    /// Whatever else the host tells.
    #[serde(flatten)]
    pub more: serde_json::Map<String, Value>,
}

impl AsyncCtx {
    pub(super) fn new(shared: Rc<RefCell<Replay>>) -> Self {
        Self { shared }
    }

    /// Ids, attempt and settings of the call. Its time and seed are not the attempt's: use
    /// [`AsyncCtx::now_ms`] and [`AsyncCtx::random`].
    pub fn call(&self) -> Ctx {
        self.shared.borrow().ctx.clone()
    }

    /// The plugin's settings, as they were when the attempt started.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.shared.borrow().ctx.settings()
    }

    /// A UUID, stable for the attempt: the id to give to outside systems.
    pub fn idempotency_key(&self) -> String {
        self.shared.borrow().ctx.idempotency_key.clone()
    }

    /// Milliseconds since 1970, UTC: when what was awaited last arrived.
    pub fn now_ms(&self) -> u64 {
        self.shared.borrow().now_ms()
    }

    /// Chance that is the same in every replay.
    pub fn random<R>(&self, draw: impl FnOnce(&mut Rng) -> R) -> R {
        draw(&mut self.shared.borrow_mut().rng)
    }

    /// The state version of the build that started the attempt: the way to keep an old way open.
    pub fn started_with(&self) -> u32 {
        self.shared.borrow().started_with()
    }

    /// What people see while the attempt waits; without it, what it waits for.
    pub fn status(&self, text: impl Into<String>) {
        self.shared.borrow_mut().status = Some(text.into());
    }

    pub fn sleep(&self, time: Duration) -> Pending<()> {
        self.give(Op::TimerIn(time), nothing)
    }

    /// `at_ms`: milliseconds since 1970, UTC.
    pub fn sleep_until(&self, at_ms: u64) -> Pending<()> {
        self.give(Op::TimerAt(at_ms), nothing)
    }

    /// The next outside signal of that name.
    pub fn signal<T: DeserializeOwned>(&self, name: impl Into<String>) -> Pending<T> {
        self.give(Op::Signal(name.into()), |outcome| match outcome {
            Outcome::Signal(value) => read("the signal", value),
            other => Err(unexpected(other)),
        })
    }

    /// Puts a message into a queue. There is nothing to wait for: when it cannot be sent, the
    /// attempt fails.
    pub fn enqueue(&self, message: Message) -> Sent {
        self.send(Op::Enqueue(message))
    }

    /// To whoever listens. When it cannot be sent, the attempt fails.
    pub fn broadcast(&self, message: Message) -> Sent {
        self.send(Op::Broadcast(message))
    }

    /// Every value under the key of the connection: `reply.next().await`.
    pub fn reply(&self, connection: impl Into<String>, key: impl Into<String>) -> Pending<Vec<u8>> {
        let (connection, key) = (connection.into(), key.into());
        self.give(Op::Reply { connection, key }, |outcome| match outcome {
            Outcome::Reply(bytes) => Ok(bytes),
            other => Err(unexpected(other)),
        })
    }

    /// Listens on `reply_key` of the message's connection, then sends. What is awaited fails when
    /// the message cannot be sent.
    pub fn request(&self, message: Message, reply_key: impl Into<String>) -> Pending<Vec<u8>> {
        let ear = self.reply(message.connection.clone(), reply_key);
        let mut shared = self.shared.borrow_mut();
        let sent = shared.give(Op::Enqueue(message));
        shared.link(sent, ear.place());
        drop(shared);
        ear
    }

    /// Starts a flow run of `flow/deployment` or of the deployment's name; once, also when the
    /// step is repeated. Awaited, it tells how the run ended.
    pub fn start_flow(&self, deployment: impl Into<String>, parameters: Value) -> Pending<FlowRunEnd> {
        let idempotency_key = {
            let shared = self.shared.borrow();
            format!("{}-{}", shared.ctx.idempotency_key, shared.given())
        };
        let child = ChildRun {
            deployment: deployment.into(),
            parameters,
            idempotency_key,
        };
        self.give(Op::StartFlow(child), |outcome| match outcome {
            Outcome::Child(value) => read("what the host tells of the flow run", value),
            other => Err(unexpected(other)),
        })
    }

    /// Waits for all of them, and is woken once.
    pub fn all<T>(&self, parts: impl IntoIterator<Item = Pending<T>>) -> All<T> {
        let parts: Vec<Pending<T>> = parts.into_iter().collect();
        let values = parts.iter().map(|_| None).collect();
        All { parts, values }
    }

    /// `future`, but not longer than `time`.
    pub async fn timeout<F: Future>(&self, time: Duration, future: F) -> Result<F::Output, Elapsed> {
        match race(future, self.sleep(time)).await {
            Either::First(value) => Ok(value),
            Either::Second(_) => Err(Elapsed(time)),
        }
    }

    /// From here on, the host carries the command out when the attempt ends early (cancelled,
    /// timed out). The number takes it back. What still lies in a queue is withdrawn without it.
    pub fn on_stop(&self, command: Command) -> u32 {
        self.shared.borrow_mut().on_stop(command)
    }

    pub fn forget_on_stop(&self, number: u32) {
        self.shared.borrow_mut().forget_on_stop(number);
    }

    fn send(&self, op: Op) -> Sent {
        let place = self.shared.borrow_mut().give(op);
        Sent::new(&self.shared, place)
    }

    fn give<T>(&self, op: Op, read: fn(Outcome) -> Result<T, Error>) -> Pending<T> {
        let place = self.shared.borrow_mut().give(op);
        Pending::new(&self.shared, place, read)
    }
}

fn nothing(outcome: Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Failed(_) | Outcome::Cancelled => Err(unexpected(outcome)),
        _ => Ok(()),
    }
}

fn read<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, Error> {
    glue::parse(value.to_string().as_bytes())
        .map_err(|problem| Error::invalid_input(format!("{what} does not fit: {problem}")))
}

fn unexpected(outcome: Outcome) -> Error {
    match outcome {
        Outcome::Failed(error) => error,
        Outcome::Cancelled => Error::cancelled("withdrawn", "the host withdrew what the attempt waited for"),
        other => Error::permanent("unexpected-outcome", format!("the host answered with {other:?}")),
    }
}
