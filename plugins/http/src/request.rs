//! What is sent, put together from configuration and keyword arguments.

use std::collections::BTreeMap;
use std::fmt;

use grepx_plugin_sdk::prelude::*;
use serde_json::value::RawValue;

use crate::config::{Config, Parts};
use crate::target::{self, Target};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Written by the host from the URL and the body.
const HEADERS_OF_THE_HOST: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: Target,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

/// Method and place, without the query: what may stand in a log.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.target.secure { "https" } else { "http" };
        let Target { authority, path, .. } = &self.target;
        write!(f, "{} {scheme}://{authority}{path}", self.method)
    }
}

/// As `Display`: nothing that may be secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Request {
    pub(crate) fn new(ctx: &Ctx, kwargs: Parts, config: Config) -> Result<Self, Error> {
        let body = Body::one(
            (config.json.or(kwargs.json)).map(Body::Json),
            (config.text.or(kwargs.text)).map(Body::Text),
            merged(config.form, kwargs.form).map(Body::Form),
        )?;
        let method = match config.method.or(kwargs.method) {
            Some(method) => known_method(&method)?,
            None if body.is_some() => "POST".to_owned(),
            None => "GET".to_owned(),
        };
        let url = config.url.or(kwargs.url).ok_or_else(|| {
            Error::invalid_input("where to send the request is not said: set config.url or kwargs.url")
        })?;
        let mut target = Target::parse(&url)?;
        target.add(&merged(config.query, kwargs.query).unwrap_or_default())?;

        let mut headers = headers(&merged_headers(config.headers, kwargs.headers)?)?;
        let (body, content_type) = match body {
            Some(body) => body.write().map(|(bytes, kind)| (Some(bytes), Some(kind)))?,
            None => (None, None),
        };
        let mut by_default = |name: &str, value: &str| {
            if !headers.iter().any(|(known, _)| known == name) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        };
        if let Some(kind) = content_type {
            by_default("content-type", kind);
        }
        if config.idempotency_key.unwrap_or(true) {
            by_default("idempotency-key", &ctx.idempotency_key);
        }
        by_default("user-agent", concat!("grepx-http/", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            method,
            target,
            headers,
            body,
        })
    }
}

enum Body {
    Json(Box<RawValue>),
    Text(String),
    Form(BTreeMap<String, Value>),
}

impl Body {
    fn one(json: Option<Self>, text: Option<Self>, form: Option<Self>) -> Result<Option<Self>, Error> {
        let mut given = [json, text, form].into_iter().flatten();
        match (given.next(), given.next()) {
            (_, Some(_)) => Err(Error::invalid_input(
                "a request has one body: set only one of json, text and form",
            )),
            (one, None) => Ok(one),
        }
    }

    fn write(self) -> Result<(Vec<u8>, &'static str), Error> {
        Ok(match self {
            Self::Json(value) => (value.get().into(), "application/json"),
            Self::Text(text) => (text.into_bytes(), "text/plain; charset=utf-8"),
            Self::Form(pairs) => (
                target::encode("form", &pairs)?.into_bytes(),
                "application/x-www-form-urlencoded",
            ),
        })
    }
}

fn known_method(method: &str) -> Result<String, Error> {
    let upper = method.to_ascii_uppercase();
    if METHODS.contains(&upper.as_str()) {
        return Ok(upper);
    }
    Err(Error::invalid_input(format!(
        "method is {method:?}; it must be one of {}",
        METHODS.join(", ")
    )))
}

/// The names of both; those of the configuration win.
fn merged(
    config: Option<BTreeMap<String, Value>>,
    kwargs: Option<BTreeMap<String, Value>>,
) -> Option<BTreeMap<String, Value>> {
    match (config, kwargs) {
        (Some(config), Some(mut all)) => {
            all.extend(config);
            Some(all)
        }
        (config, kwargs) => config.or(kwargs),
    }
}

/// As [`merged`], for names that do not know upper from lower case.
fn merged_headers(
    config: Option<BTreeMap<String, Value>>,
    kwargs: Option<BTreeMap<String, Value>>,
) -> Result<BTreeMap<String, Value>, Error> {
    let lower = |part: &str, headers: Option<BTreeMap<String, Value>>| {
        let mut all = BTreeMap::new();
        for (name, value) in headers.unwrap_or_default() {
            if all.insert(name.to_ascii_lowercase(), value).is_some() {
                return Err(Error::invalid_input(format!("{part}.headers names {name} twice")));
            }
        }
        Ok(all)
    };
    let mut all = lower("kwargs", kwargs)?;
    all.extend(lower("config", config)?);
    Ok(all)
}

fn headers(wanted: &BTreeMap<String, Value>) -> Result<Vec<(String, String)>, Error> {
    let mut headers = Vec::with_capacity(wanted.len());
    for (name, value) in wanted {
        let wrong = |why: &str| Error::invalid_input(format!("the header {name:?} {why}"));
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(wrong("has a name that HTTP does not allow"));
        }
        if HEADERS_OF_THE_HOST.contains(&name.as_str()) {
            return Err(wrong("is written by the host: leave it out"));
        }
        let Some(text) = target::scalar(value).map_err(|()| wrong("is neither a text, a number nor a boolean"))? else {
            continue;
        };
        if text.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
            return Err(wrong("has a value with a control character in it"));
        }
        headers.push((name.clone(), text));
    }
    Ok(headers)
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
