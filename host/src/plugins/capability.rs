//! What a kind may ask for beyond computing, in the words of its descriptor.
//!
//! Absent on purpose: files and sockets. They are linked, because every standard library imports
//! them, and refuse; there is nothing here that could grant them by mistake.

use std::fmt;
use std::str::FromStr;

use grepx_engine::{Command, Op};

use super::grants::Grants;

/// One thing that a descriptor asks for and the operator grants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// `log`: lines in the log of the task run. Always granted.
    Log,
    /// `connection:<name>`: commands to that connection of the host's configuration;
    /// `connection:*`: to those that the operator grants, whichever they are.
    Connection(String),
    /// `start-flow`: commands that start a flow run.
    StartFlow,
    /// `http`: outgoing requests, to the hosts that the operator names. Only for activities.
    Http,
    /// `clock`: the machine's time and randomness instead of the step's own.
    Clock,
    /// `env:<NAME>`: a variable of the host's environment.
    Env(String),
    /// `secret:<name>`: the placeholder of a secret of the host's configuration.
    Secret(String),
}

/// A text that names no capability of this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a capability of this host; known are `log`, `connection:<name>`, `start-flow`, `http`, `clock`, `env:<NAME>` and `secret:<name>`"
)]
pub struct UnknownCapability(pub String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "log" => return Ok(Self::Log),
            "start-flow" => return Ok(Self::StartFlow),
            "http" => return Ok(Self::Http),
            "clock" => return Ok(Self::Clock),
            _ => {}
        }
        match text.split_once(':') {
            Some((_, "")) | None => Err(UnknownCapability(text.to_owned())),
            Some(("connection", name)) => Ok(Self::Connection(name.to_owned())),
            Some(("env", name)) => Ok(Self::Env(name.to_owned())),
            Some(("secret", name)) => Ok(Self::Secret(name.to_owned())),
            Some(_) => Err(UnknownCapability(text.to_owned())),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("log"),
            Self::Connection(name) => write!(f, "connection:{name}"),
            Self::StartFlow => f.write_str("start-flow"),
            Self::Http => f.write_str("http"),
            Self::Clock => f.write_str("clock"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Secret(name) => write!(f, "secret:{name}"),
        }
    }
}

impl Capability {
    /// In place of a connection's name.
    pub(super) const ANY: &str = "*";
}

/// The first capability that `commands` need and that was not asked for and granted.
pub(super) fn missing(commands: &[Command], asked: &[Capability], grants: &Grants) -> Option<Capability> {
    let any = asked.contains(&Capability::Connection(Capability::ANY.to_owned()));
    commands.iter().find_map(|command| {
        let connection = |name: &str| Some(Capability::Connection(name.to_owned()));
        let needed = match &command.op {
            Op::Enqueue(message) | Op::Broadcast(message) => connection(&message.connection),
            Op::Reply { connection: name, .. } => connection(name),
            Op::StartFlow(_) => Some(Capability::StartFlow),
            Op::TimerAt(_) | Op::Signal(_) | Op::Cancel(_) => None,
        };
        let may = |needed: &Capability| match needed {
            Capability::Connection(_) if any => grants.allows(needed),
            _ => asked.contains(needed),
        };
        needed.filter(|needed| !may(needed))
    })
}
