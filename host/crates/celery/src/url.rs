//! Celery's broker and result URLs. They look like other Redis URLs and mean other things
//! (`ssl_cert_reqs`, `redis+socket`, `sentinel`), so a Redis client must not parse them itself.
//!
//! Passwords never appear in `Debug`, `Display` or an error. Absent: opening connections.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

mod parse;
#[cfg(test)]
mod tests;

pub use parse::{UrlError, masked};

/// Longest URL that is read, in bytes.
pub const MAX_URL_BYTES: usize = 4096;

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a URL leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `redis://`, `rediss://`, `redis+socket://`, `unix://`.
    Redis(Redis),
    /// `sentinel://h1:26379/0;sentinel://h2:26379/0`. The master's name stands in the transport
    /// options (`master_name`).
    Sentinel(Sentinel),
    /// `memory://`: in the process of the host.
    Memory,
    /// `disabled://`: no results.
    Disabled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    pub address: Address,
    pub tls: Option<Tls>,
    pub credentials: Credentials,
    pub db: u32,
    /// Query parameters that only Python clients know (`socket_timeout`); they have no effect.
    pub ignored: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinel {
    /// Host and port, one or more.
    pub nodes: Vec<(String, u16)>,
    /// For the Redis servers, not for the sentinels.
    pub credentials: Credentials,
    pub db: u32,
    pub ignored: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IPv6 address stands without brackets.
    Tcp {
        host: String,
        port: u16,
    },
    Unix {
        path: String,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `ssl_cert_reqs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateCheck {
    Required,
    /// For a client the same as `Required`.
    Optional,
    /// The server's certificate is not checked.
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub check: CertificateCheck,
    /// `ssl_check_hostname`, true unless it says `false`.
    pub check_hostname: bool,
    /// Files in PEM.
    pub ca_certs: Option<String>,
    pub certfile: Option<String>,
    pub keyfile: Option<String>,
}

impl Endpoint {
    /// The database number; a part of the control channel's name.
    pub fn db(&self) -> u32 {
        match self {
            Self::Redis(redis) => redis.db,
            Self::Sentinel(sentinel) => sentinel.db,
            Self::Memory | Self::Disabled => 0,
        }
    }
}

impl std::str::FromStr for Endpoint {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        parse::endpoint(url)
    }
}

/// A URL to show: without the password and the TLS parameters.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory://"),
            Self::Disabled => f.write_str("disabled://"),
            Self::Redis(redis) => match &redis.address {
                Address::Tcp { host, port } => {
                    let scheme = if redis.tls.is_some() { "rediss" } else { "redis" };
                    write!(f, "{scheme}://{}{}/{}", redis.credentials, Node(host, *port), redis.db)
                }
                Address::Unix { path } => {
                    write!(
                        f,
                        "redis+socket://{}{path}?virtual_host={}",
                        redis.credentials, redis.db
                    )
                }
            },
            Self::Sentinel(sentinel) => {
                for (index, (host, port)) in sentinel.nodes.iter().enumerate() {
                    let joint = if index > 0 { ";" } else { "" };
                    let node = Node(host, *port);
                    write!(f, "{joint}sentinel://{}{node}/{}", sentinel.credentials, sentinel.db)?;
                }
                Ok(())
            }
        }
    }
}

/// `user:***@`, or nothing.
impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{}", utf8_percent_encode(user, KEPT))?;
        }
        if self.password.is_some() {
            f.write_str(":***")?;
        }
        if self.user.is_some() || self.password.is_some() {
            f.write_str("@")
        } else {
            Ok(())
        }
    }
}

struct Node<'a>(&'a str, u16);

impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.contains(':') {
            true => write!(f, "[{}]:{}", self.0, self.1),
            false => write!(f, "{}:{}", self.0, self.1),
        }
    }
}
