//! Adds up what several test programs report, while their output stays visible as it comes.
//!
//! Counted from the summary lines that `cargo nextest` and `cargo test` print for people: both
//! have a machine format, but one is unstable and both would hide the readable one.

use std::fmt::{self, Display};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result};

use crate::shell;

/// Which summary line to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `Summary [   0.1s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 2 skipped`
    Nextest,
    /// `test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; …`
    Cargo,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    skipped: u64,
    /// Programs that failed without reporting a failed test: they did not compile, or crashed.
    pub(crate) broken: u64,
}

impl Tally {
    /// Runs the program and counts its tests. An error means that it could not be started.
    pub(crate) fn run(&mut self, command: &mut Command, program: Program) -> Result<()> {
        let own = execute(command, program, &mut io::stdout(), io::stderr())?;
        self.add(&own);
        Ok(())
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.broken += other.broken;
    }

    fn count(&mut self, line: &str, program: Program) {
        let line = line.trim_start();
        let counts = match program {
            Program::Nextest if line.starts_with("Summary [") => line.split_once(" run: "),
            Program::Cargo if line.starts_with("test result: ") => line.split_once(". "),
            // nextest shows the output of a failed test, `test result:` and all.
            Program::Nextest | Program::Cargo => None,
        };
        let counts = counts.map(|(_, counts)| counts);
        for part in counts.into_iter().flat_map(|counts| counts.split([',', ';'])) {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what.split(' ').next().unwrap_or_default() {
                "passed" => self.passed += number,
                "failed" | "timed" | "exec" => self.failed += number,
                "skipped" | "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

fn execute(
    command: &mut Command,
    program: Program,
    to_out: &mut impl Write,
    mut to_err: impl Write + Send + 'static,
) -> Result<Tally> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| shell::not_started(command))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // nextest reports on standard error, cargo test on standard output.
    let errors = thread::spawn(move || relay(err, &mut to_err, program));
    let mut tally = relay(out, to_out, program);
    if let Ok(counted) = errors.join() {
        tally.add(&counted);
    }
    let status = child.wait().context("cannot wait for the tests")?;
    if !status.success() && tally.failed == 0 {
        tally.broken = 1;
    }
    Ok(tally)
}

/// Copies line by line and counts. Bytes, because a failing test may print anything.
fn relay(from: Option<impl Read>, to: &mut impl Write, program: Program) -> Tally {
    let mut tally = Tally::default();
    let Some(from) = from else { return tally };
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A closed terminal does not stop the tests.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        tally.count(&String::from_utf8_lossy(&line), program);
        line.clear();
    }
    tally
}

#[cfg(test)]
mod tests;
