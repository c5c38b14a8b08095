//! `tidy`: the rules of the house that neither rustc nor clippy knows.
//!
//! Works on the text alone, so it needs no build and takes well under a second; the lexer in
//! [`source`] blanks comments and literals first, so a rule never trips over a word in a
//! string. All violations are reported at once, each with its place and its reason. Runs as
//! a test of xtask too (`tidy_is_clean`). Deliberately absent: anything that clippy can say.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::shell::{self, Exit, say};

mod docs;
mod edges;
mod exceptions;
mod manifests;
mod sizes;
mod source;
mod words;

use source::Source;

/// Where the house keeps Rust, seen from the root.
const FOLDERS: [&str; 4] = ["host", "plugins", "tests", "xtask"];

/// Something to put right.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// From 1; 0 when it concerns the whole file.
    line: usize,
    rule: &'static str,
    what: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line.max(1), self.rule, self.what)
    }
}

pub(crate) fn run(root: &Path) -> Result<()> {
    let violations = check(root)?;
    for violation in &violations {
        shell::complain(violation);
    }
    match violations.len() {
        0 => say("tidy: nothing to put right"),
        1 => say("tidy: 1 violation"),
        many => say(format_args!("tidy: {many} violations")),
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Exit(1).into())
    }
}

fn check(root: &Path) -> Result<BTreeSet<Violation>> {
    let mut sources = Vec::new();
    for folder in FOLDERS {
        collect(root, &root.join(folder), &mut sources)?;
    }
    anyhow::ensure!(
        !sources.is_empty(),
        "no Rust source under {}: is this the repository?",
        root.display()
    );

    let mut violations = BTreeSet::new();
    for source in &sources {
        violations.extend(words::check(source));
    }
    violations.extend(edges::check(&sources));
    violations.extend(sizes::check(&sources, &exceptions::read(root)?));
    violations.extend(manifests::check(root)?);
    violations.extend(docs::check(root)?);
    Ok(violations)
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let listed = folder
        .read_dir()
        .with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in listed {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(root, &path, sources)?;
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let relative = path.strip_prefix(root).unwrap_or(&path);
            sources.push(Source::new(&relative.to_string_lossy(), text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
