//! What the client shows to a server that wants to know who asks: a key or the auth string from the
//! environment, by our name or by Prefect's; else, to a host whose state directory this user can
//! read, the key that this host has left there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::arguments::Global;
use super::client::load_settings;
use super::exit::Failure;
use crate::api::OperatorKey;

const KEY_VARIABLES: [&str; 2] = ["GREPX_API_KEY", "PREFECT_API_KEY"];
const AUTH_STRING_VARIABLE: &str = "PREFECT_API_AUTH_STRING";

/// The value of the header, and where it is from.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) header: String,
    pub(super) origin: &'static str,
}

/// For the server at `url`; may make `url` more exact.
pub(super) fn find(global: &Global, url: &mut String) -> Result<Option<Credentials>, Failure> {
    let given = |name: &'static str| std::env::var(name).ok().filter(|value| !value.is_empty());
    for origin in KEY_VARIABLES {
        if let Some(key) = given(origin) {
            if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Failure::usage(format!(
                    "{origin} is no key: a key has no spaces and no line breaks"
                )));
            }
            let header = format!("Bearer {key}");
            return Ok(Some(Credentials { header, origin }));
        }
    }
    if let Some(text) = given(AUTH_STRING_VARIABLE) {
        let header = format!("Basic {}", STANDARD.encode(text));
        return Ok(Some(Credentials {
            header,
            origin: AUTH_STRING_VARIABLE,
        }));
    }
    Ok(of_operator(global, url))
}

/// Needs no configuration, so one that cannot be read is no fault here.
fn of_operator(global: &Global, url: &mut String) -> Option<Credentials> {
    let settings = load_settings(global, Vec::new()).ok()?;
    let operator = OperatorKey::read(&settings.store.dir)?;
    *url = exact(url, operator.address)?;
    Some(Credentials {
        header: format!("Bearer {}", operator.key),
        origin: "the operator's key of the state directory",
    })
}

/// `url` with the address of the host, when it means that host and nobody else: another program may
/// listen at the same port of another address, and would be shown the key.
fn exact(url: &str, address: SocketAddr) -> Option<String> {
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (authority, 80),
    };
    let ours = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let named = name.trim_start_matches('[').trim_end_matches(']');
    let meant = match named.parse::<IpAddr>() {
        Ok(ip) => ip == ours,
        Err(_) => named == "localhost" && ours.is_loopback(),
    };
    let exact = SocketAddr::new(ours, address.port());
    (meant && port == address.port()).then(|| format!("http://{exact}{path}"))
}

#[cfg(test)]
mod tests;
