//! What expressions see of a request: `body`, `headers` and `query`.

use axum::extract::Query;
use axum::http::{HeaderMap, Uri, header};
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
        let body = match std::str::from_utf8(body) {
            Ok("") => Value::Null,
            Ok(text) if is_form => pairs(Some(text))?,
            _ => serde_json::from_slice(body).map_err(|error| format!("The body is no JSON: {error}"))?,
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
            ("query", pairs(query)?),
        ]))
    }

    pub(super) fn values(&self) -> &[(&'static str, Value)] {
        &self.0
    }
}

/// Of a name that stands twice the last.
fn pairs(text: Option<&str>) -> Result<Value, String> {
    let Some(text) = text else {
        return Ok(Value::Object(Map::new()));
    };
    let uri = Uri::try_from(format!("/?{}", text.replace(['\r', '\n'], "")));
    let read = uri
        .ok()
        .and_then(|uri| Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    let Query(pairs) = read.ok_or("The form is not understood")?;
    let pairs = pairs.into_iter().map(|(name, value)| (name, value.into()));
    Ok(Value::Object(pairs.collect()))
}
