//! What the operator lets a kind use, and the lines of configuration that would let it use more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::capability::Capability;

/// Everything that one kind may use. Nothing by default.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Grants {
    pub connections: BTreeSet<String>,
    pub start_flow: bool,
    pub http: Option<HttpGrant>,
    /// Variables with their values; a variable that is not set is granted and absent.
    pub env: BTreeMap<String, Option<String>>,
    pub secrets: Vec<SecretGrant>,
    pub clock: bool,
}

/// Outgoing requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    pub hosts: Vec<HostPattern>,
    /// In capitals; empty means all.
    pub methods: Vec<String>,
}

/// A secret and where its value may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretGrant {
    pub name: String,
    pub hosts: Vec<HostPattern>,
}

/// `api.example.com`, `*.example.com` (any subdomain, not the domain itself), `*` (any public
/// host), `127.0.0.1:8080`, `[::1]`. Without a port: any port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    name: Name,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Any,
    /// With the dot that it begins with.
    Below(String),
    Exactly(String),
}

/// Why a text is no host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no host: write api.example.com, *.example.com, *, 127.0.0.1 or [::1], each with :port or without; no scheme and no path"
)]
pub struct NoHost(pub String);

impl Grants {
    #[must_use]
    pub fn allows(&self, asked: &Capability) -> bool {
        match asked {
            Capability::Log => true,
            Capability::Connection(name) if name == Capability::ANY => !self.connections.is_empty(),
            Capability::Connection(name) => self.connections.contains(name),
            Capability::StartFlow => self.start_flow,
            Capability::Http => self.http.is_some(),
            Capability::Clock => self.clock,
            Capability::Env(name) => self.env.contains_key(name),
            Capability::Secret(name) => self.secrets.iter().any(|secret| secret.name == *name),
        }
    }

    /// Lets connections be used, and nothing else.
    #[must_use]
    pub fn of_connections<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            connections: names.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }
}

/// The line under `plugins.grants` that grants `asked` to `kind`.
pub(super) fn line(kind: &str, asked: &Capability) -> String {
    let inner = match asked {
        Capability::Log => "log".to_owned(),
        Capability::Connection(name) if name == Capability::ANY => "connections: [celery]".to_owned(),
        Capability::Connection(name) => format!("connections: [{name}]"),
        Capability::StartFlow => "start_flow: true".to_owned(),
        Capability::Http => "http: {hosts: [api.example.com], methods: [GET]}".to_owned(),
        Capability::Clock => "clock: true".to_owned(),
        Capability::Env(name) => format!("env: [{name}]"),
        Capability::Secret(name) => format!("secrets: [{{name: {name}, hosts: [api.example.com]}}]"),
    };
    format!("{kind}: {{{inner}}}")
}

impl HttpGrant {
    /// How a request is granted, if it is.
    pub(super) fn permits(&self, method: &str, host: &str, port: u16) -> Option<Permit> {
        let method_ok = self.methods.is_empty() || self.methods.iter().any(|known| known == method);
        if !method_ok {
            return None;
        }
        let mut permits = self.hosts.iter().filter_map(|pattern| pattern.permit(host, port));
        let first = permits.next()?;
        Some(if permits.any(|other| other == Permit::Literal) {
            Permit::Literal
        } else {
            first
        })
    }
}

/// Whether a private address may be behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    Public,
    /// The operator wrote this very address, or `localhost`.
    Literal,
}

impl HostPattern {
    /// `host` in lower case, an IPv6 address without brackets.
    pub(super) fn permit(&self, host: &str, port: u16) -> Option<Permit> {
        if self.port.is_some_and(|own| own != port) {
            return None;
        }
        match &self.name {
            Name::Any => Some(Permit::Public),
            Name::Below(suffix) => {
                let below = host.len() > suffix.len() && host.ends_with(suffix.as_str());
                below.then_some(Permit::Public)
            }
            Name::Exactly(own) if own == host => {
                let literal = own == "localhost" || own.parse::<IpAddr>().is_ok();
                Some(if literal { Permit::Literal } else { Permit::Public })
            }
            Name::Exactly(_) => None,
        }
    }
}

impl FromStr for HostPattern {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NoHost(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        if let Ok(address) = lower.parse::<std::net::SocketAddr>() {
            return Ok(Self {
                name: Name::Exactly(address.ip().to_string()),
                port: Some(address.port()),
            });
        }
        let bare = lower.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self {
                name: Name::Exactly(address.to_string()),
                port: None,
            });
        }
        let (host, port) = match lower.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (lower.as_str(), None),
        };
        let name = match host.strip_prefix("*.") {
            _ if host == "*" => Name::Any,
            Some(rest) if is_name(rest) => Name::Below(format!(".{rest}")),
            None if is_name(host) => Name::Exactly(host.to_owned()),
            _ => return Err(wrong()),
        };
        Ok(Self { name, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Any => f.write_str("*")?,
            Name::Below(suffix) => write!(f, "*{suffix}")?,
            Name::Exactly(name) if name.contains(':') => write!(f, "[{name}]")?,
            Name::Exactly(name) => f.write_str(name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Names only: the values of variables are nobody's business.
impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("connections", &self.connections)
            .field("start_flow", &self.start_flow)
            .field("http", &self.http)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("secrets", &self.secrets)
            .field("clock", &self.clock)
            .finish()
    }
}

#[cfg(test)]
mod tests;
