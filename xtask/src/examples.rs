//! `build-plugins --examples`: the example plugins in Python and JavaScript.
//!
//! Their tools come from PyPI and npm, in the versions that the examples pin, and live in the
//! target folder: nothing is installed into the machine or the sources. Each example is tested
//! natively before its component is made. The components stay beside their sources; who wants
//! one in a host copies it to `plugins/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::components::replace;
use crate::shell::{self, say};
use crate::workspace::Workspace;

/// The world of `wit/plugin.wit` that both examples fill.
const WORLD: &str = "activity-plugin";

pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    python(workspace)?;
    javascript(workspace)
}

fn python(workspace: &Workspace) -> Result<()> {
    let source = workspace.root.join("plugins/examples/python");
    if !shell::works(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        bail!("python3 with its venv module is not installed, and the Python example needs it");
    }
    shell::run(
        Command::new("python3")
            .args(["-m", "unittest", "--quiet"])
            .current_dir(&source),
    )?;
    let venv = venv(workspace, &source.join("requirements.txt"))?;
    let work = copy(workspace, &source, "python", &["py"])?;
    let started = Instant::now();
    let mut command = Command::new(venv.join("bin/componentize-py"));
    command.args(["--wit-path", "wit", "--world", WORLD, "componentize", "app"]);
    shell::run(command.args(["--output", "summarise.wasm"]).current_dir(&work))?;
    keep(&work, &source, "summarise.wasm", started)
}

fn javascript(workspace: &Workspace) -> Result<()> {
    let source = workspace.root.join("plugins/examples/javascript");
    if !shell::works(Command::new("npm").arg("--version")) {
        bail!("node and npm are not installed, and the JavaScript example needs them (node 20 or newer)");
    }
    shell::run(Command::new("node").arg("--test").current_dir(&source))?;
    let work = copy(workspace, &source, "javascript", &["js", "json"])?;
    // Without a lock file: it lists optional packages of other platforms by what this one sees.
    shell::run(npm(&work).args(["install", "--no-package-lock", "--no-audit", "--no-fund"]))?;
    for (script, file) in [("build", "tabulate.wasm"), ("build-small", "tabulate-quickjs.wasm")] {
        let started = Instant::now();
        shell::run(npm(&work).args(["run", "--silent", script]))?;
        keep(&work, &source, file, started)?;
    }
    Ok(())
}

fn npm(work: &Path) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(work);
    command
}

/// Made once for a set of requirements.
fn venv(workspace: &Workspace, requirements: &Path) -> Result<PathBuf> {
    let venv = workspace.target.join("examples/venv");
    let stamp = venv.join("requirements.txt");
    let wanted = fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    if fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == wanted) {
        return Ok(venv);
    }
    if venv.exists() {
        fs::remove_dir_all(&venv).with_context(|| format!("cannot remove {}", venv.display()))?;
    }
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    shell::run(pip.arg(requirements))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(venv)
}

/// The sources and the contract in a folder of the target: what tools leave behind stays there.
fn copy(workspace: &Workspace, source: &Path, name: &str, endings: &[&str]) -> Result<PathBuf> {
    let work = workspace.target.join("examples").join(name);
    fs::create_dir_all(work.join("wit")).with_context(|| format!("cannot make {}", work.display()))?;
    let listed = fs::read_dir(source).with_context(|| format!("cannot list {}", source.display()))?;
    let mut files = vec![(workspace.root.join("wit/plugin.wit"), work.join("wit/plugin.wit"))];
    for entry in listed {
        let path = entry
            .with_context(|| format!("cannot list {}", source.display()))?
            .path();
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if endings.contains(&ending.as_str()) {
            files.push((path.clone(), work.join(path.file_name().unwrap_or_default())));
        }
    }
    for (from, to) in files {
        fs::copy(&from, &to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(work)
}

fn keep(work: &Path, source: &Path, file: &str, started: Instant) -> Result<()> {
    let built = work.join(file);
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let target = source.join(file);
    replace(&target, &bytes).with_context(|| format!("cannot write {}", target.display()))?;
    let (folder, kib) = (source.file_name().unwrap_or_default(), bytes.len().div_ceil(1024));
    say(format_args!(
        "  plugins/examples/{}/{file} ({kib} KiB, made in {:.1} s)",
        folder.to_string_lossy(),
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}
