//! `plugin new`: a crate for a task kind, anywhere. It needs no server, no configuration and no
//! network: the guest crate is in this program, because it is published nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use grepx_scaffold::{File, Place, Shape};
use serde_json::json;

use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;

/// What `plugin new` takes.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Name of the crate and of its kind: small letters, digits, hyphens
    name: String,
    #[command(flatten)]
    shape: Sort,
    /// Folder to make [default: the name, in the working directory]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Sort {
    /// One call, one answer
    #[arg(long)]
    activity: bool,
    /// Waits without holding anything, also over restarts of the host
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

pub(crate) fn new(arguments: &New, as_json: bool) -> Done {
    let files = grepx_scaffold::files(arguments.shape.shape(), Place::Outside, &arguments.name)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let folder = arguments.path.clone().unwrap_or_else(|| PathBuf::from(&arguments.name));
    make(&folder).map_err(|error| Failure::new(Exit::Usage, error))?;
    files
        .iter()
        .try_for_each(|file| write(&folder, file))
        .map_err(Failure::broken)?;
    let component = format!("target/wasm32-wasip2/release/{}.wasm", arguments.name.replace('-', "_"));
    if as_json {
        out::json(&json!({ "path": folder, "files": files.len(), "component": folder.join(component) }));
        return Ok(Exit::Ok);
    }
    out::line(format!("Made {}. Next, in that folder:", folder.display()));
    out::line("  cargo test");
    out::line("  rustup target add wasm32-wasip2");
    out::line("  cargo build --release --target wasm32-wasip2");
    out::line(format!("and copy {component} into the plugin folder of a host."));
    Ok(Exit::Ok)
}

/// Never into a folder with something in it: nothing of anybody's is overwritten.
fn make(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        let mut inside = fs::read_dir(folder).with_context(|| format!("{} cannot be used", folder.display()))?;
        if inside.next().is_some() {
            return Err(anyhow!("{} is not empty: choose another --path", folder.display()));
        }
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn write(folder: &Path, file: &File) -> anyhow::Result<()> {
    let path = folder.join(&file.path);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))
}
