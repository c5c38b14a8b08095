//! From an answer to the result of the task, or to the failure that its status stands for.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use grepx_plugin_sdk::prelude::*;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::config::Parse;
use crate::request::Request;
use crate::{Response, retry_after};

/// Sessions are not kept with results, where everybody who sees the run could take them up.
const HEADERS_LEFT_OUT: [&str; 2] = ["set-cookie", "set-cookie2"];

/// The result of the task.
#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    status: u16,
    /// By name in lower case; what comes several times is joined by commas.
    headers: BTreeMap<String, String>,
    content_type: Option<String>,
    /// Null when there is none. JSON as it came, so that no number loses a digit.
    body: Box<RawValue>,
    /// What `body` holds: `json`, `text`, `base64`, `none`.
    body_as: &'static str,
    /// Length of the body as it came.
    bytes: usize,
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["status", "headers", "content_type", "body", "body_as", "bytes"],
        "properties": {
            "status": { "type": "integer", "minimum": 100, "maximum": 599 },
            "headers": { "type": "object", "additionalProperties": { "type": "string" } },
            "content_type": { "type": ["string", "null"] },
            "body": {},
            "body_as": { "enum": ["json", "text", "base64", "none"] },
            "bytes": { "type": "integer", "minimum": 0 },
        },
    })
}

impl Answered {
    pub(crate) fn read(request: &Request, response: Response, parse: Parse) -> Result<Self, Error> {
        let content_type = header(&response, "content-type");
        let bytes = response.body.len();
        let (body, body_as) = read_body(response.body, content_type.as_deref(), parse).map_err(|why| {
            Error::permanent(
                "http-unreadable",
                format!("{request} answered {} with a body that {why}", response.status),
            )
        })?;
        Ok(Self {
            status: response.status,
            headers: headers(&response.headers),
            content_type,
            body,
            body_as,
            bytes,
        })
    }
}

fn read_body(body: Vec<u8>, content_type: Option<&str>, parse: Parse) -> Result<(Box<RawValue>, &'static str), String> {
    if body.is_empty() {
        return Ok((RawValue::NULL.to_owned(), "none"));
    }
    let essence = content_type.map_or_else(String::new, essence);
    let parse = match parse {
        Parse::Auto if is_json(&essence) => Parse::Json,
        other => other,
    };
    let (text, kind) = match (parse, String::from_utf8(body)) {
        (Parse::Json, text) => {
            let text = text.map_err(|_| "is no JSON: it is no UTF-8".to_owned())?;
            let json = RawValue::from_string(text).map_err(|error| format!("is no JSON: {error}"))?;
            return Ok((json, "json"));
        }
        (Parse::Text, Err(_)) => return Err("is no UTF-8 text; read it with config.parse: base64".to_owned()),
        (Parse::Text | Parse::Auto, Ok(text)) => (text, "text"),
        (Parse::Auto, Err(error)) => (BASE64_STANDARD.encode(error.as_bytes()), "base64"),
        (Parse::Base64, Ok(text)) => (BASE64_STANDARD.encode(text), "base64"),
        (Parse::Base64, Err(error)) => (BASE64_STANDARD.encode(error.as_bytes()), "base64"),
    };
    let text = to_raw_value(&text).map_err(|error| format!("cannot be kept: {error}"))?;
    Ok((text, kind))
}

/// `application/json` of `Application/JSON; charset=utf-8`.
fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

fn headers(found: &[(String, Vec<u8>)]) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in found {
        let name = name.to_ascii_lowercase();
        if HEADERS_LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let value = String::from_utf8_lossy(value);
        headers
            .entry(name)
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    headers
}

fn header(response: &Response, wanted: &str) -> Option<String> {
    let (_, value) = response
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    Some(String::from_utf8_lossy(value).trim().to_owned())
}

/// The failure that a status which was not expected stands for (RFC 9110, section 15; 429 is RFC
/// 6585). The body is not told: it may hold anything.
pub(crate) fn refusal(ctx: &Ctx, request: &Request, response: &Response) -> Error {
    let status = response.status;
    let class = match status {
        429 => ErrorClass::RateLimited,
        401 | 403 | 407 => ErrorClass::Unauthorised,
        408 | 425 | 500..=599 => ErrorClass::Retryable,
        _ => ErrorClass::Permanent,
    };
    let what_to_do = match status {
        300..=399 => match header(response, "location") {
            Some(_) => "; redirects are not followed, use the address that it leads to",
            None => "; add the status to config.expect if it is an answer",
        },
        401 | 407 => "; check the credentials that it sends",
        403 => "; the credentials do not allow this",
        404 => "; check the URL, or add 404 to config.expect if it is an answer",
        429 => "; it asks to wait",
        400..=499 => "; correct the request, or add the status to config.expect to see what it says",
        500..=599 => "; the service is in trouble",
        _ => "; it is not in config.expect",
    };
    let reason = reason(status);
    let error = Error::new(
        class,
        format!("http-{status}"),
        format!("{request} answered {status}{reason}{what_to_do}"),
    )
    .details(json!({ "status": status, "bytes": response.body.len() }));
    let waits = matches!(class, ErrorClass::RateLimited | ErrorClass::Retryable);
    let wait = header(response, "retry-after").filter(|_| waits);
    match wait.and_then(|value| retry_after::ms(&value, ctx.now_ms)) {
        Some(ms) => error.retry_after_ms(ms),
        None => error,
    }
}

/// The words of the statuses that people meet.
fn reason(status: u16) -> &'static str {
    match status {
        301 => " Moved Permanently",
        302 => " Found",
        303 => " See Other",
        304 => " Not Modified",
        307 => " Temporary Redirect",
        308 => " Permanent Redirect",
        400 => " Bad Request",
        401 => " Unauthorized",
        403 => " Forbidden",
        404 => " Not Found",
        405 => " Method Not Allowed",
        408 => " Request Timeout",
        409 => " Conflict",
        410 => " Gone",
        413 => " Content Too Large",
        415 => " Unsupported Media Type",
        422 => " Unprocessable Content",
        425 => " Too Early",
        429 => " Too Many Requests",
        500 => " Internal Server Error",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        504 => " Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
