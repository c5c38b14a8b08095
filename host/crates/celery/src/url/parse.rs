//! Taking a URL apart by the rules of kombu: percent-encoding in user, password and path,
//! parameters in the query, several URLs only for sentinels.

use percent_encoding::percent_decode_str;

use super::{Address, CertificateCheck, Credentials, Endpoint, MAX_URL_BYTES, Redis, Secret, Sentinel, Tls};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Every variant shows the URL without its password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("the URL is empty")]
    Empty,
    #[error("the URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    #[error("`{url}` has no scheme; write redis://host:6379/0")]
    NoScheme { url: String },
    #[error(
        "`{url}`: {scheme}:// is not supported yet; point workers and grepx at a Redis server (redis://host:6379/0)"
    )]
    NotYet { url: String, scheme: String },
    #[error(
        "`{url}`: unknown scheme {scheme}://; known are redis, rediss, redis+socket, unix, sentinel, memory and disabled"
    )]
    Scheme { url: String, scheme: String },
    #[error("`{url}`: {problem}")]
    Part { url: String, problem: String },
}

/// The URL with `***` for whatever may be a password.
pub fn masked(url: &str) -> String {
    // A `;` may also stand in a password.
    let shown = match url.split(';').all(|part| part.contains("://")) {
        true => url.split(';').map(mask_one).collect::<Vec<_>>().join(";"),
        false => mask_one(url),
    };
    let shown: String = shown.chars().take(300).collect();
    shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn mask_one(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    // A raw `@` may stand in a password, so the last one ends it; a query may hold secrets too.
    let (before, query) = rest.split_once('?').map_or((rest, ""), |(b, _)| (b, "?…"));
    match before.rsplit_once('@') {
        None if rest.contains('@') => format!("{scheme}***"),
        None => format!("{scheme}{before}{query}"),
        Some((userinfo, host)) => {
            let user = userinfo.split(':').next().unwrap_or_default();
            let password = if userinfo.contains(':') { ":***" } else { "" };
            format!("{scheme}{user}{password}@{host}{query}")
        }
    }
}

pub(super) fn endpoint(url: &str) -> Result<Endpoint, UrlError> {
    let url = url.trim();
    if url.is_empty() {
        return Err(UrlError::Empty);
    }
    if url.len() > MAX_URL_BYTES {
        return Err(UrlError::TooLong);
    }
    let shown = || masked(url);
    let Some((scheme, _)) = url.split_once("://") else {
        return match url {
            "memory" => Ok(Endpoint::Memory),
            "disabled" => Ok(Endpoint::Disabled),
            _ => Err(UrlError::NoScheme { url: shown() }),
        };
    };
    let scheme = scheme.to_ascii_lowercase();
    let outcome = match scheme.as_str() {
        "redis" | "rediss" => tcp(url, scheme == "rediss"),
        "redis+socket" | "unix" | "socket" => unix(url),
        "sentinel" => sentinel(url),
        "memory" | "cache+memory" => Ok(Endpoint::Memory),
        "disabled" => Ok(Endpoint::Disabled),
        "amqp" | "amqps" | "pyamqp" | "librabbitmq" | "rpc" | "sqs" | "kafka" | "confluentkafka" | "mongodb"
        | "filesystem" | "file" | "db" | "database" | "sqla" | "sqlalchemy" | "gcpubsub" | "azureservicebus"
        | "elasticsearch" | "s3" | "dynamodb" | "cache" | "cache+memcached" | "cassandra" | "qpid" | "consul"
        | "etcd" | "zookeeper" => {
            return Err(UrlError::NotYet { url: shown(), scheme });
        }
        other if other.starts_with("db+") || other.starts_with("sqla+") => {
            return Err(UrlError::NotYet { url: shown(), scheme });
        }
        _ => {
            return Err(UrlError::Scheme {
                url: shown(),
                scheme: scheme.chars().take(40).collect(),
            });
        }
    };
    outcome.map_err(|problem| UrlError::Part { url: shown(), problem })
}

/// The pieces of one URL, still percent-encoded.
struct Pieces<'a> {
    credentials: Credentials,
    host: &'a str,
    path: &'a str,
    query: Vec<(String, String)>,
}

fn pieces(url: &str) -> Result<Pieces<'_>, String> {
    let (_, rest) = url.split_once("://").ok_or("it has no scheme")?;
    if rest.contains('#') {
        return Err("a `#` must be written as %23".into());
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if query.contains('@') {
        return Err("`?`, `/` and `@` in a password must be written as %3F, %2F and %40".into());
    }
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    if path.contains('@') && !authority.contains('@') && !authority.is_empty() {
        return Err("a `/` in a password must be written as %2F".into());
    }
    let (userinfo, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    Ok(Pieces {
        credentials: credentials(userinfo)?,
        host,
        path,
        query: parameters(query)?,
    })
}

fn credentials(userinfo: &str) -> Result<Credentials, String> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(decoded("password", password)?)),
        None => (userinfo, None),
    };
    let user = Some(decoded("user", user)?).filter(|user| !user.is_empty());
    let password = password.filter(|password| !password.is_empty()).map(Secret::new);
    Ok(Credentials { user, password })
}

