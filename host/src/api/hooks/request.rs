//! What expressions see of a request: `body`, `headers` and `query`.

use axum::http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::config::Hook;

const FORM: &str = "application/x-www-form-urlencoded";
/// Credentials of whoever stands between; they must not become parameters by accident.
const HIDDEN: [header::HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

#[derive(Debug)]
pub(super) struct Received([(&'static str, Value); 3]);

impl Received {
    /// # Errors
    /// When the body is neither JSON nor a form, in a sentence.
    pub(super) fn read(hook: &Hook, headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Result<Self, String> {
        let is_form = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(FORM.as_bytes()));
        // Many senders call everything a form.
        let body = match serde_json::from_slice(body) {
            Ok(json) => json,
            Err(_) if body.is_empty() => Value::Null,
            Err(_) if is_form => pairs(&String::from_utf8_lossy(body)),
            Err(error) => return Err(format!("The body is no JSON: {error}")),
        };
        let signature = hook.signature.as_ref().map(|signature| signature.header.as_str());
        let mut seen = Map::new();
        for name in headers.keys() {
            if HIDDEN.contains(name) || signature == Some(name.as_str()) {
                continue;
            }
            let values = headers.get_all(name).iter();
            let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            seen.insert(name.as_str().to_owned(), values.join(", ").into());
        }
        Ok(Self([
            ("body", body),
            ("headers", Value::Object(seen)),
            ("query", pairs(query.unwrap_or_default())),
        ]))
    }

    pub(super) fn values(&self) -> &[(&'static str, Value)] {
        &self.0
    }
}

/// Of a name that stands twice the last.
fn pairs(text: &str) -> Value {
    let decoded = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    Value::Object(
        pairs
            .map(|(name, value)| (decoded(name), decoded(value).into()))
            .collect(),
    )
}
