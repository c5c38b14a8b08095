//! One outgoing request, by the bindings alone.

use grepx_plugin_sdk::prelude::*;
use serde::Deserialize;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

#[derive(Deserialize)]
pub(crate) struct Request {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
    /// The secret whose placeholder stands for `@` in headers, URL and body.
    #[serde(default)]
    secret: Option<String>,
    /// Fails with the answer in its error, in its log and in a panic's text.
    #[serde(default)]
    leak: bool,
}

pub(crate) fn send(request: Request) -> Result<Value, Error> {
    let told = request
        .secret
        .as_ref()
        .and_then(|name| super::extra::grepx::plugin::secrets::get(name));
    let fill = |text: &str| told.as_ref().map_or_else(|| text.to_owned(), |told| text.replace('@', told));
    let url = fill(&request.url);
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let headers = Fields::new();
    for (name, value) in &request.headers {
        let set = headers.append(name, fill(value).as_bytes());
        set.map_err(|error| Error::permanent("header", format!("{error:?}")))?;
    }
    let outgoing = OutgoingRequest::new(headers);
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let wrong = |()| Error::permanent("request", "it cannot be built");
    outgoing.set_scheme(Some(&scheme)).map_err(wrong)?;
    outgoing.set_authority(Some(authority)).map_err(wrong)?;
    outgoing.set_path_with_query(Some(path)).map_err(wrong)?;
    let method = match request.method.as_deref() {
        None | Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        Some(other) => Method::Other(other.to_owned()),
    };
    outgoing.set_method(&method).map_err(wrong)?;
    let body = outgoing.body().map_err(wrong)?;
    let denied = |error| Error::permanent("http", format!("{error:?}"));
    let future = outgoing_handler::handle(outgoing, None).map_err(denied)?;
    if let Some(text) = &request.body {
        let stream = body.write().map_err(wrong)?;
        let written = stream.blocking_write_and_flush(fill(text).as_bytes());
        written.map_err(|error| Error::permanent("body", format!("{error:?}")))?;
    }
    OutgoingBody::finish(body, None).map_err(denied)?;
    future.subscribe().block();
    let answer = match future.get() {
        Some(Ok(Ok(answer))) => answer,
        Some(Ok(Err(error))) => return Err(denied(error)),
        other => return Err(Error::permanent("http", format!("{other:?}"))),
    };
    let status = answer.status();
    let echoed = answer.headers().get("x-echo");
    let echoed = echoed.first().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let text = read(&answer)?;
    if request.leak {
        log::info(format!("the answer was {text}"));
        let error = Error::permanent("leak", format!("the answer was {text}"));
        return Err(error);
    }
    Ok(json!({ "status": status, "echo": echoed, "body": text }))
}

fn read(answer: &wasip2::http::types::IncomingResponse) -> Result<String, Error> {
    let broken = |what: String| Error::permanent("answer", what);
    let body = answer.consume().map_err(|()| broken("it has no body".to_owned()))?;
    let stream = body.stream().map_err(|()| broken("it has no stream".to_owned()))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(some) => bytes.extend(some),
            Err(wasip2::io::streams::StreamError::Closed) => break,
            Err(error) => return Err(broken(format!("{error:?}"))),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
