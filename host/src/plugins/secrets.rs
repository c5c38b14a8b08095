//! Secrets of the operator that kinds may use without ever seeing them.
//!
//! A guest is given a placeholder. On its way out, in the headers, the URL and the body of a
//! request towards a host that is granted for this secret, the placeholder becomes the value; on
//! the way back, and in everything that a call leaves behind, the value becomes a mark.
//!
//! What this cannot do: a server that sends back the secret in another shape than the usual ones
//! gives it to the guest. Grant a secret only towards hosts that it belongs to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::grants::{Grants, HostPattern};
use super::precompiled::hex;

/// A shorter value would be found, and hidden, everywhere.
const BYTES_MIN: usize = 6;
const BYTES_MAX: usize = 64 * 1024;
/// What a task's input or a kind's settings write for a placeholder: `${secret:name}`.
const REFERENCE: &str = "${secret:";

/// The values, by name. Never shown.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// # Errors
    /// When the value is too short to be hidden wherever it appears, or too long.
    pub fn insert(&mut self, name: &str, value: String) -> Result<(), String> {
        if value.len() < BYTES_MIN {
            return Err(format!(
                "the secret {name} has {} bytes: with fewer than {BYTES_MIN} it cannot be told from other text and hidden",
                value.len()
            ));
        }
        if value.len() > BYTES_MAX {
            return Err(format!("the secret {name} has more than {BYTES_MAX} bytes"));
        }
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The secrets that one kind may use.
#[derive(Default)]
pub(super) struct Held(Vec<One>);

struct One {
    name: String,
    placeholder: String,
    value: String,
    hosts: Vec<HostPattern>,
    /// The value in the shapes in which it may come back, longest first.
    shapes: Vec<String>,
    mark: String,
}

impl Held {
    pub(super) fn new(secrets: &Secrets, grants: &Grants, key: &[u8]) -> Self {
        let one = |granted: &super::grants::SecretGrant| {
            let value = secrets.0.get(&granted.name)?.clone();
            Some(One {
                placeholder: placeholder(key, &granted.name),
                shapes: shapes(&value),
                mark: format!("<secret:{}>", granted.name),
                hosts: granted.hosts.clone(),
                name: granted.name.clone(),
                value,
            })
        };
        Self(grants.secrets.iter().filter_map(one).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn placeholder(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|one| one.name == name)
            .map(|one| one.placeholder.as_str())
    }

    /// `text` with placeholders for `${secret:name}`; the name of one that is not granted else.
    pub(super) fn refer<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, String> {
        if !text.contains(REFERENCE) {
            return Ok(Cow::Borrowed(text));
        }
        let mut done = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(REFERENCE) {
            let after = &rest[at + REFERENCE.len()..];
            let Some(end) = after.find('}').filter(|end| is_name(&after[..*end])) else {
                done.push_str(&rest[..at + REFERENCE.len()]);
                rest = after;
                continue;
            };
            let name = &after[..end];
            let placeholder = self.placeholder(name).ok_or_else(|| name.to_owned())?;
            done.push_str(&rest[..at]);
            done.push_str(placeholder);
            rest = &after[end + 1..];
        }
        done.push_str(rest);
        Ok(Cow::Owned(done))
    }

    /// Whether any value may go to that host.
    pub(super) fn go_to(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|one| one.goes_to(host, port))
    }

    /// `text` with the values that may go to that host, as `shape` writes them there.
    pub(super) fn reveal<'a>(&self, text: &'a str, host: &str, port: u16, shape: fn(&str) -> String) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for one in self.0.iter().filter(|one| one.goes_to(host, port)) {
            if text.contains(&one.placeholder) {
                text = Cow::Owned(text.replace(&one.placeholder, &shape(&one.value)));
            }
        }
        text
    }

    /// As [`Self::reveal`] for a body, which need not be text.
    pub(super) fn reveal_bytes(&self, mut bytes: Vec<u8>, host: &str, port: u16) -> Vec<u8> {
        for one in self.0.iter().filter(|one| one.goes_to(host, port)) {
            if let Some(changed) = replace(&bytes, one.placeholder.as_bytes(), one.value.as_bytes()) {
                bytes = changed;
            }
        }
        bytes
    }

    /// `text` without any value.
    pub(super) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for one in &self.0 {
            for shape in &one.shapes {
                if text.contains(shape.as_str()) {
                    text = Cow::Owned(text.replace(shape.as_str(), &one.mark));
                }
            }
        }
        text
    }

    /// As [`Self::scrub`] for bytes.
    pub(super) fn scrub_bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for one in &self.0 {
            for shape in &one.shapes {
                if let Some(changed) = replace(&bytes, shape.as_bytes(), one.mark.as_bytes()) {
                    bytes = changed;
                }
            }
        }
        bytes
    }

    /// The secret whose value is in `bytes`.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        let hit = |one: &&One| one.shapes.iter().any(|shape| find(bytes, shape.as_bytes()).is_some());
        self.0.iter().find(hit).map(|one| one.name.as_str())
    }
}

impl One {
    fn goes_to(&self, host: &str, port: u16) -> bool {
        self.hosts.iter().any(|pattern| pattern.permit(host, port).is_some())
    }
}

/// Written into a URL.
pub(super) fn in_url(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// Written as it is.
pub(super) fn plain(value: &str) -> String {
    value.to_owned()
}

/// The same over restarts, so that a stored state may hold it; no other text has it by chance.
fn placeholder(key: &[u8], name: &str) -> String {
    let hash = Sha256::new()
        .chain_update(b"grepx secret placeholder 1")
        .chain_update(key)
        .chain_update(name)
        .finalize();
    format!("grepx-secret-{}", &hex(&hash)[..32])
}

fn shapes(value: &str) -> Vec<String> {
    let json = serde_json::Value::from(value).to_string();
    let mut shapes = vec![
        value.to_owned(),
        json[1..json.len() - 1].to_owned(),
        in_url(value),
        BASE64_STANDARD.encode(value),
    ];
    shapes.sort_by_key(|shape| std::cmp::Reverse(shape.len()));
    shapes.dedup();
    shapes
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// `bytes` with `by` for each `needle`; `None` when there is none.
fn replace(bytes: &[u8], needle: &[u8], by: &[u8]) -> Option<Vec<u8>> {
    let mut at = find(bytes, needle)?;
    let mut done = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        done.extend_from_slice(&rest[..at]);
        done.extend_from_slice(by);
        rest = &rest[at + needle.len()..];
        match find(rest, needle) {
            Some(next) => at = next,
            None => break,
        }
    }
    done.extend_from_slice(rest);
    Some(done)
}

#[cfg(test)]
mod tests;
