//! The answer of a durable kind: done, failed, or suspended with what it waits for.

use std::time::Duration;

use serde::Serialize;

use crate::bindings::durable::exports::grepx::plugin::durable as raw;
use crate::{ChildRun, Command, Error, Message, glue};

/// What a call of a durable kind ends with. A suspended one is built in a chain:
///
/// ```
/// # use std::time::Duration;
/// # use grepx_plugin_sdk::Step;
/// let step: Step<(), u32> = Step::suspend(1)
///     .timer_in("pause", Duration::from_secs(5))
///     .status("pausing for 5 s");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Step<O, S> {
    Done(O),
    Failed(Error),
    Suspended(Suspended<S>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Suspended<S> {
    pub state: S,
    pub commands: Vec<Command>,
    /// `None`: any of this step's own commands wakes.
    pub wake: Option<Wake>,
    /// For people: what the task waits for.
    pub status: Option<String>,
}

/// Which keys of open commands wake the attempt. `Any` of nothing waits for the deadline only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    Any(Vec<String>),
    All(Vec<String>),
}

impl<O, S> Step<O, S> {
    pub fn done(output: O) -> Self {
        Self::Done(output)
    }

    pub fn failed(error: Error) -> Self {
        Self::Failed(error)
    }

    /// Sleeps until an event; the state comes back with it.
    pub fn suspend(state: S) -> Self {
        Self::Suspended(Suspended {
            state,
            commands: Vec::new(),
            wake: None,
            status: None,
        })
    }

    /// # Panics
    /// As the other methods of the chain: when the step is not a suspended one.
    #[must_use]
    pub fn command(mut self, command: Command) -> Self {
        self.suspended().commands.push(command);
        self
    }

    #[must_use]
    pub fn timer_in(self, key: impl Into<String>, after: Duration) -> Self {
        self.command(Command::timer_in(key, after))
    }

    /// `at_ms`: milliseconds since 1970, UTC.
    #[must_use]
    pub fn timer_at(self, key: impl Into<String>, at_ms: u64) -> Self {
        self.command(Command::timer_at(key, at_ms))
    }

    #[must_use]
    pub fn enqueue(self, key: impl Into<String>, message: Message) -> Self {
        self.command(Command::enqueue(key, message))
    }

    #[must_use]
    pub fn broadcast(self, key: impl Into<String>, message: Message) -> Self {
        self.command(Command::broadcast(key, message))
    }

    /// Opens an ear on `reply_key` of the connection; it stays open over later steps.
    #[must_use]
    pub fn reply(self, key: impl Into<String>, connection: impl Into<String>, reply_key: impl Into<String>) -> Self {
        self.command(Command::reply(key, connection, reply_key))
    }

    #[must_use]
    pub fn signal(self, key: impl Into<String>, name: impl Into<String>) -> Self {
        self.command(Command::signal(key, name))
    }

    #[must_use]
    pub fn start_flow(self, key: impl Into<String>, child: ChildRun) -> Self {
        self.command(Command::start_flow(key, child))
    }

    #[must_use]
    pub fn cancel(self, earlier: impl Into<String>) -> Self {
        self.command(Command::cancel(earlier))
    }

    #[must_use]
    pub fn wake_any<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.suspended().wake = Some(Wake::Any(keys.into_iter().map(Into::into).collect()));
        self
    }

    #[must_use]
    pub fn wake_all<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.suspended().wake = Some(Wake::All(keys.into_iter().map(Into::into).collect()));
        self
    }

    #[must_use]
    pub fn status(mut self, text: impl Into<String>) -> Self {
        self.suspended().status = Some(text.into());
        self
    }

    fn suspended(&mut self) -> &mut Suspended<S> {
        match self {
            Self::Suspended(suspended) => suspended,
            Self::Done(_) | Self::Failed(_) => {
                panic!("a step that is done or failed has no commands, wake keys or status")
            }
        }
    }
}

impl<O, S> From<Error> for Step<O, S> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<S> Suspended<S> {
    /// The keys that wake, with the default worked out. Commands that nothing answers do not count.
    pub fn wake_keys(&self) -> Wake {
        self.wake.clone().unwrap_or_else(|| {
            let answered = self.commands.iter().filter(|command| {
                use crate::Op;
                !matches!(command.op, Op::Enqueue(_) | Op::Broadcast(_) | Op::Cancel(_))
            });
            Wake::Any(answered.map(|command| command.key.clone()).collect())
        })
    }
}

/// Writes a step for the host; what cannot be written becomes a failure.
pub(crate) fn lower<O: Serialize, S: Serialize>(step: Step<O, S>, version: u32) -> raw::Step {
    let written = match step {
        Step::Done(output) => glue::write("the output", &output).map(raw::Step::Done),
        Step::Failed(error) => Err(error),
        Step::Suspended(suspended) => glue::write("the state", &suspended.state).map(|data| {
            let wake = match suspended.wake_keys() {
                Wake::Any(keys) => raw::Wake::Any(keys),
                Wake::All(keys) => raw::Wake::All(keys),
            };
            raw::Step::Suspended(raw::Suspended {
                state: raw::Snapshot { version, data },
                commands: suspended.commands.into_iter().map(Into::into).collect(),
                wake,
                status: suspended.status,
            })
        }),
    };
    written.unwrap_or_else(|error| raw::Step::Failed(error.into()))
}

#[cfg(test)]
mod tests;
