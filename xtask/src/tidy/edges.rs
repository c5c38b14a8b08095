//! Dependencies between the modules of the host point one way.
//!
//! `cli → app → {scheduler, api, ui} → runner → {store, plugins, broker} → {engine, celery}`:
//! what stands lower knows nothing of what stands higher, and `store`, `plugins` and `broker`
//! know nothing of each other. Read from the paths `crate::x` and `super::…::x`. The pure
//! crates below need no rule here: cargo knows what they may see ([`super::manifests`]).

use std::collections::BTreeSet;

use super::Violation;
use super::source::{Source, is_word};

const RULE: &str = "module edge";
const HOST: &str = "host/src/";

/// Small modules without a direction: anybody may use them, and they use only each other.
const COMMON: [&str; 10] = [
    "clock",
    "config",
    "expressions",
    "failpoint",
    "names",
    "report",
    "task",
    "telemetry",
    "traces",
    "yaml",
];

/// What each module may see, beside [`COMMON`] and itself.
const MAY_SEE: [(&str, &[&str]); 12] = [
    (
        "cli",
        &[
            "app",
            "scheduler",
            "api",
            "ui",
            "runner",
            "definitions",
            "store",
            "plugins",
            "broker",
        ],
    ),
    (
        "app",
        &[
            "scheduler",
            "api",
            "ui",
            "runner",
            "definitions",
            "store",
            "plugins",
            "broker",
        ],
    ),
    // Pages show what the API shows, from the same views.
    ("ui", &["api", "runner", "definitions", "store"]),
    // Reads what plugins and brokers say of themselves; writes through the runner.
    ("api", &["runner", "definitions", "store", "plugins", "broker"]),
    ("scheduler", &["runner", "definitions", "store"]),
    ("runner", &["definitions", "store", "plugins", "broker"]),
    ("definitions", &[]),
    ("store", &[]),
    ("plugins", &[]),
    ("broker", &[]),
    // The binary's root.
    ("main", &["cli", "app"]),
    ("lib", &[]),
];

pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let host: Vec<_> = sources
        .iter()
        .filter_map(|source| Some((source, module_path(&source.path)?)))
        .collect();
    let modules: BTreeSet<&str> = host.iter().filter_map(|(_, path)| path.first().copied()).collect();
    let mut violations = Vec::new();
    for (source, path) in &host {
        let Some(own) = path.first().copied().filter(|_| !source.is_test()) else {
            continue;
        };
        let Some(allowed) = allowed(own) else {
            violations.push(source.violation(
                1,
                RULE,
                format!("module `{own}` has no place yet: say in xtask/src/tidy/edges.rs what it may see"),
            ));
            continue;
        };
        for (position, seen) in uses(source, path) {
            let fine = seen == own || !modules.contains(seen) || COMMON.contains(&seen) || allowed.contains(&seen);
            if !fine {
                let line = source.line_of(position);
                violations.push(source.violation(
                    line,
                    RULE,
                    format!("`{own}` must not know `{seen}`: {}", reason(own, allowed)),
                ));
            }
        }
    }
    violations
}

fn allowed(module: &str) -> Option<&'static [&'static str]> {
    if COMMON.contains(&module) {
        return Some(&[]);
    }
    MAY_SEE.iter().find(|(name, _)| *name == module).map(|(_, seen)| *seen)
}

fn reason(own: &str, allowed: &[&str]) -> String {
    match allowed {
        [] => format!("`{own}` stands at the bottom and knows only {}", COMMON.join(", ")),
        some => format!("dependencies point one way, from `{own}` to {}", some.join(", ")),
    }
}

/// `host/src/store/writer.rs` is `[store, writer]`.
fn module_path(path: &str) -> Option<Vec<&str>> {
    let inside = path.strip_prefix(HOST)?.strip_suffix(".rs")?;
    Some(inside.split('/').collect())
}

/// The modules of the crate's root that the file names, and where.
fn uses<'a>(source: &'a Source, path: &[&str]) -> Vec<(usize, &'a str)> {
    let mut seen = Vec::new();
    let root = path.first() == Some(&"main");
    let starts: &[&str] = if root {
        &["crate::", "grepx_host::"]
    } else {
        &["crate::"]
    };
    for start in starts {
        for position in source.find(start) {
            first_segments(&source.code[position + start.len()..], position, &mut seen);
        }
    }
    for position in source.find("super::") {
        if source.code[..position].ends_with("super::") {
            continue;
        }
        let chain = &source.code[position..];
        let after = chain.trim_start_matches("super::");
        let climbed = (chain.len() - after.len()) / "super::".len();
        if climbed == path.len() {
            first_segments(after, position, &mut seen);
        }
    }
    seen
}

/// The first segments of a path, or of all the paths in a group: `a::b`, `{a::b, c::{d, e}}`.
fn first_segments<'a>(text: &'a str, position: usize, seen: &mut Vec<(usize, &'a str)>) {
    let Some(group) = text.strip_prefix('{') else {
        let end = text.find(|character| !is_word(character)).unwrap_or(text.len());
        seen.push((position, &text[..end]));
        return;
    };
    let (mut depth, mut start) = (0_usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let entry = group[start..at].trim_start();
                let end = entry.find(|character| !is_word(character)).unwrap_or(entry.len());
                if end > 0 {
                    // Behind `crate::` and the brace; only the line counts.
                    seen.push((
                        position + 8 + start + (group[start..at].len() - entry.len()),
                        &entry[..end],
                    ));
                }
                start = at + 1;
                if character == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}
