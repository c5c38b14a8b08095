//! From the text of a URL and the query's names to what a request line needs. Not a general
//! parser: a URL that a person wrote is taken as it stands, and refused when it cannot be sent.

use std::collections::BTreeMap;

use grepx_plugin_sdk::prelude::*;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986, section 2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const MOST_CHARS: usize = 8192;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) secure: bool,
    /// Host, with the port if one is written.
    pub(crate) authority: String,
    /// Begins with `/`.
    pub(crate) path: String,
    /// Without its `?`.
    pub(crate) query: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::invalid_input(format!("url cannot be used: {why}"));
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("it must begin with https:// or http://"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("it must begin with https:// or http://")),
        };
        if let Some(odd) = url.chars().find(|c| !c.is_ascii_graphic()) {
            let odd = odd.escape_unicode();
            return Err(wrong(&format!("it holds the character {odd}; percent-encode it")));
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("it holds a user name; send an Authorization header instead"));
        }
        check_authority(authority).map_err(wrong)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Ok(Self {
            secure,
            authority: authority.to_ascii_lowercase(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query: query.to_owned(),
        })
    }

    /// Adds names to the query.
    pub(crate) fn add(&mut self, query: &BTreeMap<String, Value>) -> Result<(), Error> {
        let added = encode("query", query)?;
        if !added.is_empty() && !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(&added);
        if self.query.len() > MOST_CHARS {
            return Err(Error::invalid_input(format!(
                "the query has {} characters, the limit is {MOST_CHARS}: send a body instead",
                self.query.len()
            )));
        }
        Ok(())
    }

    /// The host without its port, as a grant names it.
    pub(crate) fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "for the wire"))]
    pub(crate) fn path_with_query(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }
}

fn check_authority(authority: &str) -> Result<(), &'static str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("its port is no number up to 65535");
    }
    if host.is_empty() {
        return Err("it names no host");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let literal = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let fits = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.bytes().all(plain),
    };
    if fits {
        Ok(())
    } else {
        Err("its host is no name and no address")
    }
}

/// `name=value&…`, percent-encoded, as a query and as a form.
pub(crate) fn encode(part: &str, pairs: &BTreeMap<String, Value>) -> Result<String, Error> {
    let mut written = String::new();
    for (name, value) in pairs {
        let values = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let Some(text) = scalar(value).map_err(|()| {
                Error::invalid_input(format!(
                    "{part}.{name} is neither a text, a number nor a boolean, nor a list of them"
                ))
            })?
            else {
                continue;
            };
            if !written.is_empty() {
                written.push('&');
            }
            written.extend(utf8_percent_encode(name, ENCODED));
            written.push('=');
            written.extend(utf8_percent_encode(&text, ENCODED));
        }
    }
    Ok(written)
}

/// The text of a scalar; `None` of null.
pub(crate) fn scalar(value: &Value) -> Result<Option<String>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Array(_) | Value::Object(_) => Err(()),
    }
}

#[cfg(test)]
mod tests;
