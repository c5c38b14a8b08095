//! A span as the rest of the host makes it: plain values, no wire format.

use grepx_engine::Timestamp;

use super::{Place, SpanId};

/// Bytes of a text in a span, which collectors bound too.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Something that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub place: Place,
    pub parent: Option<SpanId>,
    /// Spans of other traces that led to it.
    pub links: Vec<Place>,
    /// Few different ones: details are attributes.
    pub name: String,
    /// It has sent a message that somebody else worked on.
    pub is_producer: bool,
    pub start: Timestamp,
    pub end: Timestamp,
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Why it failed.
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    Text(String),
    Number(i64),
    Texts(Vec<String>),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(bounded(text))
    }
}

impl From<u32> for Attribute {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// A text of bounded length.
#[must_use]
pub(crate) fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}