fn decoded(name: &str, text: &str) -> Result<String, String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_not_utf8| format!("the {name} is not UTF-8 after percent-decoding"))
}

fn parameters(query: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            Ok((decoded("query", name)?, decoded("query", &value)?))
        })
        .collect()
}

fn tcp(url: &str, tls: bool) -> Result<Endpoint, String> {
    if url.contains(';') {
        return Err(
            "several servers are only possible with sentinel://; give one (a `;` in a password must be written as %3B)"
                .into(),
        );
    }
    let pieces = pieces(url)?;
    let (host, port) = host_port(pieces.host, REDIS_PORT)?;
    let mut db = database(pieces.path)?;
    let mut query = pieces.query;
    if let Some(number) = take(&mut query, "virtual_host").or_else(|| take(&mut query, "db")) {
        db = database(&number)?;
    }
    let asked_for_tls = query.iter().any(|(name, _)| name.starts_with("ssl_"));
    if asked_for_tls && !tls {
        return Err("ssl_… parameters need the scheme rediss://".into());
    }
    let tls = if tls { Some(tls_of(&mut query)?) } else { None };
    Ok(Endpoint::Redis(Redis {
        address: Address::Tcp { host, port },
        tls,
        credentials: pieces.credentials,
        db,
        ignored: names(query),
    }))
}

fn unix(url: &str) -> Result<Endpoint, String> {
    let pieces = pieces(url)?;
    if !pieces.host.is_empty() {
        return Err("the path of a socket starts after three slashes: redis+socket:///path".into());
    }
    let path = decoded("path", pieces.path)?;
    if path.len() < 2 {
        return Err("the path of the socket is missing: redis+socket:///path".into());
    }
    let mut query = pieces.query;
    let number = take(&mut query, "virtual_host").or_else(|| take(&mut query, "db"));
    let mut credentials = pieces.credentials;
    if let Some(password) = take(&mut query, "password") {
        credentials.password = Some(Secret::new(password));
    }
    Ok(Endpoint::Redis(Redis {
        address: Address::Unix { path },
        tls: None,
        credentials,
        db: number.map_or(Ok(0), |number| database(&number))?,
        ignored: names(query),
    }))
}

fn sentinel(url: &str) -> Result<Endpoint, String> {
    let mut found: Option<Sentinel> = None;
    for one in url.split(';').map(str::trim).filter(|one| !one.is_empty()) {
        if !one.to_ascii_lowercase().starts_with("sentinel://") {
            return Err("every server of a sentinel URL must start with sentinel://".into());
        }
        let pieces = pieces(one)?;
        let node = host_port(pieces.host, SENTINEL_PORT)?;
        let db = database(pieces.path)?;
        match &mut found {
            None => {
                let (credentials, ignored) = (pieces.credentials, names(pieces.query));
                found = Some(Sentinel {
                    nodes: vec![node],
                    credentials,
                    db,
                    ignored,
                });
            }
            Some(sentinel) if sentinel.db != db && !pieces.path.is_empty() => {
                return Err("the servers of a sentinel URL name different databases".into());
            }
            Some(sentinel) => sentinel.nodes.push(node),
        }
    }
    found.map(Endpoint::Sentinel).ok_or_else(|| "it names no server".into())
}

fn host_port(text: &str, default: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("a `[` without `]`")?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None | Some("") => default,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or("the port must be a number of 1 to 65535 (an IPv6 address stands in brackets)")?,
    };
    let host = decoded("host", host)?;
    if host.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the host holds a space or a control character".into());
    }
    // kombu reads `redis://` as this machine.
    Ok((if host.is_empty() { "localhost".into() } else { host }, port))
}

fn database(path: &str) -> Result<u32, String> {
    match path.trim_matches('/') {
        "" => Ok(0),
        number => number
            .parse()
            .map_err(|_no_number| format!("the database must be a number such as /0, found {:?}", masked(number))),
    }
}

fn tls_of(query: &mut Vec<(String, String)>) -> Result<Tls, String> {
    let check = match take(query, "ssl_cert_reqs").as_deref() {
        None | Some("CERT_REQUIRED" | "required") => CertificateCheck::Required,
        Some("CERT_OPTIONAL" | "optional") => CertificateCheck::Optional,
        Some("CERT_NONE" | "none") => CertificateCheck::None,
        Some(_) => return Err("ssl_cert_reqs must be required, optional or none".into()),
    };
    let check_hostname = take(query, "ssl_check_hostname").is_none_or(|text| !text.eq_ignore_ascii_case("false"));
    let tls = Tls {
        check,
        check_hostname,
        ca_certs: take(query, "ssl_ca_certs"),
        certfile: take(query, "ssl_certfile"),
        keyfile: take(query, "ssl_keyfile"),
    };
    match query.iter().find(|(name, _)| name.starts_with("ssl_")) {
        Some((name, _)) => Err(format!(
            "{name} is not known; known are ssl_cert_reqs, ssl_check_hostname, ssl_ca_certs, \
             ssl_certfile and ssl_keyfile"
        )),
        None => Ok(tls),
    }
}

fn take(query: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let index = query.iter().position(|(found, _)| found == name)?;
    Some(query.remove(index).1)
}

fn names(query: Vec<(String, String)>) -> Vec<String> {
    query.into_iter().map(|(name, _)| name).collect()
}
