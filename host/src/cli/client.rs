//! The HTTP API as the commands use it. Errors name the server and what to do.
//!
//! Absent on purpose: retries. A command that fails says so; `watch` knows by itself how long an
//! absent server is worth waiting for.

use std::io::{self, BufRead, BufReader};
use std::net::IpAddr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use ureq::http::Response;
use ureq::{Agent, RequestBuilder};
use uuid::Uuid;

use super::arguments::Global;
use super::credentials::{self, Credentials};
use super::exit::{Exit, Failure};
use crate::config::{ConfigError, Options, Origin, Settings, mask_url};
use crate::store;

pub(crate) const API_URL_DEFAULT: &str = "http://127.0.0.1:4200/api";
const API_URL_SETTING: &str = "prefect.api_url";
/// The first one that is set counts.
const API_URL_VARIABLES: [&str; 2] = ["GREPX_API_URL", "PREFECT_API_URL"];
/// Whose version an answer names; a server that is no grepx-host sends none.
const VERSION_HEADER: &str = "x-grepx-host-version";
/// For one request, body included.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is read.
const BODY_BYTES_MAX: u64 = 256 << 20;
/// Rows that the server gives at once.
pub(crate) const PAGE: usize = 200;
/// What is left as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
    /// As it may be shown.
    shown_url: String,
    credentials: Option<Credentials>,
}

/// What a host says of itself to everybody.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) version: String,
    /// Why it takes no work.
    pub(crate) why_not: Option<String>,
}

/// How a server answers who wants a stream.
pub(crate) enum Stream {
    Lines(Box<dyn BufRead + Send>),
    /// Nothing follows.
    Over,
    /// It is not there, or has no place now: worth another try.
    Away(Failure),
}

