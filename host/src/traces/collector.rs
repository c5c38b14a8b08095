//! Sends batches to a collector by OTLP over HTTP. An outage is told once, when it begins, and once,
//! when it is over; what it interrupts is sent again until the host stops.

use std::net::IpAddr;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode, Uri};

use super::{Inner, Span, otlp};
use crate::config::{Masked, Telemetry};

const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failure; doubled with each further one.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

pub(super) struct Collector {
    agent: Agent,
    url: String,
    headers: Vec<(String, Masked)>,
    service_name: String,
    /// The last request failed, and that was told.
    failing: bool,
}

/// A request that was not taken.
struct Failure {
    reason: String,
    /// The same request may be taken later.
    passes: bool,
}

impl Collector {
    pub(super) fn new(settings: &Telemetry) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .max_redirects(0)
            .user_agent(concat!("grepx-host/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&settings.url) {
            config = config.proxy(None);
        }
        Self {
            agent: config.build().into(),
            url: settings.url.clone(),
            headers: settings.headers.clone(),
            service_name: settings.service_name.clone(),
            failing: false,
        }
    }

    /// Sends what comes, until the queue is closed and empty.
    pub(super) fn serve(mut self, traces: &Inner) {
        while let Some(spans) = traces.queue.take() {
            let body = otlp::request(&spans, &self.service_name);
            let mut pause = PAUSE_FIRST;
            loop {
                let failure = match self.send(&body) {
                    Ok(refused) => {
                        self.taken(traces, &spans, refused);
                        break;
                    }
                    Err(failure) => failure,
                };
                self.tell(&failure.reason);
                if !failure.passes {
                    traces.drop_spans(spans.len());
                    break;
                }
                if traces.queue.is_closed() {
                    // The host stops, and has no time for another try.
                    traces.drop_spans(spans.len() + traces.queue.clear());
                    return;
                }
                traces.queue.pause(pause);
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// How many spans were refused, and why.
    fn send(&self, body: &[u8]) -> Result<Option<(usize, String)>, Failure> {
        let mut request = self.agent.post(&self.url).content_type(otlp::CONTENT_TYPE);
        for (name, Masked(value)) in &self.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        let mut answer = request.send(body).map_err(|error| Failure {
            reason: error.to_string(),
            passes: true,
        })?;
        let status = answer.status();
        if !status.is_success() {
            return Err(refusal(status));
        }
        let protobuf = is_protobuf(&answer);
        let answer = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        Ok(answer
            .ok()
            .filter(|_| protobuf)
            .and_then(|answer| otlp::refused(&answer)))
    }

    fn taken(&mut self, traces: &Inner, spans: &[Span], refused: Option<(usize, String)>) {
        let mut dropped = 0;
        if let Some((some, why)) = refused {
            dropped = some.min(spans.len());
            self.tell(&format!("it refuses {dropped} of {}: {why}", spans.len()));
        } else if std::mem::take(&mut self.failing) {
            tracing::info!(url = %self.url, "the collector takes spans again");
        }
        traces.drop_spans(dropped);
        traces.export_spans(spans.len() - dropped);
    }

    fn tell(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                url = %self.url,
                reason,
                "the collector does not take spans (telemetry.otlp_endpoint); flow runs go on, spans may be lost"
            );
        }
    }
}

fn refusal(status: StatusCode) -> Failure {
    let advice = match status.as_u16() {
        401 | 403 => ": it wants credentials, which belong into telemetry.headers",
        404 | 405 => ": OTLP over HTTP is spoken at another address, port 4318 as a rule",
        _ => "",
    };
    Failure {
        reason: format!("it answers {status}{advice}"),
        passes: matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504),
    }
}

fn is_protobuf(answer: &Response<ureq::Body>) -> bool {
    let kind = answer.headers().get("content-type");
    kind.is_some_and(|kind| kind.as_bytes().starts_with(otlp::CONTENT_TYPE.as_bytes()))
}

/// A proxy of the environment is not for this machine.
fn is_loopback(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
