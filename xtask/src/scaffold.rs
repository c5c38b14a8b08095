//! `new-plugin`: a crate for a task kind in `plugins/`, from the same templates as
//! `grepx-host plugin new`, which works outside of this repository.

use std::fs;

use anyhow::{Context, Result, bail};
use grepx_scaffold::{Place, Shape};

use crate::shell::say;
use crate::workspace::Workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the crate, the folder and the kind: small letters, digits, hyphens
    name: String,
    #[command(flatten)]
    shape: Sort,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Sort {
    /// One call, one answer
    #[arg(long)]
    activity: bool,
    /// Waits without holding anything, also over restarts
    #[arg(long)]
    durable: bool,
    /// Decides what follows a failure
    #[arg(long)]
    policy: bool,
}

impl Sort {
    fn shape(&self) -> Shape {
        match (self.durable, self.policy) {
            (true, _) => Shape::Durable,
            (_, true) => Shape::Policy,
            _ => Shape::Activity,
        }
    }
}

pub(crate) fn new_plugin(workspace: &Workspace, args: &Args) -> Result<()> {
    let files = grepx_scaffold::files(args.shape.shape(), Place::Inside, &args.name)?;
    let folder = workspace.root.join("plugins").join(&args.name);
    if folder.exists() {
        bail!(
            "{} is there already: choose another name, or remove it",
            folder.display()
        );
    }
    let manifest = workspace.root.join("plugins/Cargo.toml");
    let members = fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let members = grepx_scaffold::with_member(&members, &args.name).map_err(anyhow::Error::msg)?;
    for file in &files {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    // Last: a member that is not there would break every build.
    fs::write(&manifest, members).with_context(|| format!("cannot write {}", manifest.display()))?;
    say(format_args!(
        "Made plugins/{} and added it to plugins/Cargo.toml. Next:",
        args.name
    ));
    say(format_args!(
        "  cargo test --manifest-path plugins/Cargo.toml -p {}",
        args.name
    ));
    say("  cargo xtask build-plugins");
    Ok(())
}

#[cfg(test)]
mod tests;
