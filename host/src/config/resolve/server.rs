//! The section `server`: where the host listens, and who is let in.

use serde_json::{Value, json};

use super::{API_URL, Resolver};
use crate::config::{Masked, Origin, Server, mask_url};

const PORT: u16 = 4200;
/// Prefect's servers take their auth string from it.
const AUTH_STRING_VARIABLE: &str = "PREFECT_SERVER_API_AUTH_STRING";
/// Characters of an auth string at least: it is a password that programs send.
const AUTH_STRING_CHARS_MIN: usize = 8;

impl Resolver<'_> {
    pub(super) fn server(&mut self, api_url: &str) -> Server {
        let host = self.text(&["server", "host"], "127.0.0.1");
        let path = ["server", "port"];
        let url_port = port_of(api_url);
        if url_port.is_none() {
            let shown = mask_url(api_url);
            let message = format!("prefect.api_url {shown:?} is no URL with a usable port; write {API_URL}");
            self.mistake(&["prefect", "api_url"], message);
        }
        let (default, origin) = match url_port {
            Some(port) => (port, Origin::Derived { key: "prefect.api_url" }),
            None => (PORT, Origin::Default),
        };
        let port = self.value(&path, Value::from(default), origin);
        Server {
            host,
            port: port.as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT),
            shutdown_grace: self.seconds(&["server", "shutdown_grace_seconds"], 30),
            allow_unauthenticated: self.flag(&["server", "allow_unauthenticated"], false),
            auth_string: self.auth_string(),
            allowed_hosts: self.texts(&["server", "allowed_hosts"]),
            header_timeout: self.seconds(&["server", "header_timeout_seconds"], 30),
            request_timeout: self.seconds(&["server", "request_timeout_seconds"], 60),
            connections: self.size(&["server", "connections"], 1_024),
            streams: self.size(&["server", "streams"], 256),
        }
    }

    /// Of the file, else of the environment; an empty one is none.
    fn auth_string(&mut self) -> Option<Masked> {
        let path = ["server", "auth_string"];
        let (default, origin) = match self.variables.get(AUTH_STRING_VARIABLE) {
            Some((value, origin)) => (Value::from(value), origin),
            None => (Value::Null, Origin::Default),
        };
        let text = self
            .value(&path, default, origin)
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if text.is_empty() {
            return None;
        }
        if text.chars().count() < AUTH_STRING_CHARS_MIN {
            let message = format!(
                "server.auth_string has less than {AUTH_STRING_CHARS_MIN} characters: choose a longer one, \
                 such as admin: and a random password"
            );
            self.mistake(&path, message);
        }
        Some(Masked(text))
    }

    fn texts(&mut self, path: &[&str]) -> Vec<String> {
        let value = self.value(path, json!([]), Origin::Default);
        let items = value.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// The port that an `http` or `https` URL writes. One that writes none is likely a proxy's, so it
/// says nothing about this host.
fn port_of(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    // `[::1]:4200`: colons inside of the brackets separate nothing.
    let after_brackets = host.rsplit(']').next()?;
    match after_brackets.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None if host.is_empty() => None,
        None => Some(PORT),
    }
}
