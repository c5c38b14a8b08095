//! Request bodies, read field by field: null means default, a fault is named by its place, and all
//! faults are told at once. At the top level unknown fields are ignored, as Prefect does; inside a
//! filter they are faults.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::Error;

/// Faults told at most.
const FAULTS_MAX: usize = 20;

/// Up to here a floating point number says which whole number it is.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Levels of JSON at most: the limit of `serde_json`, which has no setting.
const DEPTH_MAX: usize = 127;

/// A JSON object, or nothing, which is `{}`.
#[derive(Debug)]
pub(crate) struct Body(Value);

/// What is wrong with a body.
#[derive(Debug)]
pub(crate) struct Faults {
    faults: Vec<Value>,
    body: Value,
}

impl Faults {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "exception_message": "Invalid request received.",
            "exception_detail": self.faults,
            "request_body": self.body,
        })
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        if bytes.is_empty() {
            return Ok(Self(json!({})));
        }
        let not_json = |error: serde_json::Error| Faults {
            faults: vec![json!({"type": "json_invalid", "loc": ["body"], "msg": not_json_because(&error)})],
            body: Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        };
        let body = serde_json::from_slice(&bytes).map_err(not_json)?;
        Ok(Self::of(body))
    }
}

/// `serde_json` goes no deeper than [`DEPTH_MAX`], so neither does anything that walks a body.
fn not_json_because(error: &serde_json::Error) -> String {
    match error.to_string() {
        text if text.starts_with("recursion limit exceeded") => {
            format!("JSON decode error: nested deeper than {DEPTH_MAX} levels, the limit")
        }
        text => format!("JSON decode error: {text}"),
    }
}

fn unread(rejection: &BytesRejection) -> Error {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Error::TooLarge("the request is larger than limits.request_bytes of the configuration".into())
        }
        _ => Error::Invalid(rejection.body_text()),
    }
}

/// The body as bytes, whatever it says it is.
pub(super) fn raw(bytes: Result<Bytes, BytesRejection>) -> Result<Bytes, Error> {
    bytes.map_err(|rejection| unread(&rejection))
}

impl Body {
    /// Of a message that did not come as a body.
    pub(super) fn of(value: Value) -> Self {
        match value {
            Value::Null => Self(json!({})),
            value => Self(value),
        }
    }

    /// As it came, whatever it is.
    pub(super) fn into_json(self) -> Value {
        self.0
    }

    /// What `read` makes of the fields.
    pub(super) fn read<T>(self, read: impl FnOnce(&mut Fields<'_>) -> T) -> Result<T, Error> {
        let mut faults = Vec::new();
        let mut fields = Fields {
            fields: Map::new(),
            place: vec![json!("body")],
            faults: &mut faults,
        };
        match &self.0 {
            Value::Object(object) => fields.fields = object.clone(),
            _ => fields.fault(None, "model_attributes_type", "Input should be a valid dictionary"),
        }
        let outcome = read(&mut fields);
        if faults.is_empty() {
            return Ok(outcome);
        }
        faults.truncate(FAULTS_MAX);
        Err(Faults { faults, body: self.0 }.into())
    }
}

/// `7.0` as 7: to JSON they are the same number, and some clients write all numbers so.
fn whole(value: &Value) -> Option<Value> {
    let number = value
        .as_f64()
        .filter(|number| number.fract() == 0.0 && number.abs() < WHOLE_MAX)?;
    #[allow(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
    let number = number as i64;
    Some(number.into())
}

/// The fields of an object that have not been read yet.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    fields: Map<String, Value>,
    place: Vec<Value>,
    faults: &'a mut Vec<Value>,
}

impl Fields<'_> {
    /// The value of a field; `None` when it is missing or null, or faulty.
    pub(super) fn value<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.take(name)?;
        let whole = whole(&value);
        match serde_json::from_value(value).or_else(|error| whole.map_or(Err(error), serde_json::from_value)) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(Some(name), "value_error", &error.to_string());
                None
            }
        }
    }

    /// A value that `parse` understands.
    pub(super) fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text: String = self.value(name)?;
        parse(&text)
            .map_err(|wrong| self.fault(Some(name), "value_error", &wrong))
            .ok()
    }

    /// A list of values that `parse` understands; every faulty one is told.
    pub(super) fn list<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let texts: Vec<String> = self.value(name)?;
        let mut values = Vec::with_capacity(texts.len());
        for text in &texts {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(wrong) => self.fault(Some(name), "value_error", &wrong),
            }
        }
        Some(values)
    }

    /// What `read` makes of an object inside; unknown fields in it are faults.
    pub(super) fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Fields<'_>) -> T) -> Option<T> {
        match self.take(name)? {
            Value::Object(fields) => {
                let mut inner = Fields {
                    fields,
                    place: self.place_of(name),
                    faults: self.faults,
                };
                let outcome = read(&mut inner);
                inner.nothing_left();
                Some(outcome)
            }
            _ => {
                self.fault(
                    Some(name),
                    "model_attributes_type",
                    "Input should be a valid dictionary",
                );
                None
            }
        }
    }

    /// What `read` makes of an object, or of each object of a list.
    pub(super) fn objects<T>(&mut self, name: &str, read: impl Fn(&mut Fields<'_>) -> T) -> Vec<T> {
        let all = match self.take(name) {
            None => return Vec::new(),
            Some(Value::Array(all)) => all,
            Some(one) => vec![one],
        };
        let read = |one| {
            self.fields.insert(name.to_owned(), one);
            self.object(name, &read)
        };
        all.into_iter().filter_map(read).collect()
    }

    /// As [`Self::object`], for objects that clients fill with more than is read here.
    pub(super) fn loose<T>(&mut self, name: &str, read: impl FnOnce(&mut Fields<'_>) -> T) -> Option<T> {
        self.object(name, |fields| {
            let outcome = read(fields);
            fields.fields.clear();
            outcome
        })
    }

    /// Fields that are known and cannot be honoured: only null and `{}` are accepted, because an
    /// answer that ignores a filter is a wrong answer.
    pub(super) fn unsupported(&mut self, names: &[&str]) {
        for name in names {
            match self.take(name) {
                None => {}
                Some(Value::Object(inner)) if inner.values().all(Value::is_null) => {}
                Some(_) => self.fault(Some(name), "not_supported", "grepx-host cannot filter by this field"),
            }
        }
    }

    /// Fields that change nothing here.
    pub(super) fn ignored(&mut self, names: &[&str]) {
        for name in names {
            self.fields.shift_remove(*name);
        }
    }

    pub(super) fn fault(&mut self, name: Option<&str>, kind: &str, message: &str) {
        let place = match name {
            Some(name) => self.place_of(name),
            None => self.place.clone(),
        };
        self.faults.push(json!({"type": kind, "loc": place, "msg": message}));
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.shift_remove(name).filter(|value| !value.is_null())
    }

    fn place_of(&self, name: &str) -> Vec<Value> {
        let mut place = self.place.clone();
        place.push(json!(name));
        place
    }

    fn nothing_left(&mut self) {
        let left: Vec<String> = self.fields.keys().cloned().collect();
        for name in left {
            self.fault(Some(&name), "extra_forbidden", "Extra inputs are not permitted");
        }
    }
}
