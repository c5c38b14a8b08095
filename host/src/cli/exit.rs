//! Exit codes. Scripts rely on them: a code never changes its meaning.

use std::fmt;
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done as asked.
    Ok = 0,
    /// The flow run ended other than COMPLETED, the definitions have problems, or a flow run could not
    /// be cancelled, paused or resumed in the state that it is in.
    Failed = 1,
    /// A wrong argument, parameter, configuration or definition file; also what the server refuses
    /// because it cannot be done as things are (HTTP 409).
    Usage = 2,
    /// No server answers at the API URL.
    Unreachable = 3,
    /// There is no such deployment, flow run, work pool, kind …
    NotFound = 4,
    /// The server or this machine could not do it: an error of the server, of a file, of the store.
    Broken = 5,
    /// The server wants a key, or one with a wider scope.
    Denied = 6,
    /// Ctrl-C ended the watching; what was watched goes on. As a shell has it: 128 and the signal.
    Interrupted = 130,
}

/// For `--help`.
pub(crate) const HELP: &str = "Exit codes:
  0  done as asked
  1  the flow run ended other than COMPLETED, a check found errors, one of many refused, or a flow
     run cannot be cancelled, paused or resumed as it is
  2  a wrong argument, parameter, configuration or definition file, or the server refuses what
     cannot be done as things are (HTTP 409)
  3  no server answers
  4  there is no such deployment, flow run, work pool, kind ...
  5  the server or this machine could not do it
  6  the server wants a key, or one with a wider scope
  130  Ctrl-C ended the watching; the flow run goes on
Commands that mean something else by a code say so in their own --help.";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked, and how it exits.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

pub(crate) type Done = Result<Exit, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }

    pub(crate) fn says(exit: Exit, message: impl fmt::Display) -> Self {
        Self::new(exit, anyhow::anyhow!("{message}"))
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::says(Exit::Usage, message)
    }

    pub(crate) fn broken(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Exit::Broken, error)
    }
}
