//! The stock client in the environment that `cargo xtask test` makes, with a home of its own, so
//! that no profile of the machine counts.

use std::process::Command;

use grepx_tests::{Host, Outcome, provided};
use serde_json::Value;
use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct Stock {
    home: TempDir,
    url: String,
}

impl Stock {
    /// Speaks to this host.
    pub(crate) fn of(host: &Host) -> Self {
        Self {
            home: tempfile::tempdir().expect("a folder"),
            url: host.url().to_owned(),
        }
    }

    /// A `prefect` command, whatever comes of it.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command("prefect");
        command.args(arguments);
        outcome(command)
    }

    /// What a command prints that has to succeed.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let outcome = self.ask(arguments);
        assert_eq!(
            outcome.code, 0,
            "prefect {arguments:?}\n{}\n{}",
            outcome.out, outcome.err
        );
        outcome.out
    }

    /// The JSON that a command prints with `--output json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        let out = self.says(&arguments);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("prefect {arguments:?}: {error}: {out}"))
    }

    /// What a command prints that has to fail.
    pub(crate) fn refuses(&self, arguments: &[&str]) -> String {
        let outcome = self.ask(arguments);
        let said = format!("{}{}", outcome.out, outcome.err);
        assert_eq!(outcome.code, 1, "prefect {arguments:?}\n{said}");
        assert!(!said.contains("Traceback"), "prefect {arguments:?}\n{said}");
        said
    }

    /// The JSON that a Python program prints.
    pub(crate) fn python(&self, program: &str) -> Value {
        let mut command = self.command("python");
        command.args(["-c", program]);
        let outcome = outcome(command);
        assert_eq!(outcome.code, 0, "{}\n{}", outcome.out, outcome.err);
        outcome.json()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(provided("GREPX_TEST_VENV").join("bin").join(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PREFECT_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.home.path())
            .env("PREFECT_HOME", self.home.path())
            .env("PREFECT_API_URL", &self.url)
            .env("PREFECT_CLI_COLORS", "false")
            .env("PREFECT_CLI_PROMPT", "false")
            .env("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
            .env("DO_NOT_TRACK", "1")
            .env("TZ", "UTC")
            // Tables are cut to the terminal.
            .env("COLUMNS", "400")
            .stdin(std::process::Stdio::null());
        command
    }
}

fn outcome(mut command: Command) -> Outcome {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The line of a table with all of these cells.
pub(crate) fn row<'a>(table: &'a str, cells: &[&str]) -> &'a str {
    let mut rows = table.lines();
    let found = rows.find(|line| cells.iter().all(|cell| line.contains(cell)));
    found.unwrap_or_else(|| panic!("no row has {cells:?}:\n{table}"))
}

/// All of these stand in a text.
pub(crate) fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}
