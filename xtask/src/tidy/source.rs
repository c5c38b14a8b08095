//! A source file as the rules see it: its text, and its code with everything else blanked.
//!
//! Blanking keeps every line break, so a position in one is a position in the other. This is a
//! lexer, not a parser: it knows comments, strings, raw strings, characters and lifetimes.

use super::Violation;

#[derive(Debug)]
pub(super) struct Source {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments and the insides of literals replaced by spaces.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: &str, text: String) -> Self {
        let code = blank(&text);
        Self {
            path: path.replace('\\', "/"),
            text,
            code,
        }
    }

    /// Test code may be long, and may look at anything.
    pub(super) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.path.contains("/benches/")
    }

    /// From 1.
    pub(super) fn line_of(&self, position: usize) -> usize {
        1 + self.code.as_bytes()[..position]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
    }

    pub(super) fn violation(&self, line: usize, rule: &'static str, what: impl Into<String>) -> Violation {
        Violation {
            path: self.path.clone(),
            line,
            rule,
            what: what.into(),
        }
    }

    /// Positions at which the words stand in the code, not as a part of a longer word.
    pub(super) fn find<'a>(&'a self, words: &'a str) -> impl Iterator<Item = usize> + 'a {
        let positions = self.code.match_indices(words).map(|(position, _)| position);
        positions.filter(move |position| {
            let before = self.code[..*position].chars().next_back();
            let after = self.code[position + words.len()..].chars().next();
            let begun = words.starts_with(is_word) && before.is_some_and(is_word);
            let goes_on = words.ends_with(is_word) && after.is_some_and(is_word);
            !begun && !goes_on
        })
    }
}

pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let (from, to, next) = skip(bytes, at);
        for byte in &mut code[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = next;
    }
    // Only ASCII was written, and only over whole characters.
    String::from_utf8_lossy(&code).into_owned()
}

/// What to blank from here on, and where to go on: nothing and one further, for plain code.
fn skip(bytes: &[u8], at: usize) -> (usize, usize, usize) {
    let rest = &bytes[at..];
    let in_word = at > 0 && is_word(char::from(bytes[at - 1]));
    match rest {
        [b'/', b'/', ..] => {
            let end = rest
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(bytes.len(), |length| at + length);
            (at, end, end)
        }
        [b'/', b'*', ..] => {
            let end = block_comment_end(bytes, at);
            (at, end, end)
        }
        [b'"', ..] => quoted(bytes, at + 1),
        [b'r', b'"' | b'#', ..] if !in_word => raw(bytes, at, at + 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => raw(bytes, at, at + 2),
        [b'\'', ..] => character(bytes, at),
        _ => (at, at, at + 1),
    }
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(bytes.len())
}

fn quoted(bytes: &[u8], start: usize) -> (usize, usize, usize) {
    let mut at = start;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    let end = at.min(bytes.len());
    (start, end, (end + 1).min(bytes.len()))
}

/// `hashes` is where the hashes, or the quote, begin. A raw identifier is plain code.
fn raw(bytes: &[u8], start: usize, hashes: usize) -> (usize, usize, usize) {
    let count = bytes[hashes..].iter().take_while(|byte| **byte == b'#').count();
    let inside = hashes + count + 1;
    if bytes.get(hashes + count) != Some(&b'"') {
        return (start, start, hashes + count);
    }
    let mut end = inside;
    while end < bytes.len() {
        let closed = bytes[end] == b'"'
            && bytes[end + 1..]
                .iter()
                .take(count)
                .filter(|byte| **byte == b'#')
                .count()
                == count;
        if closed {
            break;
        }
        end += 1;
    }
    (inside.min(bytes.len()), end, (end + 1 + count).min(bytes.len()))
}

/// A character literal, or the quote of a lifetime.
fn character(bytes: &[u8], at: usize) -> (usize, usize, usize) {
    if bytes.get(at + 1) == Some(&b'\\') {
        let close = bytes.iter().skip(at + 3).position(|byte| *byte == b'\'');
        let end = close.map_or(bytes.len(), |length| at + 3 + length);
        return (at + 1, end, (end + 1).min(bytes.len()));
    }
    // One character of up to four bytes, then the closing quote.
    let first = bytes.get(at + 1).copied().unwrap_or(b' ');
    let width = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    if bytes.get(at + 1 + width) == Some(&b'\'') {
        (at + 1, at + 1 + width, at + 2 + width)
    } else {
        (at, at, at + 1)
    }
}