impl Client {
    /// For the server that `--api-url`, `GREPX_API_URL`, `PREFECT_API_URL` or the configuration names.
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        Self::at_url(global, api_url(global)?)
    }

    /// For the server of this address, such as `http://127.0.0.1:4200`.
    pub(crate) fn of_server(global: &Global, address: &str) -> Result<Self, Failure> {
        Self::at_url(global, format!("{address}/api"))
    }

    fn at_url(global: &Global, mut url: String) -> Result<Self, Failure> {
        let credentials = credentials::find(global, &mut url)?;
        let loopback = is_loopback(&url);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("grepx-host/", env!("CARGO_PKG_VERSION")));
        if loopback {
            config = config.proxy(None);
        }
        Ok(Self {
            agent: config.build().into(),
            shown_url: mask_url(&url),
            url,
            credentials,
        })
    }

    /// Where it asks, as it may be shown.
    pub(crate) fn shown_url(&self) -> &str {
        &self.shown_url
    }

    /// What answers, and whether it takes work.
    pub(crate) fn probe(&self) -> Result<Probe, Failure> {
        let sent = self.agent.get(self.at("/ready")).call();
        let mut response = sent.map_err(|error| self.unreachable(&error))?;
        let version = response.headers().get(VERSION_HEADER);
        let version = version.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let Some(version) = version else {
            return Err(self.foreign("it does not name its version"));
        };
        let text = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string();
        let says = text.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let why_not = match response.status().as_u16() {
            200 => None,
            status => Some(match says.as_ref().and_then(|says| says["message"].as_str()) {
                Some(message) => message.to_owned(),
                None => format!("it answers with HTTP {status}"),
            }),
        };
        Ok(Probe { version, why_not })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        let sent = self.signed(self.agent.get(self.at(path))).call();
        self.answer(sent)
    }

    /// A stream of events that goes on after `last_id`.
    pub(crate) fn stream(&self, path: &str, last_id: Option<&str>) -> Result<Stream, Failure> {
        let mut request = self.signed(self.agent.get(self.at(path)));
        request = request.header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        // It ends when what it tells of does.
        let config = request
            .config()
            .timeout_global(None)
            .timeout_recv_response(Some(TIMEOUT));
        let response = match config.build().call() {
            Ok(response) => response,
            Err(error) => {
                let failure = self.unreachable(&error);
                return match failure.exit {
                    Exit::Unreachable => Ok(Stream::Away(failure)),
                    _ => Err(failure),
                };
            }
        };
        match response.status().as_u16() {
            204 => Ok(Stream::Over),
            200 => Ok(Stream::Lines(Box::new(BufReader::new(
                response.into_body().into_reader(),
            )))),
            503 => Ok(Stream::Away(
                self.answer(Ok(response))
                    .err()
                    .unwrap_or_else(|| self.foreign("no stream")),
            )),
            _ => self.answer(Ok(response)).and_then(|_| Err(self.foreign("no stream"))),
        }
    }

    /// The server holds a stream and says nothing, not even that it is there.
    pub(crate) fn silent(&self, since: Duration) -> Failure {
        let seconds = since.as_secs();
        Failure::says(
            Exit::Unreachable,
            format!("the server at {} has said nothing for {seconds} s", self.shown_url),
        )
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let sent = self.signed(self.agent.post(self.at(path))).send_json(body);
        self.answer(sent)
    }

    pub(crate) fn post_bytes(&self, path: &str, body: &[u8]) -> Result<Value, Failure> {
        let request = self.signed(self.agent.post(self.at(path)));
        self.answer(request.content_type("application/wasm").send(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<(), Failure> {
        let sent = self.signed(self.agent.delete(self.at(path))).call();
        self.answer(sent).map(|_| ())
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<(), Failure> {
        let sent = self.signed(self.agent.patch(self.at(path))).send_json(body);
        self.answer(sent).map(|_| ())
    }

    /// All rows of a filter, page by page, `max` at most.
    pub(crate) fn all(&self, path: &str, filter: &Value, max: usize) -> Result<Vec<Value>, Failure> {
        self.all_after(0, path, filter, max)
    }

    /// As [`Self::all`], without the first `skipped` rows.
    pub(crate) fn all_after(
        &self,
        skipped: usize,
        path: &str,
        filter: &Value,
        max: usize,
    ) -> Result<Vec<Value>, Failure> {
        let mut rows = Vec::new();
        loop {
            let mut body = filter.clone();
            body["limit"] = json!(PAGE.min(max - rows.len()));
            body["offset"] = json!(skipped + rows.len());
            let page = match self.post(path, &body)? {
                Value::Array(page) => page,
                _ => return Err(self.foreign("no list")),
            };
            let last = page.len() < PAGE;
            rows.extend(page);
            if last || rows.len() >= max {
                return Ok(rows);
            }
        }
    }

    fn signed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.credentials {
            Some(credentials) => request.header("authorization", &credentials.header),
            None => request,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn answer(&self, sent: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value, Failure> {
        let mut response = sent.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string();
        let text = text.map_err(|error| self.unreachable(&error))?;
        let value: Option<Value> = if text.is_empty() {
            Some(Value::Null)
        } else {
            serde_json::from_str(&text).ok()
        };
        if !(200..300).contains(&status) {
            return Err(self.refusal(status, value.as_ref()));
        }
        value.ok_or_else(|| self.foreign("no JSON"))
    }

    fn refusal(&self, status: u16, body: Option<&Value>) -> Failure {
        let exit = match status {
            401 | 403 => Exit::Denied,
            404 => Exit::NotFound,
            400 | 409 | 413 | 422 => Exit::Usage,
            _ => Exit::Broken,
        };
        let detail = body.and_then(|body| body["detail"].as_str().map(str::to_owned).or_else(|| details(body)));
        match detail {
            Some(detail) if status == 401 => Failure::says(exit, format!("{detail} (shown: {})", self.origin())),
            Some(detail) => Failure::says(exit, detail),
            None if status == 404 => self.foreign("no such page"),
            None => Failure::says(
                exit,
                format!("the server at {} answered with HTTP {status}", self.shown_url),
            ),
        }
    }

    fn origin(&self) -> &'static str {
        self.credentials.as_ref().map_or("nothing", |shown| shown.origin)
    }

    fn foreign(&self, what: &str) -> Failure {
        Failure::says(
            Exit::Unreachable,
            format!(
                "what answers at {} is no grepx-host ({what}): check --api-url",
                self.shown_url
            ),
        )
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let url = &self.shown_url;
        let message = match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                return Failure::usage(format!("{url} is no API URL: write one such as {API_URL_DEFAULT}"));
            }
            ureq::Error::Timeout(_) => format!("the server at {url} does not answer in time: look at its log"),
            error => format!(
                "no server answers at {url} ({}): start one with `grepx-host start` or `grepx-host serve`, or name another \
                 with --api-url",
                reason(error)
            ),
        };
        Failure::says(Exit::Unreachable, message)
    }
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The id that a person typed.
pub(crate) fn id(text: &str) -> Result<Uuid, Failure> {
    let wrong = |_| {
        Failure::usage(format!(
            "{text:?} is no id: write one such as 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
        ))
    };
    Uuid::try_parse(text).map_err(wrong)
}

/// Settings for commands that work without a server.
pub(crate) fn load_settings(global: &Global, overrides: Vec<(String, String)>) -> Result<Settings, Failure> {
    let options = Options {
        config: global.config.clone(),
        env_file: global.env_file.clone(),
        overrides,
        ..Options::from_process()
    };
    Settings::load(&options).map_err(|error| Failure::new(Exit::Usage, error))
}

fn api_url(global: &Global) -> Result<String, Failure> {
    let variables = API_URL_VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    let mut named = global.api_url.clone().into_iter().chain(variables);
    let url = match named.find(|url| !url.is_empty()) {
        Some(url) => url,
        None => configured(global)?,
    };
    Ok(url.trim_end_matches('/').to_owned())
}

/// A client needs no configuration: without a file, the default holds.
fn configured(global: &Global) -> Result<String, Failure> {
    let options = Options {
        config: global.config.clone(),
        env_file: global.env_file.clone(),
        ..Options::from_process()
    };
    match Settings::load(&options) {
        Ok(settings) => Ok(running(&settings).unwrap_or_else(|| settings.api_url().to_owned())),
        Err(ConfigError::Read { .. }) if global.config.is_none() => Ok(API_URL_DEFAULT.to_owned()),
        Err(error) => Err(Failure::new(Exit::Usage, error)),
    }
}

/// Where the host of this state directory serves, when nobody has named an address.
fn running(settings: &Settings) -> Option<String> {
    let named = settings.report().into_iter().find(|line| line.key == API_URL_SETTING);
    if named.is_some_and(|line| line.origin != Origin::Default) {
        return None;
    }
    Some(format!("{}/api", store::holder(&settings.store.dir)?.address?))
}

fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
            _ => error.to_string(),
        },
        ureq::Error::HostNotFound => "the host name is unknown".to_owned(),
        error => error.to_string(),
    }
}

/// Faults of a request, as the server lists them.
fn details(body: &Value) -> Option<String> {
    let faults = body["exception_detail"].as_array()?;
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| {
            let place: Vec<&str> = fault["loc"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            format!("{}: {}", place.join("."), fault["msg"].as_str().unwrap_or_default())
        })
        .collect();
    Some(format!("the server does not accept the request: {}", lines.join("; ")))
}

#[cfg(test)]
mod tests;
