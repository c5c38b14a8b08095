//! Running other programs, and saying what goes on.
//!
//! A program that fails has already said why on the same terminal, so its failure travels as
//! [`Exit`], which prints nothing more and only carries the exit code. Deliberately absent:
//! backtraces, whatever `RUST_BACKTRACE` says; these are messages for people.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// A program failed and has said so itself; the code is all that is left to pass on.
#[derive(Debug)]
pub(crate) struct Exit(pub(crate) u8);

impl Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// Prints the error as one line, unless the program that failed has printed its own.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(Exit(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    complain(format_args!("xtask: {error:#}"));
    ExitCode::FAILURE
}

/// One line on standard output. A closed pipe is not an error of ours.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// One line on standard error.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Shows the command, runs it on this terminal, and turns a failure into [`Exit`].
pub(crate) fn run(command: &mut Command) -> Result<()> {
    say(format_args!("$ {}", line(command)));
    let status = command.status().with_context(|| not_started(command))?;
    succeeded(status)
}

/// What the command prints on standard output; its errors go to this terminal.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| not_started(command))?;
    succeeded(output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed something that is not UTF-8", line(command)))
}

/// Whether the command can be started and ends well; prints nothing.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

pub(crate) fn succeeded(status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    // As a shell counts: 128 and the number of the signal.
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Exit(code).into())
}

pub(crate) fn not_started(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().to_string_lossy())
}

/// The pause between two looks at something that another process does.
#[allow(
    clippy::disallowed_methods,
    reason = "xtask is synchronous and blocks nobody; every loop around this has a deadline or watches a process"
)]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains([' ', '\'', '"', '$', '(', ')', '*']) {
        format!("'{}'", word.replace('\'', "'\\''"))
    } else {
        word.to_owned()
    }
}
