//! The pure crates stay pure: no runtime, no sandbox, no database, no network.
//!
//! Their manifests say what they may see, and the lock file what that brings along: a pure
//! crate must not get tokio through the back door either.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Violation;

const RULE: &str = "pure crate";
const CRATES: &str = "host/crates";
const FORBIDDEN: [&str; 9] = [
    "grepx-host",
    "tokio",
    "wasmtime",
    "wasmtime-wasi",
    "rusqlite",
    "redis",
    "axum",
    "hyper",
    "ureq",
];

pub(super) fn check(root: &Path) -> Result<Vec<Violation>> {
    let folder = root.join(CRATES);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let lock = root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let graph = graph(&lock);
    let mut violations = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| format!("cannot list {}", folder.display()))?
    {
        let name = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .file_name();
        let path = format!("{CRATES}/{}/Cargo.toml", name.to_string_lossy());
        if let Ok(manifest) = fs::read_to_string(root.join(&path)) {
            violations.extend(impure(&path, &manifest, &graph));
        }
    }
    Ok(violations)
}

pub(super) type Graph = BTreeMap<String, Vec<String>>;

/// What each package of the lock file depends on. Versions are dropped: purity has none.
pub(super) fn graph(lock: &str) -> Graph {
    let mut graph = Graph::new();
    for package in lock.split("[[package]]").skip(1) {
        let name = package.lines().find_map(|line| line.strip_prefix("name = "));
        let Some(name) = name.map(|name| name.trim_matches('"')) else {
            continue;
        };
        let listed = package
            .split_once("dependencies = [")
            .and_then(|(_, rest)| rest.split_once(']'));
        let names = listed.into_iter().flat_map(|(listed, _)| listed.lines());
        let names = names.filter_map(|line| line.trim().trim_matches([',', '"']).split(' ').next());
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
        graph.entry(name.to_owned()).or_default().extend(names);
    }
    graph
}

pub(super) fn impure(path: &str, manifest: &str, graph: &Graph) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (line, dependency) in dependencies(manifest) {
        if let Some(chain) = chain_to_forbidden(dependency, graph) {
            let what = format!(
                "{} in a pure crate: what it decides must need nothing but its arguments",
                chain.join(" → ")
            );
            violations.push(Violation {
                path: path.to_owned(),
                line,
                rule: RULE,
                what,
            });
        }
    }
    violations
}

/// Names under `[dependencies]` and its like, but not `[dev-dependencies]`.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (number, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let shipped = |section: &str| {
                let last = section.rsplit('.').next().unwrap_or_default();
                last == "dependencies" || last == "build-dependencies"
            };
            inside = shipped(section);
            // `[dependencies.tokio]`
            if let Some((_, name)) = section.rsplit_once('.').filter(|(table, _)| shipped(table)) {
                found.push((number + 1, name));
            }
        } else if inside && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if !name.is_empty() {
                found.push((number + 1, name));
            }
        }
    }
    found
}

/// The shortest way from a dependency to something that is forbidden.
fn chain_to_forbidden(start: &str, graph: &Graph) -> Option<Vec<String>> {
    let mut seen = BTreeSet::from([start.to_owned()]);
    let mut ways = vec![vec![start.to_owned()]];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way.last().map(String::as_str).unwrap_or_default();
            if FORBIDDEN.contains(&last) {
                return Some(way);
            }
            for next in graph.get(last).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    longer.push(way.iter().chain([next]).cloned().collect());
                }
            }
        }
        ways = longer;
    }
    None
}
