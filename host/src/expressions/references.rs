//! Which `results.<task>` an expression names, read from its text: strings are stepped over, and
//! `results` counts only where it is a name of its own.

use std::collections::BTreeSet;
use std::str::Chars;

/// `results` is used other than by one task's name.
pub(super) struct Whole;

pub(super) fn of(source: &str) -> Result<BTreeSet<String>, Whole> {
    let mut found = BTreeSet::new();
    let mut rest = source.chars();
    let mut after_dot = false;
    while let Some(next) = rest.clone().next() {
        if next == '"' || next == '\'' {
            string(&mut rest);
            after_dot = false;
        } else if is_word(next) {
            let word = word(&mut rest);
            if word == "results" && !after_dot && !is_keyword_argument(&rest) {
                found.insert(name(&mut rest)?);
            }
            after_dot = false;
        } else {
            rest.next();
            after_dot = next == '.' || (after_dot && next.is_whitespace());
        }
    }
    Ok(found)
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn word(rest: &mut Chars<'_>) -> String {
    let word: String = rest.clone().take_while(|c| is_word(*c)).collect();
    rest.nth(word.chars().count().saturating_sub(1));
    word
}

/// `f(results=1)`: a word before a single `=`.
fn is_keyword_argument(rest: &Chars<'_>) -> bool {
    let rest = rest.as_str().trim_start();
    rest.starts_with('=') && !rest.starts_with("==")
}

/// A string without its quotes, with `\` before a quote or itself undone.
fn string(rest: &mut Chars<'_>) -> String {
    let quote = rest.next();
    let mut text = String::new();
    while let Some(next) = rest.next() {
        if Some(next) == quote {
            break;
        }
        match next {
            '\\' => text.extend(rest.next()),
            other => text.push(other),
        }
    }
    text
}

/// What follows `results`: `.name` or `["name"]`.
fn name(rest: &mut Chars<'_>) -> Result<String, Whole> {
    skip_space(rest);
    match rest.next() {
        Some('.') => {
            skip_space(rest);
            let word = word_or_none(rest).ok_or(Whole)?;
            // `results.items()` would be a method of the whole.
            if rest.as_str().trim_start().starts_with('(') {
                return Err(Whole);
            }
            Ok(word)
        }
        Some('[') => {
            skip_space(rest);
            if !matches!(rest.clone().next(), Some('"' | '\'')) {
                return Err(Whole);
            }
            let text = string(rest);
            skip_space(rest);
            match rest.next() {
                Some(']') => Ok(text),
                _ => Err(Whole),
            }
        }
        _ => Err(Whole),
    }
}

fn word_or_none(rest: &mut Chars<'_>) -> Option<String> {
    rest.clone().next().filter(|c| is_word(*c))?;
    Some(word(rest))
}

fn skip_space(rest: &mut Chars<'_>) {
    while rest.clone().next().is_some_and(char::is_whitespace) {
        rest.next();
    }
}
