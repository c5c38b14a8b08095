//! `build-plugins`: compiles the task kinds and puts them where the host looks for them.
//!
//! Cargo says which files are components (its `cdylib` artefacts), so neither a stale file of
//! a crate that is gone nor the library of an author's SDK is ever copied. A running host
//! watches the folder: a file appears there whole (written beside it, then renamed), and only
//! when its bytes differ. Deliberately absent: removing files. People drop their own there.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{self, say};
use crate::workspace::Workspace;

const WASM: &str = "wasm32-wasip2";

pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join("plugins");
    if !folder.join("Cargo.toml").is_file() {
        bail!(
            "{} does not exist: there are no plugins to build",
            folder.join("Cargo.toml").display()
        );
    }
    wasm_target()?;
    let components = compile(workspace, &folder)?;
    if components.is_empty() {
        bail!(
            "no crate of {} is a component: its `[lib]` needs crate-type = [\"cdylib\"]",
            folder.display()
        );
    }
    for component in components {
        install(&component, &folder)?;
    }
    Ok(())
}

/// The components that only tests load; the folder that they are in.
pub(crate) fn build_guests(workspace: &Workspace) -> Result<PathBuf> {
    wasm_target()?;
    let target = workspace.target.join("guests");
    let mut command = workspace.cargo();
    command.args(["build", "--quiet", "--release", "--locked", "--target", WASM]);
    command.args(["--manifest-path", "tests/guests/Cargo.toml", "--target-dir"]);
    say(format_args!("Building the test guests for {WASM}"));
    shell::run(command.arg(&target))?;
    Ok(target.join(WASM).join("release"))
}

/// Adds the target that components are compiled for, if the toolchain lacks it.
pub(crate) fn wasm_target() -> Result<()> {
    let mut list = Command::new("rustup");
    list.args(["target", "list", "--installed"]);
    let installed = match list.stderr(Stdio::inherit()).output() {
        Ok(output) => output,
        // A toolchain without rustup (a distribution's) may well bring the target along.
        Err(error) if error.kind() == ErrorKind::NotFound && sysroot_has_wasm() => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "rustup is not installed, and this toolchain lacks {WASM}: install rustup (https://rustup.rs) and try again"
            )
        }
        Err(error) => return Err(error).context(shell::not_started(&list)),
    };
    shell::succeeded(installed.status)?;
    if String::from_utf8_lossy(&installed.stdout)
        .lines()
        .any(|line| line.trim() == WASM)
    {
        return Ok(());
    }
    shell::run(Command::new("rustup").args(["target", "add", WASM]))
}

fn sysroot_has_wasm() -> bool {
    shell::read(Command::new("rustc").args(["--print", "sysroot"]))
        .is_ok_and(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib").join(WASM).is_dir())
}

/// Paths of the components that cargo built or found fresh.
fn compile(workspace: &Workspace, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut command = workspace.cargo();
    command.args([
        "build",
        "--release",
        "--target",
        WASM,
        "--manifest-path",
        "plugins/Cargo.toml",
    ]);
    if folder.join("Cargo.lock").is_file() {
        command.arg("--locked");
    }
    say(format_args!("Building the plugins for {WASM}"));
    let messages = shell::read(
        command
            .args(["--message-format", "json-render-diagnostics"])
            // A target folder of its own: the root's must not be locked or mixed up.
            .arg("--target-dir")
            .arg(folder.join("target")),
    )?;
    let mut components: Vec<PathBuf> = messages.lines().flat_map(components_in).collect();
    components.sort();
    Ok(components)
}

/// The `.wasm` files that one of cargo's messages names.
fn components_in(message: &str) -> Vec<PathBuf> {
    let Ok(message) = serde_json::from_str::<Value>(message) else {
        return Vec::new();
    };
    let is_component = message["reason"] == "compiler-artifact"
        && message["target"]["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"));
    if !is_component {
        return Vec::new();
    }
    let files = message["filenames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    files
        .filter(|file| file.ends_with(".wasm"))
        .map(PathBuf::from)
        .collect()
}

fn install(component: &Path, folder: &Path) -> Result<()> {
    let stem = component
        .file_stem()
        .map(|stem| stem.to_string_lossy().replace('_', "-"));
    let name = stem.with_context(|| format!("{} has no name", component.display()))?;
    let target = folder.join(format!("{name}.wasm"));
    let bytes = fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
    let changed = fs::read(&target).ok().is_none_or(|old| old != bytes);
    if changed {
        replace(&target, &bytes).with_context(|| format!("cannot write {}", target.display()))?;
    }
    let note = if changed { "" } else { ", unchanged" };
    say(format_args!(
        "  plugins/{name}.wasm ({} KiB{note})",
        bytes.len().div_ceil(1024)
    ));
    Ok(())
}

pub(crate) fn replace(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Not *.wasm: whoever watches the folder must not take the half for the whole.
    let partial = target.with_extension(format!("partial-{}", std::process::id()));
    let written = fs::File::create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&partial, target));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests;
