//! The errors of the broker, and what a person should do about what a server answered.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why the broker could not be set up. A server that is away is never one of these reasons.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("connection `{name}`: the {side} URL cannot be read")]
    Url {
        name: String,
        side: &'static str,
        #[source]
        source: grepx_celery::url::UrlError,
    },
    #[error("connection `{name}`: the certificates of the {side} URL are not usable; they must be PEM files")]
    Tls {
        name: String,
        side: &'static str,
        #[source]
        source: redis::RedisError,
    },
    #[error("connection `{name}`: cannot read {option} `{path}` of the URL; correct the path or its permissions")]
    TlsFile {
        name: String,
        option: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "connection `{name}`: {scheme}:// cannot be used as {side}; use redis://, rediss:// or redis+socket:// \
         (memory:// only as the broker)"
    )]
    Unsupported {
        name: String,
        side: &'static str,
        scheme: &'static str,
    },
    #[error("connection `{name}`: the layout of the queues is not usable")]
    Layout {
        name: String,
        #[source]
        source: grepx_celery::queue::LayoutError,
    },
    #[error("connection `{name}` is configured twice; give each connection a name of its own")]
    Duplicate { name: String },
    #[error("connection `{name}`: {setting} is 0; set it to 1 or more")]
    Zero { name: String, setting: &'static str },
}

/// Why something was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No server, or no answer. A guarded publication may be repeated without harm.
    #[error("connection `{connection}` is down: {reason}")]
    Unavailable { connection: String, reason: String },
    /// The server answered, with an error.
    #[error("connection `{connection}`: {reason}")]
    Refused { connection: String, reason: String },
    #[error("connection `{connection}`: {what} is full ({limit}); {advice}")]
    Full {
        connection: String,
        what: &'static str,
        limit: usize,
        advice: &'static str,
    },
    #[error("there is no connection `{name}`; the configuration has {known}")]
    UnknownConnection { name: String, known: String },
    /// The kind built something that cannot be sent; it will not work the next time either.
    #[error("connection `{connection}`: the message cannot be sent: {reason}")]
    Invalid { connection: String, reason: String },
}

impl SendError {
    /// Whether the same call may succeed later without a change by a person or a kind.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Refused { .. } | Self::Full { .. }
        )
    }

    pub(crate) fn from_redis(connection: &str, place: &str, error: &RedisError) -> Self {
        let connection = connection.to_owned();
        let reason = explain(place, error);
        if is_answer(error) {
            Self::Refused { connection, reason }
        } else {
            Self::Unavailable { connection, reason }
        }
    }
}

/// The server is there and said no, as opposed to an unknown fate.
fn is_answer(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::BusyLoading) => false,
        ErrorKind::Server(_) | ErrorKind::Extension => true,
        _ => false,
    }
}

/// What is wrong at `place` (a URL without its password), and what to do about it.
pub(crate) fn explain(place: &str, error: &RedisError) -> String {
    let said = error.to_string();
    match error.code().unwrap_or_default() {
        "OOM" => format!(
            "{place} has reached its maxmemory and refuses writes (OOM command not allowed): \
             raise maxmemory or remove keys; nothing was published"
        ),
        "READONLY" => format!("{place} is a replica (READONLY): point the URL at the primary"),
        "LOADING" => format!("{place} is still loading its data (LOADING): it will be tried again"),
        "MISCONF" => format!(
            "{place} cannot save its data and refuses writes (MISCONF): look at the disk and the log of the server"
        ),
        "NOPERM" => format!("{place}: the user lacks a permission: {said}; extend its ACL"),
        "NOAUTH" => format!("{place} asks for a password (NOAUTH): put it into the URL"),
        "WRONGPASS" => format!("{place} refuses the user name or the password (WRONGPASS): correct the URL"),
        "WRONGTYPE" => format!("{place}: the queue's key holds something that is not a list (WRONGTYPE): {said}"),
        _ => explain_kind(place, error, &said),
    }
}

fn explain_kind(place: &str, error: &RedisError, said: &str) -> String {
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            format!("{place} refuses the user name or the password: correct the URL ({said})")
        }
        ErrorKind::RESP3NotSupported => {
            format!("{place} does not speak RESP3: Redis 6.2 or newer is needed ({said})")
        }
        _ if is_tls(said) => format!(
            "{place}: the TLS handshake failed ({said}): check ssl_ca_certs, ssl_certfile, ssl_keyfile and \
             ssl_cert_reqs of the URL"
        ),
        _ if error.is_connection_refusal() => {
            format!("nothing listens at {place}: start the server or correct the URL")
        }
        _ if error.is_timeout() && place.starts_with("rediss:") => format!(
            "{place} does not answer in time: look at the server and the network, and whether it speaks TLS on this port"
        ),
        _ if error.is_timeout() => format!("{place} does not answer in time: look at the server and the network"),
        _ if error.is_connection_dropped() => format!("{place} closed the connection ({said})"),
        _ => format!("{place}: {said}"),
    }
}

fn is_tls(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    ["certificate", "tls", "handshake", "corrupt message", "unknownissuer"]
        .iter()
        .any(|word| said.contains(word))
}
