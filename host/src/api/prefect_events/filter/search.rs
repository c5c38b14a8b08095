//! Search in the text of an event, by Prefect's little language: one of the words has to be there,
//! all with `+`, none with `-` or `!`; quotes hold words together.

use super::PrefectEvent;

/// Characters of a query, as in Prefect.
const CHARS_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Search {
    pub(super) one_of: Vec<String>,
    pub(super) all_of: Vec<String>,
    pub(super) none_of: Vec<String>,
}

impl Search {
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        if query.chars().count() > CHARS_MAX {
            return Err(format!("a query has {CHARS_MAX} characters at most"));
        }
        let mut search = Self::default();
        let mut rest = query.trim_start();
        while let Some(first) = rest.chars().next() {
            let list = match first {
                '+' => &mut search.all_of,
                '-' | '!' => &mut search.none_of,
                _ => &mut search.one_of,
            };
            let after = rest.strip_prefix(['+', '-', '!']).unwrap_or(rest);
            let (word, left) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
            };
            if !word.is_empty() {
                list.push(word.to_lowercase());
            }
            rest = left.trim_start();
        }
        Ok(search)
    }

    pub(super) fn finds(&self, event: &PrefectEvent) -> bool {
        let mut text = event.event.to_lowercase();
        for value in event.involved().flat_map(super::Labels::values) {
            text.push('\n');
            text.push_str(&value.to_lowercase());
        }
        text.push_str(&event.payload.to_string().to_lowercase());
        let there = |word: &String| text.contains(word.as_str());
        (self.one_of.is_empty() || self.one_of.iter().any(there))
            && self.all_of.iter().all(there)
            && !self.none_of.iter().any(there)
    }
}
