//! The frame that kombu puts around every message on Redis, tasks and remote control alike: one
//! JSON object with headers, properties and the body as base64.
//!
//! Absent: compressed bodies and serializers other than JSON. They are recognised and refused
//! with the setting that makes them.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::json::{self, JsonError, Notes};

#[cfg(test)]
mod tests;

/// Longest envelope that is written or read: 32 MiB.
pub const MAX_BYTES: usize = 32 << 20;
const JSON_TYPE: &str = "application/json";

/// Reads base64 with or without padding, as Python does not insist on it either way.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error(
        "the message has {bytes} bytes, more than the limit of {MAX_BYTES}; pass large data by reference (a path or a key)"
    )]
    TooLarge { bytes: usize },
    #[error("the envelope cannot be read")]
    Envelope(#[source] JsonError),
    #[error("the body of the message cannot be read")]
    Body(#[source] JsonError),
    #[error("`{field}` of the message is {found}, expected {expected}")]
    Field {
        field: &'static str,
        expected: &'static str,
        found: &'static str,
    },
    #[error("the body says that it is base64 and is not")]
    Base64,
    #[error("`properties.body_encoding` is {found:?}; known are base64 and utf-8")]
    BodyEncoding { found: String },
    #[error(
        "the body has the content type {found:?}; only {JSON_TYPE} is read: set `task_serializer = \"json\"` where it is sent"
    )]
    ContentType { found: String },
    #[error("the body is compressed ({found}); unset `task_compression` where it is sent")]
    Compressed { found: String },
}

/// A message taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    pub headers: Map<String, Value>,
    pub properties: Map<String, Value>,
    /// The body's JSON document.
    pub body: Value,
    /// What could not be kept in `body`.
    pub notes: Notes,
}

#[derive(Serialize)]
struct Wire<'a> {
    body: String,
    #[serde(rename = "content-encoding")]
    content_encoding: &'a str,
    #[serde(rename = "content-type")]
    content_type: &'a str,
    headers: &'a Map<String, Value>,
    properties: &'a Map<String, Value>,
}

/// `properties` must say `"body_encoding": "base64"`; see [`properties`].
pub(crate) fn encode(
    body: &[u8],
    headers: &Map<String, Value>,
    properties: &Map<String, Value>,
) -> Result<Vec<u8>, EnvelopeError> {
    let wire = Wire {
        body: STANDARD.encode(body),
        content_encoding: "utf-8",
        content_type: JSON_TYPE,
        headers,
        properties,
    };
    let bytes = serde_json::to_vec(&wire).expect("maps with string keys always serialize");
    match bytes.len() {
        too_many if too_many > MAX_BYTES => Err(EnvelopeError::TooLarge { bytes: too_many }),
        _ => Ok(bytes),
    }
}

/// The properties that every message carries.
pub(crate) fn properties(exchange: &str, routing_key: &str, priority: u8, delivery_tag: &str) -> Map<String, Value> {
    let mut delivery_info = Map::new();
    delivery_info.insert("exchange".into(), exchange.into());
    delivery_info.insert("routing_key".into(), routing_key.into());
    let mut properties = Map::new();
    properties.insert("delivery_mode".into(), 2.into());
    properties.insert("delivery_info".into(), delivery_info.into());
    properties.insert("priority".into(), priority.into());
    properties.insert("body_encoding".into(), "base64".into());
    properties.insert("delivery_tag".into(), delivery_tag.into());
    properties
}

impl Envelope {
    /// Reads what a worker would read: the body as base64 or as plain text, headers and properties
    /// that may be missing.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_BYTES {
            return Err(EnvelopeError::TooLarge { bytes: bytes.len() });
        }
        let (value, _) = json::read(bytes).map_err(EnvelopeError::Envelope)?;
        let mut outer = object(value, "(the envelope)")?;
        let mut part = |name: &'static str| match outer.remove(name) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(value) => object(value, name),
        };
        let headers = part("headers")?;
        let properties = part("properties")?;
        match outer.get("content-type") {
            Some(Value::String(found)) if found == JSON_TYPE || found == "json" => {}
            Some(Value::String(found)) => {
                return Err(EnvelopeError::ContentType { found: found.clone() });
            }
            other => return Err(field("content-type", "a string", other)),
        }
        if let Some(found) = headers.get("compression").and_then(Value::as_str) {
            return Err(EnvelopeError::Compressed {
                found: found.to_owned(),
            });
        }
        let Some(Value::String(text)) = outer.get("body") else {
            return Err(field("body", "a string", outer.get("body")));
        };
        let (body, notes) = match properties.get("body_encoding").and_then(Value::as_str) {
            Some("base64") => {
                let raw = LENIENT.decode(text).map_err(|_not_base64| EnvelopeError::Base64)?;
                json::read(&raw)
            }
            None | Some("utf-8") => json::read(text.as_bytes()),
            Some(other) => {
                return Err(EnvelopeError::BodyEncoding {
                    found: other.to_owned(),
                });
            }
        }
        .map_err(EnvelopeError::Body)?;
        Ok(Self {
            headers,
            properties,
            body,
            notes,
        })
    }
}

pub(crate) fn object(value: Value, name: &'static str) -> Result<Map<String, Value>, EnvelopeError> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(field(name, "an object", Some(&other))),
    }
}

pub(crate) fn field(field: &'static str, expected: &'static str, found: Option<&Value>) -> EnvelopeError {
    let found = match found {
        None => "missing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(text)) if text.is_empty() => "an empty string",
        Some(Value::String(_)) => "a string",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    };
    EnvelopeError::Field { field, expected, found }
}
