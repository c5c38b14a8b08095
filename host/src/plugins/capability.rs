//! What a kind may ask for beyond computing.
//!
//! Absent on purpose: outgoing HTTP, files, environment, sockets. A component that imports them is
//! refused when it loads, so there is nothing here that could grant them by mistake.

use std::fmt;
use std::str::FromStr;

use grepx_engine::{Command, Op};

/// One thing that a descriptor asks for and the operator grants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// `log`: lines in the log of the task run. Always granted.
    Log,
    /// `connection:<name>`: commands to that connection of the host's configuration.
    Connection(String),
    /// `start-flow`: commands that start a flow run.
    StartFlow,
}

/// A text that names no capability of this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a capability of this host; known are `log`, `connection:<name>` and `start-flow`")]
pub struct UnknownCapability(pub String);

impl Capability {
    /// Whether a call could act on the outside world *while it runs*. Commands do not count: the
    /// host carries them out after the commit.
    pub(super) fn acts_during_call(&self) -> bool {
        match self {
            Self::Log | Self::Connection(_) | Self::StartFlow => false,
        }
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "log" => Ok(Self::Log),
            "start-flow" => Ok(Self::StartFlow),
            _ => match text.strip_prefix("connection:") {
                Some(name) if !name.is_empty() => Ok(Self::Connection(name.to_owned())),
                _ => Err(UnknownCapability(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("log"),
            Self::Connection(name) => write!(f, "connection:{name}"),
            Self::StartFlow => f.write_str("start-flow"),
        }
    }
}

/// The first capability that `commands` need and `granted` lacks.
pub(super) fn missing(commands: &[Command], granted: &[Capability]) -> Option<Capability> {
    commands.iter().find_map(|command| {
        let connection = |name: &String| Some(Capability::Connection(name.clone()));
        let needed = match &command.op {
            Op::Enqueue(message) | Op::Broadcast(message) => connection(&message.connection),
            Op::Reply { connection: name, .. } => connection(name),
            Op::StartFlow(_) => Some(Capability::StartFlow),
            Op::TimerAt(_) | Op::Signal(_) | Op::Cancel(_) => None,
        };
        needed.filter(|needed| !granted.contains(needed))
    })
}
