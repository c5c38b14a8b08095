//! What a request shows: a key, as Prefect's clients send `PREFECT_API_KEY`, or the auth string, as
//! they send `PREFECT_API_AUTH_STRING`.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key;
use crate::store::Digest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// Digest of a key.
    Key(Digest),
    /// Digest of an auth string.
    AuthString(Digest),
    /// Neither.
    Odd,
}

pub(super) fn shown(headers: &HeaderMap) -> Shown {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return match headers.contains_key(header::AUTHORIZATION) {
            true => Shown::Odd,
            false => Shown::Nothing,
        };
    };
    let Some((scheme, rest)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
        return Shown::Odd;
    };
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
        return Shown::Key(key::digest(rest));
    }
    let decoded = STANDARD
        .decode(rest)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded {
        // Prefect's clients show an auth string where they show no key: to WebSockets.
        Some(text) if scheme.eq_ignore_ascii_case("basic") && text.starts_with(key::PREFIX) => {
            Shown::Key(key::digest(&text))
        }
        Some(text) if scheme.eq_ignore_ascii_case("basic") => Shown::AuthString(key::digest(&text)),
        _ => Shown::Odd,
    }
}

#[cfg(test)]
mod tests;
