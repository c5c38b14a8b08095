//! A child process that does not outlive the test, with its output in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::wait_for;

#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with standard output and error in `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("a log file");
        let errors = file.try_clone().expect("the log file once more");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        Self {
            child,
            log: log.to_owned(),
        }
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for a line with `text`.
    ///
    /// # Panics
    /// When the process ends before, or the line does not come.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let Some(line) = self.line_before_end(text) else {
            panic!("the process ended before it said {text:?}:\n{}", self.output());
        };
        line
    }

    /// Waits for a line with `text`; `None` when the process ends without it.
    ///
    /// # Panics
    /// When neither comes about.
    pub fn line_before_end(&mut self, text: &str) -> Option<String> {
        wait_for(text, || {
            let ended = self.ended().is_some();
            let output = self.output();
            let line = output.lines().find(|line| line.contains(text)).map(str::to_owned);
            (line.is_some() || ended).then_some(line)
        })
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its status")
    }

    /// Sends a signal by name: `TERM`, `INT`, `KILL`, `STOP`, `CONT`.
    ///
    /// # Panics
    /// When `kill` cannot be run.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id().to_string())
            .status();
        assert!(status.expect("kill runs").success(), "no process {}", self.id());
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it goes on.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the end of the process", || self.child.try_wait().expect("its status"))
    }

    /// Ends it at once with all its children, before one of them can end what it does.
    ///
    /// # Panics
    /// When `kill` cannot be run.
    pub fn kill_all(&mut self) {
        // Frozen, it makes no new ones.
        self.signal("STOP");
        let listed = format!("/proc/{0}/task/{0}/children", self.id());
        let children = std::fs::read_to_string(listed).expect("Linux");
        for child in children.split_whitespace() {
            // It may have ended by itself.
            let _ = Command::new("kill")
                .args(["-KILL", child])
                .stderr(Stdio::null())
                .status();
        }
        self.kill();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let output = self.output();
            let from = output.len().saturating_sub(6_000);
            let from = (from..output.len())
                .find(|at| output.is_char_boundary(*at))
                .unwrap_or(0);
            eprint_tail(&self.log, &output[from..]);
        }
    }
}

#[allow(clippy::print_stderr, reason = "a failing test shows what its servers said")]
fn eprint_tail(log: &Path, tail: &str) {
    eprintln!("--- {} ---\n{tail}", log.display());
}
