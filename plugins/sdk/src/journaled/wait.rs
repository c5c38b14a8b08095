//! What an `async` durable kind may wait for, and how several of them are waited for at once.

use std::marker::PhantomData;
use std::pin::Pin;

use super::replay::Need;
use super::*;

type Reader<T> = fn(Outcome) -> Result<T, Error>;

/// The answer to one command. A reply may be awaited again: it gives the next value.
pub struct Pending<T> {
    shared: Rc<RefCell<Replay>>,
    place: usize,
    taken: usize,
    read: Reader<T>,
    value: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("key", &self.key())
            .finish_non_exhaustive()
    }
}

impl<T> Pending<T> {
    pub(super) fn new(shared: &Rc<RefCell<Replay>>, place: usize, read: Reader<T>) -> Self {
        Self {
            shared: Rc::clone(shared),
            place,
            taken: 0,
            read,
            value: PhantomData,
        }
    }

    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// The key of the command in the task run's record.
    pub fn key(&self) -> String {
        self.shared.borrow().key_of(self.place)
    }

    /// Withdraws the command: a timer stops, a message that nobody has taken leaves its queue.
    pub fn cancel(self) {
        let key = self.key();
        self.shared.borrow_mut().give(Op::Cancel(key));
    }

    /// The next value; for replies, which may come more than once.
    pub async fn next(&mut self) -> Result<T, Error> {
        self.await
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.shared.borrow().outcome(self.place, self.taken);
        match outcome {
            Some(outcome) => {
                self.taken += 1;
                Poll::Ready((self.read)(outcome))
            }
            None => {
                self.shared.borrow_mut().wait(Need::Any(self.place), task.waker());
                Poll::Pending
            }
        }
    }
}

/// A message on its way.
pub struct Sent {
    shared: Rc<RefCell<Replay>>,
    place: usize,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sent").field("key", &self.key()).finish_non_exhaustive()
    }
}

impl Sent {
    pub(super) fn new(shared: &Rc<RefCell<Replay>>, place: usize) -> Self {
        Self {
            shared: Rc::clone(shared),
            place,
        }
    }

    /// The key of the command in the task run's record.
    pub fn key(&self) -> String {
        self.shared.borrow().key_of(self.place)
    }

    /// Takes the message out of its queue, if nobody has it yet.
    pub fn cancel(self) {
        let key = self.key();
        self.shared.borrow_mut().give(Op::Cancel(key));
    }
}

/// All of several answers, in the order of the commands; the first failure ends the wait. The
/// host wakes the attempt once, not for every answer.
#[derive(Debug)]
pub struct All<T> {
    pub(super) parts: Vec<Pending<T>>,
    pub(super) values: Vec<Option<T>>,
}

impl<T> Unpin for All<T> {}

impl<T> Future for All<T> {
    type Output = Result<Vec<T>, Error>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { parts, values } = &mut *self;
        let mut open = Vec::new();
        for (part, value) in parts.iter_mut().zip(values.iter_mut()) {
            if value.is_some() {
                continue;
            }
            let outcome = part.shared.borrow().outcome(part.place, part.taken);
            match outcome.map(|outcome| (part.read)(outcome)) {
                Some(Ok(answer)) => {
                    part.taken += 1;
                    *value = Some(answer);
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => open.push(part.place),
            }
        }
        match parts.first() {
            Some(first) if !open.is_empty() => {
                first.shared.borrow_mut().wait(Need::All(open), task.waker());
                Poll::Pending
            }
            _ => Poll::Ready(Ok(values.iter_mut().filter_map(Option::take).collect())),
        }
    }
}

/// Which of two was first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Either<A, B> {
    First(A),
    Second(B),
}

/// The first of two to be ready; when both are, the first one. The other one is dropped, its
/// command stays open.
pub fn race<A: Future, B: Future>(first: A, second: B) -> Race<A, B> {
    Race {
        first: Box::pin(first),
        second: Box::pin(second),
    }
}

/// See [`race`].
#[derive(Debug)]
pub struct Race<A, B> {
    first: Pin<Box<A>>,
    second: Pin<Box<B>>,
}

impl<A: Future, B: Future> Future for Race<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(value) = self.first.as_mut().poll(task) {
            return Poll::Ready(Either::First(value));
        }
        self.second.as_mut().poll(task).map(Either::Second)
    }
}

/// The time was over first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(pub Duration);

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no answer within {:?}", self.0)
    }
}

impl std::error::Error for Elapsed {}
