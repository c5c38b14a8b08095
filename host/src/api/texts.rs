//! How long the texts may be that clients send to be kept, and how they are checked. Every one of
//! them is in a row that is read again and again.

use serde_json::{Map, Value};

use super::body::Fields;

/// Characters of a name or of an idempotency key.
const SHORT_CHARS_MAX: usize = 1_000;
/// Characters of a tag, a message, a reason.
const CHARS_MAX: usize = 4_096;
const TAGS_MAX: usize = 200;
/// Labels of one request, and bytes of one.
const LABELS_MAX: usize = 100;
const LABEL_BYTES_MAX: usize = 4_096;

pub(super) fn short(text: &str) -> Result<String, String> {
    match text.chars().count() {
        0 => Err("should not be empty".to_owned()),
        1..=SHORT_CHARS_MAX => Ok(text.to_owned()),
        _ => Err(format!("should have at most {SHORT_CHARS_MAX} characters")),
    }
}

pub(super) fn bounded(text: &str) -> Result<String, String> {
    match text.chars().nth(CHARS_MAX) {
        None => Ok(text.to_owned()),
        Some(_) => Err(format!("should have at most {CHARS_MAX} characters")),
    }
}

pub(super) fn tags(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let tags = fields.list("tags", bounded)?;
    if tags.len() > TAGS_MAX {
        fields.fault(Some("tags"), "too_long", &format!("at most {TAGS_MAX} tags"));
    }
    Some(tags)
}

/// What is wrong with labels, if anything is.
pub(super) fn check_labels(labels: &Map<String, Value>) -> Result<(), String> {
    if labels.len() > LABELS_MAX {
        return Err(format!("at most {LABELS_MAX} labels"));
    }
    for (name, value) in labels {
        if value.is_object() || value.is_array() || value.is_null() {
            return Err(format!("label {name:?} is no text, number or boolean"));
        }
        if name.len() + value.to_string().len() > LABEL_BYTES_MAX {
            return Err(format!("a label has at most {LABEL_BYTES_MAX} bytes"));
        }
    }
    Ok(())
}
