//! Rules about single words and about the shape of a file.

use super::Violation;
use super::source::Source;

/// Crates that are known to one part of the host only, so that the rest can be read, tested
/// and changed without them.
const OWNED: [(&str, &[&str]); 7] = [
    // `definitions` reads grepx-master.db, a database that is not the host's own.
    ("rusqlite", &["store", "definitions"]),
    ("refinery", &["store"]),
    ("wasmtime", &["plugins"]),
    ("wasmtime_wasi", &["plugins"]),
    ("redis", &["broker"]),
    ("opentelemetry_proto", &["traces"]),
    ("prost", &["traces"]),
];

const UNSAFE_ALLOWED: &str = "host/src/plugins/precompiled.rs";
const CLOCK: &str = "host/src/clock.rs";

pub(super) fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    shape(source, &mut violations);
    unfinished(source, &mut violations);
    if source.path.starts_with("host/") {
        clock(source, &mut violations);
    }
    if source.path.starts_with("host/src/") {
        owned(source, &mut violations);
    }
    if source.path != UNSAFE_ALLOWED {
        for position in source.find("unsafe") {
            let what =
                format!("only {UNSAFE_ALLOWED} may be unsafe: it loads machine code that the host has authenticated");
            violations.push(source.violation(source.line_of(position), "unsafe", what));
        }
    }
    violations
}

fn shape(source: &Source, violations: &mut Vec<Violation>) {
    let first = source
        .text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    // A sibling tests.rs is described by the file that it tests.
    let alone = source.path.starts_with("tests/") || !source.path.ends_with("/tests.rs");
    if alone && !first.is_some_and(|line| line.starts_with("//! ")) {
        violations.push(source.violation(
            1,
            "module docs",
            "the file has to open with `//!`: why it exists, and what is deliberately absent",
        ));
    }
    if source.path.ends_with("/mod.rs") {
        violations.push(source.violation(
            1,
            "no mod.rs",
            "use foo.rs beside foo/: a list of open files that all are called mod.rs helps nobody",
        ));
    }
    for position in source.find("mod tests {") {
        if source.path.starts_with("host/") {
            let what = "tests live in a sibling file (`#[cfg(test)] mod tests;`), so that a file's size is the size of its code";
            violations.push(source.violation(source.line_of(position), "tests beside", what));
        }
    }
}

fn unfinished(source: &Source, violations: &mut Vec<Violation>) {
    for word in ["todo!(", "unimplemented!("] {
        for position in source.find(word) {
            let what = format!(
                "`{word}…)` is a promise to crash: finish it, or return an error that says what is not supported"
            );
            violations.push(source.violation(source.line_of(position), "unfinished", what));
        }
    }
    // In comments too. Put together, so that this line is not one.
    let mark = concat!("FIX", "ME");
    for (number, line) in source.text.lines().enumerate() {
        if line.contains(mark) {
            violations.push(source.violation(
                number + 1,
                "unfinished",
                format!("{mark}: fix it now, or write down the limit where its users look"),
            ));
        }
    }
    for position in source.find("#[ignore") {
        let reason = source.text[position..].lines().next().unwrap_or_default();
        let given = reason
            .split_once('"')
            .is_some_and(|(_, reason)| !reason.trim_start().starts_with('"'));
        if !given {
            violations.push(source.violation(source.line_of(position), "ignored test", "say why: `#[ignore = \"…\"]`"));
        }
    }
}

fn clock(source: &Source, violations: &mut Vec<Violation>) {
    if source.path == CLOCK {
        return;
    }
    for word in ["Utc::now", "Local::now", "SystemTime::now"] {
        for position in source.find(word) {
            let what = format!("`{word}` only in {CLOCK}: time is an argument, so that every decision can be repeated");
            violations.push(source.violation(source.line_of(position), "wall clock", what));
        }
    }
}

fn owned(source: &Source, violations: &mut Vec<Violation>) {
    let inside = source.path.trim_start_matches("host/src/");
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    for (name, owners) in OWNED {
        if owners.contains(&module) {
            continue;
        }
        for position in source.find(name) {
            let before = &source.code[..position];
            let behind = &source.code[position + name.len()..];
            // `broker::redis::Link` is a module of ours, and a variable may be called redis.
            let path = behind.starts_with("::") && !before.ends_with("::");
            let import = before.trim_end().ends_with("use") || before.trim_end().ends_with("extern crate");
            if path || import {
                let what = format!("only `{}` may name {name}", owners.join("` and `"));
                violations.push(source.violation(source.line_of(position), "owned crate", what));
            }
        }
    }
}
