//! Redis and a Python environment with Celery, for the tests that talk to the real ones; strace, for
//! those in which the system refuses.
//!
//! Installed where that is possible without asking anybody (as root on a Debian system, as in
//! a container); elsewhere one line says what to do. Nothing is downloaded twice: the Python
//! environment is kept until `tests/requirements.txt` or the interpreter changes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{self, say};
use crate::workspace::Workspace;

const REQUIREMENTS: &str = "tests/requirements.txt";
/// Written last, so that a half-made environment is never taken for a whole one.
const STAMP: &str = "grepx-requirements.txt";

pub(crate) fn redis() -> Result<()> {
    let present = || shell::works(Command::new("redis-server").arg("--version"));
    if present() {
        return Ok(());
    }
    apt_install(
        "redis-server",
        "redis-server is not installed, and the tests need one: `apt-get install redis-server`, `brew install redis` or the like",
    )?;
    if !present() {
        bail!("apt-get has installed redis-server, but it does not start: try `redis-server --version`");
    }
    Ok(())
}

pub(crate) fn strace() -> Result<()> {
    if shell::works(Command::new("strace").arg("--version")) {
        return Ok(());
    }
    apt_install(
        "strace",
        "strace is not installed, and the tests of failing disks need it: `apt-get install strace` or the like",
    )
}

/// The folder of an environment that holds exactly the pinned requirements.
pub(crate) fn venv(workspace: &Workspace) -> Result<PathBuf> {
    let file = workspace.root.join(REQUIREMENTS);
    let wanted = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    if !shell::works(Command::new("python3").arg("--version")) {
        apt_install("python3", "python3 is not installed, and the Celery tests need it")?;
    }
    let python = shell::read(Command::new("python3").args(["-c", "import sys; print(sys.executable, sys.version)"]))?;
    let stamp = format!("# {}\n{wanted}", python.trim());

    let venv = workspace.target.join("venv");
    if fs::read_to_string(venv.join(STAMP)).is_ok_and(|made_of| made_of == stamp) {
        return Ok(venv);
    }
    say(format_args!("Making a Python environment in {}", venv.display()));
    make(&venv, &file)?;
    fs::write(venv.join(STAMP), stamp).with_context(|| format!("cannot write {}", venv.join(STAMP).display()))?;
    Ok(venv)
}

fn make(venv: &Path, requirements: &Path) -> Result<()> {
    if venv.exists() {
        fs::remove_dir_all(venv).with_context(|| format!("cannot remove {}", venv.display()))?;
    }
    if !shell::works(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        apt_install(
            "python3-venv",
            "this python3 has no venv module: install it (Debian: `apt-get install python3-venv`)",
        )?;
    }
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    shell::run(
        Command::new(venv.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(requirements),
    )
}

/// Installs a Debian package, or fails with the line that says what to do instead.
fn apt_install(package: &str, otherwise: &str) -> Result<()> {
    // The owner of the own entry in /proc is the effective user.
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root || !shell::works(Command::new("apt-get").arg("--version")) {
        bail!("{otherwise}");
    }
    let apt = |words: &[&str]| {
        shell::run(
            Command::new("apt-get")
                .args(words)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["update", "--quiet"])?;
    apt(&["install", "--yes", "--quiet", "--no-install-recommends", package])
}
