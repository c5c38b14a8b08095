//! Variables, from the real environment and from the env file, and their substitution.
//!
//! Only `${NAME}` and `${NAME:default}` are taken: a lone `$` in a password stays. `\$` is a `$`.
//! A default ends at its closing brace, may hold colons, and may hold variables again.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::{ConfigError, Origin};

/// Nesting of defaults at most.
const DEPTH_MAX: usize = 16;
/// `${secret:name}` is no variable with a default.
const SECRET: &str = "secret";

/// The variables that a configuration may use.
#[derive(Debug, Default)]
pub(super) struct Variables {
    real: HashMap<String, String>,
    file: Option<(PathBuf, BTreeMap<String, String>)>,
}

/// A text after substitution.
pub(super) struct Substituted {
    pub(super) text: String,
    /// The first variable that gave a value.
    pub(super) origin: Option<Origin>,
    /// The first variable that is named, whether it has a value or not.
    pub(super) variable: Option<String>,
}

impl Variables {
    pub(super) fn new(real: HashMap<String, String>, env_file: Option<&Path>) -> Result<Self, ConfigError> {
        let file = match env_file {
            None => None,
            Some(path) => Some((path.to_owned(), read(path)?)),
        };
        Ok(Self { real, file })
    }

    pub(super) fn get(&self, name: &str) -> Option<(&str, Origin)> {
        if let Some(value) = self.real.get(name) {
            let variable = name.to_owned();
            return Some((value, Origin::Environment { variable }));
        }
        let (file, values) = self.file.as_ref()?;
        let origin = Origin::EnvFile {
            variable: name.to_owned(),
            file: file.clone(),
        };
        Some((values.get(name)?, origin))
    }

    /// Names, for proposals.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let file = self.file.iter().flat_map(|(_, values)| values.keys());
        self.real.keys().chain(file).map(String::as_str)
    }

    /// # Errors
    /// A sentence about what is wrong with `text`.
    pub(super) fn substitute(&self, text: &str) -> Result<Substituted, String> {
        let mut done = Substituted {
            text: String::with_capacity(text.len()),
            origin: None,
            variable: None,
        };
        self.expand(text, &mut done, 0)?;
        Ok(done)
    }

    fn expand(&self, text: &str, done: &mut Substituted, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("defaults are nested deeper than {DEPTH_MAX} levels"));
        }
        let mut rest = text;
        while let Some(place) = rest.find('$') {
            let before = &rest[..place];
            let after = &rest[place + 1..];
            if let Some(kept) = before.strip_suffix('\\') {
                done.text.push_str(kept);
                done.text.push('$');
                rest = after;
                continue;
            }
            done.text.push_str(before);
            let Some(inner) = after.strip_prefix('{') else {
                done.text.push('$');
                rest = after;
                continue;
            };
            let end = closing(inner).ok_or_else(|| {
                let start = crate::yaml::excerpt(&rest[place..]);
                format!("{start:?} has no closing brace; write ${{NAME}} or ${{NAME:default}}, or \\$ for a plain $")
            })?;
            self.variable(&inner[..end], done, depth)?;
            rest = &inner[end + 1..];
        }
        done.text.push_str(rest);
        Ok(())
    }

    /// `NAME` or `NAME:default`.
    fn variable(&self, inner: &str, done: &mut Substituted, depth: usize) -> Result<(), String> {
        let (name, default) = match inner.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        if name == SECRET && default.is_some() {
            // Not a variable: who calls a plugin puts a placeholder in its place.
            done.text.push_str("${");
            done.text.push_str(inner);
            done.text.push('}');
            return Ok(());
        }
        let shaped = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !shaped {
            return Err(format!(
                "${{{inner}}} names no variable; a name has letters, digits and underscores"
            ));
        }
        done.variable.get_or_insert_with(|| name.to_owned());
        if let Some((value, origin)) = self.get(name) {
            done.text.push_str(value);
            done.origin.get_or_insert(origin);
            return Ok(());
        }
        match default {
            Some(default) => self.expand(default, done, depth + 1),
            None => {
                let near = crate::yaml::did_you_mean(name, self.names());
                Err(format!(
                    "the environment variable {name} is not set and ${{{name}}} has no default; set it, or write ${{{name}:default}}{near}"
                ))
            }
        }
    }
}

/// The place of the brace that closes what is open before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut before = None;
    for (place, c) in text.char_indices() {
        match c {
            '{' if before == Some('$') => open += 1,
            '}' if open == 0 => return Some(place),
            '}' => open -= 1,
            _ => {}
        }
        before = Some(c);
    }
    None
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let failed = |source| ConfigError::EnvFile {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut values = BTreeMap::new();
    for pair in dotenvy::Iter::new(std::io::BufReader::new(file)) {
        match pair {
            Ok((name, value)) => {
                values.insert(name, value);
            }
            Err(dotenvy::Error::Io(source)) => return Err(failed(source)),
            Err(error) => return Err(failed(std::io::Error::other(error.to_string()))),
        }
    }
    Ok(values)
}
