//! Secrets out of what is shown: passwords in URLs, and values whose key sounds like a secret.

use serde_json::Value;

pub(super) const MASK: &str = "****";
/// Parts of keys that mark a secret.
const SECRET_WORDS: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "credential",
    "auth_string",
];

/// `url` with its password, and the values of secret-looking query parameters, replaced.
#[must_use]
pub fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // A password may hold a slash by mistake: then everything up to the last `@` is hidden.
    let (authority, tail) = match (authority.contains('@'), tail.rfind('@')) {
        (false, Some(at)) if !scheme.starts_with("sqlite") => (&rest[..authority.len() + at + 1], &tail[at + 1..]),
        _ => (authority, tail),
    };
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{MASK}@{host}"),
            None => format!("{user}@{host}"),
        },
        None => authority.to_owned(),
    };
    format!("{scheme}://{authority}{}", mask_query(tail))
}

fn mask_query(tail: &str) -> String {
    let Some((path, query)) = tail.split_once('?') else {
        return tail.to_owned();
    };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key, _)) if is_secret(key) => format!("{key}={MASK}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// `value`, which stands under `key`, as it may be shown.
pub(super) fn mask(key: &str, value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), mask(key, value))).collect(),
        Value::Array(items) => items.iter().map(|item| mask(key, item)).collect(),
        _ if is_secret(key) => Value::from(MASK),
        Value::String(text) => Value::String(mask_url(text)),
        Value::Number(_) => value.clone(),
    }
}
