//! `fuzz`: lets libFuzzer look for inputs that hurt, a while for each target.
//!
//! The targets stand in `tests/fuzz/targets`; what they are run over in every test run is
//! `tests/fuzz/corpus`. Absent on purpose: a nightly compiler and sanitizers. What is compiled for
//! coverage alone needs neither, and the host has next to no `unsafe` for them to watch over.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args as Arguments;

use crate::shell::{self, say};
use crate::workspace::Workspace;

/// Memory of the whole program, far above what a target allows one input.
const MEMORY_MB: u32 = 2_048;
/// Of one input, far above what a target allows.
const SECONDS: u32 = 60;

#[derive(Debug, Arguments)]
pub(crate) struct Args {
    /// Programs of tests/fuzz/fuzz_targets [default: all]
    targets: Vec<String>,
    /// How long each is run
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if !shell::works(workspace.cargo().args(["fuzz", "--version"])) {
        bail!("cargo-fuzz is not installed: `cargo install cargo-fuzz --locked`");
    }
    let all = targets(workspace)?;
    let targets = if args.targets.is_empty() { &all } else { &args.targets };
    for target in targets {
        if !all.contains(target) {
            bail!("there is no target {target:?}: there are {}", all.join(", "));
        }
    }
    for target in targets {
        say(format_args!("{target}: {} s", args.seconds));
        let mut fuzz = workspace.cargo();
        fuzz.args([
            "fuzz",
            "run",
            "--fuzz-dir",
            "tests/fuzz",
            "--sanitizer",
            "none",
            target,
            "--",
        ]);
        fuzz.arg(format!("-max_total_time={}", args.seconds));
        fuzz.arg(format!("-rss_limit_mb={MEMORY_MB}"));
        fuzz.arg(format!("-timeout={SECONDS}"));
        fuzz.args(["-print_final_stats=1", "-verbosity=0"]);
        shell::run(&mut fuzz)?;
    }
    Ok(())
}

fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("tests/fuzz/fuzz_targets");
    let listed = folder
        .read_dir()
        .with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in listed {
        let path: PathBuf = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}
