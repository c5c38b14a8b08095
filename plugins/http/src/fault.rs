//! Why a request got no answer, and what follows: whether another attempt can help, and what
//! a person has to do when it cannot.

use grepx_plugin_sdk::prelude::*;

use crate::Limits;
use crate::request::Request;

#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "most of them happen only on the wire")
)]
pub(crate) enum Fault {
    /// The operator has not granted this host or method.
    NotGranted,
    /// The name leads to an address that the host does not let out to.
    AddressProhibited,
    /// No address for the name.
    Dns(String),
    /// Nobody there, or no way to it.
    Connect(&'static str),
    /// The connection ended, or spoke no HTTP.
    Broken(String),
    /// The request was not over in time.
    TimedOut,
    Certificate,
    /// The body of the answer.
    TooLarge,
    /// HTTP or the host does not allow the request as it is.
    Refused(String),
}

impl Fault {
    pub(crate) fn into_error(self, request: &Request, limits: Limits) -> Error {
        let host = request.target.host();
        match self {
            Self::NotGranted => Error::unauthorised(
                "http-not-granted",
                format!(
                    "the host did not let {request} out: an operator can allow it by adding under plugins.grants \
                     `http: {{http: {{hosts: [{host}]}}}}`, with {} among its methods if it lists some",
                    request.method
                ),
            ),
            Self::AddressProhibited => Error::unauthorised(
                "http-address-prohibited",
                format!(
                    "{host} leads to an address that is not public: use a public name, or let an operator grant \
                     the address itself under plugins.grants"
                ),
            ),
            Self::Dns(why) => Error::retryable("http-dns", format!("no address was found for {host}: {why}")),
            Self::Connect(why) => Error::retryable("http-connect", format!("{request} reached nobody: {why}")),
            Self::Broken(why) => Error::retryable("http-broken", format!("{request} got no whole answer: {why}")),
            Self::TimedOut => Error::retryable(
                "http-timeout",
                format!(
                    "{request} was not answered within {} s (timeout_seconds)",
                    limits.time.as_secs_f64()
                ),
            ),
            Self::Certificate => Error::permanent(
                "http-certificate",
                format!("the certificate of {host} is not valid: renew it there, or correct the URL"),
            ),
            Self::TooLarge => Error::permanent(
                "http-response-too-large",
                format!(
                    "{request} answered with more than {} bytes: ask for less, or raise config.max_response_bytes",
                    limits.bytes
                ),
            ),
            Self::Refused(why) => Error::invalid_input(format!("{request} cannot be sent: {why}")),
        }
    }
}

#[cfg(test)]
mod tests;
