//! The request on its way: `wasi:http/outgoing-handler`, watched by one clock from the first
//! connection to the last byte, so that a server which sends a byte now and then ends nobody's
//! patience but its own.

use std::time::Duration;

use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, HeaderError, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::poll::{self, Pollable};
use wasip2::io::streams::{InputStream, StreamError};

use crate::fault::Fault;
use crate::request::Request;
use crate::{Limits, Response};

const CHUNK: u64 = 64 * 1024;

pub(crate) fn send(request: &Request, limits: Limits) -> Result<Response, Fault> {
    let patience = Patience::new(limits.time);
    let outgoing = outgoing(request)?;
    let body = outgoing
        .body()
        .map_err(|()| Fault::Refused("its body was taken".to_owned()))?;
    let future = outgoing_handler::handle(outgoing, Some(options(limits.time)?)).map_err(fault)?;
    write(body, request.body.as_deref().unwrap_or_default(), &patience)?;
    let response = loop {
        if let Some(answer) = future.get() {
            // The outer error is a second reading, which does not happen.
            break answer
                .map_err(|()| Fault::Broken("the answer was taken".to_owned()))?
                .map_err(fault)?;
        }
        patience.wait(&future.subscribe())?;
    };
    read(&response, limits, &patience)
}

/// Time that is left, as something that can be waited for beside something else.
struct Patience(Pollable);

impl Patience {
    fn new(time: Duration) -> Self {
        Self(monotonic_clock::subscribe_duration(nanoseconds(time)))
    }

    /// Until `ready` is, or the time is over.
    fn wait(&self, ready: &Pollable) -> Result<(), Fault> {
        let found = poll::poll(&[ready, &self.0]);
        if found.contains(&0) {
            Ok(())
        } else {
            Err(Fault::TimedOut)
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, Fault> {
    let refused = |part: &str| Fault::Refused(format!("the host does not take its {part}"));
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers.append(name, value.as_bytes()).map_err(|error| {
            let why = match error {
                HeaderError::Forbidden => "is written by the host: leave it out",
                HeaderError::InvalidSyntax | HeaderError::Immutable => "is no valid header",
            };
            Fault::Refused(format!("{name} {why}"))
        })?;
    }
    if let Some(body) = &request.body {
        let length = body.len().to_string();
        headers
            .append("content-length", length.as_bytes())
            .map_err(|_| refused("length"))?;
    }
    let outgoing = OutgoingRequest::new(headers);
    let target = &request.target;
    let scheme = if target.secure { Scheme::Https } else { Scheme::Http };
    outgoing
        .set_method(&method(&request.method))
        .map_err(|()| refused("method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| refused("scheme"))?;
    outgoing
        .set_authority(Some(&target.authority))
        .map_err(|()| refused("host"))?;
    outgoing
        .set_path_with_query(Some(&target.path_with_query()))
        .map_err(|()| refused("path or query"))?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.to_owned()),
    }
}

/// A host that does not know an option goes without it: [`Patience`] holds in any case.
fn options(time: Duration) -> Result<RequestOptions, Fault> {
    let options = RequestOptions::new();
    let time = Some(nanoseconds(time));
    let _ = options.set_connect_timeout(time);
    let _ = options.set_first_byte_timeout(time);
    let _ = options.set_between_bytes_timeout(time);
    Ok(options)
}

fn write(body: OutgoingBody, mut bytes: &[u8], patience: &Patience) -> Result<(), Fault> {
    let broken = || Fault::Broken("the request's body could not be written".to_owned());
    let stream = body.write().map_err(|()| broken())?;
    while !bytes.is_empty() {
        patience.wait(&stream.subscribe())?;
        let room = match stream.check_write() {
            Ok(room) => usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len()),
            // The server has heard enough; its answer says what of.
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(broken()),
        };
        let (now, later) = bytes.split_at(room);
        match stream.write(now) {
            Ok(()) => bytes = later,
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(broken()),
        }
    }
    drop(stream);
    let whole = bytes.is_empty();
    match OutgoingBody::finish(body, None) {
        Err(error) if whole => Err(fault(error)),
        _ => Ok(()),
    }
}

fn read(response: &IncomingResponse, limits: Limits, patience: &Patience) -> Result<Response, Fault> {
    let headers = response.headers().entries();
    let broken = || Fault::Broken("its body was taken".to_owned());
    let incoming = response.consume().map_err(|()| broken())?;
    let stream = incoming.stream().map_err(|()| broken())?;
    let body = read_body(&stream, limits.bytes, patience);
    drop(stream);
    drop::<IncomingBody>(incoming);
    let (body, cut) = body?;
    Ok(Response {
        status: response.status(),
        headers,
        body,
        cut,
    })
}

/// At most `most` bytes, and whether there were more.
fn read_body(stream: &InputStream, most: usize, patience: &Patience) -> Result<(Vec<u8>, bool), Fault> {
    let mut body = Vec::new();
    loop {
        match stream.read(CHUNK) {
            Ok(chunk) if chunk.is_empty() => patience.wait(&stream.subscribe())?,
            Ok(chunk) => {
                let room = most - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return Ok((body, true));
                }
            }
            Err(StreamError::Closed) => return Ok((body, false)),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                return Err(code.map_or_else(|| Fault::Broken("the connection ended".to_owned()), fault));
            }
        }
    }
}

fn fault(code: ErrorCode) -> Fault {
    match code {
        ErrorCode::HttpRequestDenied => Fault::NotGranted,
        ErrorCode::DestinationIpProhibited => Fault::AddressProhibited,
        ErrorCode::DnsTimeout => Fault::Dns("the name server did not answer".to_owned()),
        ErrorCode::DnsError(payload) => Fault::Dns(payload.rcode.unwrap_or_else(|| "the name is not known".to_owned())),
        ErrorCode::DestinationNotFound => Fault::Connect("the destination was not found"),
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationIpUnroutable => {
            Fault::Connect("there is no way to the destination")
        }
        ErrorCode::ConnectionRefused => Fault::Connect("the connection was refused"),
        ErrorCode::ConnectionLimitReached => Fault::Connect("too many connections are open"),
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => Fault::TimedOut,
        ErrorCode::TlsCertificateError => Fault::Certificate,
        ErrorCode::HttpResponseBodySize(_) => Fault::TooLarge,
        ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_) => Fault::Refused("it is too large, or not as HTTP wants it".to_owned()),
        ErrorCode::LoopDetected | ErrorCode::ConfigurationError => {
            Fault::Refused("the host's own configuration does not allow it".to_owned())
        }
        ErrorCode::ConnectionTerminated => Fault::Broken("the connection ended".to_owned()),
        ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => {
            Fault::Broken("no secure connection could be agreed on".to_owned())
        }
        ErrorCode::HttpResponseIncomplete => Fault::Broken("the answer ended too early".to_owned()),
        ErrorCode::HttpResponseHeaderSectionSize(_)
        | ErrorCode::HttpResponseHeaderSize(_)
        | ErrorCode::HttpResponseTrailerSectionSize(_)
        | ErrorCode::HttpResponseTrailerSize(_) => Fault::Broken("its headers are too large".to_owned()),
        ErrorCode::HttpResponseTransferCoding(_)
        | ErrorCode::HttpResponseContentCoding(_)
        | ErrorCode::HttpUpgradeFailed
        | ErrorCode::HttpProtocolError => Fault::Broken("the answer is no valid HTTP".to_owned()),
        // Its text is the host's own and may quote anything.
        ErrorCode::InternalError(_) => Fault::Broken("the host could not carry it out".to_owned()),
    }
}
