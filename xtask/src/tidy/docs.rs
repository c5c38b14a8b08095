//! Code in `docs/` is taken from files that are compiled and tested, so that a guide cannot
//! grow old unseen: a fenced block of a language names its file in the comment above it, and
//! has to stand in that file line by line. Lines for a shell are free.
//!
//! `<!-- plugins/templates/activity/lib.rs kind-name=greet -->` reads the file with that word
//! replaced, as making a crate from the template does.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Violation;

const RULE: &str = "code in docs";
const FOLDER: &str = "docs";
const LANGUAGES: [&str; 5] = ["rust", "yaml", "toml", "python", "js"];

pub(super) fn check(root: &Path) -> Result<Vec<Violation>> {
    let folder = root.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut violations = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if path.extension().is_some_and(|ending| ending == "md") {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            violations.extend(page(&name, &text, |file| fs::read_to_string(root.join(file)).ok()));
        }
    }
    Ok(violations)
}

/// One page; `read` gives a file of the repository.
pub(super) fn page(name: &str, text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut above = "";
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            above = line;
            continue;
        };
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        if LANGUAGES.contains(&language.trim())
            && let Err(what) = taken(above, &block, &read)
        {
            violations.push(Violation {
                path: name.to_owned(),
                line: number + 1,
                rule: RULE,
                what,
            });
        }
        above = "";
    }
    violations
}

fn taken(above: &str, block: &[&str], read: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let named = above
        .trim()
        .strip_prefix("<!-- ")
        .and_then(|rest| rest.strip_suffix(" -->"));
    let mut words = named
        .ok_or("write <!-- file --> in the line above: where is it tested?")?
        .split(' ');
    let file = words.next().unwrap_or_default();
    let mut text = read(file).ok_or_else(|| format!("{file} cannot be read"))?;
    for (from, to) in words.filter_map(|word| word.split_once('=')) {
        text = text
            .replace(from, to)
            .replace(&from.replace('-', "_"), &to.replace('-', "_"));
    }
    let source: Vec<&str> = text.lines().collect();
    match source.windows(block.len().max(1)).any(|window| window == block) {
        true => Ok(()),
        false => Err(format!("these lines do not stand in {file}: take them over again")),
    }
}
