//! Outgoing requests of guests: who may ask whom, and what may be behind the name.
//!
//! The name is resolved here, every address is judged, and the connection goes to the very address
//! that was judged, so that a name cannot change its meaning in between. Redirects are answers
//! like any other: a guest that follows one asks anew. Limits hold whatever the guest wishes.

mod addresses;
mod send;

use std::future::Future;
use std::sync::Arc;

use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::call_log::CallLog;
use super::grants::{HttpGrant, Permit};
use super::secrets::Held;
use super::settings::Limits;
use super::types::Level;

type Answer = Result<
    (
        http::Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

/// What the requests of one call may do.
pub(super) struct Outgoing {
    pub(super) kind: Arc<str>,
    /// `None`: nothing.
    pub(super) grant: Option<Arc<HttpGrant>>,
    pub(super) secrets: Arc<Held>,
    pub(super) limits: Limits,
    pub(super) log: Arc<CallLog>,
}

/// A request that may be sent.
struct Target {
    host: String,
    port: u16,
    tls: bool,
    permit: Permit,
    secrets: Arc<Held>,
    limits: Limits,
    log: Arc<CallLog>,
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        match self.target(&request) {
            Ok(target) => Box::new(send::send(target, request, options)),
            Err(error) => Box::new(async move { Err(error) }),
        }
    }

    fn p2_error_from_hyper(
        &mut self,
        error: &hyper::Error,
    ) -> wasmtime_wasi_http::p2::bindings::http::types::ErrorCode {
        self.log.line(Level::Debug, &format!("http: {error}"));
        wasmtime_wasi_http::p2::bindings::http::types::ErrorCode::HttpProtocolError
    }

    fn p2_error_from_connect(
        &mut self,
        error: &std::io::Error,
    ) -> wasmtime_wasi_http::p2::bindings::http::types::ErrorCode {
        self.log.line(Level::Debug, &format!("http: no connection: {error}"));
        wasmtime_wasi_http::p2::bindings::http::types::ErrorCode::ConnectionRefused
    }

    fn p2_error_from_tls(
        &mut self,
        error: &std::io::Error,
    ) -> wasmtime_wasi_http::p2::bindings::http::types::ErrorCode {
        self.log.line(Level::Debug, &format!("http: TLS: {error}"));
        wasmtime_wasi_http::p2::bindings::http::types::ErrorCode::TlsProtocolError
    }
}

impl Outgoing {
    fn target(&self, request: &http::Request<WasiBody>) -> Result<Target, Error> {
        let uri = request.uri();
        let tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        // A name before an @ is one more way to make a host look like another.
        if authority.as_str().contains('@') {
            return Err(Error::HttpRequestUriInvalid);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let host = host
            .parse::<std::net::IpAddr>()
            .map_or(host, |address| address.to_string());
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let method = request.method().as_str();
        if method == "CONNECT" || method == "TRACE" {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let permit = self.grant.as_ref().and_then(|grant| grant.permits(method, &host, port));
        let Some(permit) = permit else {
            self.log.line(
                Level::Warn,
                &format!(
                    "http: {method} to {host}:{port} is not granted; plugins.grants would need\n{}: {{http: {{hosts: [\"{}\"], methods: [{method}]}}}}",
                    self.kind,
                    if port == 443 || port == 80 { host.clone() } else { format!("{host}:{port}") },
                ),
            );
            return Err(Error::HttpRequestDenied);
        };
        Ok(Target {
            host,
            port,
            tls,
            permit,
            secrets: Arc::clone(&self.secrets),
            limits: self.limits,
            log: Arc::clone(&self.log),
        })
    }
}
