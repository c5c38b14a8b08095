//! Browsers do what pages of strangers tell them: a page may ask a host on the same machine, by its
//! address, or by a name that the page's owner has pointed at it (DNS rebinding). So the name that
//! was asked for has to be one of ours, and a page that asks has to be ours.
//!
//! Absent on purpose: CORS headers (no other site may read answers), and CSRF tokens: the origin
//! says the same without a state.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, Request, Uri};
use axum::response::Response;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What every answer says to a browser, unless it says something else itself.
const GUARDS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Names under which this host may be asked.
#[derive(Debug)]
pub(super) struct Names {
    /// What the host itself goes by; lower case, any port.
    own: Vec<String>,
    /// What the operator has added; without a port, any in the Host header and none in an origin.
    allowed: Vec<(String, Option<u16>)>,
    /// Only this machine can reach us.
    loopback: bool,
}

impl Names {
    pub(super) fn new(host: &str, allowed: &[String], address: SocketAddr) -> Self {
        let mut own = vec!["localhost".to_owned()];
        if !host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()) {
            own.push(split(host).0);
        }
        Self {
            own,
            allowed: allowed.iter().map(|name| split(name)).collect(),
            loopback: address.ip().is_loopback(),
        }
    }

    /// `strict`: nothing but the name stands between a stranger's page and us, or the operator has
    /// said which names there are.
    pub(super) fn check<B>(&self, request: &Request<B>, strict: bool) -> Result<(), String> {
        let asked = asked(request.uri(), request.headers())?;
        if let Some(host) = &asked {
            self.check_host(host, strict)?;
        }
        self.check_origin(request.method(), request.headers(), asked.as_deref())
    }

    /// Only the page that asks, under whichever name.
    pub(super) fn check_page<B>(&self, request: &Request<B>) -> Result<(), String> {
        let safe = matches!(*request.method(), Method::GET | Method::HEAD);
        match safe {
            true => Ok(()),
            false => {
                let asked = asked(request.uri(), request.headers())?;
                self.check_origin(request.method(), request.headers(), asked.as_deref())
            }
        }
    }

    /// Only the name, where nothing else guards.
    pub(super) fn check_name(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
        match asked(uri, headers)? {
            Some(host) => self.check_host(&host, true),
            None => Ok(()),
        }
    }

    fn check_host(&self, host: &str, strict: bool) -> Result<(), String> {
        let (name, port) = split(host);
        if self.is_allowed(&name, port) || (!self.loopback && !strict) {
            return Ok(());
        }
        // An address cannot be pointed somewhere else, as a name can.
        if let Ok(address) = name.parse::<IpAddr>()
            && (address.is_loopback() || !self.loopback)
        {
            return Ok(());
        }
        Err(format!(
            "This host does not go by the name {name:?}: ask for localhost, or add the name to server.allowed_hosts"
        ))
    }

    fn check_origin(&self, method: &Method, headers: &HeaderMap, host: Option<&str>) -> Result<(), String> {
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            let ours = authority.is_some_and(|authority| {
                let (name, port) = split(authority);
                host.is_some_and(|host| host.eq_ignore_ascii_case(authority)) || self.allowed.contains(&(name, port))
            });
            return match ours {
                true => Ok(()),
                false => Err(format!(
                    "A page of {origin:?} may not ask this host: add its name to server.allowed_hosts if it is yours"
                )),
            };
        }
        let site = headers.get(SEC_FETCH_SITE).and_then(|site| site.to_str().ok());
        let safe = matches!(*method, Method::GET | Method::HEAD);
        match site {
            Some("cross-site" | "same-site") if !safe => {
                Err("A page of another site may not change anything here".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn is_allowed(&self, name: &str, port: Option<u16>) -> bool {
        let mut allowed = self.allowed.iter();
        self.own.iter().any(|own| own == name)
            || allowed.any(|(one, its)| one == name && (its.is_none() || *its == port))
    }
}

/// The name that was asked for. One that is not there was not left out by a browser.
fn asked(uri: &Uri, headers: &HeaderMap) -> Result<Option<String>, String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err("The request has two Host headers".to_owned()),
        (Some(host), None) => Some(host.to_str().map_err(|_| "The Host header is no text".to_owned())?),
        _ => None,
    };
    match (uri.authority(), host) {
        (Some(authority), Some(host)) if authority.as_str() != host => {
            Err("The request line and the Host header name different hosts".to_owned())
        }
        (Some(authority), _) => Ok(Some(authority.as_str().to_owned())),
        (None, host) => Ok(host.map(str::to_owned)),
    }
}

/// `name`, `name:port`, `[v6]`, `[v6]:port`; in lower case.
fn split(authority: &str) -> (String, Option<u16>) {
    let authority = authority.trim().to_ascii_lowercase();
    if let Some(rest) = authority.strip_prefix('[')
        && let Some((name, port)) = rest.split_once(']')
    {
        return (
            name.to_owned(),
            port.strip_prefix(':').and_then(|port| port.parse().ok()),
        );
    }
    match authority.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name.trim_end_matches('.').to_owned(), port.parse().ok()),
        _ => (authority.trim_end_matches('.').to_owned(), None),
    }
}

/// Adds what is missing of [`GUARDS`].
pub(super) fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in GUARDS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
