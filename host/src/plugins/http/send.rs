//! One request on one connection of its own: secrets in, address judged, answer bounded, secrets
//! out.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::{Answer, Target, addresses};
use crate::plugins::grants::Permit;
use crate::plugins::secrets::{in_url, plain};
use crate::plugins::types::Level;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

pub(super) async fn send(target: Target, request: http::Request<WasiBody>, options: Option<RequestOptions>) -> Answer {
    let wish =
        |wish: Option<Duration>| wish.map_or(target.limits.http_timeout, |wish| wish.min(target.limits.http_timeout));
    let connect = wish(options.as_ref().and_then(|options| options.connect_timeout));
    let first_byte = wish(options.as_ref().and_then(|options| options.first_byte_timeout));

    let request = outward(&target, request).await?;
    let stream = tokio::time::timeout(connect, connect_to(&target))
        .await
        .map_err(|_| Error::ConnectionTimeout)??;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the answer's body, or with the call.
    let connection = wasmtime_wasi::runtime::spawn(connection);
    let answer = tokio::time::timeout(first_byte, sender.send_request(request))
        .await
        .map_err(|_| Error::ConnectionReadTimeout)??;
    let answer = inward(&target, answer).await?;
    let rest = async move {
        let _sender = sender;
        connection.await.map_err(Error::from)
    };
    Ok((answer, Box::new(rest)))
}

/// The request as it goes out: to a path on the connection, with values for placeholders.
async fn outward(target: &Target, request: http::Request<WasiBody>) -> Result<http::Request<WasiBody>, Error> {
    let (mut parts, mut body) = request.into_parts();
    let mut path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    if target.secrets.go_to(&target.host, target.port) {
        let (host, port) = (target.host.as_str(), target.port);
        path = target.secrets.reveal(&path, host, port, in_url).into_owned();
        headers_outward(target, &mut parts.headers)?;
        let limit = target.limits.max_output_bytes;
        let plain = Limited::new(body, limit).collect().await;
        let plain = plain
            .map_err(|_| Error::HttpRequestBodySize(Some(limit as u64)))?
            .to_bytes();
        let full = target.secrets.reveal_bytes(plain.to_vec(), host, port);
        if parts.headers.contains_key(CONTENT_LENGTH) {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(full.len()));
        }
        body = full_body(full);
    }
    parts.uri = Uri::builder()
        .path_and_query(path)
        .build()
        .map_err(|_| Error::HttpRequestUriInvalid)?;
    if !parts.headers.contains_key(HOST) {
        return Err(Error::HttpRequestUriInvalid);
    }
    Ok(http::Request::from_parts(parts, body))
}

fn headers_outward(target: &Target, headers: &mut HeaderMap) -> Result<(), Error> {
    let (host, port) = (target.host.as_str(), target.port);
    for (name, value) in headers.iter_mut() {
        let Ok(text) = value.to_str() else { continue };
        let revealed = match text.strip_prefix("Basic ") {
            Some(hidden) if *name == AUTHORIZATION => {
                let plain_text = BASE64_STANDARD
                    .decode(hidden.trim())
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                let Some(plain_text) = plain_text else { continue };
                let revealed = target.secrets.reveal(&plain_text, host, port, plain);
                format!("Basic {}", BASE64_STANDARD.encode(revealed.as_bytes()))
            }
            _ => target.secrets.reveal(text, host, port, plain).into_owned(),
        };
        if revealed != text {
            // A value with a line break would be a second header.
            *value = HeaderValue::from_str(&revealed).map_err(|_| Error::HttpRequestHeaderSize {
                field_name: Some(name.to_string()),
                field_size: None,
            })?;
            value.set_sensitive(true);
        }
    }
    Ok(())
}

/// The answer as the guest may see it.
async fn inward(
    target: &Target,
    answer: http::Response<hyper::body::Incoming>,
) -> Result<http::Response<WasiBody>, Error> {
    let (mut parts, body) = answer.into_parts();
    let limit = target.limits.http_response_bytes;
    let log = Arc::clone(&target.log);
    let body: WasiBody = Limited::new(body, limit)
        .map_err(move |error| {
            let error = broken(error, limit);
            if matches!(error, Error::HttpResponseBodySize(_)) {
                let text =
                    format!("http: the answer is larger than {limit} bytes: raise http_response_bytes for the kind");
                log.line(Level::Warn, &text);
            }
            error
        })
        .boxed_unsync();
    if !target.secrets.go_to(&target.host, target.port) {
        return Ok(http::Response::from_parts(parts, body));
    }
    for value in parts.headers.values_mut() {
        let Ok(text) = value.to_str() else { continue };
        let scrubbed = target.secrets.scrub(text).into_owned();
        if scrubbed != text {
            *value = HeaderValue::from_str(&scrubbed).map_err(|_| Error::HttpResponseIncomplete)?;
        }
    }
    let bytes = body.collect().await?.to_bytes();
    let bytes = target.secrets.scrub_bytes(bytes.to_vec());
    if parts.headers.contains_key(CONTENT_LENGTH) {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    Ok(http::Response::from_parts(parts, full_body(bytes)))
}

fn broken(error: Box<dyn std::error::Error + Send + Sync + 'static>, limit: usize) -> Error {
    match error.downcast::<LengthLimitError>() {
        Ok(_) => Error::HttpResponseBodySize(Some(limit as u64)),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Error::Hyper(*error),
            Err(_) => Error::HttpResponseIncomplete,
        },
    }
}

fn full_body(bytes: Vec<u8>) -> WasiBody {
    Full::new(Bytes::from(bytes))
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Connected to an address that was judged, and to no other.
async fn connect_to(target: &Target) -> Result<Box<dyn Stream>, Error> {
    let mut refused = Error::DnsError {
        rcode: Some("no address".to_owned()),
        info_code: None,
    };
    let found: Vec<SocketAddr> = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await
        .map_err(|_| Error::DnsError {
            rcode: Some("NXDOMAIN".to_owned()),
            info_code: None,
        })?
        .collect();
    for address in found {
        if target.permit == Permit::Public && !addresses::is_public(address.ip()) {
            target.log.line(
                Level::Warn,
                &format!(
                    "http: {} is at {}, which is not public: such a host has to be granted by its address or as localhost",
                    target.host,
                    address.ip()
                ),
            );
            refused = Error::DestinationIpProhibited;
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return if target.tls {
                    secure(target, stream).await
                } else {
                    Ok(Box::new(stream))
                };
            }
            Err(error) => refused = Error::Connect(error),
        }
    }
    Err(refused)
}

async fn secure(target: &Target, stream: TcpStream) -> Result<Box<dyn Stream>, Error> {
    let name = ServerName::try_from(target.host.clone()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let config = tls().map_err(Error::Tls)?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(Error::Tls)?;
    Ok(Box::new(stream))
}

/// The roots of Mozilla, as compiled in: no file of the machine decides whom a guest trusts.
fn tls() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        })
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}
