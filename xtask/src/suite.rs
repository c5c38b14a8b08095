//! `test`: sets up what the tests need, then runs all of them, on a machine that has cargo.
//!
//! Everything is tested by the programs that users run: the tests get the path of the built
//! host, the folder of the built plugins and a Python environment with the real Celery, as
//! environment variables. A test never downloads or installs anything itself, and builds nothing
//! but the crates that the templates of new plugins make.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::components;
use crate::shell::{self, Exit, complain, say};
use crate::workspace::Workspace;

mod needs;
mod tally;

use tally::{Program, Tally};

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    components::wasm_target()?;
    needs::redis()?;
    needs::strace()?;
    let venv = needs::venv(workspace)?;
    let program = match shell::works(workspace.cargo().args(["nextest", "--version"])) {
        true => Program::Nextest,
        false => Program::Cargo,
    };
    if program == Program::Cargo {
        say(
            "cargo-nextest is not installed: running plain `cargo test` (`cargo install cargo-nextest --locked` for a time limit on every test)",
        );
    }
    components::build(workspace)?;
    let guests = components::build_guests(workspace)?;
    // With the tests, so that the binary and they share one build of every dependency.
    shell::run(workspace.cargo().args(["build", "--workspace", "--all-targets"]))?;

    let mut tally = Tally::default();
    if args.is_empty() {
        // Compiled for this machine: what a kind computes needs no sandbox to be tested.
        let mut plugins = runner(workspace, program);
        plugins
            .args(["--manifest-path", "plugins/Cargo.toml", "--target-dir"])
            .arg(workspace.root.join("plugins/target"));
        if program == Program::Nextest {
            plugins.args(["--no-tests", "pass"]);
        }
        tally.run(&mut plugins, program)?;
    }
    let mut tests = runner(workspace, program);
    if !args
        .iter()
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package"))
    {
        tests.arg("--workspace");
    }
    tests.args(args);
    if program == Program::Cargo && !args.iter().any(|arg| arg == "--") {
        // What .config/nextest.toml does with a test group: whole programs are heavy.
        tests.args(["--", "--test-threads", "2"]);
    }
    environment(&mut tests, workspace, &venv, &guests);
    tally.run(&mut tests, program)?;
    finish(&tally)
}

fn runner(workspace: &Workspace, program: Program) -> Command {
    let mut command = workspace.cargo();
    match program {
        Program::Nextest => command.args(["nextest", "run"]),
        // No doctests: public documentation holds no programs.
        Program::Cargo => command.args(["test", "--no-fail-fast", "--tests"]),
    };
    command
}

fn environment(tests: &mut Command, workspace: &Workspace, venv: &Path, guests: &Path) {
    tests
        .env("GREPX_TEST_VENV", venv)
        .env("GREPX_TEST_GUESTS", guests)
        .env("GREPX_TEST_BIN", workspace.target.join("debug/grepx-host"))
        .env("GREPX_TEST_PLUGINS", workspace.root.join("plugins"));
}

fn finish(tally: &Tally) -> Result<()> {
    if tally.broken > 0 {
        complain(format_args!(
            "xtask: {} test program(s) did not run to the end, see above",
            tally.broken
        ));
    }
    say(tally);
    if tally.failed > 0 || tally.broken > 0 {
        Err(Exit(1).into())
    } else {
        Ok(())
    }
}

/// The long form of `tests/crash`; it prints a table, and fails on any violation.
pub(crate) fn torture(workspace: &Workspace, minutes: u64, seed: Option<u64>) -> Result<()> {
    components::wasm_target()?;
    needs::redis()?;
    let venv = needs::venv(workspace)?;
    components::build(workspace)?;
    let guests = components::build_guests(workspace)?;
    shell::run(workspace.cargo().args(["build", "--workspace", "--all-targets"]))?;
    let mut test = workspace.cargo();
    test.args(["test", "--quiet", "--workspace", "--test", "crash", "--"]);
    test.args(["--ignored", "--exact", "torture::torture", "--nocapture"]);
    test.env("GREPX_TORTURE_MINUTES", minutes.to_string());
    test.env(
        "GREPX_TORTURE_SEED",
        seed.unwrap_or_else(|| std::process::id().into()).to_string(),
    );
    environment(&mut test, workspace, &venv, &guests);
    // Cargo's own code for a failed test is another one.
    shell::run(&mut test).map_err(|error| match error.downcast_ref() {
        Some(Exit(_)) => Exit(1).into(),
        None => error,
    })
}

/// Prints figures of the release binary; `what` is an example of `tests/`.
pub(crate) fn bench(workspace: &Workspace, what: &str) -> Result<()> {
    if what == "plugins" {
        return bench_plugins(workspace);
    }
    let program = workspace.root.join("tests/examples").join(what).with_extension("rs");
    if !program.is_file() {
        bail!("there is no benchmark {what:?}: they are the files of tests/examples");
    }
    components::build(workspace)?;
    shell::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "grepx-host"]),
    )?;
    shell::run(
        workspace
            .cargo()
            .args(["run", "--quiet", "--package", "grepx-tests", "--example", what])
            .env("GREPX_TEST_BIN", workspace.target.join("release/grepx-host"))
            .env("GREPX_TEST_PLUGINS", workspace.root.join("plugins")),
    )
}

/// Prints what calls of plugins cost beside wasmtime alone, then what swaps do under load.
fn bench_plugins(workspace: &Workspace) -> Result<()> {
    components::build(workspace)?;
    let mut calls = workspace.cargo();
    calls.args(["run", "--quiet", "--release", "--package", "grepx-host"]);
    calls.args(["--example", "plugin_calls"]);
    shell::run(calls.env("GREPX_TEST_PLUGINS", workspace.root.join("plugins")))?;
    bench(workspace, "swaps")
}
