//! Collects the sources of the guest crate into the program, so that a crate outside of this
//! repository can be made from the binary alone: nothing is published in a registry.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What a component is built from, seen from the repository's root.
const PARTS: [&str; 5] = [
    "plugins/sdk/Cargo.toml",
    "plugins/sdk/README.md",
    "plugins/sdk/src",
    "plugins/sdk-macros",
    "wit/plugin.wit",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?)
        .join("../../..")
        .canonicalize()?;
    let mut files = Vec::new();
    for part in PARTS {
        let path = root.join(part);
        collect(&path, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root)?;
        writeln!(table, "    ({name:?}, include_str!({file:?})),")?;
    }
    table.push_str("]\n");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("sdk.rs");
    if fs::read_to_string(&out).is_ok_and(|old| old == table) {
        return Ok(());
    }
    fs::write(out, table)?;
    Ok(())
}

/// Sources without their tests.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", path.display());
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir()
            || path
                .extension()
                .is_some_and(|ending| ending == "rs" || ending == "toml")
        {
            collect(&path, files)?;
        }
    }
    Ok(())
}
