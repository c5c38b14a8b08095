//! Files and functions stay small enough to be read in one go.
//!
//! The list of exceptions only shrinks: one that is larger than needed is a violation too.

use super::Violation;
use super::exceptions::Exceptions;
use super::source::{Source, is_word};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 80;

pub(super) fn check(sources: &[Source], exceptions: &Exceptions) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut sizes = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let lines = source.text.lines().count();
        sizes.push((source.path.clone(), source, 1, lines, FILE_LINES_MAX));
        for function in functions(source) {
            let key = format!("{}#{}", source.path, function.name);
            sizes.push((key, source, function.line, function.lines, FUNCTION_LINES_MAX));
        }
    }
    for (key, source, line, lines, most) in &sizes {
        let limit = exceptions.limit(key).unwrap_or(*most);
        if lines > &limit {
            let (what, advice) = match key.split_once('#') {
                Some((_, name)) => (format!("`{name}`"), "give its steps names"),
                None => ("the file".to_owned(), "split it by subject"),
            };
            violations.push(source.violation(
                *line,
                "size",
                format!("{what} has {lines} lines, {limit} at most: {advice}"),
            ));
        }
    }
    for exception in exceptions.all() {
        let largest = sizes
            .iter()
            .filter(|size| size.0 == exception.key)
            .map(|size| (size.3, size.4))
            .max();
        let what = match largest {
            None => format!("`{}` does not exist any more: take the line out", exception.key),
            Some((lines, most)) if lines <= most => {
                format!("`{}` is within the limit now: take the line out", exception.key)
            }
            Some((lines, _)) if lines < exception.limit => {
                format!("`{}` has shrunk to {lines}: write that number", exception.key)
            }
            Some(_) => continue,
        };
        violations.push(exception.violation(what));
    }
    violations
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

fn functions(source: &Source) -> Vec<Function<'_>> {
    source
        .find("fn")
        .filter_map(|position| function(source, position))
        .collect()
}

/// None for a declaration without a body, or a type (`fn(u32)`).
fn function(source: &Source, position: usize) -> Option<Function<'_>> {
    let after = source.code[position + 2..].strip_prefix(' ')?.trim_start();
    let name = &after[..after.find(|character| !is_word(character))?];
    if name.is_empty() {
        return None;
    }
    let (mut brackets, mut braces) = (0_usize, 0_usize);
    for (at, byte) in source.code.as_bytes().iter().enumerate().skip(position) {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.saturating_sub(1),
            b';' if braces == 0 && brackets == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    let (first, last) = (source.line_of(position), source.line_of(at));
                    return Some(Function {
                        name,
                        line: first,
                        lines: last - first + 1,
                    });
                }
            }
            _ => {}
        }
    }
    None
}
